"""The core-local interruptor: software interrupt, time and its alarm (SiFive U54 manual, chapter 9).

mtime is the guest's clock itself, and cannot be set.
"""

from __future__ import annotations

from typing import Protocol

from dynarec.machine.base import Interrupts
from dynarec.machine.devices.registers import part, replaced
from dynarec.machine.state import Fields, State

MSIP, MTIMECMP, MTIME = 0x0, 0x4000, 0xBFF8
SIZE = 0x10000
DOUBLE = 8
NEVER = (1 << 64) - 1


class Alarm(Protocol):
    """Raises the timer's line when its time has come."""

    def set(self, ticks: int | None) -> None:
        """From now on, at this time of the guest's clock; None: not at all."""


class VirtualAlarm:
    """For a clock that counts instructions: the core knows the instruction."""

    def __init__(self, interrupts: Interrupts, line: int, instructions_per_tick: int) -> None:
        self.at: int | None = None
        """In virtual time."""
        self._interrupts = interrupts
        self._line = line
        self._ratio = instructions_per_tick

    def set(self, ticks: int | None) -> None:
        self.at = None if ticks is None else ticks * self._ratio
        self._interrupts.set_deadline(self.at, self._line)


class Clint:
    """The registers of one CPU."""

    def __init__(self, interrupts: Interrupts, software: int, timer: int, alarm: Alarm) -> None:
        self._interrupts = interrupts
        self._software = software
        self._timer = timer
        self._alarm = alarm
        self._pending = 0
        self.compare = NEVER

    def read(self, offset: int, width: int) -> int:
        if MTIME <= offset < MTIME + DOUBLE:
            return part(self._interrupts.ticks, offset - MTIME, width)
        if MTIMECMP <= offset < MTIMECMP + DOUBLE:
            return part(self.compare, offset - MTIMECMP, width)
        return self._pending if offset == MSIP else 0

    def write(self, offset: int, width: int, value: int) -> None:
        if MTIMECMP <= offset < MTIMECMP + DOUBLE:
            self.compare = replaced(self.compare, offset - MTIMECMP, width, value)
            self._compare()
        elif offset == MSIP:
            self._set_pending(value & 1)

    def save(self) -> State:
        """The registers; the time is not the device's own, and the alarm follows from both."""
        return {"pending": self._pending, "compare": self.compare}

    def restore(self, state: State) -> None:
        fields = Fields(state, "clint")
        pending, self.compare = fields.number("pending", 2), fields.number("compare")
        self._set_pending(pending)
        self._compare()

    def _set_pending(self, pending: int) -> None:
        self._pending = pending
        self._interrupts.set_lines(self._software, bool(pending))

    def _compare(self) -> None:
        """The line is up when the time is not before mtimecmp.

        The old alarm goes before the line is set, and the new one comes after: it may raise the line at once.
        """
        self._alarm.set(None)
        due = self._interrupts.ticks >= self.compare
        self._interrupts.set_lines(self._timer, due)
        if not due and self.compare != NEVER:
            self._alarm.set(self.compare)
