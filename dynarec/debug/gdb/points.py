"""Breakpoints and watchpoints of a client.

GDB takes all away at each stop, and sets them again before the program goes on. What it takes away therefore stays
until then: breakpoints that come and go cost translations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.gdb.text import BadPacket

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger

BREAKS = ("0", "1")
"""Software and hardware breakpoints, which are the same here."""
WATCHES = {"2": "write", "3": "read", "4": "access"}
WATCH_WORDS = {"write": "watch", "read": "rwatch", "access": "awatch", "change": "watch"}
"""How stop replies call them."""

Key = tuple[str, int, int]


class Points:
    """Of one program. A key is a type of `Z`, an address, and a size in bytes."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._numbers: dict[Key, int] = {}
        self._dropped: set[Key] = set()

    def add(self, kind: str, address: int, size: int) -> None:
        """One that is there already stays. Raises DynarecError."""
        key = (kind, address, size)
        if key not in self._numbers:
            self._numbers[key] = self._make(kind, address, size)
        self._dropped.discard(key)

    def _make(self, kind: str, address: int, size: int) -> int:
        if kind in BREAKS:
            return self._debugger.break_at(address).number
        if kind in WATCHES and size:
            return self._debugger.watch(address, size, WATCHES[kind]).number
        raise BadPacket(f"there are no breakpoints of type {kind[:8]!r} and {size} bytes")

    def drop(self, kind: str, address: int, size: int) -> None:
        """Take it away when the program goes on; one that is not there is no error."""
        if (kind, address, size) in self._numbers:
            self._dropped.add((kind, address, size))

    def settle(self) -> None:
        """The program is about to go on."""
        for key in self._dropped:
            number = self._numbers.pop(key)
            if number in self._debugger.stoppers:  # "monitor delete" may have been faster
                self._debugger.delete(number)
        self._dropped.clear()

    def clear(self) -> None:
        """Take all away."""
        self._dropped.update(self._numbers)
        self.settle()
