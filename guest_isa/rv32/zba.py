"""Zba, addresses of array elements (volume I, chapter "B")."""

from __future__ import annotations

from dynarec.ir.semantics import Register, Semantics
from guest_isa.rv32.operands import isa

isa.extension("Zba")


def _shift_and_add(name: str, funct3: str, shift: int) -> None:
    @isa.insn(name, f"0010000 rs2 rs1 {funct3} rd 0110011", "{rd}, {rs1}, {rs2}")
    def shift_and_add(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        b.set(rd, b.add(b.shl(b.get(rs1), shift), b.get(rs2)))


_shift_and_add("sh1add", "010", 1)
_shift_and_add("sh2add", "100", 2)
_shift_and_add("sh3add", "110", 3)
