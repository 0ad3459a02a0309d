"""Scaled addresses of x86-64: which sums, shifts and accesses are one address."""

from __future__ import annotations

import pytest

from dynarec.host.x86_64.address import MAX_SHIFT, NEAR, Scaled, find_scaled
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand
from tests.host.shapes import Maker


def scaled_sum(maker: Maker, shift: Operand = 2, swapped: bool = False) -> Op:
    """r0 + (r1 << shift)."""
    base = maker.get("r0")
    shifted = maker.op(ops.SHL, maker.get("r1"), shift)
    return maker.op(ops.ADD, shifted, base) if swapped else maker.op(ops.ADD, base, shifted)


def access(maker: Maker, kind: OpKind, address: Op) -> Op:
    return maker.op(kind, address, 0) if kind in ops.LOADS else maker.op(kind, address, 0, 7)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("shift", range(MAX_SHIFT + 1))
def test_a_sum_with_a_shift_is_scaled(shift: int, swapped: bool) -> None:
    maker = Maker()
    total = scaled_sum(maker, shift, swapped)
    maker.set("r2", total)
    found = find_scaled(maker.end())
    base, index, shifted = (op for op in maker.unit.ops if op.kind in (ops.GET, ops.SHL))
    assert found.sums == {total: Scaled(base, index, shift)}
    assert found.shifts == {shifted}
    assert found.accesses == {}


@pytest.mark.parametrize("shift", [MAX_SHIFT + 1, 31, None], ids=["four", "most", "register"])
def test_other_shifts_are_not(shift: int | None) -> None:
    maker = Maker()
    maker.set("r2", scaled_sum(maker, maker.get("r3") if shift is None else shift))
    found = find_scaled(maker.end())
    assert not found.sums
    assert not found.shifts


def test_a_shift_with_other_uses_stays() -> None:
    maker = Maker()
    total = scaled_sum(maker)
    maker.set("r2", total)
    maker.set("r3", total.args[1])
    assert not find_scaled(maker.end()).sums


def test_a_constant_base_or_index_is_not_scaled() -> None:
    maker = Maker()
    maker.set("r2", maker.op(ops.ADD, maker.op(ops.SHL, maker.get("r1"), 2), 0x1000))
    maker.set("r3", maker.op(ops.ADD, maker.get("r0"), maker.op(ops.SHL, 5, 2)))
    assert not find_scaled(maker.end()).sums


def test_of_two_shifts_one_is_scaled() -> None:
    maker = Maker()
    first, second = (maker.op(ops.SHL, maker.get(name), 1) for name in ("r0", "r1"))
    total = maker.op(ops.ADD, first, second)
    maker.set("r2", total)
    found = find_scaled(maker.end())
    assert found.shifts == {second}
    assert found.sums[total].base is first


@pytest.mark.parametrize("kind", [*ops.LOADS, *ops.STORES], ids=lambda kind: kind.name)
def test_an_access_behind_the_sum_computes_the_address(kind: OpKind) -> None:
    maker = Maker()
    total = scaled_sum(maker)
    made = access(maker, kind, total)
    found = find_scaled(maker.end())
    assert found.accesses == {made: found.sums[total]}


@pytest.mark.parametrize("between", range(NEAR + 2))
def test_an_access_far_behind_does_not(between: int) -> None:
    maker = Maker()
    total = scaled_sum(maker)
    for _ in range(between):
        maker.get("r5")
    access(maker, ops.LOAD32, total)
    assert bool(find_scaled(maker.end()).accesses) == (between < NEAR)


@pytest.mark.parametrize(("target", "kept"), [("r0", False), ("r1", False), ("r2", True)])
def test_of_a_sum_that_replaces_its_parts_no_access_uses_them(target: str, kept: bool) -> None:
    """Keeping the old base or index for the access would cost a move."""
    maker = Maker()
    total = scaled_sum(maker)
    maker.set(target, total)
    access(maker, ops.LOAD32, total)
    found = find_scaled(maker.end())
    assert found.sums
    assert found.shifts
    assert bool(found.accesses) == kept
