"""Quotients and remainders of the same values, in every order and at every edge."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Unit
from dynarec.ir.verify import verify
from dynarec.opt.remainders import remainders
from tests.host.shapes import Maker
from tests.ir.units import EDGES, LAYOUT, assert_same, clone

DIVISIONS = (ops.DIVU, ops.REMU, ops.DIVS, ops.REMS)


def divided(*kinds: OpKind) -> Unit:
    """r2, r3 ... become what kinds of division make of r0 and r1, one for each instruction."""
    maker = Maker()
    a, b = maker.get("r0"), maker.get("r1")
    for number, kind in enumerate(kinds):
        if number:
            maker.insn()
        maker.set(f"r{number + 2}", maker.op(kind, a, b))
    return maker.end()


def divisions(unit: Unit) -> Counter[OpKind]:
    return Counter(op.kind for op in unit.ops if op.kind in DIVISIONS)


def value(kind: OpKind, a: int, b: int) -> int:
    assert kind.evaluate is not None
    return kind.evaluate(a, b)


@pytest.mark.parametrize(("quotient", "remainder"), [(ops.DIVU, ops.REMU), (ops.DIVS, ops.REMS)], ids=str)
def test_one_division_for_both(quotient: OpKind, remainder: OpKind) -> None:
    for kinds in ((quotient, remainder), (remainder, quotient), (remainder, quotient, remainder)):
        before = divided(*kinds)
        after = clone(before)
        remainders(after)
        verify(after, LAYOUT)
        assert divisions(after) == {quotient: 1}
        assert_same(before, after, random.Random(7))


def test_every_edge() -> None:
    for quotient, remainder in ((ops.DIVU, ops.REMU), (ops.DIVS, ops.REMS)):
        for a, b in product(EDGES, repeat=2):
            rest = value(ops.SUB, a, value(ops.MUL, value(quotient, a, b), b))
            assert value(remainder, a, b) == rest, (remainder, a, b)


@pytest.mark.parametrize("kinds", [(ops.REMU,), (ops.REMU, ops.DIVS), (ops.REMS, ops.DIVU)])
def test_without_its_quotient_a_remainder_stays(kinds: tuple[OpKind, ...]) -> None:
    unit = divided(*kinds)
    remainders(unit)
    assert divisions(unit) == Counter(kinds)


def test_other_operands_are_another_division() -> None:
    maker = Maker()
    a, b = maker.get("r0"), maker.get("r1")
    maker.set("r2", maker.op(ops.DIVU, a, b))
    maker.set("r3", maker.op(ops.REMU, b, a))
    unit = maker.end()
    remainders(unit)
    assert divisions(unit) == {ops.DIVU: 1, ops.REMU: 1}
