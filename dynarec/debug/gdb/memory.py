"""Packets about memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from dynarec.debug.gdb.packets import MAX_PACKET
from dynarec.debug.gdb.text import ENCODING, BadPacket, data, number, numbers
from dynarec.errors import GuestMemoryError
from dynarec.guest_state import ADDRESS_SPACE, EXECUTE, PAGE, READ, WRITE

if TYPE_CHECKING:
    from dynarec.debug.gdb.target import Target

LONGEST_READ = MAX_PACKET // 2 - 1
LONGEST_SEARCH_STEP = 1 << 20
LONGEST_REGION = 4096
"""Pages that are looked at to find the end of a region."""
CRC_POLYNOMIAL = 0x04C1_1DB7
WORD_MASK = 0xFFFF_FFFF
PERMISSIONS = {READ: "r", WRITE: "w", EXECUTE: "x"}


class Memory:
    """Of one target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.commands: dict[str, Callable[[str], str | bytes | None]] = {
            "m": self._read,
            "x": self._read_binary,
            "M": self._write,
            "X": self._write_binary,
            "qCRC": self._crc,
            "qSearch": self._search,
            "qMemoryRegionInfo": self._region,
        }

    def read(self, address: int, size: int) -> bytes:
        """As much as there is, from an address on. Raises GuestMemoryError when that is nothing."""
        memory = self._target.debugger.machine.memory
        size = max(0, min(size, ADDRESS_SPACE - address))
        try:
            return memory.read(address, size)
        except GuestMemoryError as error:
            if not address < error.address < address + size:
                raise
            return memory.read(address, error.address - address)

    def _read(self, text: str) -> str:
        address, size = numbers(text, 2)
        return self.read(address, min(size, LONGEST_READ)).hex()

    def _read_binary(self, text: str) -> str | bytes:
        """LLDB's packet; a read of nothing asks whether it is known."""
        address, size = numbers(text, 2)
        return self.read(address, min(size, LONGEST_READ)) if size else "OK"

    def _write(self, text: str) -> str:
        place, _, content = text.partition(":")
        return self._store(place, data(content))

    def _write_binary(self, text: str) -> str:
        place, _, content = text.partition(":")
        return self._store(place, content.encode(ENCODING))

    def _store(self, place: str, content: bytes) -> str:
        address, size = numbers(place, 2)
        if size != len(content):
            raise BadPacket(f"{size} bytes are to be written, and there are {len(content)}")
        self._target.debugger.write_memory(address, content)
        return "OK"

    def _crc(self, text: str) -> str:
        address, size = numbers(text, 2)
        crc = WORD_MASK
        table = _crc_table()
        for start in range(address, address + size, LONGEST_SEARCH_STEP):
            piece = self._target.debugger.machine.memory.read(start, min(LONGEST_SEARCH_STEP, address + size - start))
            for byte in piece:
                crc = (crc << 8 & WORD_MASK) ^ table[crc >> 24 ^ byte]
        return f"C{crc:08x}"

    def _search(self, text: str) -> str:
        """ "memory:address;size;pattern": where the pattern first is."""
        kind, _, rest = text.partition(":")
        parts = rest.split(";", 2)
        if kind != "memory" or len(parts) != 3 or not parts[2]:
            raise BadPacket("a search needs an address, a size and a pattern")
        found = self._find(number(parts[0]), number(parts[1]), parts[2].encode(ENCODING))
        return "0" if found is None else f"1,{found:x}"

    def _find(self, address: int, size: int, pattern: bytes) -> int | None:
        end = address + size
        for start in range(address, end, LONGEST_SEARCH_STEP):
            wanted = min(LONGEST_SEARCH_STEP + len(pattern) - 1, end - start)
            piece = self.read(start, wanted)
            at = piece.find(pattern)
            if at >= 0 or len(piece) < wanted:
                return start + at if at >= 0 else None
        return None

    def _region(self, text: str) -> str:
        """The range of pages with the same permissions that begins at an address's page."""
        start = number(text) & -PAGE
        if start >= ADDRESS_SPACE:
            raise BadPacket(f"{start:#x} is no address of 32 bits")
        memory = self._target.debugger.machine.memory
        words = READ | WRITE | EXECUTE
        flags = memory.flags(start) & words
        end = start + PAGE
        while end < min(ADDRESS_SPACE, start + LONGEST_REGION * PAGE) and memory.flags(end) & words == flags:
            end += PAGE
        letters = "".join(letter for bit, letter in PERMISSIONS.items() if flags & bit)
        permissions = f"permissions:{letters};" if letters else ""
        return f"start:{start:x};size:{end - start:x};{permissions}"


@cache
def _crc_table() -> list[int]:
    """Of CRC-32 with the highest bit first, as the protocol has it."""
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1 & WORD_MASK) ^ (CRC_POLYNOMIAL if crc >> 31 else 0)
        table.append(crc)
    return table
