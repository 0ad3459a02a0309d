"""Programs that are started for the debugger, and started again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.debug.debugger import Debugger

if TYPE_CHECKING:
    from dynarec.engine import Machine


@dataclass(frozen=True, slots=True)
class Launch:
    """How a program is started.

    load: gives a new machine with it. name: of the program, for users. substitutes: folders where source files
    are looked for that are not where they were compiled. history: bytes to be able to go backwards.
    """

    load: Callable[[], Machine]
    name: str
    substitutes: Sequence[Path] = ()
    history: int = 0

    def start(self) -> Debugger:
        """A new machine with the program, before its first instruction. Raises DynarecError."""
        return Debugger(self.load(), self.substitutes, self.history)

    def restart(self, debugger: Debugger) -> Debugger:
        """From the beginning, on a new machine, with the same breakpoints; the old one is gone. Raises DynarecError."""
        fresh = self.start()
        for stopper in debugger.stoppers.values():
            fresh.adopt(stopper)
        debugger.stoppers.clear()
        debugger.close()
        debugger.machine.close()
        return fresh
