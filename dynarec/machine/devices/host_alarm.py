"""The timer of a machine whose clock is the host's: a thread that sleeps until it is time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dynarec.machine.base import Interrupts


class HostAlarm:
    """Raises a line at a time of the guest's clock. `ring` is called on the thread of the alarm."""

    def __init__(self, interrupts: Interrupts, line: int, ticks_per_second: int, ring: Callable[[], None]) -> None:
        self._interrupts = interrupts
        self._line = line
        self._rate = ticks_per_second
        self._ring = ring
        self._changed = threading.Condition()
        self._at: int | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="dynarec-alarm", daemon=True)
        self._thread.start()

    def set(self, ticks: int | None) -> None:
        """From now on, at this time; None: not at all. Any thread."""
        with self._changed:
            self._at = ticks
            self._changed.notify()

    def close(self) -> None:
        """End the thread. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        with self._changed:
            while not self._closed:
                left = None if self._at is None else (self._at - self._interrupts.ticks) / self._rate
                if left is None or left > 0:
                    self._changed.wait(None if left is None else min(left, threading.TIMEOUT_MAX))
                else:
                    self._at = None
                    self._interrupts.set_lines(self._line, True)
                    self._ring()
