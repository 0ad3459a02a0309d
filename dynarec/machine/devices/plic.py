"""The platform-level interrupt controller, with one context: the machine mode of one CPU (RISC-V PLIC 1.0.0).

Sources are levels: one that is still up when its interrupt has been completed is pending again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from dynarec.machine.devices.registers import WORD, check_word
from dynarec.machine.state import Fields, State, Value

SIZE = 0x60_0000
SOURCES = 32
"""Source 0 does not exist."""
PENDING, ENABLE, THRESHOLD, CLAIM = 0x1000, 0x2000, 0x20_0000, 0x20_0004
PRIORITY_MASK = 7
WORD_MASK = 0xFFFF_FFFF
WORD_END = 1 << 32


class Plic:
    """set_line: told whether an interrupt waits to be claimed. `set_source` may be called from any thread."""

    def __init__(self, set_line: Callable[[bool], None]) -> None:
        self._set_line = set_line
        self._lock = threading.Lock()
        self._priority = [0] * SOURCES
        self._levels = self._pending = self._claimed = self._enabled = self._threshold = 0

    def set_source(self, number: int, up: bool) -> None:
        """The line of a device."""
        with self._lock:
            bit = 1 << number
            self._levels = self._levels | bit if up else self._levels & ~bit
            self._update()

    def read(self, offset: int, width: int) -> int:
        check_word("PLIC", offset, width)
        with self._lock:
            if offset < WORD * SOURCES:
                return self._priority[offset // WORD]
            if offset == CLAIM:
                return self._claim()
            return {PENDING: self._pending, ENABLE: self._enabled, THRESHOLD: self._threshold}.get(offset, 0)

    def write(self, offset: int, width: int, value: int) -> None:
        check_word("PLIC", offset, width)
        with self._lock:
            if 0 < offset < WORD * SOURCES:
                self._priority[offset // WORD] = value & PRIORITY_MASK
            elif offset == ENABLE:
                self._enabled = value & WORD_MASK & ~1
            elif offset == THRESHOLD:
                self._threshold = value & PRIORITY_MASK
            elif offset == CLAIM and value < SOURCES and self._enabled >> value & 1:
                self._claimed &= ~(1 << value)
            self._update()

    def save(self) -> State:
        with self._lock:
            masks: dict[str, Value] = {
                "levels": self._levels, "pending": self._pending, "claimed": self._claimed, "enabled": self._enabled,
            }  # fmt: skip
            return {**masks, "threshold": self._threshold, "priority": list(self._priority)}

    def restore(self, state: State) -> None:
        fields = Fields(state, "plic")
        with self._lock:
            self._levels, self._pending = fields.number("levels", WORD_END), fields.number("pending", WORD_END)
            self._claimed, self._enabled = fields.number("claimed", WORD_END), fields.number("enabled", WORD_END)
            self._threshold = fields.number("threshold", PRIORITY_MASK + 1)
            self._priority = fields.numbers("priority", PRIORITY_MASK + 1, SOURCES)
            self._update()

    def _update(self) -> None:
        """A level gets through its gateway unless its interrupt is claimed and not yet completed."""
        self._pending = self._pending & self._levels | self._levels & ~self._claimed
        self._set_line(self._best() != 0)

    def _best(self) -> int:
        """The pending source of the highest priority above the threshold, the lowest number first; 0: none."""
        ready = self._pending & self._enabled
        numbers = [n for n in range(1, SOURCES) if ready >> n & 1 and self._priority[n] > self._threshold]
        return max(numbers, key=lambda n: (self._priority[n], -n), default=0)

    def _claim(self) -> int:
        number = self._best()
        self._claimed |= 1 << number & ~1
        self._pending &= ~(1 << number)
        self._update()
        return number
