"""Conditions on x86-64: in the flags, or as values.

Flags are set right before they are used: only moves come in between, which leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.x86_64.encode import Alu, Cond, invert
from dynarec.host.x86_64.operands import SLOTS, Operands
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand

_CONDITIONS = {
    ops.EQ: Cond.E, ops.NE: Cond.NE, ops.LTU: Cond.B, ops.GEU: Cond.AE, ops.LTS: Cond.L, ops.GES: Cond.GE,
}  # fmt: skip
_SWAPPED = {
    Cond.E: Cond.E, Cond.NE: Cond.NE, Cond.B: Cond.A, Cond.AE: Cond.BE, Cond.L: Cond.G, Cond.GE: Cond.LE,
}  # fmt: skip
"""The condition that holds for (b, a) when the other holds for (a, b)."""
_AGAINST_ZERO = {Cond.L: Cond.S, Cond.GE: Cond.NS}
"""After a comparison with 0, which clears the overflow flag."""


class Conditions(Operands):
    """Compares, and what uses their outcome."""

    def _test(self, operand: Operand) -> Cond:
        register = self.regs.register(operand)
        self.asm.test_rr(register, register)
        return Cond.NE

    def _condition_code(self, kind: OpKind, a: Operand, b: Operand, swapped: bool) -> Cond:
        condition = _SWAPPED[_CONDITIONS[kind]] if swapped else _CONDITIONS[kind]
        return _AGAINST_ZERO.get(condition, condition) if b == 0 else condition

    def _set_flags(self, a: Operand, b: Operand) -> None:
        register = self._try_register(a)
        if type(b) is int:
            self._compare_constant(a, register, b)
        elif register is None:
            self.asm.alu_mr(Alu.CMP, SLOTS[self._slot(a)], self.regs.register(b))
        else:
            self._alu_operand(Alu.CMP, register, b)

    def _compare_constant(self, a: Operand, register: int | None, constant: int) -> None:
        if register is None:
            self.asm.alu_mi(Alu.CMP, SLOTS[self._slot(a)], constant)
        elif constant == 0:
            self.asm.test_rr(register, register)
        else:
            self.asm.alu_ri(Alu.CMP, register, constant)

    def _set_bit(self, op: Op, condition: Cond) -> None:
        to = self.regs.result(op)
        self.asm.setcc(condition, to)
        self.asm.movzx8_rr(to, to)

    def select(self, op: Op) -> None:
        """Fetching after the compare makes moves only, so the flags hold."""
        regs, asm = self.regs, self.asm
        condition, a, b = op.args
        code = self._condition(condition)
        regs.unlock()
        first = self._fetch(a)
        second = None if type(regs.value(b)) is int else self._fetch(b)
        regs.done(op)
        to = regs.result(op)
        if first == to:
            if second is None:
                other = regs.temporary()
                asm.mov_ri(other, regs.value(b))  # type: ignore[arg-type]
                second = other
            first, second, code = second, first, invert(code)
        self._move(to, second, b)
        if isinstance(first, int):
            asm.cmov_rr(code, to, first)
        else:
            asm.cmov_rm(code, to, first)


CONDITIONS: dict[OpKind, Callable[[Conditions, Op], None]] = {ops.SELECT: Conditions.select}
"""The method that emits an op of this module."""
