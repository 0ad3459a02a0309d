"""The parts of an expression. What they mean is said once, to a builder that computes or one that makes a program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol

from dynarec.debug.arithmetic import (
    COMPARISONS,
    INT,
    SHIFTS,
    UNSIGNED,
    AnyType,
    Integer,
    MistakeError,
    Number,
    OfSource,
    Pointer,
    Value,
    common,
    name_of,
    plain,
    promoted,
    size_of,
)
from dynarec.debug.datatypes import Type
from dynarec.debug.expression import Unavailable
from dynarec.debug.sections import BadDwarf
from dynarec.debug.values import Variable
from dynarec.errors import DynarecError

MAX_MEMBER_DEPTH = 8
ADDITIVE = ("+", "-")


@dataclass(frozen=True, slots=True)
class InMemory(Generic[Number]):
    """Something in guest memory. shift, bits: of a bit field."""

    address: Number
    type: AnyType
    shift: int = 0
    bits: int | None = None


@dataclass(frozen=True, slots=True)
class InRegister:
    """A register of the guest, which is an int."""

    name: str


@dataclass(frozen=True, slots=True)
class Held:
    """A variable of the source that is not in memory, or not all of it."""

    variable: Variable


Place = InMemory[Number] | InRegister | Held
Found = Value[Number] | Place[Number]


class Builder(Protocol[Number]):
    """What nodes say their meaning to. Each function raises MistakeError for what there is not."""

    def number(self, value: int) -> Number: ...

    def name(self, name: str) -> Found[Number]:
        """A variable, a register or a symbol."""

    def special(self, name: str) -> Found[Number]:
        """A register, or what is known of the access; without the `$`."""

    def read(self, place: Place[Number]) -> Value[Number]:
        """The number at a place, which has one."""

    def convert(self, value: Value[Number], to: Integer) -> Number: ...

    def binary(self, op: str, a: Number, b: Number, type_: Integer) -> Number: ...

    def choose(
        self, condition: Number, then: Callable[[], Value[Number]], otherwise: Callable[[], Value[Number]]
    ) -> Value[Number]:
        """One of two values, which are of one type then; the other one is not computed."""


@dataclass(frozen=True, slots=True)
class Node(ABC):
    """at: its place in the text."""

    at: int

    def find(self, m: Builder[Number]) -> Found[Number]:
        """Its value, or where it is. Raises MistakeError, with the place of the innermost part that is to blame."""
        with self.blamed():
            return self._find(m)

    def value(self, m: Builder[Number]) -> Value[Number]:
        """Its value; as `find`."""
        with self.blamed():
            found = self._find(m)
            return found if isinstance(found, Value) else load(m, found)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """What goes wrong in the block is a mistake at this place, unless it is known to be one of an inner part."""
        try:
            yield
        except MistakeError as error:
            raise MistakeError(str(error), self.at if error.at is None else error.at) from None
        except (DynarecError, Unavailable, BadDwarf) as error:
            raise MistakeError(str(error), self.at) from None
        except RecursionError:
            raise MistakeError("it is made of too many parts", self.at) from None

    @abstractmethod
    def _find(self, m: Builder[Number]) -> Found[Number]: ...


def load(m: Builder[Number], place: Place[Number]) -> Value[Number]:
    """What is at a place: a number; the address of an array or a function."""
    if isinstance(place, InMemory):
        type_ = plain(place.type)
        if isinstance(type_, OfSource):
            if type_.type.is_array:
                return Value(place.address, Pointer(OfSource(type_.type.element, type_.like)))
            if type_.type.tag == "DW_TAG_subroutine_type":
                return Value(place.address, Pointer(type_))
        if not isinstance(type_, Integer | Pointer):
            raise MistakeError(f"{name_of(type_)} is no whole number: name one, or a part that is one")
    return m.read(place)


def truth(m: Builder[Number], value: Value[Number], op: str = "!=") -> Number:
    """Whether a value is not zero, or is."""
    return m.binary(op, value.number, m.number(0), value.integer)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number that is written down."""

    number: int
    type: Integer

    def _find(self, m: Builder[Number]) -> Found[Number]:
        return Value(m.number(self.number), self.type)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name, with `$` or without."""

    name: str

    def _find(self, m: Builder[Number]) -> Found[Number]:
        return m.special(self.name[1:]) if self.name.startswith("$") else m.name(self.name)


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """An operator before its operand: - + ~ !"""

    op: str
    operand: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        value = self.operand.value(m)
        if self.op == "!":
            return Value(truth(m, value, "=="), INT)
        type_ = promoted(value.integer)
        number, constant = m.convert(value, type_), m.number(-1 if self.op == "~" else 0)
        if self.op == "+":
            return Value(number, type_)
        return Value(m.binary("^" if self.op == "~" else "-", constant, number, type_), type_)


@dataclass(frozen=True, slots=True)
class Address(Node):
    """`&x`"""

    operand: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        place = self.operand.find(m)
        if not isinstance(place, InMemory) or place.bits is not None:
            raise MistakeError("it has no address")
        return Value(place.address, Pointer(place.type))


@dataclass(frozen=True, slots=True)
class Dereference(Node):
    """`*p`; what is no pointer is taken for one to an int."""

    operand: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        return pointed_to(m, self.operand.value(m))


def pointed_to(m: Builder[Number], value: Value[Number]) -> InMemory[Number]:
    """What is at an address."""
    if isinstance(value.type, Pointer):
        return InMemory(value.number, value.type.target)
    return InMemory(m.convert(value, UNSIGNED), INT)


@dataclass(frozen=True, slots=True)
class Element(Node):
    """`a[i]`"""

    base: Node
    index: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        return pointed_to(m, add(m, "+", self.base.value(m), self.index.value(m)))


@dataclass(frozen=True, slots=True)
class Memory(Node):
    """`u8[address]` and the like."""

    type: Integer
    address: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        return InMemory(m.convert(self.address.value(m), UNSIGNED), self.type)


@dataclass(frozen=True, slots=True)
class MemberOf(Node):
    """`s.x`, `p->x`"""

    operand: Node
    name: str
    through: bool

    def _find(self, m: Builder[Number]) -> Found[Number]:
        place = pointed_to(m, self.operand.value(m)) if self.through else self.operand.find(m)
        if isinstance(place, Held):
            return self._part(place.variable)
        type_ = plain(place.type) if isinstance(place, InMemory) else INT
        if not isinstance(place, InMemory) or not isinstance(type_, OfSource) or not type_.type.is_record:
            raise MistakeError(f"{name_of(type_)} has no members")
        found = member(type_.type, self.name)
        if found is None:
            raise MistakeError(f"{name_of(type_)} has no member {self.name!r}")
        bit, of_type, bits = found
        address = m.binary("+", place.address, m.number(bit // 8), UNSIGNED)
        return InMemory(address, OfSource(of_type, type_.like), bit % 8, bits)

    def _part(self, variable: Variable) -> Held:
        part = variable.child(self.name)
        if part is None:
            raise MistakeError(f"{variable.type_name} has no member {self.name!r}")
        return Held(part)


def member(type_: Type, name: str, depth: int = 0) -> tuple[int, Type, int | None] | None:
    """The first bit, the type and the bits (None: all) of a member; also of one within a member without a name."""
    for each in type_.members:
        if each.name == name:
            return each.bit, each.type, each.bits
        inner = each.type.plain
        if not each.name and inner.is_record and depth < MAX_MEMBER_DEPTH:
            found = member(inner, name, depth + 1)
            if found:
                return each.bit + found[0], *found[1:]
    return None


@dataclass(frozen=True, slots=True)
class Cast(Node):
    """`(short)x`"""

    type: AnyType
    operand: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        value = self.operand.value(m)
        if isinstance(self.type, Pointer):
            return Value(m.convert(value, UNSIGNED), self.type)
        if not isinstance(self.type, Integer):
            raise MistakeError(f"a value cannot be {name_of(self.type)}")
        return Value(m.convert(value, self.type), self.type)


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An operator between its operands; not `&&` and `||`."""

    op: str
    left: Node
    right: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        a, b = self.left.value(m), self.right.value(m)
        if self.op in ADDITIVE and (isinstance(a.type, Pointer) or isinstance(b.type, Pointer)):
            return add(m, self.op, a, b)
        type_ = promoted(a.integer) if self.op in SHIFTS else common(a.integer, b.integer)
        number = m.binary(self.op, m.convert(a, type_), m.convert(b, type_), type_)
        return Value(number, INT if self.op in COMPARISONS else type_)


