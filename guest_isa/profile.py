"""What a guest declares about its conventions, so that machine profiles and debuggers need to know no guest by name."""

from __future__ import annotations

from typing import NamedTuple


class SemihostingMarker(NamedTuple):
    """How a semihosting call looks in guest code: a breakpoint between two marker instructions.

    before, trap, after: the instruction bytes as they lie in memory; `before` and `after` may be empty.
    operation, parameter: the registers with the operation number and the parameter; the result replaces the operation.
    """

    before: bytes
    trap: bytes
    after: bytes
    operation: str
    parameter: str


class Abi(NamedTuple):
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


class DwarfRegisters(NamedTuple):
    """The registers as compilers number them in debugging information, and the frames of functions without any.

    names: by number; None is a register that is always zero.
    return_address, stack, frame: the numbers of the register with the return address at the entry of a function, of the
    stack pointer, and of the frame pointer of functions that have one.
    saved_return, saved_frame: where such a function keeps the return address and the frame pointer of its caller, in
    bytes from its frame pointer, which is the stack pointer of the caller.
    """

    names: tuple[str | None, ...]
    return_address: int
    stack: int
    frame: int
    saved_return: int
    saved_frame: int


class GdbRegister(NamedTuple):
    """A register as GDB and LLDB know it.

    name, alias: for their users. state: its name in the guest's state, or "pc"; None for one that is always zero.
    number: GDB's; dwarf: that of debugging information. kind: "int", "code_ptr" or "data_ptr". role: what LLDB uses it
    for ("pc", "sp", "fp", "ra", "arg1" to "arg8"), or "".
    """

    name: str
    state: str | None
    number: int
    alias: str = ""
    dwarf: int | None = None
    kind: str = "int"
    role: str = ""


class GdbFeature(NamedTuple):
    """A group of registers with a name that GDB looks for (GDB manual, "Standard Target Features")."""

    name: str
    registers: tuple[GdbRegister, ...]


class GdbTarget(NamedTuple):
    """What debuggers that are connected have to know of a guest.

    architecture: GDB's name of it. triple: LLDB's. registers are sent in the order of their numbers.
    """

    architecture: str
    triple: str
    features: tuple[GdbFeature, ...]

    @property
    def registers(self) -> list[GdbRegister]:
        """Those of all features, in the order of their numbers."""
        return sorted((each for feature in self.features for each in feature.registers), key=lambda each: each.number)
