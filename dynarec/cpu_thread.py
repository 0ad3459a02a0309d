"""The CPU thread of a machine: the only thread that runs the guest and touches the code region."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")
GLANCE = 0.1
"""Seconds of one wait: a signal that comes right before it wakes nobody, and is only seen when it ends."""
THREAD_NAME = "dynarec-cpu"
OWN = {
    signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGABRT, signal.SIGURG,
}  # fmt: skip
"""What a thread gets for what it does itself, and SIGURG, by which the core makes it leave generated code. Other
signals are not the CPU thread's: Python answers them on the main thread, whose waiting a signal ends only if it is
delivered there."""


class Job(Generic[T]):
    """One request to the CPU thread."""

    def __init__(self, request: Callable[[], T]) -> None:
        self._request = request
        self._finished = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    @property
    def finished(self) -> bool:
        return self._finished.is_set()

    def execute(self) -> None:
        """Do it, on the CPU thread; what it raises is kept for whoever waits."""
        try:
            self._result = self._request()
        except BaseException as error:
            self._error = error
        finally:
            del self._request
            self._finished.set()

    def wait(self, stop: Callable[[], None]) -> T:
        """The result, once there is one; raises what the request raised, unchanged.

        A KeyboardInterrupt calls `stop`, which makes the request end soon, and is raised again when it has ended: the
        machine is then in a state that can be looked at.
        """
        try:
            while not self._finished.wait(GLANCE):
                pass
        except KeyboardInterrupt:
            stop()
            while not self._finished.is_set():
                with contextlib.suppress(KeyboardInterrupt):
                    self._finished.wait(GLANCE)
            raise
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class Requests:
    """What other threads want done between two instructions of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[Job[Any]] = []
        self._open = False

    def open(self) -> None:
        """A run begins."""
        with self._lock:
            self._open = True

    def post(self, job: Job[Any], attract: Callable[[], None]) -> bool:
        """Have the run do it; attract: makes it look. False: there is no run."""
        with self._lock:
            if self._open:
                self._jobs.append(job)
                attract()
            return self._open

    def do(self, calm: Callable[[], None]) -> bool:
        """Do what is wanted, on the CPU thread; calm: undoes `attract`. Whether there was something."""
        with self._lock:
            jobs, self._jobs = self._jobs, []
            if jobs:
                calm()
        for job in jobs:
            job.execute()
        return bool(jobs)

    def close(self) -> None:
        """The run has ended; what is left is done."""
        with self._lock:
            self._open = False
            jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.execute()


class CpuThread:
    """A daemon thread that executes jobs in their order. It ends when this object is closed or dropped.

    No thread but the one that forks lives on in the child of a fork: there, the next job starts another.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        """prepare: what the thread does first. Raises what that raises."""
        self._prepare = prepare
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._jobs: SimpleQueue[Job[object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=_work, args=(self._jobs,), name=THREAD_NAME, daemon=True)
        self._end = weakref.finalize(self, self._jobs.put, None)
        self._thread.start()
        self.post(self._prepare).wait(_nothing)

    @property
    def is_current(self) -> bool:
        """Whether the caller is on the CPU thread."""
        return threading.current_thread() is self._thread

    @property
    def is_left_behind(self) -> bool:
        """Whether the thread belongs to the process that this one was forked from."""
        return self._process != os.getpid()

    def post(self, request: Callable[[], T]) -> Job[T]:
        """Have the thread do it; the caller goes on."""
        if self.is_left_behind:
            self._begin()
        job = Job(request)
        self._jobs.put(job)  # type: ignore[arg-type]
        return job

    def close(self) -> None:
        """End the thread after the jobs it has. May be called twice."""
        self._end()
        if not self.is_current:
            self._thread.join()


def _nothing() -> None:
    """What stops a preparation: it takes no time."""


def _work(jobs: SimpleQueue[Job[object] | None]) -> None:
    """The thread; it holds no reference to its machine between jobs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - OWN)
    while (job := jobs.get()) is not None:
        job.execute()
        del job