def add(m: Builder[Number], op: str, a: Value[Number], b: Value[Number]) -> Value[Number]:
    """Sums and differences with pointers: in units of what they point to."""
    if op == "+" and isinstance(b.type, Pointer):
        a, b = b, a
    pointer = a.type if isinstance(a.type, Pointer) else Pointer(INT)
    unit = size_of(pointer.target)
    if not isinstance(b.type, Pointer):
        step = m.binary("*", m.convert(b, UNSIGNED), m.number(unit), UNSIGNED)
        return Value(m.binary(op, m.convert(a, UNSIGNED), step, UNSIGNED), pointer)
    if op == "+" or not isinstance(a.type, Pointer):
        raise MistakeError("two pointers are added, or one is taken from a number")
    distance = m.binary("-", a.number, b.number, INT)
    return Value(m.binary("/", distance, m.number(unit), INT), INT)


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """`a && b`, `a || b`: the second one is computed only where it matters."""

    op: str
    left: Node
    right: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        def second() -> Value[Number]:
            return Value(truth(m, self.right.value(m)), INT)

        def known() -> Value[Number]:
            return Value(m.number(int(self.op == "||")), INT)

        first = truth(m, self.left.value(m))
        return m.choose(first, second, known) if self.op == "&&" else m.choose(first, known, second)


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """`a ? b : c`"""

    condition: Node
    then: Node
    otherwise: Node

    def _find(self, m: Builder[Number]) -> Found[Number]:
        condition = truth(m, self.condition.value(m))
        return m.choose(condition, lambda: self.then.value(m), lambda: self.otherwise.value(m))


def chosen_type(one: Value[Any], other: Value[Any]) -> Integer | Pointer:
    """The type of a choice: that of a pointer, if there is one."""
    if isinstance(one.type, Pointer):
        return one.type
    return other.type if isinstance(other.type, Pointer) else common(one.type, other.type)
