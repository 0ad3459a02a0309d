"""A thread that asks the source, and has what it says sorted and filtered, so that the interface never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from dynarec.errors import DynarecError
from dynarec.inspect.model import Recording
from dynarec.inspect.source import Source
from dynarec.inspect.tui.view import View, Wish, make_view

PERIOD = 0.5
"""Seconds between two recordings."""
REST = 3
"""A recording that took long is followed by a rest so many times as long: the program shares its processor."""


class Watcher:
    """Asks one source. Its methods are for one thread, that of the interface, and return at once."""

    def __init__(self, source: Source, shown: Callable[[View], None], failed: Callable[[str], None]) -> None:
        """shown: gets each view; failed: what went wrong, one line. Both are called on the watcher's thread."""
        self._source = source
        self._shown, self._failed = shown, failed
        self._changed = threading.Condition()
        self._wish = Wish()
        self._jobs: list[Callable[[], None]] = []
        self._is_due = True
        self._is_stale = self._is_closed = self._is_busy = self._has_failed = False
        self._recording: Recording | None = None
        self._view: View | None = None
        self._next = 0.0
        self.is_frozen = not source.live
        self._thread = threading.Thread(target=self._work, name="dynarec-inspector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def wish(self) -> Wish:
        return self._wish

    @property
    def is_settled(self) -> bool:
        """Whether all that was asked for has been told."""
        with self._changed:
            return not (self._is_due or self._is_stale or self._jobs or self._is_busy)

    def choose(self, **changes: object) -> None:
        """Have something else shown."""
        with self._changed:
            wish = replace(self._wish, **changes)  # type: ignore[arg-type]
            self._is_stale |= wish != self._wish
            self._wish = wish
            self._changed.notify()

    def refresh(self) -> None:
        """Make a recording now, frozen or not."""
        with self._changed:
            self._is_due = True
            self._changed.notify()

    def freeze(self, is_frozen: bool) -> None:
        """Make no more recordings, or go on."""
        with self._changed:
            self.is_frozen = is_frozen or not self._source.live
            self._changed.notify()

    def ask(self, job: Callable[[], None]) -> None:
        """Have something done with the source, and a recording made then. The job may raise DynarecError."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()

    def close(self) -> None:
        """End the thread, soon; and the source with it."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(PERIOD)
        self._source.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                while not (self._has_work() or self._is_time()):
                    self._changed.wait(self._patience())
                if self._is_closed:
                    return
                jobs, wish, is_due = self._jobs, self._wish, self._is_due or self._is_time()
                self._jobs, self._is_due, self._is_stale, self._is_busy = [], False, False, True
            self._turn(jobs, wish, is_due)

    def _has_work(self) -> bool:
        return bool(self._is_closed or self._is_due or self._is_stale or self._jobs)

    def _is_time(self) -> bool:
        return not self.is_frozen and time.monotonic() >= self._next

    def _patience(self) -> float | None:
        return None if self.is_frozen else max(0.0, self._next - time.monotonic())

    def _turn(self, jobs: list[Callable[[], None]], wish: Wish, is_due: bool) -> None:
        for job in jobs:
            self._try(job)
        self._try(lambda: self._show(wish, is_due or bool(jobs)))

    def _show(self, wish: Wish, is_due: bool) -> None:
        began = time.monotonic()
        if is_due or self._recording is None:
            self._recording = self._source.record()
        self._view = make_view(self._recording, wish, self._view)
        self._shown(self._view)
        if is_due:
            now = time.monotonic()
            self._next = now + max(PERIOD, REST * (now - began))

    def _try(self, job: Callable[[], None]) -> None:
        """Never raises: what goes wrong is told, and the thread lives on."""
        try:
            job()
        except DynarecError as error:
            self._fail(str(error))
        except Exception as error:
            self._fail(f"internal error: {type(error).__name__}: {error}")

    def _fail(self, line: str) -> None:
        self._next = time.monotonic() + PERIOD
        self._failed(" ".join(line.split()))
