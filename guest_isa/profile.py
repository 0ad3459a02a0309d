"""What a guest declares about its calling conventions, so that a machine profile needs to know no guest by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SemihostingMarker:
    """How a semihosting call looks in guest code: a breakpoint between two marker instructions.

    before, trap, after: the instruction bytes as they lie in memory; `before` and `after` may be empty.
    operation, parameter: the registers with the operation number and the parameter; the result replaces the operation.
    """

    before: bytes
    trap: bytes
    after: bytes
    operation: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Abi:
    """The registers of a guest's system-call convention (the asm-generic table of Linux) and of its C startup.

    number: the register with the system-call number.
    args: the registers with the arguments, in order (six for Linux).
    result: the register that receives the result, or a negated errno.
    stack: the stack pointer.
    semihosting: the marker of a semihosting call, or None when the guest has no such convention.
    """

    number: str
    args: tuple[str, ...]
    result: str
    stack: str
    semihosting: SemihostingMarker | None = None
