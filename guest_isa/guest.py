"""What a guest CPU declares about itself. Everything else in the project learns about guests from this value alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal, NamedTuple

from dynarec.ir.state import Field, StateLayout
from guest_isa.isa import Isa
from guest_isa.privileged import Privileged
from guest_isa.profile import Abi, DwarfRegisters, GdbTarget


class TrapKind(Enum):
    """What a trap means to somebody who does not know the guest."""

    SYSCALL = "syscall"
    BREAKPOINT = "breakpoint"
    ILLEGAL = "illegal"
    MISALIGNED = "misaligned"
    ACCESS = "access"


class Cause(NamedTuple):
    """One of the guest's trap causes: its kind, and its name in the guest's manual."""

    kind: TrapKind
    name: str


class AccessCauses(NamedTuple):
    """The guest's numbers for an access that fails: fetching, reading, writing."""

    fetch: int
    read: int
    write: int


class Guest(NamedTuple):
    """A guest CPU.

    name: short and unique; title: for people.
    layout: the state; homes: its registers in the order of how much compiled code uses them (the first ones are held in
    host registers).
    elf_machine: e_machine of its executables; None if it has none.
    code_policy: how stores to code are noticed: by `page`, or by `byte`.
    causes: by the guest's number; illegal: the number for a word that is no instruction.
    dwarf: its registers in debugging information; None if no compiler writes any.
    gdb: what debuggers that are connected know of it; None if they know nothing.
    privileged: its machine mode; None if it has none, and every trap is for the host.
    """

    name: str
    title: str
    isa: Isa
    layout: StateLayout
    homes: tuple[Field, ...]
    causes: Mapping[int, Cause]
    access_causes: AccessCauses
    illegal: int
    abi: Abi | None = None
    elf_machine: int | None = None
    dwarf: DwarfRegisters | None = None
    gdb: GdbTarget | None = None
    privileged: Privileged | None = None
    address_bits: int = 32
    endianness: Literal["little", "big"] = "little"
    code_policy: Literal["page", "byte"] = "page"
    machines: tuple[str, ...] = ("user", "console")
