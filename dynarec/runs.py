"""Runs of a machine: one that is under way, and how it ended."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from dynarec.cpu_thread import Job
from dynarec.machine.base import Trap

if TYPE_CHECKING:
    from dynarec.engine import Machine


class StopReason(Enum):
    """Why a run ended."""

    BUDGET = "budget"
    TIMEOUT = "timeout"
    REQUEST = "request"
    UNTIL = "until"
    EXITED = "exited"
    TRAP = "trap"
    HOOK = "hook"
    CAUGHT = "caught"
    INPUT = "input"


class Stop(NamedTuple):
    """How a run ended.

    pc: of the next instruction; for a trap, of the instruction that trapped. instructions: retired by this run.
    status: exit status, of a program that exited (0 to 255) or died of a trap (128 + signal). trap: what it died of.
    """

    reason: StopReason
    pc: int
    instructions: int
    status: int | None = None
    trap: Trap | None = None


class Run:
    """A run that has been started; see `Machine.start`."""

    def __init__(self, machine: Machine, job: Job[Stop], timeout: float | None) -> None:
        self._machine = machine
        self._job = job
        self._timer: threading.Timer | None = None
        if timeout is not None:
            self._timer = threading.Timer(min(timeout, threading.TIMEOUT_MAX), machine._on_timeout, (job,))
            self._timer.daemon = True
            self._start_timer(self._timer)

    def _start_timer(self, timer: threading.Timer) -> None:
        try:
            timer.start()
        except BaseException:  # no more threads
            self._machine.stop()
            self._job.wait(self._machine.stop)
            raise

    @property
    def finished(self) -> bool:
        return self._job.finished

    def stop(self) -> None:
        """Make the run end soon."""
        if not self.finished:
            self._machine.stop()

    def wait(self) -> Stop:
        """How the run ended, when it has. Ctrl-C stops the run and raises KeyboardInterrupt."""
        try:
            return self._job.wait(self._machine.stop)
        finally:
            if self._timer is not None:
                self._timer.cancel()
