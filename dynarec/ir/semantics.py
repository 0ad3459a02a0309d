"""What the meaning of a guest instruction is written in.

A meaning is a Python function that asks a `Semantics` for values and effects. Run on `Builder` it makes IR; run on the
builder that prints C (`guest_isa.interpreter`) it makes the interpreter. What a value is, only the builder knows. All
memory accesses of an instruction come before its first `set`, so that an access that faults leaves the state untouched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from dynarec.ir import ops
from dynarec.ir.ops import OpKind

Value = Any
"""A value of whatever builder is at work; Python integers are constants for all of them."""
Register = Any
"""A register operand of whatever builder is at work."""


class Semantics(ABC):
    """The verbs of a meaning.

    pc, next_pc: the addresses of this instruction and of the one behind it. encoding: the instruction's word.
    """

    pc: Value
    next_pc: Value
    encoding: Value = 0

    @abstractmethod
    def op(self, kind: OpKind, *args: Value, attr: object = None) -> Value:
        """An op of the table."""

    @abstractmethod
    def get(self, field: Register) -> Value:
        """Value of a register or field."""

    @abstractmethod
    def set(self, field: Register, value: Value) -> None:
        """Write a register or field."""

    @abstractmethod
    def trap_if(self, condition: Value, cause: int, value: Value) -> None:
        """Raise a trap, before anything of this instruction has happened, if the condition holds."""

    @abstractmethod
    def jump(self, target: Value) -> None:
        """End the instruction by going to `target`."""

    @abstractmethod
    def branch(self, condition: Value, target: Value) -> None:
        """End the instruction by going to `target` if the condition holds, else to the next one."""

    @abstractmethod
    def trap(self, cause: int, value: Value) -> None:
        """End the instruction with a trap."""

    @abstractmethod
    def sync_code(self) -> None:
        """End the instruction: the guest says that it changed code."""

    @abstractmethod
    def wait(self) -> None:
        """End the instruction: the guest waits for an interrupt."""

    def call(self, counter: str, shift: int) -> Value:
        """A counter of the machine (`ops.COUNTERS`), shifted right by `shift`, low 32 bits."""
        return self.op(ops.CALL, shift, attr=counter)

    # Memory: the offset is a constant of the instruction.

    def load8u(self, base: Value, offset: int = 0) -> Value:
        return self.op(ops.LOAD8U, base, offset)

    def load8s(self, base: Value, offset: int = 0) -> Value:
        return self.op(ops.LOAD8S, base, offset)

    def load16u(self, base: Value, offset: int = 0) -> Value:
        return self.op(ops.LOAD16U, base, offset)

    def load16s(self, base: Value, offset: int = 0) -> Value:
        return self.op(ops.LOAD16S, base, offset)

    def load32(self, base: Value, offset: int = 0) -> Value:
        return self.op(ops.LOAD32, base, offset)

    def store8(self, base: Value, value: Value, offset: int = 0) -> None:
        self.op(ops.STORE8, base, offset, value)

    def store16(self, base: Value, value: Value, offset: int = 0) -> None:
        self.op(ops.STORE16, base, offset, value)

    def store32(self, base: Value, value: Value, offset: int = 0) -> None:
        self.op(ops.STORE32, base, offset, value)

    def store32_if(self, condition: Value, base: Value, value: Value, offset: int = 0) -> None:
        self.op(ops.STORE32_IF, condition, base, offset, value)

    # Pure ops, as in the table.

    def add(self, a: Value, b: Value) -> Value:
        return self.op(ops.ADD, a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.op(ops.SUB, a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.op(ops.MUL, a, b)

    def mulhu(self, a: Value, b: Value) -> Value:
        return self.op(ops.MULHU, a, b)

    def mulhs(self, a: Value, b: Value) -> Value:
        return self.op(ops.MULHS, a, b)

    def mulhsu(self, a: Value, b: Value) -> Value:
        return self.op(ops.MULHSU, a, b)

    def divu(self, a: Value, b: Value) -> Value:
        return self.op(ops.DIVU, a, b)

    def divs(self, a: Value, b: Value) -> Value:
        return self.op(ops.DIVS, a, b)

    def remu(self, a: Value, b: Value) -> Value:
        return self.op(ops.REMU, a, b)

    def rems(self, a: Value, b: Value) -> Value:
        return self.op(ops.REMS, a, b)

    def and_(self, a: Value, b: Value) -> Value:
        return self.op(ops.AND, a, b)

    def or_(self, a: Value, b: Value) -> Value:
        return self.op(ops.OR, a, b)

    def xor(self, a: Value, b: Value) -> Value:
        return self.op(ops.XOR, a, b)

    def shl(self, a: Value, b: Value) -> Value:
        return self.op(ops.SHL, a, b)

    def shr(self, a: Value, b: Value) -> Value:
        return self.op(ops.SHR, a, b)

    def sar(self, a: Value, b: Value) -> Value:
        return self.op(ops.SAR, a, b)

    def ror(self, a: Value, b: Value) -> Value:
        return self.op(ops.ROR, a, b)

    def clz(self, a: Value) -> Value:
        return self.op(ops.CLZ, a)

    def ctz(self, a: Value) -> Value:
        return self.op(ops.CTZ, a)

    def popcnt(self, a: Value) -> Value:
        return self.op(ops.POPCNT, a)

    def bswap(self, a: Value) -> Value:
        return self.op(ops.BSWAP, a)

    def eq(self, a: Value, b: Value) -> Value:
        return self.op(ops.EQ, a, b)

    def ne(self, a: Value, b: Value) -> Value:
        return self.op(ops.NE, a, b)

    def ltu(self, a: Value, b: Value) -> Value:
        return self.op(ops.LTU, a, b)

    def geu(self, a: Value, b: Value) -> Value:
        return self.op(ops.GEU, a, b)

    def lts(self, a: Value, b: Value) -> Value:
        return self.op(ops.LTS, a, b)

    def ges(self, a: Value, b: Value) -> Value:
        return self.op(ops.GES, a, b)

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        return self.op(ops.SELECT, condition, a, b)

    def bit(self, condition: Value) -> Value:
        return self.op(ops.BIT, condition)
