"""Units of translation: ops, exits and the guest instructions they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dynarec.ir.state import Field

if TYPE_CHECKING:
    from dynarec.ir.ops import OpKind


class Op:
    """One op, and the value it defines. `at` is the index of the guest instruction it belongs to.

    `attr` is what the kind needs besides values: the field of `get` and `set`, the exit of `exit_if`, the counter of
    `call`. `deferred` are writes of state that are made when the unit is left here, and otherwise not at all.
    """

    __slots__ = ("args", "at", "attr", "deferred", "kind")

    def __init__(self, kind: OpKind, args: tuple[Operand, ...], attr: Any = None, at: int = 0) -> None:
        self.kind = kind
        self.args = args
        self.attr = attr
        self.at = at
        self.deferred: Deferred = ()

    def __repr__(self) -> str:
        return f"<{self.kind.name} at {self.at}>"

    @property
    def leave_value(self) -> Operand | None:
        """The value that a side exit uses beside its condition, if any."""
        match self.attr:
            case Trap(value=value) | JumpTo(target=value):
                return value
            case _:
                return None

    def replace_leave_value(self, value: Operand) -> None:
        """Make the side exit use another value."""
        match self.attr:
            case Trap():
                self.attr.value = value
            case JumpTo():
                self.attr.target = value


Operand = Op | int
"""A value defined by an op, or a constant (unsigned 32 bits; 0 or 1 for I1)."""
Deferred = tuple[tuple[Field, Operand], ...]
"""Fields, each once, with what is written to them."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on at a guest address known at translation."""

    target: int


@dataclass(slots=True)
class JumpTo:
    """Go on at a computed guest address."""

    target: Operand


@dataclass(slots=True)
class Branch:
    """Go on at `taken` if the condition holds, else at `fallthrough`."""

    condition: Operand
    taken: int
    fallthrough: int


@dataclass(slots=True)
class Trap:
    """The current instruction raises a trap; `cause` is the guest's number for it. It does not retire."""

    cause: int
    value: Operand


@dataclass(frozen=True, slots=True)
class Interpret:
    """The current instruction is left to the interpreter."""


@dataclass(frozen=True, slots=True)
class SyncCode:
    """The guest says that it changed code; go on at `target`."""

    target: int


Terminal = Jump | JumpTo | Branch | Trap | Interpret | SyncCode
SideExit = Jump | JumpTo | Trap | Interpret


@dataclass(slots=True)
class GuestInsn:
    """A guest instruction of a unit: where it stands, its bytes, and its text for people."""

    pc: int
    length: int
    text: str = ""


@dataclass(slots=True)
class Unit:
    """A trace: one entry at `key`, straight-line ops with side exits, one terminal.

    A side exit with a `Jump` or `JumpTo` leaves after its instruction (which has retired); one with a `Trap` or
    `Interpret` before it.

    hooked: something looks at the guest whenever control comes to the head, also from within.
    cut: the terminal is a jump to what follows, in the middle of a basic block.
    repeats: if it loops, it mostly goes round at least once before it is left.
    without: names of features (`dynarec.features`) that it and its code are to do without.
    """

    key: int
    ops: list[Op] = field(default_factory=list)
    terminal: Terminal = field(default_factory=Interpret)
    insns: list[GuestInsn] = field(default_factory=list)
    hooked: bool = False
    cut: bool = False
    repeats: bool = True
    without: frozenset[str] = frozenset()

    @property
    def is_loop(self) -> bool:
        """Whether the terminal goes back to the head, within the unit's own code."""
        match self.terminal:
            case Branch(taken=target) | Jump(target=target):
                return self.goes_round(target)
            case _:
                return False

    def goes_round(self, target: int) -> bool:
        """Whether a jump to that address is a branch to the head, within the unit's own code."""
        return target == self.key and not self.hooked

    @property
    def retired(self) -> int:
        """Guest instructions that have retired when the terminal is reached and taken."""
        last_retires = not isinstance(self.terminal, Trap | Interpret)
        return len(self.insns) - (0 if last_retires else 1)

    def terminal_value(self) -> Operand | None:
        """The value the terminal uses, if any."""
        match self.terminal:
            case JumpTo(target=value) | Branch(condition=value) | Trap(value=value):
                return value
            case _:
                return None

    def replace_terminal_value(self, value: Operand) -> None:
        """Make the terminal use another value."""
        match self.terminal:
            case JumpTo():
                self.terminal.target = value
            case Branch():
                self.terminal.condition = value
            case Trap():
                self.terminal.value = value
