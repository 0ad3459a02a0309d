"""Builds units: the meaning of guest instructions runs on a `Builder`.

Constants are Python integers here, so a meaning that is run for one decoded instruction folds as it goes.
"""

from __future__ import annotations

from dynarec.ir.ops import AND, EXIT_IF, GET, MASK32, SET, WORD_BITS, OpKind
from dynarec.ir.semantics import Semantics
from dynarec.ir.state import Field
from dynarec.ir.unit import (
    Branch,
    GuestInsn,
    Interpret,
    Jump,
    JumpTo,
    Op,
    Operand,
    SideExit,
    SyncCode,
    Terminal,
    Trap,
    Unit,
)


class Builder(Semantics):
    """Appends ops to one unit. Constants fold at once; a `get` of a field last set to a constant gives the constant.

    That much is needed here because the trace follows computed jumps whose target turns out to be constant; everything
    else is left to the passes.
    """

    def __init__(self, key: int) -> None:
        self.unit = Unit(key)
        self.terminal: Terminal | None = None
        self._ops = self.unit.ops
        self._constants: dict[Field, int] = {}
        self._at = 0
        self.pc: int = key
        self.next_pc: int = key

    def begin(self, pc: int, length: int, text: str = "") -> None:
        """Start a guest instruction: what follows is its meaning."""
        insns = self.unit.insns
        self._at = len(insns)
        insns.append(GuestInsn(pc, length, text))
        self.pc = pc
        self.next_pc = (pc + length) & MASK32
        self.terminal = None

    def op(self, kind: OpKind, *args: Operand, attr: object = None) -> Operand:
        """Append an op; a pure op of constants is computed instead."""
        if kind.evaluate is not None:
            for arg in args:
                if type(arg) is not int:
                    break
            else:
                return kind.evaluate(*args)
        op = Op(kind, args, attr, self._at)
        self._ops.append(op)
        return op

    # -- guest state --------------------------------------------------------------------------------------------------

    def get(self, field: Field | None) -> Operand:
        """Value of a field; 0 for None (a register that is always zero)."""
        if field is None:
            return 0
        constant = self._constants.get(field)
        if constant is not None:
            return constant
        op = Op(GET, (), field, self._at)
        self._ops.append(op)
        return op

    def set(self, field: Field | None, value: Operand) -> None:
        """Write a field, truncated to its width; nothing for None."""
        if field is None:
            return
        if field.bits != WORD_BITS:
            value = self.op(AND, value, (1 << field.bits) - 1)
        if type(value) is int:
            self._constants[field] = value
        else:
            self._constants.pop(field, None)
        self._ops.append(Op(SET, (value,), field, self._at))

    # -- leaving ------------------------------------------------------------------------------------------------------

    def exit_if(self, condition: Operand, leave: SideExit) -> None:
        """Leave through a side exit if the condition holds."""
        if condition != 0:
            self._ops.append(Op(EXIT_IF, (condition,), leave, self._at))

    def trap_if(self, condition: Operand, cause: int, value: Operand) -> None:
        """Raise a trap, before anything of this instruction has happened, if the condition holds."""
        self.exit_if(condition, Trap(cause, value))

    def jump(self, target: Operand) -> None:
        """End the instruction by going to `target`."""
        self.terminal = Jump(target) if isinstance(target, int) else JumpTo(target)

    def branch(self, condition: Operand, target: Operand) -> None:
        """End the instruction by going to the constant `target` if the condition holds, else to the next one."""
        assert isinstance(target, int)
        if isinstance(condition, int):
            self.terminal = Jump(target if condition else self.next_pc)
        else:
            self.terminal = Branch(condition, target, self.next_pc)

    def trap(self, cause: int, value: Operand) -> None:
        """End the instruction with a trap."""
        self.terminal = Trap(cause, value)

    def interpret(self) -> None:
        """End the unit before this instruction and leave it to the interpreter."""
        self.terminal = Interpret()

    def sync_code(self) -> None:
        """End the instruction: the guest says that it changed code."""
        self.terminal = SyncCode(self.next_pc)

    def wait(self) -> None:
        """End the instruction; nothing waits here, so the next one follows."""
        self.terminal = Jump(self.next_pc)
