"""Types of the source, as C writes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from dynarec.debug.info import Die
from dynarec.debug.sections import BadDwarf, Budget

MAX_DEPTH = 32
"""Types within types: compilers nest fewer, and a damaged file may nest them in circles."""
MAX_CHILDREN = 4000
"""Members of a struct, or names of an enumeration."""
POINTER_SIZE = 4
QUALIFIERS = {
    "DW_TAG_const_type": "const",
    "DW_TAG_volatile_type": "volatile",
    "DW_TAG_restrict_type": "restrict",
    "DW_TAG_atomic_type": "_Atomic",
}
POINTERS = {"DW_TAG_pointer_type": "*", "DW_TAG_reference_type": "&", "DW_TAG_rvalue_reference_type": "&&"}
RECORDS = {
    "DW_TAG_structure_type": "struct",
    "DW_TAG_class_type": "class",
    "DW_TAG_union_type": "union",
}
WORDS = {**RECORDS, "DW_TAG_enumeration_type": "enum"}
BOOLEAN, FLOAT, SIGNED, SIGNED_CHAR, UNSIGNED, UNSIGNED_CHAR, UTF = 0x02, 0x04, 0x05, 0x06, 0x07, 0x08, 0x10
ADDRESS = 0x01
WHOLE = frozenset({ADDRESS, BOOLEAN, SIGNED, SIGNED_CHAR, UNSIGNED, UNSIGNED_CHAR, UTF})


@dataclass(frozen=True, slots=True)
class Member:
    """A part of a struct or union. bit: where it begins, in bits from the start; bits: its size, None when whole."""

    name: str
    type: Type
    bit: int
    bits: int | None


class Type:
    """A type. Only what is asked for is read; each question raises BadDwarf when the answer is damaged."""

    def __init__(self, die: Die | None, dimension: int = 0) -> None:
        """die: None for void. dimension: for the rows of an array, how many of its dimensions are left out."""
        self.die = die
        self.dimension = dimension

    @property
    def tag(self) -> str:
        """What kind of type it is."""
        return self.die.tag if self.die else "void"

    @cached_property
    def target(self) -> Type:
        """What it points to, is an array of, is another name for; what a function returns."""
        return Type(self.die.reference("DW_AT_type")) if self.die else self

    @cached_property
    def plain(self) -> Type:
        """The type behind other names and qualifiers."""
        found = self
        for _ in range(MAX_DEPTH):
            if found.tag != "DW_TAG_typedef" and found.tag not in QUALIFIERS:
                return found
            found = found.target
        raise BadDwarf("a type that is made of itself")

    @property
    def is_pointer(self) -> bool:
        """Whether its values are addresses of others."""
        return self.tag in POINTERS

    @property
    def is_record(self) -> bool:
        """Whether it has members."""
        return self.tag in RECORDS

    @property
    def is_array(self) -> bool:
        """Whether it has elements."""
        return self.tag == "DW_TAG_array_type"

    @property
    def encoding(self) -> int:
        """How a base type is encoded (DW_ATE); 0 for others."""
        return (self.die.number("DW_AT_encoding") or 0) if self.die and self.tag == "DW_TAG_base_type" else 0

    @property
    def is_char(self) -> bool:
        """Whether it is a character of one byte."""
        return self.encoding in (SIGNED_CHAR, UNSIGNED_CHAR) and self.size == 1

    @property
    def is_signed(self) -> bool:
        """Whether its numbers may be negative; an enumeration is what its values are."""
        if self.tag == "DW_TAG_enumeration_type":
            if self.target.die:
                return self.target.plain.is_signed
            return any(value < 0 for _, value in self.enumerators)
        return self.encoding in (SIGNED, SIGNED_CHAR)

    @cached_property
    def size(self) -> int | None:
        """In bytes; None when it is not known before the program runs, or at all."""
        plain = self.plain
        if plain.die is None:
            return None
        found = None if plain.dimension else plain.die.number("DW_AT_byte_size")
        if found is None and plain.is_pointer:
            return POINTER_SIZE
        if found is None and plain.is_array:
            return plain._array_size()
        return found

    def _array_size(self, depth: int = 0) -> int | None:
        count, element = self.count, self.element
        if count is None or depth > MAX_DEPTH:
            return None
        inner = element.plain
        size = inner._array_size(depth + 1) if inner.is_array else inner.size
        return None if size is None else count * size

    @cached_property
    def dimensions(self) -> list[Die]:
        """The dimensions of an array that are left."""
        if self.die is None:
            return []
        kinds = ("DW_TAG_subrange_type", "DW_TAG_enumeration_type")
        return [die for die in self._children(self.die) if die.tag in kinds][self.dimension :]

    @property
    def count(self) -> int | None:
        """The elements of an array; None when it is not known before the program runs, or at all."""
        if not self.dimensions:
            return None
        bounds = self.dimensions[0]
        if "DW_AT_count" in bounds:
            return None if isinstance(bounds.value("DW_AT_count"), bytes) else _constant(bounds, "DW_AT_count")
        upper = _constant(bounds, "DW_AT_upper_bound")
        if upper is None:
            return None
        count = upper + 1 - (bounds.number("DW_AT_lower_bound") or 0)
        return count if 0 <= count < UNBOUNDED else 0

    @cached_property
    def element(self) -> Type:
        """What an array has as elements; rows, if it has several dimensions."""
        return Type(self.die, self.dimension + 1) if len(self.dimensions) > 1 else self.target

    @cached_property
    def members(self) -> list[Member]:
        """The parts of a struct or union, in order; static ones of C++ are left out."""
        if self.die is None:
            return []
        kinds = ("DW_TAG_member", "DW_TAG_inheritance")
        return [
            _member(die)
            for die in self._children(self.die)
            if die.tag in kinds and not die.flag("DW_AT_external") and not die.flag("DW_AT_declaration")
        ]

    @cached_property
    def enumerators(self) -> list[tuple[str, int]]:
        """The names of an enumeration, with their values."""
        if self.die is None:
            return []
        found = ((die.name, die.number("DW_AT_const_value")) for die in self._children(self.die))
        return [(name, value) for name, value in found if value is not None]

    @cached_property
    def name(self) -> str:
        """As a C declaration without a name: `struct point *`, `int (*)[3]`."""
        return self.declare("")

    def declare(self, name: str) -> str:
        """As a C declaration of a name: `struct point *p`, `int (*rows)[3]`."""
        return self._declare(name, 0)

    def _declare(self, inner: str, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise BadDwarf("a type that is made of itself")
        tag = self.tag
        if tag in POINTERS:
            inner = POINTERS[tag] + inner
            if self.target.is_array or self.target.tag == "DW_TAG_subroutine_type":
                inner = f"({inner})"
            return self.target._declare(inner, depth + 1)
        if self.is_array:
            sizes = "".join(f"[{'' if count is None else count}]" for count in self._counts())
            return self.target._declare(inner + sizes, depth + 1)
        if tag == "DW_TAG_subroutine_type":
            return self.target._declare(f"{inner}({self._parameters(depth)})", depth + 1)
        if tag in QUALIFIERS:
            word = QUALIFIERS[tag]
            if self.target.is_pointer:
                return self.target._declare(f" {word} {inner}".rstrip(), depth + 1)
            return f"{word} {self.target._declare(inner, depth + 1)}"
        return _join(self._word(), inner)

    def _word(self) -> str:
        if self.die is None:
            return "void"
        name = self.die.name or "{...}"
        return f"{WORDS[self.tag]} {name}" if self.tag in WORDS else name

    def _counts(self) -> Iterator[int | None]:
        for level in range(len(self.dimensions)):
            yield Type(self.die, self.dimension + level).count

    def _parameters(self, depth: int) -> str:
        assert self.die is not None
        found = []
        for die in self._children(self.die):
            if die.tag == "DW_TAG_formal_parameter":
                found.append(Type(die.reference("DW_AT_type"))._declare("", depth + 1))
            elif die.tag == "DW_TAG_unspecified_parameters":
                found.append("...")
        return ", ".join(found) or "void"

    @staticmethod
    def _children(die: Die) -> list[Die]:
        budget = Budget(die.unit.end - die.unit.offset)
        return list(itertools.islice(die.unit.children(die, budget), MAX_CHILDREN))


UNBOUNDED = 1 << 32


def _join(word: str, inner: str) -> str:
    inner = inner.strip() if inner.startswith(" ") else inner
    return f"{word} {inner}" if inner else word


def _constant(die: Die, name: str) -> int | None:
    """A number that is written in the file; references to variables are numbers too, of another form."""
    return None if die.form(name).startswith("DW_FORM_ref") else die.number(name)


def _member(die: Die) -> Member:
    type_ = Type(die.reference("DW_AT_type"))
    at = 8 * (die.number("DW_AT_data_member_location") or 0)
    bits = die.number("DW_AT_bit_size")
    if (first := die.number("DW_AT_data_bit_offset")) is not None:
        at += first
    elif bits is not None and (from_top := die.number("DW_AT_bit_offset")) is not None:
        # DWARF 3: counted from the most significant bit of the storage unit.
        at += 8 * (die.number("DW_AT_byte_size") or type_.size or 0) - from_top - bits
    return Member(die.name, type_, at, bits)
