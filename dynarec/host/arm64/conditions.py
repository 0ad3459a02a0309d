"""Conditions on arm64: in the flags, as a branch on a register, or as values.

Flags are set right before they are used: only moves come in between, which leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.host.arm64.encode import ZR, Assembler, Cond, Label, add_immediate
from dynarec.host.arm64.operands import Operands
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit

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


_BRANCHES_ON_ZERO: dict[OpKind, Callable[[Assembler, int, Label], None]] = {
    ops.EQ: Assembler.cbz,
    ops.NE: Assembler.cbnz,
    ops.LTS: _branch_if_negative,
    ops.GES: _branch_if_not_negative,
}


class Conditions(Operands):
    """Compares, and what uses their outcome."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int]) -> None:
        super().__init__(unit, homes)
        self.pending: Op | None = None
        """A compare that its only use, which comes next, is going to make."""

    def _fuses(self, op: Op, index: int) -> bool:
        """Whether the compare's only use comes next, so that it need not become a value."""
        if self.regs.left[op] != 1:
            return False
        if index + 1 < len(self.unit.ops):
            return op in self.unit.ops[index + 1].args
        return self.unit.terminal_value() is op

    def _take_pending(self, operand: Operand) -> Op | None:
        pending, self.pending = self.pending, None
        return pending if pending is operand else None

    def _condition(self, operand: Operand) -> Cond:
        """Set the flags for a condition; the code that tells it from them."""
        pending = self._take_pending(operand)
        if pending is not None:
            condition = self._compare(pending)
            self.regs.done(pending)
            return condition
        self._compare_constant(self.regs.register(operand), 0)
        return Cond.NE

    def _compare(self, op: Op) -> Cond:
        a, b = op.args
        condition = _CONDITIONS[op.kind]
        if type(self.regs.value(a)) is int:
            a, b, condition = b, a, _SWAPPED[condition]
        constant = self.regs.value(b)
        register = self.regs.register(a)
        if not (isinstance(constant, int) and self._compare_constant(register, constant)):
            self.asm.cmp_rr(register, self.regs.register(b))
        return condition

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

    def _branch_if(self, operand: Operand, label: Label) -> None:
        """Branch to the label if the condition holds: without flags where it is a test of a register alone."""
        pending = self._take_pending(operand)
        if pending is None:
            self.asm.cbnz(self.regs.register(operand), label)
            return
        against_zero = self.regs.value(pending.args[1]) == 0 and type(self.regs.value(pending.args[0])) is not int
        branch = _BRANCHES_ON_ZERO.get(pending.kind) if against_zero else None
        if branch is not None:
            branch(self.asm, self.regs.register(pending.args[0]), label)
        else:
            self.asm.bcond(self._compare(pending), label)
        self.regs.done(pending)

    def compare(self, op: Op) -> None:
        condition = self._compare(op)
        self.regs.done(op)
        self.asm.cset(self.regs.result(op), condition)

    def bit(self, op: Op) -> None:
        (a,) = op.args
        value = self.regs.value(a)
        if self.pending is not None:
            condition = self._condition(a)
            self.regs.done(op)
            self.asm.cset(self.regs.result(op), condition)
        elif isinstance(value, Op):
            self.regs.alias(op, value)
            self.regs.done(op)
        else:
            self.asm.mov_ri(self.regs.result(op), value)

    def select(self, op: Op) -> None:
        """Fetching after the compare makes moves only, so the flags hold."""
        condition, a, b = op.args
        code = self._condition(condition)
        self.regs.unlock()
        first, second = self.regs.register(a), self.regs.register(b)
        self.regs.done(op)
        self.asm.csel(self.regs.result(op), first, second, code)


CONDITIONS: dict[OpKind, Callable[[Conditions, Op], None]] = {
    **dict.fromkeys(ops.COMPARES, Conditions.compare),
    ops.BIT: Conditions.bit,
    ops.SELECT: Conditions.select,
}
"""The method that emits an op of this module."""
