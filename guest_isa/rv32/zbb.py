"""Zbb, basic bit manipulation (volume I, chapter "B"; the forms of RV32). The IR's edge cases are this chapter's."""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.rv32.operands import isa

isa.extension("Zbb")
_LOW_BITS, _HIGH_BITS = 0x7F7F_7F7F, 0x8080_8080
"""Of each byte: all but the highest, and that."""


def inverted(b: Semantics, value: Value) -> Value:
    """All bits the other way round."""
    return b.xor(value, ops.MASK32)


def _with_inverted(name: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"0100000 rs2 rs1 {funct3} rd 0110011", "{rd}, {rs1}, {rs2}")
    def with_inverted(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        b.set(rd, b.op(kind, b.get(rs1), inverted(b, b.get(rs2))))


_with_inverted("andn", "111", ops.AND)
_with_inverted("orn", "110", ops.OR)
_with_inverted("xnor", "100", ops.XOR)


def _unary(name: str, funct12: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"{funct12} rs1 {funct3} rd 0010011", "{rd}, {rs1}")
    def unary(b: Semantics, rd: Register, rs1: Register) -> None:
        b.set(rd, b.op(kind, b.get(rs1)))


_unary("clz", "011000000000", "001", ops.CLZ)
_unary("ctz", "011000000001", "001", ops.CTZ)
_unary("cpop", "011000000010", "001", ops.POPCNT)
_unary("sext.b", "011000000100", "001", ops.SEXT8)
_unary("sext.h", "011000000101", "001", ops.SEXT16)
_unary("rev8", "011010011000", "101", ops.BSWAP)


@isa.insn("zext.h", "000010000000 rs1 100 rd 0110011", "{rd}, {rs1}")
def zext_h(b: Semantics, rd: Register, rs1: Register) -> None:
    b.set(rd, b.op(ops.ZEXT16, b.get(rs1)))


@isa.insn("orc.b", "001010000111 rs1 101 rd 0010011", "{rd}, {rs1}")
def orc_b(b: Semantics, rd: Register, rs1: Register) -> None:
    """The sum carries into the highest bit of a byte where any lower one is set, and no further."""
    value = b.get(rs1)
    carried = b.add(b.and_(value, _LOW_BITS), _LOW_BITS)
    filled = b.and_(b.or_(carried, value), _HIGH_BITS)
    b.set(rd, b.or_(filled, b.sub(filled, b.shr(filled, 7))))


def _extreme(name: str, funct3: str, kind: OpKind, least: bool) -> None:
    @isa.insn(name, f"0000101 rs2 rs1 {funct3} rd 0110011", "{rd}, {rs1}, {rs2}")
    def extreme(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        first, second = b.get(rs1), b.get(rs2)
        chosen = (first, second) if least else (second, first)
        b.set(rd, b.select(b.op(kind, first, second), *chosen))


_extreme("min", "100", ops.LTS, least=True)
_extreme("minu", "101", ops.LTU, least=True)
_extreme("max", "110", ops.LTS, least=False)
_extreme("maxu", "111", ops.LTU, least=False)


@isa.insn("rol", "0110000 rs2 rs1 001 rd 0110011", "{rd}, {rs1}, {rs2}")
def rol(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
    b.set(rd, b.ror(b.get(rs1), b.sub(0, b.get(rs2))))


@isa.insn("ror", "0110000 rs2 rs1 101 rd 0110011", "{rd}, {rs1}, {rs2}")
def ror(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
    b.set(rd, b.ror(b.get(rs1), b.get(rs2)))


@isa.insn("rori", "0110000 shamt rs1 101 rd 0010011", "{rd}, {rs1}, {shamt}")
def rori(b: Semantics, rd: Register, rs1: Register, shamt: Value) -> None:
    b.set(rd, b.ror(b.get(rs1), shamt))
