"""Each pure op against a model that shares nothing with the table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from ctypes import c_int8, c_int16, c_int32, c_uint32
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynarec.ir import ops
from dynarec.ir.ops import OpKind, Type
from tests.ir.units import EDGES

TWO32 = 2**32


def wrap(value: int) -> int:
    return int(c_uint32(value).value)


def s32(value: int) -> int:
    return int(c_int32(value).value)


def quotient(a: int, b: int) -> int:
    return -1 if b == 0 else math.trunc(Fraction(a, b))


def remainder(a: int, b: int) -> int:
    return a if b == 0 else a - b * quotient(a, b)


def rotate_in(value: int, count: int, sign: bool) -> int:
    """Shift right bit by bit."""
    top = TWO32 // 2 if sign and value >= TWO32 // 2 else 0
    for _ in range(count % 32):
        value = value // 2 + top
    return value


MODEL: dict[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "mulhu": lambda a, b: a * b // TWO32,
    "mulhs": lambda a, b: s32(a) * s32(b) // TWO32,
    "mulhsu": lambda a, b: s32(a) * b // TWO32,
    "divu": quotient,
    "divs": lambda a, b: quotient(s32(a), s32(b)),
    "remu": remainder,
    "rems": lambda a, b: remainder(s32(a), s32(b)),
    "and": lambda a, b: sum(2**n for n in range(32) if a // 2**n % 2 and b // 2**n % 2),
    "or": lambda a, b: sum(2**n for n in range(32) if a // 2**n % 2 or b // 2**n % 2),
    "xor": lambda a, b: sum(2**n for n in range(32) if a // 2**n % 2 != b // 2**n % 2),
    "shl": lambda a, b: a * 2 ** (b % 32),
    "shr": lambda a, b: rotate_in(a, b, sign=False),
    "sar": lambda a, b: rotate_in(a, b, sign=True),
    "ror": lambda a, b: (a * TWO32 + a) // 2 ** (b % 32) % TWO32,
    "sext8": lambda a: c_int8(a).value,
    "sext16": lambda a: c_int16(a).value,
    "zext8": lambda a: a % 256,
    "zext16": lambda a: a % 65536,
    "clz": lambda a: f"{a:032b}1"[:33].index("1"),
    "ctz": lambda a: f"{a:032b}1"[::-1].index("1", 1) - 1 if a else 32,
    "popcnt": lambda a: f"{a:b}".count("1"),
    "bswap": lambda a: sum(a // 256**n % 256 * 256 ** (3 - n) for n in range(4)),
    "eq": lambda a, b: not a - b,
    "ne": lambda a, b: bool(a - b),
    "ltu": lambda a, b: a < b,
    "geu": lambda a, b: not a < b,
    "lts": lambda a, b: s32(a) < s32(b),
    "ges": lambda a, b: not s32(a) < s32(b),
    "select": lambda a, b, c: [c, b][a],
    "bit": lambda a: a,
}

PURE = [kind for kind in ops.OPS.values() if kind.pure]
WORDS = st.sampled_from(EDGES) | st.integers(0, TWO32 - 1)
OPERANDS = {Type.I32: WORDS, Type.I1: st.integers(0, 1)}
by_name = pytest.mark.parametrize("kind", PURE, ids=lambda kind: kind.name)


def check(kind: OpKind, *args: int) -> None:
    assert kind.evaluate is not None
    found = kind.evaluate(*args)
    assert type(found) is int, kind
    assert found == wrap(MODEL[kind.name](*args)), (kind, [hex(arg) for arg in args])


def test_every_pure_op_has_a_model() -> None:
    assert set(MODEL) == {kind.name for kind in PURE}


def test_pure_ops_and_no_others_have_an_evaluator() -> None:
    assert all(kind.pure == (kind.evaluate is not None) for kind in ops.OPS.values())


@by_name
def test_edges(kind: OpKind) -> None:
    for args in itertools.product(*((0, 1) if param is Type.I1 else EDGES for param in kind.params)):
        check(kind, *args)


@by_name
@given(data=st.data())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_any_operands(kind: OpKind, data: st.DataObject) -> None:
    check(kind, *(data.draw(OPERANDS[param]) for param in kind.params))


@by_name
def test_commutative_means_what_it_says(kind: OpKind) -> None:
    pairs = list(itertools.product(EDGES, EDGES)) if len(kind.params) == 2 else []
    assert kind.evaluate is not None
    same = bool(pairs) and all(kind.evaluate(a, b) == kind.evaluate(b, a) for a, b in pairs)
    assert kind.commutative == same


def test_negated_compares_are_opposite() -> None:
    assert set(ops.NEGATED) == set(ops.COMPARES)
    for kind, opposite in ops.NEGATED.items():
        assert kind.evaluate is not None
        assert opposite.evaluate is not None
        assert ops.NEGATED[opposite] is kind
        assert all(kind.evaluate(a, b) != opposite.evaluate(a, b) for a, b in itertools.product(EDGES, EDGES))


@pytest.mark.parametrize(
    ("kind", "a", "b", "value"),
    [
        (ops.DIVU, 7, 0, 0xFFFF_FFFF),
        (ops.DIVS, 7, 0, 0xFFFF_FFFF),
        (ops.REMU, 7, 0, 7),
        (ops.REMS, 0x8000_0000, 0, 0x8000_0000),
        (ops.DIVS, 0x8000_0000, 0xFFFF_FFFF, 0x8000_0000),
        (ops.REMS, 0x8000_0000, 0xFFFF_FFFF, 0),
        (ops.DIVS, 0xFFFF_FFF9, 2, 0xFFFF_FFFD),
        (ops.REMS, 0xFFFF_FFF9, 2, 0xFFFF_FFFF),
        (ops.SHL, 1, 32, 1),
        (ops.SHR, 0x8000_0000, 63, 1),
        (ops.SAR, 0x8000_0000, 63, 0xFFFF_FFFF),
        (ops.MULHSU, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF),
    ],
)
def test_edge_cases_as_the_table_documents_them(kind: OpKind, a: int, b: int, value: int) -> None:
    assert kind.evaluate is not None
    assert kind.evaluate(a, b) == value


def test_zero_has_no_bits() -> None:
    assert [kind.evaluate(0) for kind in (ops.CLZ, ops.CTZ, ops.POPCNT) if kind.evaluate] == [32, 32, 0]
