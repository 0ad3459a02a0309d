"""Columns of numbers, bytes and texts: how a dump keeps many things of one kind, to be read with care."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Self, TypeVar

from dynarec.machine.state import BadState, Fields, State, Value, decode

S = TypeVar("S", bytes, tuple[int, ...])
T = TypeVar("T")
BYTE, HALF, WORD, LONG, SIGNED, REAL = "B", "H", "I", "Q", "i", "d"
"""Kinds of columns: unsigned numbers of 1, 2, 4, 8 bytes, signed ones of 4, real ones of 8; little-endian."""
WHAT = "dump"
"""What messages call the file."""
MOST_COUNT = (1 << 63) - 1
COUNTS = " counts"
"""Behind the name of a column of lists: the column of their lengths."""
NOT_SHOWN = "\ufffd"
"""In place of what a terminal does not show as it is."""


def damaged(why: str) -> BadState:
    """The error that a dump is not what it must be."""
    return BadState(f"the {WHAT} is damaged: {why}")


def shown(text: str, also: str = "") -> str:
    """A text that every terminal shows as it is: characters that are not printable, nor in `also`, are replaced."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in also else NOT_SHOWN for each in text)


class Writer:
    """A table that columns are put into."""

    def __init__(self) -> None:
        self.state: State = {}

    def column(self, name: str, kind: str, numbers: Iterable[float]) -> None:
        values = list(numbers)
        self.state[name] = struct.pack(f"<{len(values)}{kind}", *values)

    def lists(self, name: str, kind: str, lists: Sequence[Sequence[float]]) -> None:
        """A list for each item."""
        self.column(name + COUNTS, WORD, map(len, lists))
        self.column(name, kind, (number for each in lists for number in each))

    def blobs(self, name: str, blobs: Sequence[bytes]) -> None:
        """Bytes for each item."""
        self.column(name + COUNTS, WORD, map(len, blobs))
        self.state[name] = b"".join(blobs)

    def counts(self, name: str, counts: Mapping[int, int]) -> None:
        """How often, by address."""
        self.column(f"{name} addresses", WORD, counts)
        self.column(name, LONG, counts.values())


class Table(Fields):
    """A table of columns that may come from anywhere. Each method raises BadState if a column is not as asked for."""

    def __init__(self, state: Value, where: str) -> None:
        super().__init__(state, where, WHAT)

    @classmethod
    def decode(cls, data: bytes, where: str) -> Self:
        """The table that these bytes are of."""
        return cls(decode(data, WHAT), where)

    def table(self, name: str) -> Table:
        """A table inside of this one."""
        return Table(self.state(name), name)

    def tables(self, name: str) -> list[Table]:
        """A list of tables inside of this one."""
        return [Table(item, f"{name}[{index}]") for index, item in enumerate(self.items(name))]

    def column(self, name: str, kind: str, count: int | None = None, end: int | None = None) -> tuple[int, ...]:
        """Whole numbers below `end`; `count` of them if that is given."""
        data = self.data(name)
        items, rest = divmod(len(data), struct.calcsize(f"<{kind}"))
        if rest or items != (items if count is None else count):
            raise self.bad(name, f"has {len(data)} bytes")
        numbers = struct.unpack(f"<{items}{kind}", data)
        limit = MOST_COUNT + 1 if end is None else end
        if numbers and max(numbers) >= limit:
            raise self.bad(name, f"holds {max(numbers)}, which is too large")
        return numbers

    def lists(self, name: str, kind: str, count: int, most: int, end: int | None = None) -> Iterator[tuple[int, ...]]:
        """A list of at most so many numbers below `end` for each of `count` items."""
        sizes = self._sizes(name, count, most)
        return _pieces(self.column(name, kind, sum(sizes), end), sizes)

    def blobs(self, name: str, count: int, most: int) -> Iterator[bytes]:
        """At most so many bytes for each of `count` items."""
        sizes = self._sizes(name, count, most)
        return _pieces(self.data(name, sum(sizes)), sizes)

    def _sizes(self, name: str, count: int, most: int) -> tuple[int, ...]:
        return self.column(name + COUNTS, WORD, count, most + 1)

    def counts(self, name: str) -> dict[int, int]:
        """How often, by address."""
        addresses = self.column(f"{name} addresses", WORD)
        return dict(zip(addresses, self.column(name, LONG, len(addresses)), strict=True))

    def label(self, name: str) -> str:
        """A text to be shown."""
        return shown(self.text(name))

    def labels(self, name: str) -> list[str]:
        """Texts to be shown."""
        return [shown(each) for each in self.texts(name)]

    def named(self, name: str) -> dict[str, int]:
        """Counts by name."""
        return {shown(key): self._count(name, value) for key, value in self.state(name).items()}

    def _count(self, name: str, value: Value) -> int:
        if not isinstance(value, int) or not 0 <= value <= MOST_COUNT:
            raise self.bad(name, "holds what is no count")
        return value

    def reals(self, name: str, count: int | None = None) -> tuple[float, ...]:
        """Numbers that are not negative, and finite."""
        data = self.data(name)
        if len(data) % 8 or len(data) // 8 != (len(data) // 8 if count is None else count):
            raise self.bad(name, f"has {len(data)} bytes")
        numbers = struct.unpack(f"<{len(data) // 8}d", data)
        if not all(0 <= number < MOST_COUNT for number in numbers):
            raise self.bad(name, "holds what is no amount")
        return numbers


def _pieces(whole: S, sizes: Iterable[int]) -> Iterator[S]:
    at = 0
    for size in sizes:
        yield whole[at : at + size]
        at += size


def indexed(items: Iterable[T]) -> tuple[list[T], Callable[[T], int]]:
    """The different items in the order in which they come first, and the index of one."""
    places: dict[T, int] = {}
    for item in items:
        places.setdefault(item, len(places))
    return list(places), places.__getitem__
