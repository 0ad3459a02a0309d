"""Types and numbers as expressions of the debugger have them: C for a machine with words of 32 bits (ilp32)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dynarec.debug.datatypes import BOOLEAN, POINTER_SIZE, WHOLE, Type
from dynarec.debug.sections import BadDwarf
from dynarec.debug.values import Variable

Number = TypeVar("Number")
INT_SIZE, LONGEST = 4, 8
SIZES = (1, 2, INT_SIZE, LONGEST)


class MistakeError(Exception):
    """What is wrong with an expression. at: the place in its text; None: not known yet."""

    def __init__(self, message: str, at: int | None = None) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Integer:
    """A type of whole numbers. size: in bytes. is_bool: its numbers are 0 and 1."""

    size: int
    signed: bool
    is_bool: bool = False

    @property
    def name(self) -> str:
        """As C writes it."""
        word = {1: "char", 2: "short", INT_SIZE: "int", LONGEST: "long long"}[self.size]
        prefix = ("signed " if self.size == 1 else "") if self.signed else "unsigned "
        return "_Bool" if self.is_bool else prefix + word

    def wrap(self, number: int) -> int:
        """The number as this type holds it."""
        if self.is_bool:
            return int(number != 0)
        bits = 8 * self.size
        number &= (1 << bits) - 1
        return number - (1 << bits) if self.signed and number >> (bits - 1) else number


@dataclass(frozen=True, slots=True)
class OfSource:
    """A type of the source. like: a variable, to make others from that have it."""

    type: Type
    like: Variable


@dataclass(frozen=True, slots=True)
class Void:
    """No type: what a pointer to anything points to."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A type of addresses."""

    target: AnyType


AnyType = Integer | Pointer | OfSource | Void
INT, UNSIGNED = Integer(INT_SIZE, True), Integer(INT_SIZE, False)
VOID = Void()


@dataclass(frozen=True, slots=True)
class Value(Generic[Number]):
    """A number with its type."""

    number: Number
    type: Integer | Pointer

    @property
    def integer(self) -> Integer:
        """The type to compute with: addresses are unsigned."""
        return self.type if isinstance(self.type, Integer) else UNSIGNED


def plain(type_: AnyType) -> AnyType:
    """The type without names and qualifiers: numbers and pointers of the source are such here too."""
    if not isinstance(type_, OfSource):
        return type_
    found = type_.type.plain
    size = found.size
    if found.is_pointer:
        return Pointer(VOID if found.target.plain.die is None else OfSource(found.target, type_.like))
    if (found.encoding in WHOLE or found.tag == "DW_TAG_enumeration_type") and size in SIZES:
        assert size is not None
        return Integer(size, found.is_signed, found.encoding == BOOLEAN)
    return OfSource(found, type_.like)


def size_of(type_: AnyType) -> int:
    """In bytes; of no type, and of functions, 1, as GNU C has it. Raises MistakeError when it is not known."""
    type_ = plain(type_)
    if isinstance(type_, Integer):
        return type_.size
    if isinstance(type_, Pointer):
        return POINTER_SIZE
    if isinstance(type_, Void) or type_.type.tag == "DW_TAG_subroutine_type":
        return 1
    size = type_.type.size
    if not size:
        raise MistakeError(f"the size of {type_.type.name} is not known")
    return size


def name_of(type_: AnyType) -> str:
    """As C writes it."""
    if isinstance(type_, Integer):
        return type_.name
    if isinstance(type_, Void):
        return "void"
    if isinstance(type_, OfSource):
        return _declared(type_.type, "")
    if isinstance(type_.target, OfSource):
        target = type_.target.type
        return _declared(target, "(*)" if target.is_array or target.tag == "DW_TAG_subroutine_type" else "*")
    inner = name_of(type_.target)
    return inner + ("*" if inner.endswith("*") else " *")


def _declared(type_: Type, name: str) -> str:
    try:
        return type_.declare(name)
    except (BadDwarf, RecursionError):
        return "?"


def promoted(type_: Integer) -> Integer:
    """What operators make of a type (C11, 6.3.1.1)."""
    return INT if type_.size < INT_SIZE else type_


def common(one: Integer, other: Integer) -> Integer:
    """What two operands become (C11, 6.3.1.8)."""
    one, other = promoted(one), promoted(other)
    if one.size != other.size:
        return one if one.size > other.size else other
    return Integer(one.size, one.signed and other.signed)


def _divide(a: int, b: int) -> int:
    if not b:
        raise MistakeError("a division by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _remainder(a: int, b: int) -> int:
    return a - b * _divide(a, b)


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide, "%": _remainder,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
}  # fmt: skip
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
SHIFTS: dict[str, Callable[[int, int], int]] = {"<<": operator.lshift, ">>": operator.rshift}


def compute(op: str, a: int, b: int, type_: Integer) -> int:
    """What an operator makes of two numbers of a type; counts of shifts are taken modulo the width."""
    if op in COMPARISONS:
        return int(COMPARISONS[op](a, b))
    if op in SHIFTS:
        return type_.wrap(SHIFTS[op](a, b & (8 * type_.size - 1)))
    return type_.wrap(ARITHMETIC[op](a, b))
