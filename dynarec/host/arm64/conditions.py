"""Conditions on arm64: in the flags, as a branch on a register, or as values.

Flags are set right before they are used: only moves come in between, which leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.arm64.encode import ZR, Assembler, Cond, Label, add_immediate, invert
from dynarec.host.arm64.operands import Operands
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand

_CONDITIONS = {
    ops.EQ: Cond.EQ, ops.NE: Cond.NE, ops.LTU: Cond.LO, ops.GEU: Cond.HS, ops.LTS: Cond.LT, ops.GES: Cond.GE,
}  # fmt: skip
_SWAPPED = {
    Cond.EQ: Cond.EQ, Cond.NE: Cond.NE, Cond.LO: Cond.HI, Cond.HS: Cond.LS, Cond.LT: Cond.GT, Cond.GE: Cond.LE,
}  # fmt: skip
"""The condition that holds for (b, a) when the other holds for (a, b)."""
SIGN_BIT = 31


def _branch_if_negative(asm: Assembler, register: int, label: Label) -> None:
    asm.tbnz(register, SIGN_BIT, label)


def _branch_if_not_negative(asm: Assembler, register: int, label: Label) -> None:
    asm.tbz(register, SIGN_BIT, label)


_Branch = Callable[[Assembler, int, Label], None]
_BRANCHES_ON_ZERO: dict[OpKind, tuple[_Branch, _Branch]] = {
    ops.EQ: (Assembler.cbz, Assembler.cbnz),
    ops.NE: (Assembler.cbnz, Assembler.cbz),
    ops.LTS: (_branch_if_negative, _branch_if_not_negative),
    ops.GES: (_branch_if_not_negative, _branch_if_negative),
}
"""If the comparison with 0 holds, and if it does not."""


class Conditions(Operands):
    """Compares, and what uses their outcome."""

    def _test(self, operand: Operand) -> Cond:
        self._compare_constant(self.regs.register(operand), 0)
        return Cond.NE

    def _condition_code(self, kind: OpKind, a: Operand, b: Operand, swapped: bool) -> Cond:
        return _SWAPPED[_CONDITIONS[kind]] if swapped else _CONDITIONS[kind]

    def _set_flags(self, a: Operand, b: Operand) -> None:
        register = self.regs.register(a)
        if not (isinstance(b, int) and self._compare_constant(register, b)):
            self.asm.cmp_rr(register, self.regs.register(b))

    def _compare_constant(self, register: int, constant: int) -> bool:
        """Compare in one instruction, if there is one; beside an immediate, the zero register is the stack pointer."""
        if register == ZR and constant == 0:
            self.asm.cmp_rr(ZR, ZR)
        elif register != ZR and add_immediate(constant):
            self.asm.cmp_ri(register, constant)
        elif register != ZR and add_immediate(-constant & ops.MASK32):
            self.asm.cmn_ri(register, -constant & ops.MASK32)
        else:
            return False
        return True

    def _branch_if(self, condition: Operand, label: Label, holds: bool) -> None:
        """Without flags where the condition is a test of a register alone."""
        pending = self._take_pending(condition)
        if pending is None:
            test = Assembler.cbnz if holds else Assembler.cbz
            test(self.asm, self.regs.register(condition), label)
            return
        against_zero = self.regs.value(pending.args[1]) == 0 and type(self.regs.value(pending.args[0])) is not int
        branches = _BRANCHES_ON_ZERO.get(pending.kind) if against_zero else None
        if branches is not None:
            branches[not holds](self.asm, self.regs.register(pending.args[0]), label)
        else:
            code = self._compare(pending)
            self.asm.bcond(code if holds else invert(code), label)
        self.regs.done(pending)

    def _set_bit(self, op: Op, condition: Cond) -> None:
        self.asm.cset(self.regs.result(op), condition)

    def select(self, op: Op) -> None:
        """Fetching after the compare makes moves only, so the flags hold."""
        condition, a, b = op.args
        code = self._condition(condition)
        self.regs.unlock()
        first, second = self.regs.register(a), self.regs.register(b)
        self.regs.done(op)
        self.asm.csel(self.regs.result(op), first, second, code)


CONDITIONS: dict[OpKind, Callable[[Conditions, Op], None]] = {ops.SELECT: Conditions.select}
"""The method that emits an op of this module."""
