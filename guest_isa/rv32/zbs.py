"""Zbs, single bits (volume I, chapter "B"): the number of the bit is taken modulo 32."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.rv32.operands import isa
from guest_isa.rv32.zbb import inverted

isa.extension("Zbs")

Change = Callable[[Semantics, Value, Value], Value]
"""(builder, word, number of the bit) -> the new word."""


def _single_bit(name: str, funct7: str, funct3: str, change: Change) -> None:
    @isa.insn(name, f"{funct7} rs2 rs1 {funct3} rd 0110011", "{rd}, {rs1}, {rs2}")
    def of_register(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        b.set(rd, change(b, b.get(rs1), b.get(rs2)))

    @isa.insn(f"{name}i", f"{funct7} shamt rs1 {funct3} rd 0010011", "{rd}, {rs1}, {shamt}")
    def of_immediate(b: Semantics, rd: Register, rs1: Register, shamt: Value) -> None:
        b.set(rd, change(b, b.get(rs1), shamt))


_single_bit("bclr", "0100100", "001", lambda b, word, bit: b.and_(word, inverted(b, b.shl(1, bit))))
_single_bit("bext", "0100100", "101", lambda b, word, bit: b.and_(b.shr(word, bit), 1))
_single_bit("binv", "0110100", "001", lambda b, word, bit: b.xor(word, b.shl(1, bit)))
_single_bit("bset", "0010100", "001", lambda b, word, bit: b.or_(word, b.shl(1, bit)))
