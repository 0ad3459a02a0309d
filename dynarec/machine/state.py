"""The state of machine profiles and devices as plain values, to be kept in a file and read from one with care."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, TypeVar

from dynarec.errors import DynarecError

Value: TypeAlias = "int | bytes | str | list[Value] | dict[str, Value]"
State: TypeAlias = dict[str, Value]
T = TypeVar("T")

SNAPSHOT = "snapshot"
NO_LIMIT = 1 << 64
MOST_DEPTH = 16
"""Lists and dicts in each other."""
MOST_INT_BYTES = 255
HEADER = "<cI"
"""How a value begins: its kind, and its bytes or, of a list or dict, its items."""
INT, BYTES, TEXT, LIST, DICT = b"i", b"b", b"s", b"l", b"d"


class BadState(DynarecError):  # noqa: N818
    """A snapshot that holds what no machine can have saved; the message names the place in it."""


class Stateful(Protocol):
    """Something whose state is part of a snapshot."""

    def save(self) -> State:
        """What it needs to be what it is now; it shares nothing that changes."""

    def restore(self, state: State) -> None:
        """Become what it was. Raises BadState for what cannot have been saved; it may be half done then."""


class Fields:
    """The fields of a State that may come from anywhere. Each method raises BadState if a field is not as asked for.

    where: what the state is of, for messages; what: of what kind of file.
    """

    def __init__(self, state: Value, where: str, what: str = SNAPSHOT) -> None:
        if not isinstance(state, dict):
            raise BadState(f"the {what} is damaged: {where} is no table")
        self._state = state
        self._where = where
        self._what = what

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def number(self, name: str, end: int = NO_LIMIT, start: int = 0) -> int:
        """A number from start up to, not including, end."""
        value = self._get(name, int)
        if not start <= value < end:
            raise self.bad(name, f"is {value:#x}, not from {start:#x} to {end - 1:#x}")
        return value

    def flag(self, name: str) -> bool:
        """A number that is 0 or 1."""
        return bool(self.number(name, 2))

    def data(self, name: str, size: int | None = None, most: int = NO_LIMIT) -> bytes:
        """Bytes: exactly `size`, or no more than `most`."""
        value = self._get(name, bytes)
        if len(value) != (len(value) if size is None else size) or len(value) > most:
            raise self.bad(name, f"has {len(value)} bytes")
        return value

    def text(self, name: str) -> str:
        return self._get(name, str)

    def items(self, name: str, count: int | None = None) -> list[Value]:
        """A list, of exactly `count` items if that is given."""
        value: list[Value] = self._get(name, list)
        if len(value) != (len(value) if count is None else count):
            raise self.bad(name, f"has {len(value)} items")
        return value

    def numbers(self, name: str, end: int = NO_LIMIT, count: int | None = None) -> list[int]:
        """A list of numbers below `end`."""
        found: list[int] = []
        for item in self.items(name, count):
            if not isinstance(item, int) or not 0 <= item < end:
                raise self.bad(name, f"has an item that is no number below {end:#x}")
            found.append(item)
        return found

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        found: list[str] = []
        for item in self.items(name):
            if not isinstance(item, str):
                raise self.bad(name, "has an item that is no text")
            found.append(item)
        return found

    def value(self, name: str) -> Value | None:
        """Whatever it is, to be compared; None if there is none."""
        return self._state.get(name)

    def state(self, name: str) -> State:
        """A State inside of this one."""
        return self._get(name, dict)

    def fields(self, name: str) -> Fields:
        """The fields of a State inside of this one."""
        return Fields(self.state(name), f"{self._where}.{name}", self._what)

    def parts(self, name: str) -> list[Fields]:
        """The fields of each State of a list."""
        return [Fields(item, f"{self._where}.{name}[{i}]", self._what) for i, item in enumerate(self.items(name))]

    def bad(self, name: str, what: str) -> BadState:
        """The error that a field is not what it must be."""
        return BadState(f"the {self._what} is damaged: {self._where}.{name} {what}")

    def _get(self, name: str, kind: type[T]) -> T:
        value = self._state.get(name)
        if not isinstance(value, kind):
            raise self.bad(name, "is missing" if value is None else f"is no {kind.__name__}")
        return value


def encode(value: Value) -> bytes:
    """The value as bytes; `decode` gives it back."""
    match value:
        case int():
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return struct.pack(HEADER, INT, len(data)) + data
        case bytes():
            return struct.pack(HEADER, BYTES, len(value)) + value
        case str():
            data = value.encode("utf-8", "surrogatepass")
            return struct.pack(HEADER, TEXT, len(data)) + data
        case list():
            return struct.pack(HEADER, LIST, len(value)) + b"".join(map(encode, value))
    items = (encode(name) + encode(item) for name, item in value.items())
    return struct.pack(HEADER, DICT, len(value)) + b"".join(items)


def decode(data: bytes, what: str = SNAPSHOT) -> Value:
    """The value that these bytes are of. what: the kind of file they are from. Raises BadState."""
    reader = _Reader(data, what)
    value = reader.value(0)
    if reader.at != len(data):
        raise reader.bad("there is more than its state")
    return value


class _Reader:
    """Nothing is allocated before the bytes for it are there: an item takes at least as many as its header."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data = data
        self.what = what
        self.at = 0

    def bad(self, why: str) -> BadState:
        return BadState(f"the {self.what} is damaged: {why}")

    def value(self, depth: int) -> Value:
        kind, size = self._header()
        if size > len(self.data) - self.at or depth > MOST_DEPTH:
            raise self.bad("its state is cut off, or nested too deep")
        known = READERS.get(kind)
        if known is None:
            raise self.bad(f"there is no kind of value {kind!r}")
        return known(self, size, depth)

    def _header(self) -> tuple[bytes, int]:
        size = struct.calcsize(HEADER)
        if size > len(self.data) - self.at:
            raise self.bad("its state is cut off")
        kind, count = struct.unpack_from(HEADER, self.data, self.at)
        self.at += size
        return kind, count

    def _take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        return self.data[start : self.at]

    def integer(self, size: int, depth: int) -> Value:
        if size > MOST_INT_BYTES:
            raise self.bad(f"it has a number of {size} bytes")
        return int.from_bytes(self._take(size), "little", signed=True)

    def bytes_(self, size: int, depth: int) -> Value:
        return self._take(size)

    def text(self, size: int, depth: int) -> Value:
        try:
            return self._take(size).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise self.bad("it has a text that is none") from None

    def list_(self, size: int, depth: int) -> Value:
        return [self.value(depth + 1) for _ in range(size)]

    def dict_(self, size: int, depth: int) -> Value:
        return dict(self._items(size, depth))

    def _items(self, size: int, depth: int) -> Iterator[tuple[str, Value]]:
        for _ in range(size):
            name = self.value(depth + 1)
            if not isinstance(name, str):
                raise self.bad("a field has no name")
            yield name, self.value(depth + 1)


READERS: dict[bytes, Callable[[_Reader, int, int], Value]] = {
    INT: _Reader.integer,
    BYTES: _Reader.bytes_,
    TEXT: _Reader.text,
    LIST: _Reader.list_,
    DICT: _Reader.dict_,
}
