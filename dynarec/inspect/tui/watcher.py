"""A thread that asks the source, and sorts and filters what it says, so that the interface never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dynarec.errors import DynarecError
from dynarec.inspect.hints import Hint, hints
from dynarec.inspect.model import Event, Recording, Unit
from dynarec.inspect.source import Source
from dynarec.inspect.tui.cache_map import CacheMap, cache_map
from dynarec.inspect.tui.columns import BY_NAME
from dynarec.inspect.tui.events import events
from dynarec.inspect.tui.filters import chosen
from dynarec.inspect.tui.time_line import time_rows
from dynarec.tui.rows import Row

PERIOD = 0.5
"""Seconds between two recordings."""
REST = 3
"""A recording that took long is followed by a rest so many times as long: the program shares its processor."""


NOT_SHOWN = (0, 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown. sort: a name of columns.BY_NAME. selected: a serial. map, time: sizes of the
    panes. scale: of the map."""

    filter: str = ""
    sort: str = "share"
    is_reversed: bool = False
    events: str = ""
    selected: int = 0
    map: tuple[int, int] = NOT_SHOWN
    scale: int = 0
    time: tuple[int, int] = NOT_SHOWN


@dataclass(frozen=True, slots=True)
class View:
    """A recording, and of it what is wished for.

    rank: places of the units by their serials. most: the largest share of a unit.
    """

    recording: Recording
    wish: Wish
    units: tuple[Unit, ...]
    rank: dict[int, int]
    events: tuple[Event, ...]
    most: float
    hints: tuple[Hint, ...]
    map: CacheMap | None
    time: list[Row]


def make_view(recording: Recording, wish: Wish) -> View:
    """Choose and sort."""
    units = chosen(recording, wish.filter)
    column = BY_NAME[wish.sort]
    units.sort(key=lambda unit: column.value(recording, unit), reverse=column.falls != wish.is_reversed)
    rank = {unit.serial: at for at, unit in enumerate(units)}
    most = max(map(recording.share, recording.units), default=0.0)
    cells = None if wish.map == NOT_SHOWN else cache_map(recording, wish.selected, *wish.map, wish.scale)
    bars = [] if wish.time == NOT_SHOWN else time_rows(recording, *wish.time)
    shown = tuple(events(recording, wish.events))
    return View(recording, wish, tuple(units), rank, shown, most, tuple(hints(recording)), cells, bars)


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
                self._changed.wait_for(self._has_work, self._patience())
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
        """Never raises: what goes wrong is told, and the thread lives on."""
        try:
            for job in jobs:
                job()
            began = time.monotonic()
            is_new = is_due or bool(jobs) or self._recording is None
            recording = self._source.record() if is_new or self._recording is None else self._recording
            self._recording = recording
            self._shown(make_view(recording, wish))
            if is_new:
                self._next = time.monotonic() + max(PERIOD, REST * (time.monotonic() - began))
        except DynarecError as error:
            self._fail(str(error))
        except Exception as error:
            self._fail(f"internal error: {type(error).__name__}: {error}")

    def _fail(self, line: str) -> None:
        self._next = time.monotonic() + PERIOD
        self._failed(" ".join(line.split()))
