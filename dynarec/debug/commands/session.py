"""What commands work on: a debugger, which starting again replaces by another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from dynarec.debug.debugger import Debugger
from dynarec.debug.launch import Launch
from dynarec.debug.source import Frame
from dynarec.debug.stops import Stopped
from dynarec.errors import DynarecError

SIZED = re.compile(r"(?P<where>.+?)\s*,\s*(?P<size>0[xX][0-9a-fA-F]+|[0-9]+)")
"""A place in memory with its size in bytes: "buffer, 64"."""


class Holder(Protocol):
    """Who has the debugger."""

    @property
    def debugger(self) -> Debugger:
        """The one of now."""

    def restart(self) -> None:
        """Replace it by one of the same program from its beginning, with the same breakpoints. Raises DynarecError."""


class Session:
    """A holder that starts a program itself."""

    def __init__(self, launch: Launch) -> None:
        """Raises DynarecError."""
        self.launch = launch
        self.debugger = launch.start()

    def restart(self) -> None:
        self.debugger = self.launch.restart(self.debugger)

    def close(self) -> None:
        """The debugger and its machine are gone."""
        self.debugger.close()
        self.debugger.machine.close()


@dataclass(frozen=True, slots=True)
class Format:
    """How values are shown: `/8xw`. letter, unit: "" when not given."""

    count: int = 1
    letter: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Display:
    """An expression that is shown at each stop."""

    format: Format
    expression: str


@dataclass(slots=True)
class Context:
    """What commands remember from one to the next.

    level: of the selected frame. pending: commands of the breakpoints that the program has stopped at. listed,
    examined: where `list` and `x` go on. collecting: receives the lines up to `end`.
    """

    holder: Holder
    level: int = 0
    pending: list[str] = field(default_factory=list)
    displays: dict[int, Display] = field(default_factory=dict)
    listed: tuple[str, int] | None = None
    examined: int | None = None
    format: Format = Format(1, "x", "w")
    collecting: list[str] | None = None
    interrupted: bool = False
    ended: bool = False

    @property
    def debugger(self) -> Debugger:
        return self.holder.debugger

    @property
    def frame(self) -> Frame:
        """The selected frame. Raises DynarecError when there is none."""
        frames = self.debugger.view.frames(self.level + 1)
        if self.level >= len(frames):
            raise DynarecError("there is no frame: the program has ended")
        return frames[self.level]

    def select(self, level: int) -> None:
        """Select a frame. Raises DynarecError for one that there is not."""
        frames = self.debugger.view.frames(level + 1)
        if not 0 <= level < len(frames):
            raise DynarecError("there is no such frame: backtrace shows them")
        self.level, self.listed = level, None

    def forget(self) -> None:
        """The program is elsewhere: what was selected is gone."""
        self.level, self.listed, self.examined = 0, None, None
        self.pending = []


Run = Callable[[Context, str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: `run(context, what follows the name)` gives lines, or raises DynarecError.

    usage: the name and what may follow it. help: one line. completes: what its last word may be: "place", "command",
    "register", "topic", "number", "expression", "file" or "". again: whether an empty line repeats it: "same" as it
    was, "on" without its words, where it goes on, or "".
    """

    run: Run
    usage: str
    help: str
    aliases: tuple[str, ...] = ()
    completes: str = ""
    again: str = ""

    @property
    def name(self) -> str:
        return self.usage.partition(" ")[0].partition("/")[0]


def go(context: Context, operation: Callable[[], Stopped]) -> Iterator[str]:
    """Let the program run, and tell why it has stopped."""
    from dynarec.debug.commands.telling import tell

    before = context.debugger.stopped.pc
    context.forget()
    stopped = operation()
    context.pending = [line for stopper in stopped.stoppers for line in stopper.commands]
    if context.pending[:1] == ["silent"]:
        del context.pending[0]
        return
    yield from tell(context, stopped, before)
