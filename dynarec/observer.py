"""What a debugger asks of the core beside hooks: to stop behind traps, interrupts and the ends of units, to step while
the pc is in a range, and to hand input to the guest at known moments (native/observe.h).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

from dynarec._native import ffi, lib

if TYPE_CHECKING:
    from dynarec.core import Core


class Catch(IntFlag):
    """What a run is to stop behind (enum dr_catch); TRANSLATION is known to Python alone."""

    TRAP = lib.DR_CATCH_TRAP
    INTERRUPT = lib.DR_CATCH_INTERRUPT
    DEATH = lib.DR_CATCH_DEATH
    TRANSLATION = 8


CORE_CATCHES = Catch.TRAP | Catch.INTERRUPT | Catch.DEATH


class Caught(NamedTuple):
    """What a run stopped behind (struct dr_caught).

    pc: of the instruction that trapped, or that comes after the interrupt; the key of a unit. cause, value: as the
    guest numbers them; of a unit that died, the reason (index into DEATHS) and the address that was written.
    """

    what: Catch
    pc: int
    cause: int = 0
    value: int = 0


@dataclass(slots=True)
class Trail:
    """The instructions of a run: their pcs, what a register held before each of them, and instructions retired by then.

    These are counted modulo 2^32.
    """

    pcs: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


class Observer:
    """Of one core. All of it belongs to whoever owns the machine while it does not run, but for `notify`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._catches = Catch(0)
        self._translated: int | None = None
        self._kept: Caught | None = None
        self._raw = ffi.new("struct dr_caught *")

    @property
    def catches(self) -> Catch:
        """What runs stop behind, with StopReason.CAUGHT."""
        return self._catches

    @catches.setter
    def catches(self, catches: Catch) -> None:
        self._catches = catches
        self._translated = self._kept = None
        lib.dr_set_catches(self._core.pointer, catches & CORE_CATCHES)

    def take_caught(self) -> Caught | None:
        """What the last run stopped behind, once."""
        kept, self._kept = self._kept, None
        if kept is not None:
            return kept
        key, self._translated = self._translated, None
        if key is not None:
            return Caught(Catch.TRANSLATION, key)
        lib.dr_take_caught(self._core.pointer, self._raw)
        raw = self._raw
        return Caught(Catch(raw.what), raw.pc, raw.cause, raw.value) if raw.what else None

    def put_back(self, caught: Caught) -> None:
        """It is to be taken again."""
        self._kept = caught

    def note_translation(self, key: int) -> bool:
        """A unit was translated; whether the run is to stop."""
        if Catch.TRANSLATION in self._catches:
            self._translated = key
            return True
        return False

    def stay(self, where: range | None) -> None:
        """Runs interpret in a range of addresses, and stop (UNTIL) when the pc is outside of it; None: no more."""
        size = 0 if where is None else len(where)
        lib.dr_stay(self._core.pointer, where.start if where else 0, size)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Runs of no instruction call the hooks of the one at pc, meanwhile."""
        lib.dr_look(self._core.pointer, True)
        try:
            yield
        finally:
            lib.dr_look(self._core.pointer, False)

    @contextmanager
    def trail(self, register: str, count: int) -> Iterator[Trail]:
        """Runs interpret meanwhile; so many instructions leave their pc, and a register, before they are executed."""
        pcs, words, times = (ffi.new("uint32_t[]", count) for _ in range(3))
        raw = ffi.new("struct dr_trail *", (pcs, words, times, self._core.regs.index(register), count, 0))
        trail = Trail()
        lib.dr_leave_trail(self._core.pointer, raw)
        try:
            yield trail
        finally:
            made = lib.dr_trail_count(self._core.pointer)
            lib.dr_leave_trail(self._core.pointer, ffi.NULL)
            trail.pcs, trail.words, trail.times = list(pcs[0:made]), list(words[0:made]), list(times[0:made])

    def pass_hooks(self, accesses: bool = False) -> None:
        """The next run executes the instruction at pc without calling its code hooks; nor those of its accesses."""
        lib.dr_pass(self._core.pointer, accesses)

    @property
    def delivered(self) -> int:
        """Traps and interrupts that the guest has taken itself; set when it goes back in time."""
        return int(lib.dr_delivered(self._core.pointer))

    @delivered.setter
    def delivered(self, count: int) -> None:
        lib.dr_set_delivered(self._core.pointer, count)

    def hold_input(self, hold: bool, quietly: bool = False) -> None:
        """Runs stop for input, with CoreStop.INPUT, instead of giving it to the guest; quietly: they do not stop."""
        lib.dr_hold_input(self._core.pointer, lib.DR_HOLD_QUIETLY if hold and quietly else hold)

    def notify(self) -> None:
        """Make a run stop with CoreStop.INPUT soon; from any thread."""
        lib.dr_notify(self._core.pointer)

    def fetch_input(self) -> bytes:
        """The input that has come for the serial port."""
        data = ffi.new("uint8_t[]", lib.DR_MAIL)
        return bytes(ffi.buffer(data, lib.dr_fetch_input(self._core.pointer, data)))

    def give_input(self, data: bytes) -> None:
        """Give input to the serial port, which has asked for it."""
        lib.dr_give_input(self._core.pointer, data, len(data))
