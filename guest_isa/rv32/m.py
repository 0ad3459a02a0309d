"""M, multiplication and division (volume I, chapter 12). The IR's edge cases are this chapter's."""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.semantics import Register, Semantics
from guest_isa.rv32.operands import isa

isa.extension("M")


def _muldiv(name: str, funct3: str, kind: OpKind) -> None:
    @isa.insn(name, f"0000001 rs2 rs1 {funct3} rd 0110011", "{rd}, {rs1}, {rs2}")
    def muldiv(b: Semantics, rd: Register, rs1: Register, rs2: Register) -> None:
        b.set(rd, b.op(kind, b.get(rs1), b.get(rs2)))


_muldiv("mul", "000", ops.MUL)
_muldiv("mulh", "001", ops.MULHS)
_muldiv("mulhsu", "010", ops.MULHSU)
_muldiv("mulhu", "011", ops.MULHU)
_muldiv("div", "100", ops.DIVS)
_muldiv("divu", "101", ops.DIVU)
_muldiv("rem", "110", ops.REMS)
_muldiv("remu", "111", ops.REMU)
