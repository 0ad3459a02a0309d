"""The sections of an ELF file that describe its source, and a reader of the numbers in them.

Nothing here trusts what it reads: whatever is damaged raises BadDwarf, which does not leave this package.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from dynarec.program import section_headers
from dynarec.symbols import Strings

MAX_EXPANSION = 32
"""Times the size of the file that its compressed sections may take: more is made to fill the memory."""
SHT_NOBITS = 8
SHF_COMPRESSED = 0x800
ELFCOMPRESS_ZLIB = 1
COMPRESSION_HEADER = 12
MAX_LEB = 10
"""Bytes of the longest number that fits 64 bits."""
LONG_DWARF = 0xFFFF_FFFF
RESERVED_LENGTH = 0xFFFF_FFF0
STEPS_PER_BYTE = 8
FREE_STEPS = 1 << 16


class BadDwarf(Exception):  # noqa: N818
    """Debugging information that is damaged, or of a kind that is not known: to be treated as missing."""


class Budget:
    """What may be done for one request. Damaged files ask for much with few bytes."""

    __slots__ = ("left",)

    def __init__(self, size: int = 0) -> None:
        """size: bytes of what is read for the request."""
        self.left = FREE_STEPS + STEPS_PER_BYTE * size

    def spend(self, steps: int = 1) -> None:
        """Raise BadDwarf when too much was done."""
        self.left -= steps
        if self.left < 0:
            raise BadDwarf("too much work for its size")


class Reader:
    """A place in the bytes of a section, little-endian, which moves on with each read."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.end = len(data) if end is None else end
        self.at = at
        if not 0 <= at <= self.end <= len(data):
            raise BadDwarf(f"offset {at:#x} is outside of its section")

    def unsigned(self, size: int) -> int:
        """A number of `size` bytes."""
        start = self.at
        if start + size > self.end:
            raise BadDwarf("truncated")
        self.at = start + size
        return int.from_bytes(self.data[start : start + size], "little")

    def signed(self, size: int) -> int:
        """The same in two's complement."""
        return int.from_bytes(self.take(size), "little", signed=True)

    def uleb(self) -> int:
        """An unsigned number of variable length."""
        value = shift = 0
        data = self.data
        for at in range(self.at, min(self.at + MAX_LEB, self.end)):
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.at = at + 1
                return value
            shift += 7
        raise BadDwarf("a number without an end")

    def sleb(self) -> int:
        """A signed number of variable length."""
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def take(self, size: int) -> bytes:
        """The next bytes."""
        self.skip(size)
        return self.data[self.at - size : self.at]

    def skip(self, size: int) -> None:
        """Leave bytes out."""
        if not 0 <= size <= self.end - self.at:
            raise BadDwarf("truncated")
        self.at += size

    def skip_string(self) -> None:
        """Leave a string with its zero out."""
        end = self.data.find(b"\0", self.at, self.end)
        if end < 0:
            raise BadDwarf("a string without an end")
        self.at = end + 1

    def initial_length(self) -> tuple[int, int]:
        """The end of the unit whose length is read, and the size of its offsets: 4 bytes, or 8 for 64-bit DWARF."""
        length, size = self.unsigned(4), 4
        if length == LONG_DWARF:
            length, size = self.unsigned(8), 8
        elif length >= RESERVED_LENGTH:
            raise BadDwarf("a reserved length")
        if length > self.end - self.at:
            raise BadDwarf("a unit beyond its section")
        return self.at + length, size


@dataclass(frozen=True, slots=True)
class Section:
    """Bytes, and where they are in guest memory (0 when they are not loaded)."""

    data: bytes = b""
    address: int = 0


NOTHING = Section()


class Sections:
    """The sections of one file by name, read when they are asked for; those that are missing or damaged are empty."""

    def __init__(self, elf: bytes) -> None:
        self._elf = elf
        self._table: Mapping[str, tuple[int, int, int, int]] | None = None
        self._known: dict[str, Section] = {}
        self._strings: dict[str, Strings] = {}
        self._left = MAX_EXPANSION * len(elf)

    def section(self, name: str) -> Section:
        """The section of this name."""
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def data(self, name: str) -> bytes:
        """The bytes of the section of this name."""
        return self.section(name).data

    def string(self, name: str, offset: int) -> str:
        """The string at an offset of a section; "" if it is damaged or not what a terminal can show."""
        if name not in self._strings:
            self._strings[name] = Strings(self.data(name))
        return self._strings[name].at(offset)

    def _read(self, name: str) -> Section:
        if self._table is None:
            self._table = _section_table(self._elf)
        if name not in self._table:
            return NOTHING
        address, offset, size, flags = self._table[name]
        data = self._elf[offset : offset + size]
        if len(data) < size:
            return NOTHING
        return Section(self._expand(data) if flags & SHF_COMPRESSED else data, address)

    def _expand(self, data: bytes) -> bytes:
        """The bytes of a compressed section; none when they would take too much."""
        kind, size = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")
        if kind != ELFCOMPRESS_ZLIB or not 0 < size <= self._left:
            return b""
        self._left -= size
        try:
            found = zlib.decompressobj().decompress(data[COMPRESSION_HEADER:], size)
        except zlib.error:
            return b""
        return found if len(found) == size else b""


def _section_table(elf: bytes) -> dict[str, tuple[int, int, int, int]]:
    """Name -> address, offset, size in the file, flags; of the sections that hold bytes."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for name, header in section_headers(elf):
        _name, kind, flags, address, offset, size, *_rest = header
        if kind != SHT_NOBITS:
            found.setdefault(name, (address, offset, size, flags))
    return found
