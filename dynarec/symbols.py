"""The symbol table of a program: names to addresses and back, read from the file on first use."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

# ELF specification, "Sections" and "Symbol Table": the 32-bit layouts.
SYMBOL_FORMAT = "<IIIBBH"
SYMBOL_SIZE = struct.calcsize(SYMBOL_FORMAT)
TYPE_MASK = 0xF
STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE, STT_TLS = 1, 2, 3, 4, 6
NOT_ADDRESSES = frozenset({STT_SECTION, STT_FILE, STT_TLS})
SHN_UNDEF = 0
MAPPING_PREFIX = "$"
"""Assemblers mark code and data with symbols such as `$x` and `$d`: not names of anything."""
SHARING = 8
"""Names of one file share bytes where one ends as another does. More sharing than this is made to fill the memory."""


class Symbol(NamedTuple):
    """A named address; size in bytes, 0 when the file does not say."""

    name: str
    address: int
    size: int
    is_function: bool


class Symbols:
    """The symbols of one program. An address without a size reaches to the next symbol."""

    def __init__(self, read_tables: Callable[[], tuple[bytes, bytes]] = lambda: (b"", b"")) -> None:
        """read_tables gives the bytes of the symbol table and of its string table; it is called once, when needed."""
        self._read_tables = read_tables
        self._tables: tuple[bytes, bytes] | None = None
        self._by_name: dict[str, Symbol] | None = None
        self._starts: list[int] | None = None
        self._sorted: list[Symbol] = []

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self._names().values())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def find(self, name: str) -> Symbol | None:
        """The symbol with this name. Names that the file does not contain cost no parsing of the table."""
        if self._by_name is None and name.encode(errors="replace") + b"\0" not in self._load()[1]:
            return None
        return self._names().get(name)

    def lookup(self, name: str) -> int | None:
        """The address of a name, or None."""
        symbol = self.find(name)
        return symbol.address if symbol else None

    def nearest(self, address: int) -> tuple[str, int] | None:
        """The last symbol at or below the address, and the distance in bytes; None outside of every symbol."""
        starts = self._addresses()
        at = bisect.bisect_right(starts, address) - 1
        if at < 0:
            return None
        symbol = self._sorted[at]
        offset = address - symbol.address
        if symbol.size and offset >= symbol.size:
            return None
        return symbol.name, offset

    @property
    def functions(self) -> list[Symbol]:
        """The functions, by address."""
        return sorted((s for s in self if s.is_function), key=lambda s: (s.address, s.name))

    def _load(self) -> tuple[bytes, bytes]:
        if self._tables is None:
            self._tables = self._read_tables()
        return self._tables

    def _names(self) -> dict[str, Symbol]:
        if self._by_name is None:
            self._by_name = {symbol.name: symbol for symbol in _symbols(*self._load())}
        return self._by_name

    def _addresses(self) -> list[int]:
        if self._starts is None:
            chosen: dict[int, Symbol] = {}
            for symbol in self:
                held = chosen.get(symbol.address)
                if held is None or (symbol.is_function, symbol.size) > (held.is_function, held.size):
                    chosen[symbol.address] = symbol
            self._sorted = sorted(chosen.values(), key=lambda s: s.address)
            self._starts = [symbol.address for symbol in self._sorted]
        return self._starts


def _symbols(table: bytes, names: bytes) -> Iterator[Symbol]:
    """The named addresses of a table; those whose names are damaged are left out."""
    strings = Strings(names)
    whole = len(table) - len(table) % SYMBOL_SIZE
    for name_at, value, size, info, _other, section in struct.iter_unpack(SYMBOL_FORMAT, table[:whole]):
        kind = info & TYPE_MASK
        if section == SHN_UNDEF or kind in NOT_ADDRESSES or name_at == 0:
            continue
        name = strings.at(name_at)
        if name and not name.startswith(MAPPING_PREFIX):
            yield Symbol(name, value, size, kind == STT_FUNC)


class Strings:
    """A string table."""

    def __init__(self, data: bytes) -> None:
        self._data = data[: data.rfind(b"\0") + 1]
        self._left = SHARING * len(data)
        self._known: dict[int, str] = {}

    def at(self, start: int) -> str:
        """The string at an offset; "" if it is damaged, or not what a terminal can show."""
        if start not in self._known:
            self._known[start] = self._read(start)
        return self._known[start]

    def _read(self, start: int) -> str:
        end = self._data.find(b"\0", start)
        self._left -= max(end - start, 0)
        if end < 0 or self._left < 0:
            return ""
        try:
            name = self._data[start:end].decode()
        except UnicodeDecodeError:
            return ""
        return name if name.isprintable() else ""
