"""What a host's instruction does on the way: which ops become part of another one, and which stay."""

from __future__ import annotations

from collections import Counter

import pytest

from dynarec.host import make_host
from dynarec.host.arm64.parts import ACCEPTS
from dynarec.host.parts import Part, Parts, find_parts
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand, Unit
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.golden.listing import KEY
from tests.host.shapes import Maker
from tests.native.guests import asm


def found_in(unit: Unit) -> Parts:
    return find_parts(unit, Counter(arg for op in unit.ops for arg in op.args if isinstance(arg, Op)), ACCEPTS)


def inverted(maker: Maker, value: Operand) -> Op:
    return maker.op(ops.XOR, value, ops.MASK32)


SHIFTS = (ops.SHL, ops.SHR, ops.SAR, ops.ROR)
SUMS = (ops.ADD, ops.SUB)
LOGIC = (ops.AND, ops.OR, ops.XOR)


@pytest.mark.parametrize("shift", SHIFTS, ids=str)
@pytest.mark.parametrize("kind", [*SUMS, *LOGIC], ids=str)
def test_a_second_operand_that_is_shifted(kind: OpKind, shift: OpKind) -> None:
    maker = Maker()
    other, source = maker.get("r0"), maker.get("r1")
    shifted = maker.op(shift, source, 3)
    total = maker.op(kind, other, shifted)
    maker.set("r2", total)
    found = found_in(maker.end())
    if kind in SUMS and shift is ops.ROR:
        assert not found.outer
    else:
        assert found.outer == {total: Part(other, source, shift, 3, False, (shifted,))}
        assert found.inner == {shifted}


@pytest.mark.parametrize("kind", [*SUMS, *LOGIC], ids=str)
def test_a_first_operand_is_one_where_they_may_change_places(kind: OpKind) -> None:
    maker = Maker()
    total = maker.op(kind, maker.op(ops.SHL, maker.get("r1"), 3), maker.get("r0"))
    maker.set("r2", total)
    assert bool(found_in(maker.end()).outer) == kind.commutative


@pytest.mark.parametrize("kind", [*SUMS, *LOGIC], ids=str)
def test_inverted_operands_are_for_logic(kind: OpKind) -> None:
    maker = Maker()
    other, source = maker.get("r0"), maker.get("r1")
    rotated = maker.op(ops.ROR, source, 9)
    turned = inverted(maker, rotated)
    total = maker.op(kind, other, turned)
    maker.set("r2", total)
    part = Part(other, source, ops.ROR, 9, True, (turned, rotated))
    assert found_in(maker.end()).outer == ({total: part} if kind in LOGIC else {})


def test_a_value_with_other_uses_stays() -> None:
    maker = Maker()
    shifted = maker.op(ops.SHL, maker.get("r1"), 3)
    maker.set("r2", maker.op(ops.ADD, maker.get("r0"), shifted))
    maker.set("r3", shifted)
    assert not found_in(maker.end()).outer


def test_an_inverted_value_whose_shift_has_other_uses() -> None:
    maker = Maker()
    shifted = maker.op(ops.SHL, maker.get("r1"), 3)
    total = maker.op(ops.AND, maker.get("r0"), inverted(maker, shifted))
    maker.set("r2", total)
    maker.set("r3", shifted)
    part = found_in(maker.end()).outer[total]
    assert (part.source, part.amount, part.inverted) == (shifted, 0, True)


@pytest.mark.parametrize(("target", "joins"), [("r1", False), ("r0", True), ("r3", True)])
def test_a_source_that_its_register_no_longer_holds_is_not_kept(target: str, joins: bool) -> None:
    maker = Maker()
    other, shifted = maker.get("r0"), maker.op(ops.SHL, maker.get("r1"), 3)
    maker.insn()
    maker.set(target, 7)
    maker.set("r2", maker.op(ops.ADD, other, shifted))
    assert bool(found_in(maker.end()).outer) == joins


