"""Variables with their values: as text, as trees, and changed."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from dynarec.debug.datatypes import ADDRESS, BOOLEAN, FLOAT, WHOLE, Type
from dynarec.debug.expression import InMemory, Unavailable
from dynarec.debug.sections import BadDwarf
from dynarec.debug.storage import Storage
from dynarec.errors import DynarecError, GuestMemoryError

ADDRESS_MASK = 0xFFFF_FFFF
MAX_TEXT = 200
"""Characters of a string, and elements of an array, that are shown."""
MAX_NODES = 1000
"""Values that are shown for one variable."""
MAX_DEPTH = 8
MAX_NUMBER = 16
OPTIMISED_OUT = "<optimised out>"
NOT_KNOWN = "<not known>"
FLOATS = {2: ("<e", 5), 4: ("<f", 9), 8: ("<d", 17)}
QUAD_BITS, QUAD_BIAS = 112, 16383
ESCAPES = {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\"}

Names = Callable[[int], str]
Count = Callable[[Type], int | None]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the program, or a part of one.

    storage: where it is; None when it is nowhere. at: where it begins in there, in bytes. shift, bits: of a bit field.
    function_name: the function at an address, for pointers to functions. count: the elements of an array whose size
    only the running program knows.
    """

    name: str
    type: Type
    storage: Storage | None
    function_name: Names
    count: Count
    at: int = 0
    shift: int = 0
    bits: int | None = None

    def __str__(self) -> str:
        """A line of C: `struct point p = {x = 1, y = 2}`."""
        return f"{self.declaration} = {self.text}"

    @property
    def declaration(self) -> str:
        """The type and the name: `char name[8]`."""
        try:
            return self.type.declare(self.name)
        except (BadDwarf, RecursionError):
            return f"? {self.name}"

    @property
    def type_name(self) -> str:
        """The type: `char [8]`."""
        try:
            return self.type.name
        except (BadDwarf, RecursionError):
            return "?"

    @property
    def address(self) -> int | None:
        """Where it is in memory; None when it is not there, or a bit field."""
        base = self.storage.address if self.storage and self.bits is None else None
        return None if base is None else base + self.at & ADDRESS_MASK

    @property
    def size(self) -> int | None:
        """In bytes; None when unknown."""
        try:
            return self.type.size
        except (BadDwarf, RecursionError):
            return None

    @property
    def text(self) -> str:
        """The value as C would write it, or in angle brackets why there is none."""
        return _Writer().text(self, 0)

    @property
    def has_children(self) -> bool:
        """Whether it has parts, for a tree view."""
        try:
            plain = self.type.plain
            return plain.is_record or plain.is_array or (plain.is_pointer and plain.target.plain.size is not None)
        except (BadDwarf, RecursionError):
            return False

    def children(self, start: int = 0, most: int = MAX_TEXT) -> list[Variable]:
        """Its members, elements or what it points to: at most so many from one on; none when they are not known."""
        try:
            return list(self._children(start, most))
        except (BadDwarf, Unavailable, GuestMemoryError, RecursionError):
            return []

    def _children(self, start: int, most: int) -> Iterator[Variable]:
        plain = self.type.plain
        if plain.is_record:
            for member in plain.members[start : start + most]:
                yield self._member(member.name, member.type, member.bit, member.bits)
        elif plain.is_array:
            size = plain.element.size
            for index in range(start, min(self.length() or 0, start + most)):
                if size is None:
                    return
                at = self.at + index * size
                yield replace(self, name=f"[{index}]", type=plain.element, at=at, shift=0, bits=None)
        elif plain.is_pointer and plain.target.plain.size is not None and self.storage and not start:
            place = replace(self.storage, location=InMemory(self.number()))
            yield replace(self, name=f"*{self.name}", type=plain.target, storage=place, at=0, shift=0, bits=None)

    def _member(self, name: str, type_: Type, bit: int, bits: int | None) -> Variable:
        return replace(self, name=name, type=type_, at=self.at + bit // 8, shift=bit % 8, bits=bits)

    def child(self, name: str) -> Variable | None:
        """The member of this name; also one of a struct or union without a name within it."""
        for each in self.children(most=MAX_NODES):
            if each.name == name:
                return each
            if not each.name and (found := each.child(name)):
                return found
        return None

    def length(self) -> int | None:
        """The elements of an array; None when unknown."""
        plain = self.type.plain
        found = plain.count
        return self.count(plain) if found is None else found

    def read(self) -> bytes:
        """Its bytes; those that hold it, for a bit field. Raises Unavailable, BadDwarf, GuestMemoryError."""
        if self.storage is None:
            raise Unavailable("optimised out")
        size = self.type.size
        if self.bits is not None:
            size = (self.shift + self.bits + 7) // 8
        if size is None:
            raise Unavailable("of no known size")
        return self.storage.read(self.at, size)

    def number(self) -> int:
        """The value of a whole number, a pointer or an enumeration. Raises as `read`, and Unavailable for others."""
        plain = self.type.plain
        if not (plain.encoding in WHOLE or plain.is_pointer or plain.tag == "DW_TAG_enumeration_type"):
            raise Unavailable("no number")
        size = self.type.size
        bits = 8 * (size or 0) if self.bits is None else self.bits
        if self.storage is None:
            raise Unavailable("optimised out")
        if not 0 <= bits <= 8 * MAX_NUMBER:
            raise Unavailable("too large a number")
        if not bits:
            return 0
        value = self.storage.read_bits(8 * self.at + self.shift, bits)
        return value - (1 << bits) if plain.is_signed and value >> (bits - 1) else value

    def assign(self, value: float | str) -> None:
        """Change a number, a pointer or an enumeration; text is read as C would write it.

        Raises DynarecError, one line, when the value does not fit or the variable cannot be changed.
        """
        try:
            self._assign(value)
        except (BadDwarf, Unavailable, RecursionError, struct.error, OverflowError) as error:
            raise DynarecError(f"{self.name or 'it'} cannot be changed: {error}") from error

    def _assign(self, value: float | str) -> None:
        plain = self.type.plain
        old = self.read()
        if self.storage is None:
            raise Unavailable("optimised out")
        if plain.encoding == FLOAT:
            if len(old) not in FLOATS:
                raise Unavailable("a number of this size is not supported")
            self.storage.write(self.at, struct.pack(FLOATS[len(old)][0], _number(value, float)))
            return
        self.number()  # refuses what is none
        number = self._enumerator(value)
        bits = 8 * len(old) if self.bits is None else self.bits
        if not -(1 << bits - 1 if bits else 0) <= number < 1 << bits:
            raise Unavailable(f"{number} does not fit into {bits} bits")
        mask = ((1 << bits) - 1) << self.shift
        whole = int.from_bytes(old, "little") & ~mask | number << self.shift & mask
        self.storage.write(self.at, whole.to_bytes(len(old), "little"))

    def _enumerator(self, value: float | str) -> int:
        plain = self.type.plain
        names = dict(plain.enumerators) if plain.tag == "DW_TAG_enumeration_type" else {}
        if plain.encoding == BOOLEAN:
            names = {"true": 1, "false": 0}
        if isinstance(value, str) and value.strip() in names:
            return names[value.strip()]
        return int(_number(value, lambda text: _whole(text)))


def _number(value: float | str, read: Callable[[str], float]) -> float:
    if not isinstance(value, str):
        return value
    try:
        return read(value.strip())
    except ValueError:
        raise Unavailable(f"{value!r} is not a number") from None


def _whole(text: str) -> int:
    if len(text) == 3 and text[0] == text[2] == "'":
        return ord(text[1])
    return int(text, 0)


class _Writer:
    """Writes one variable; what is too long is cut."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def text(self, variable: Variable, depth: int) -> str:
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            return "..."
        try:
            return self._text(variable, depth)
        except Unavailable as error:
            return OPTIMISED_OUT if str(error) == "optimised out" else f"<{error}>"
        except GuestMemoryError as error:
            return f"<cannot read memory at {error.address:#x}>"
        except (BadDwarf, RecursionError):
            return NOT_KNOWN

    def _text(self, variable: Variable, depth: int) -> str:
        plain = variable.type.plain
        if plain.is_record:
            return self._record(variable, depth)
        if plain.is_array:
            return self._array(variable, plain, depth)
        if plain.encoding == FLOAT:
            return _float(variable.read())
        if plain.is_pointer:
            return _pointer(variable, plain)
        if plain.tag == "DW_TAG_enumeration_type":
            return _enumeration(plain, variable.number())
        if plain.encoding == BOOLEAN:
            return {0: "false", 1: "true"}.get(variable.number(), str(variable.number()))
        if plain.encoding == ADDRESS:
            return hex(variable.number())
        if plain.is_char and variable.bits is None:
            return f"{variable.number()} '{_escape(variable.read(), quote=chr(39))}'"
        if plain.encoding in WHOLE:
            return str(variable.number())
        return f"0x{variable.read()[::-1].hex()}" if plain.encoding else NOT_KNOWN

    def _record(self, variable: Variable, depth: int) -> str:
        if variable.storage is None:
            raise Unavailable("optimised out")
        parts = []
        for each in variable._children(0, MAX_TEXT):
            text = self.text(each, depth + 1)
            parts.append(f"{each.name} = {text}" if each.name else text)
        return "{" + ", ".join(parts) + "}"

    def _array(self, variable: Variable, plain: Type, depth: int) -> str:
        count = variable.length()
        if variable.storage is None:
            raise Unavailable("optimised out")
        if count is None:
            return NOT_KNOWN
        if plain.element.plain.is_char:
            with suppress(Unavailable):  # some of its characters may be known
                data = variable.storage.read(variable.at, min(count, MAX_TEXT))
                return _string(data.rstrip(b"\0")) + ("..." if count > MAX_TEXT and b"\0" not in data else "")
        parts = [self.text(each, depth + 1) for each in variable._children(0, MAX_TEXT) if self.left > 0]
        if count > len(parts):
            parts.append("...")
        return "{" + ", ".join(parts) + "}"


def _pointer(variable: Variable, plain: Type) -> str:
    value = variable.number()
    target = plain.target.plain
    text = f"{value:#x}"
    if target.tag == "DW_TAG_subroutine_type":
        name = variable.function_name(value)
        return f"{text} <{name}>" if name else text
    if target.is_char and value and variable.storage:
        return f"{text} {_string_at(variable.storage, value)}"
    return text


def _string_at(storage: Storage, address: int) -> str:
    """A string of C, up to its zero or where memory ends."""
    data = b""
    for at in range(address, address + MAX_TEXT):
        try:
            byte = storage.memory.read(at & ADDRESS_MASK, 1)
        except GuestMemoryError:
            if not data:
                raise
            break
        if byte == b"\0":
            return _string(data)
        data += byte
    return _string(data) + "..."


def _string(data: bytes) -> str:
    return f'"{_escape(data)}"'


def _escape(data: bytes, quote: str = '"') -> str:
    return "".join(_character(byte, quote) for byte in data)


def _character(byte: int, quote: str) -> str:
    if byte in ESCAPES:
        return ESCAPES[byte]
    if chr(byte) == quote:
        return f"\\{quote}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def _enumeration(plain: Type, value: int) -> str:
    names = plain.enumerators
    for name, each in names:
        if each == value:
            return name
    flags, rest = [], value
    for name, each in names:
        if each > 0 and each & (each - 1) == 0 and rest & each:
            flags.append(name)
            rest &= ~each
    return f"({' | '.join(flags)})" if flags and not rest else str(value)


def _float(data: bytes) -> str:
    if len(data) in FLOATS:
        form, digits = FLOATS[len(data)]
        value = struct.unpack(form, data)[0]
        return f"{value:.{digits}g}"
    return f"{_quad(int.from_bytes(data, 'little')):.17g}" if len(data) == 16 else f"0x{data[::-1].hex()}"


def _quad(bits: int) -> float:
    """A number of 128 bits, with the precision of one of 64."""
    fraction, exponent = bits & ((1 << QUAD_BITS) - 1), bits >> QUAD_BITS & 0x7FFF
    sign = -1.0 if bits >> 127 else 1.0
    if exponent == 0x7FFF:
        return math.nan if fraction else sign * math.inf
    whole = fraction | (1 << QUAD_BITS if exponent else 0)
    try:
        return sign * math.ldexp(whole, max(exponent, 1) - QUAD_BIAS - QUAD_BITS)
    except OverflowError:
        return sign * math.inf
