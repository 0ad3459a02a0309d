"""Conditions of hooks, which the core evaluates by itself: where none holds, the guest goes on without Python.

A condition is a program for a stack machine (native/conditions.h). The debugger makes them from expressions.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Op(IntEnum):
    """What an instruction does (enum dr_op). Words are taken from a stack, and one is pushed."""

    NUMBER = 0
    REGISTER = 1
    PC = 2
    ADDRESS = 3
    SIZE = 4
    VALUE = 5
    CHANGES = 6
    LOAD8 = 7
    LOAD16 = 8
    LOAD32 = 9
    SEXT8 = 10
    SEXT16 = 11
    ZEXT8 = 12
    ZEXT16 = 13
    ADD = 14
    SUB = 15
    MUL = 16
    DIVU = 17
    DIVS = 18
    REMU = 19
    REMS = 20
    AND = 21
    OR = 22
    XOR = 23
    SHL = 24
    SHR = 25
    SAR = 26
    EQ = 27
    NE = 28
    LTU = 29
    GEU = 30
    LTS = 31
    GES = 32
    SKIP = 33
    SKIP_IF_ZERO = 34


SIZE = 128
"""Instructions of the longest condition (DR_CONDITION_SIZE)."""
STACK = 16
"""Words of the deepest stack (DR_CONDITION_STACK)."""


class Insn(NamedTuple):
    """An instruction. number: of NUMBER, the state word of REGISTER, the instructions that a SKIP leaves out."""

    op: Op
    number: int = 0


class Condition(NamedTuple):
    """A program that leaves one word: 0 when the guest goes on without a call.

    What cannot be evaluated holds: memory that is not mapped, a division by zero. It is checked when a hook is added.
    """

    insns: tuple[Insn, ...]


CHANGES = Condition((Insn(Op.CHANGES),))
"""An access writes something else to the bytes of the hook than is there."""


def both(a: Condition, b: Condition) -> Condition:
    """Holds where both of them hold."""
    is_true = (Insn(Op.NUMBER, 0), Insn(Op.NE))
    return Condition((*a.insns, *is_true, *b.insns, *is_true, Insn(Op.AND)))
