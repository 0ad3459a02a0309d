"""An application to which other threads have something to say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from textual.app import App
from textual.message import Message

from dynarec.errors import DynarecError


class Arrived(Message):
    """There is something in the queue."""


class QueuedApp(App[int]):
    """Its methods run on the main thread, but for `tell`; what other threads have to say goes through a queue."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = SimpleQueue()
        self._working = 0

    def note(self, line: str) -> None:
        """Say something to the user."""
        raise NotImplementedError

    def tell(self, action: Callable[..., None], *values: Any) -> None:
        """Have the main thread do something; from any thread."""
        self._queue.put((action, values))
        self.post_message(Arrived())

    def on_arrived(self) -> None:
        with suppress(Empty):
            while self.is_running:
                action, values = self._queue.get_nowait()
                action(*values)

    def work(self, job: Callable[[], Callable[[], None]]) -> None:
        """Do something on another thread, and what it gives on this one."""

        def work() -> None:
            try:
                then = job()
            except DynarecError as error:
                then = partial(self.note, str(error))
            except Exception as error:  # recordings may come from anywhere
                then = partial(self.note, f"internal error: {type(error).__name__}: {error}")
            self.tell(self._worked, then)

        self._working += 1
        self.run_worker(work, thread=True)

    def _worked(self, then: Callable[[], None]) -> None:
        self._working -= 1
        then()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is being done elsewhere, and nothing has been said that was not heard."""
        return self._queue.empty() and not self._working