@pytest.mark.parametrize(
    ("shift", "count", "mask", "width"),
    [
        (ops.SHR, 5, 1, 1), (ops.SHR, 8, 0xFF, 8), (ops.SAR, 4, 0xFFF, 12), (ops.SHR, 24, 0xFF, 8),
        (ops.SHR, 25, 0xFF, 0), (ops.SHR, 5, 6, 0), (ops.SHL, 5, 1, 0), (ops.SHR, 5, 0, 0), (ops.ROR, 5, 1, 0),
    ],
)  # fmt: skip
def test_fields_of_bits(shift: OpKind, count: int, mask: int, width: int) -> None:
    maker = Maker()
    made = maker.op(ops.AND, maker.op(shift, maker.get("r1"), count), mask)
    maker.set("r2", made)
    assert bool(found_in(maker.end()).outer) == (width > 0)


@pytest.mark.parametrize("product_is_first", [False, True])
@pytest.mark.parametrize("kind", [*SUMS, *LOGIC], ids=str)
def test_products(kind: OpKind, product_is_first: bool) -> None:
    maker = Maker()
    other, a, b = maker.get("r0"), maker.get("r1"), maker.get("r2")
    product = maker.op(ops.MUL, a, b)
    total = maker.op(kind, *((product, other) if product_is_first else (other, product)))
    maker.set("r3", total)
    joins = kind is ops.ADD or (kind is ops.SUB and not product_is_first)
    part = Part(other, a, ops.SHL, 0, False, (product,), b)
    assert found_in(maker.end()).outer == ({total: part} if joins else {})


@pytest.mark.parametrize(("target", "joins"), [("r1", False), ("r2", False), ("r0", True)])
def test_a_factor_that_its_register_no_longer_holds_is_not_kept(target: str, joins: bool) -> None:
    maker = Maker()
    other, product = maker.get("r0"), maker.op(ops.MUL, maker.get("r1"), maker.get("r2"))
    maker.insn()
    maker.set(target, 7)
    maker.set("r3", maker.op(ops.ADD, other, product))
    assert bool(found_in(maker.end()).outer) == joins


def test_a_product_with_a_constant_stays() -> None:
    maker = Maker()
    maker.set("r2", maker.op(ops.ADD, maker.get("r0"), maker.op(ops.MUL, maker.get("r1"), 10)))
    assert not found_in(maker.end()).outer


def code(name: str, host: str, bmi2: bool = True) -> list[str]:
    """Mnemonics of what a1, a2 or shamt 5 make of the instruction, without head and exits."""
    spec = next(spec for spec in GUEST.isa if spec.name == name)
    numbers = {"rd": "a0", "rs1": "a1", "rs2": "a2", "shamt": 5}
    code = asm(name, **{operand: numbers[operand] for operand in spec.operands})
    made = Translator(
        GUEST, make_host(host, GUEST, bmi2=bmi2), lambda address, size: code[address - KEY :][:size], limit=1
    )
    unit = made.translate(KEY).code
    ops_at = {mark.offset for mark in unit.marks if mark.op >= 0}
    end = next(mark.offset for mark in unit.marks if mark.op == -2)
    listed = made.host.disassemble(unit.code)
    return [text.split()[0] for at, _, text in listed if min(ops_at) <= at < end]


@pytest.mark.parametrize(
    ("name", "arm64", "x86_64"),
    [
        ("sh1add", "add", "lea"), ("sh3add", "add", "lea"), ("andn", "bic", "andn"), ("orn", "orn", None),
        ("xnor", "eon", None), ("clz", "clz", "lzcnt"), ("ctz", None, "tzcnt"), ("cpop", None, "popcnt"),
        ("sext.b", "sxtb", "movsx"), ("sext.h", "sxth", "movsx"), ("zext.h", "uxth", "movzx"), ("rev8", "rev", None),
        ("ror", "ror", None), ("rori", "ror", "rorx"), ("bexti", "ubfx", None), ("bclri", "and", None),
        ("bseti", "orr", None), ("binvi", "eor", None),
    ],
)  # fmt: skip
def test_one_instruction_for_one(name: str, arm64: str | None, x86_64: str | None) -> None:
    for host, expected in (("arm64", arm64), ("x86_64", x86_64)):
        if expected is not None:
            assert code(name, host) == [expected], host


@pytest.mark.parametrize("name", ["clz", "ctz", "cpop", "andn"])
def test_a_cpu_without_them_has_none_of_the_counts(name: str) -> None:
    assert not set(code(name, "x86_64", bmi2=False)) & {"lzcnt", "tzcnt", "popcnt", "andn"}
