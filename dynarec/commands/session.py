"""A console program in its window: limits that pauses do not use up, the window's buttons as runs of the machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dynarec.engine import Machine, Run, Stop, StopReason

if TYPE_CHECKING:
    from dynarec.machine.console import Console
    from dynarec.window import Window


class WindowSession:
    """Implements `dynarec.window.Session`. Main thread only."""

    def __init__(self, machine: Machine, console: Console, limit: int | None, timeout: float | None) -> None:
        """limit: guest instructions; timeout: seconds; None: no limit."""
        self.name = machine.program.name
        self.console = console
        self._machine = machine
        self._limit = limit
        self._seconds_left = timeout
        self._first = machine.instructions
        self._run: Run | None = None
        self._since = 0.0
        self._stop: Stop | None = None

    @property
    def finished(self) -> bool:
        """Whether the program has ended, or a limit has ended it; a pause is no end."""
        return self._stop is not None or (self._run is not None and self._run.finished)

    @property
    def instructions(self) -> int:
        return self._machine.instructions

    def run(self, window: Window) -> Stop:
        """Show it until it ends."""
        self.console.attach_display()
        self.resume()
        window.run(self)
        return self._ended()

    def stop(self) -> None:
        if self._run is not None:
            self._run.stop()

    def pause(self) -> None:
        """The console has been paused before, so the CPU thread does not wait for a frame."""
        if self._run is None:
            return
        self._run.stop()
        stop = self._run.wait()
        self._run = None
        if self._seconds_left is not None:
            self._seconds_left = max(0.0, self._seconds_left - (time.monotonic() - self._since))
        if stop.reason is not StopReason.REQUEST:
            self._stop = stop

    def resume(self) -> None:
        if self._stop is not None or self._run is not None:
            return
        left = None if self._limit is None else max(0, self._limit - (self._machine.instructions - self._first))
        self._since = time.monotonic()
        self._run = self._machine.start(left, timeout=self._seconds_left)

    def _ended(self) -> Stop:
        if self._stop is None and self._run is not None:
            self._stop = self._run.wait()
        if self._stop is None:  # closed while it was paused
            self._stop = Stop(StopReason.REQUEST, self._machine.pc, 0)
        return self._stop
