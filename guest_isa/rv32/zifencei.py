"""Zifencei (volume I, chapter 4)."""

from __future__ import annotations

from dynarec.ir.semantics import Register, Semantics, Value
from guest_isa.rv32.operands import isa

isa.extension("Zifencei")


@isa.insn("fence.i", "imm[11:0] rs1 001 rd 0001111")
def fence_i(b: Semantics, rd: Register, rs1: Register, imm: Value) -> None:
    """The operands are reserved for finer-grain fences and ignored."""
    b.sync_code()
