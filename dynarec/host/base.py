"""The contract of a host: what a code generator is given, and what it returns.

A host turns an IR unit into `HostCode`, a value that touches no memory. The same unit and options give the same bytes:
no addresses, hashes or random choices. The rules that every host keeps:

- Each guest field in `homes` lives in its host register whenever control enters or leaves a unit; all others live in
  `dr_cpu.state`. Both are exact at every exit, and at every access that may fault but for what its `Recovery` tells.
- Code is position-independent, enters at offset 0, and leaves by calling the exit stub through the CPU state, by a
  link, or by an indirect jump to an entry found in `dr_cpu.jumps`.
- The head takes `Unit.retired` guest instructions from the budget, and so does each round of a loop; what is not
  executed is given back, by the code itself at links, else through the `refund` of the exit's record.
- A link stands in front of an exit call. It gives back what was not executed and goes on to the call. Linked to another
  unit, it takes what that unit charges, less what it gives back, and goes to that unit's `body`; or on to its call when
  the budget does not suffice.
- Guest memory is the window at the base that the host reserves for it; an address is 32 bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from dynarec.ir.state import Field
from dynarec.ir.unit import Unit


class ExitKind(IntEnum):
    """Why a unit is left (enum dr_exit_kind)."""

    JUMP = 0
    INDIRECT = 1
    INTERPRET = 2
    BUDGET = 3


class Exit(NamedTuple):
    """One exit (struct dr_exit). Offsets are bytes from the start of the code.

    ret: the return address of the call of the exit stub. link: what the core changes to link it; 0 if it cannot.
    target: the guest pc. refund: guest instructions charged and not executed. inside: the target is in the middle of a
    basic block.
    """

    kind: ExitKind
    ret: int
    link: int
    target: int
    refund: int
    inside: bool = False
    counter: int | None = None
    """Number of the unit's counter that says how often a round ended here; None: the run loop can say that."""

    @property
    def owed(self) -> int:
        """What the run loop gives back to the budget when the unit was left here and was not linked."""
        return 0 if self.link else self.refund


class Site(NamedTuple):
    """Host code from `offset` on may fault on behalf of the guest instruction at `pc` (struct dr_site)."""

    offset: int
    pc: int
    refund: int


class Source(IntEnum):
    """Where a deferred write finds its value (enum dr_source)."""

    NOTHING = 0
    REGISTER = 1
    WORD = 2


class Recovery(NamedTuple):
    """A word of the state that does not hold what it should at the sites number `first` to `last` (struct dr_recovery).

    It is `plus` and the content of what `number` names: nothing; a register, the homes first and then those in which
    units compute; or a word of the CPU state.
    """

    first: int
    last: int
    word: int
    source: Source
    number: int
    plus: int


class Hardening(Enum):
    """What a host can do against changed code pointers, by name."""

    BTI = "bti"
    """Indirect branches arrive at landing pads only (FEAT_BTI)."""
    PAC = "pac"
    """Code pointers that are kept in memory are signed (FEAT_PAuth)."""


class Counter(NamedTuple):
    """Where code adds 1 to a counter: the offset of what the core changes to say which, and its number in the unit."""

    offset: int
    number: int


HEAD, EXITS = -1, -2


class Mark(NamedTuple):
    """Host code from `offset` on belongs to op number `op` of the unit, or to its `HEAD` or `EXITS`."""

    offset: int
    op: int


@dataclass(slots=True)
class HostCode:
    """Generated code of one unit, not yet anywhere."""

    code: bytes
    body: int = 0
    """Offset behind the charge: where units come in that have paid for this one."""
    exits: list[Exit] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Offsets where the head begins, each op in its order, and the exits."""
    loans: list[tuple[int, int]] = field(default_factory=list)
    """(number of a home, state word that it holds inside this unit instead of its own)."""
    counters: list[Counter] = field(default_factory=list)
    unexecuted: list[int] = field(default_factory=list)
    """For each counter by its number, guest instructions that were charged and had not been executed where it counts.
    Each round ends at one of them, in a fault, or at the interpreter."""
    counted: bool = False

    @property
    def marks(self) -> list[Mark]:
        """What each part of the code is."""
        numbers = (HEAD, *range(len(self.starts) - 2), EXITS)
        return list(map(Mark, self.starts, numbers))

    @property
    def links(self) -> list[int]:
        """Offsets of the links."""
        return [each.link for each in self.exits if each.link]


class Host(ABC):
    """A code generator for one guest's layout on one kind of host."""

    name: str
    home_registers: Sequence[int]
    """Host registers that can hold guest registers, in the order of `dr_cpu.homes`."""
    register_names: Sequence[str]
    """The names of registers that hold values: the homes, and then those in which units compute (`Recovery.number`)."""
    features: tuple[str, ...] = ()
    """What processors of this kind may have, and this code uses."""
    harden: frozenset[Hardening] = frozenset()
    counting = False
    """Whether code counts how often it is executed."""

    def __init__(self, homes: Sequence[Field], jump_shift: int) -> None:
        """homes: guest fields by use; the first ones get a register. jump_shift: log2 of the guest's code alignment."""
        self.jump_shift = jump_shift
        self.homes: Mapping[Field, int] = {}
        self.set_homes(homes)

    def set_homes(self, fields: Sequence[Field]) -> None:
        """Fields by use: the first ones get a register, in code generated from now on."""
        self.homes = dict(zip(fields, self.home_registers, strict=False))

    @property
    def home_fields(self) -> tuple[Field, ...]:
        """The fields that live in `home_registers`, in their order."""
        return tuple(self.homes)

    @abstractmethod
    def lower(self, unit: Unit) -> None:
        """Rewrite, in place, what this host lacks; the last pass."""

    @abstractmethod
    def emit(self, unit: Unit) -> HostCode:
        """Generate the code of a unit."""

    @abstractmethod
    def disassemble(self, code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
        """(offset, bytes, text) of each host instruction."""

    @abstractmethod
    def unpatched(self, code: bytes, made: HostCode) -> bytes:
        """Installed code without what the core changes in it (links, and which counters are its own): zeros instead."""
