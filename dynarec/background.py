"""Background translation: a thread that translates what the core asks for, while the guest goes on in the interpreter.

The core has a queue of hot blocks (native/background.h). What is made of them waits here until the CPU thread, which
alone touches the code region, leaves its run loop to install all of it in one batch.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

from dynarec.cpu_thread import OWN
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.code_cache import NativeUnit
    from dynarec.core import Core
    from dynarec.disk.record import KeptUnit
    from dynarec.unit_source import UnitSource

THREAD_NAME = "dynarec-translator"
BATCH_SECONDS = 0.001
"""At least so much lies between two batches while more is wanted: the guest stops for a batch, not for each unit."""
INSTALLATION = 1000
"""Microseconds for which it stays out of the way of a CPU thread that it has called to install something: else that
would wait for the GIL, when it comes and after each call of the core."""
COURTESY = 100
"""Microseconds for which the translator stays out of the way of a CPU thread that runs Python. See `_breathe`."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a block: a unit; or None if the translation failed, in that epoch of the core."""

    key: int
    epoch: int
    unit: NativeUnit | KeptUnit | None


class _EndError(Exception):
    """The machine is being closed."""


class Background:
    """Of one machine. `start` and `take` belong to the CPU thread."""

    def __init__(self, core: Core, source: UnitSource) -> None:
        self._core = core
        self._source = source
        self._process = 0
        self._thread: threading.Thread | None = None
        self._forget()

    def _forget(self) -> None:
        self._finished: deque[Finished] = deque()
        self._under_way: set[int] = set()
        self._announced = 0.0
        """When the CPU thread was called last."""
        self._ended = False
        self._answered = threading.Event()
        """The CPU thread has come since it was called last."""
        self.working = False
        """Whether something is being translated: then whoever runs Python may have to wait for the GIL."""

    def start(self) -> None:
        """Have the thread work for the run that begins; in the child of a fork, which has no such thread, a new one."""
        if self._thread is not None and self._process == os.getpid():
            return
        self._forget()
        thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
        thread.start()
        atexit.register(self.close)  # later, threads are gone for Python that are still in the core
        self._thread = thread
        self._process = os.getpid()
        self._core.set_background(True)

    def take(self, most: int | None = None) -> list[Finished]:
        """What has been finished, or the first so many; more than that is announced again."""
        taken: list[Finished] = []
        while self._finished and len(taken) != most:
            taken.append(self._finished.popleft())
        if self._finished:
            self._core.announce()
        return taken

    def settle(self, taken: Iterable[Finished]) -> None:
        """What was taken is installed, or not: the blocks may be asked for again."""
        self._under_way.difference_update(each.key for each in taken)
        self._answered.set()

    def close(self) -> None:
        """End the thread: what it translates is dropped. May be called twice."""
        self._ended = True
        self._answered.set()
        atexit.unregister(self.close)
        if self._thread is None or self._process != os.getpid():
            return
        self._core.end_wanted()
        if self._thread is not threading.current_thread():  # where the garbage collector may close a machine
            self._thread.join()
        self._thread = None

    # -- on the translator's thread -----------------------------------------------------------------------------------

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - OWN)
        with suppress(_EndError, DynarecError):  # the core says that it is gone
            while True:
                self._translate_next()

    def _translate_next(self) -> None:
        key = None if self._ended else self._core.await_wanted()
        if key is None or self._ended:
            raise _EndError
        self.working = True
        self._source.read_kept(self._breathe)
        self._have_kept_installed()
        if self._lacks(key) and self._source.is_due(key):
            self._under_way.add(key)
            self._finished.append(self._translate(key))
        if not self._core.wanted or monotonic() - self._announced >= BATCH_SECONDS:
            self._announce()

    def _lacks(self, key: int) -> bool:
        """It may have become hot once more meanwhile."""
        return key not in self._under_way and self._core.find(key) is None

    def _have_kept_installed(self) -> None:
        """What earlier runs have kept, some at a time: the guest goes on between."""
        while self._source.is_waiting:
            self._answered.clear()
            self._core.announce()
            self._answered.wait()
            if self._ended:
                raise _EndError
            sleep(BATCH_SECONDS)

    def _announce(self) -> None:
        self.working = False
        self._announced = monotonic()
        if self._finished:
            self._core.announce()
            self._core.give_way(INSTALLATION)

    def _translate(self, key: int) -> Finished:
        """A failure may be that of a moment, for what it reads changes meanwhile: the CPU thread will see."""
        epoch = self._core.epoch
        try:
            return Finished(key, epoch, self._source.make(key, self._breathe))
        except Exception:
            if self._ended:
                raise _EndError from None
            return Finished(key, epoch, None)

    def _breathe(self) -> None:
        """Between two phases of a translation: the CPU thread may want the GIL.

        Without this it would get it when Python's switch interval is over, 5 ms by default, and lose it again whenever
        it calls C. Shortening the interval would be for the whole process, and would still have the two share the GIL
        while the guest waits for one of them.
        """
        if self._ended:
            raise _EndError
        self._core.give_way(COURTESY)
