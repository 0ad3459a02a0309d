"""What the program has executed last: its basic blocks, as they come.

The instruction that the program goes on from is not looked at by hooks, so a block at whose beginning a step has ended
is left out.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.engine import Machine
    from dynarec.hooks import Hook

MOST = 4096
"""Lines that are kept: the last ones."""


@dataclass(slots=True)
class Executed:
    """A block that was executed so many times in a row."""

    pc: int
    times: int = 1


class Trace:
    """Of one program. It costs nothing while it is off."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._hook: Hook | None = None
        self.last: deque[Executed] = deque(maxlen=MOST)
        self.counts: Counter[int] = Counter()
        """How often each block was executed while it was on."""

    @property
    def is_on(self) -> bool:
        return self._hook is not None

    def start(self) -> None:
        """From now on; what was kept is forgotten."""
        self.stop()
        self.last.clear()
        self.counts.clear()
        self._note(self._debugger.machine.pc)
        self._resume()

    def stop(self) -> None:
        """What is kept stays."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the past is run through again."""
        was_on = self.is_on
        self.stop()
        try:
            yield
        finally:
            if was_on:
                self._resume()

    def _resume(self) -> None:
        self._hook = self._debugger.machine.hook_block(self._executed)

    def _executed(self, machine: Machine, pc: int) -> None:
        self._note(pc)

    def _note(self, pc: int) -> None:
        self.counts[pc] += 1
        if self.last and self.last[-1].pc == pc:
            self.last[-1].times += 1
        else:
            self.last.append(Executed(pc))
