"""Why a program has stopped in the debugger, and where in its run it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from dynarec.hooks import MemoryAccess
from dynarec.machine.base import Trap

if TYPE_CHECKING:
    from dynarec.debug.stoppers import Stopper


class Reason(Enum):
    """Why a program stopped."""

    START = "start"
    STEP = "step"
    BREAKPOINT = "breakpoint"
    WATCHPOINT = "watchpoint"
    CATCHPOINT = "catchpoint"
    INTERRUPTED = "interrupted"
    EXITED = "exited"
    TRAPPED = "trapped"
    BEGINNING = "beginning of history"


class Position(NamedTuple):
    """A moment of a run: instructions retired, traps and interrupts that the guest has taken itself, and what has come
    from outside (input, changes by the user), each of which cuts the run in two.
    """

    instructions: int
    delivered: int = 0
    cuts: int = 0


@dataclass(frozen=True, slots=True)
class Stopped:
    """How an operation of the debugger ended. The instruction at pc has not been executed.

    stoppers: the breakpoints, watchpoints and catchpoints that it stopped at. access: what the instruction at pc is
    about to do, at a watchpoint. status: exit status of a program that has ended. trap: what it cannot go on from.
    detail: what was caught, or returned, in words.
    """

    reason: Reason
    pc: int
    position: Position
    stoppers: tuple[Stopper, ...] = ()
    access: MemoryAccess | None = None
    status: int | None = None
    trap: Trap | None = None
    detail: str = ""


@dataclass(slots=True)
class Hits:
    """What the hooks of a run have reported, until the run has stopped."""

    stoppers: list[Stopper] = field(default_factory=list)
    access: MemoryAccess | None = None
    detail: str = ""
    error: Exception | None = None
