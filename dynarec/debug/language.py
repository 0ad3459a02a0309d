"""Expressions of the debugger: a subset of C, over registers, memory, the variables of the source and an access.

    a0 == 5 && list->value > 10        u8[sp + 3]        *(unsigned short *)p        $value & 0x80

A plain name is a variable of the frame or of the program, else a register, else a symbol, which is its address. With
`$`, it is a register; or, where a hook is asked about an access, its `$address`, `$size` and `$value` (what is to be
written, or what is there to be read). Numbers are those of C with an int of 32 bits; registers are ints. What is
undefined in C has a result all the same: numbers wrap around, and the counts of shifts are taken modulo the width.
`*` and `[]` take a number for the address of an int.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from dynarec.conditions import Condition
from dynarec.debug.arithmetic import (
    INT,
    UNSIGNED,
    Integer,
    MistakeError,
    OfSource,
    Pointer,
    Value,
    compute,
    name_of,
    plain,
    size_of,
)
from dynarec.debug.compiled import StaticContext, compile_node
from dynarec.debug.expression import InMemory as At
from dynarec.debug.nodes import Found, Held, InMemory, InRegister, Node, Place, chosen_type, load
from dynarec.debug.state import Memory
from dynarec.debug.syntax import Assignment, parse_text
from dynarec.debug.values import Variable
from dynarec.errors import DynarecError

ADDRESS_MASK = 0xFFFF_FFFF


class Access(Protocol):
    """An access to memory that the guest is about to make (`dynarec.MemoryAccess` is one). value: None for a read."""

    @property
    def address(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def value(self) -> int | None: ...


class Context(Protocol):
    """What expressions are about: a stopped guest, and a frame of it. See `dynarec.debug.scope.Scope`."""

    @property
    def memory(self) -> Memory: ...

    @property
    def access(self) -> Access | None: ...

    def register(self, name: str) -> int | None:
        """Its value, None when there is no such register. Raises DynarecError when it is lost."""

    def set_register(self, name: str, value: int) -> None:
        """Raises DynarecError when it cannot be changed."""

    def variable(self, name: str) -> Variable | None: ...

    def symbol(self, name: str) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Result:
    """The value of an expression: a number, or a variable of the source that is none, such as a struct.

    number: None for the latter. type: as C writes it. text: the value as C writes it.
    """

    number: int | None
    type: str
    text: str
    variable: Variable | None = None

    def __bool__(self) -> bool:
        """Whether it is not zero, as a condition; what is no number holds."""
        return self.number != 0


class Expression:
    """An expression that has been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        with _told(text):
            self._root = parse_text(text)

    def __str__(self) -> str:
        return self.text

    @property
    def is_assignment(self) -> bool:
        """Whether evaluating it changes the guest."""
        return isinstance(self._root, Assignment)

    def evaluate(self, context: Context) -> Result:
        """Its value; of an assignment, the new one. Raises DynarecError, with the place in the text."""
        evaluator = _Evaluator(context)
        with _told(self.text):
            if isinstance(self._root, Assignment):
                return evaluator.assign(self._root)
            return evaluator.result(self._root)

    def address(self, context: Context) -> tuple[int, int]:
        """Where it is in memory, and its size in bytes, for a watchpoint. Raises DynarecError when it is not there."""
        evaluator = _Evaluator(context)
        with _told(self.text):
            if isinstance(self._root, Assignment):
                raise MistakeError("an assignment has no address", 0)
            return evaluator.address(self._root)

    def condition(self, context: StaticContext) -> Condition | None:
        """A condition for a hook that the core evaluates; None when it has to be left to `evaluate`.

        Raises DynarecError when there is no such name, or it can be no condition.
        """
        with _told(self.text):
            if isinstance(self._root, Assignment):
                raise MistakeError("a condition does not assign: == compares", 0)
            return compile_node(self._root, context)


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Expression:
    """Raises DynarecError, with the place in the text."""
    return Expression(text)


class _told:  # noqa: N801
    """Makes a mistake in the block one that users are told of."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if isinstance(error, RecursionError):
            error = MistakeError("it is made of too many parts", 0)
        if isinstance(error, MistakeError):
            raise DynarecError(f"{self._text[:80]!r}, character {(error.at or 0) + 1}: {error}") from None


class _Evaluator:
    """Computes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._quiet = False
        """Only types are asked for: memory is not touched."""

    # -- what nodes say their meaning to (see `Builder`) --------------------------------------------------------------

    def number(self, value: int) -> int:
        return value

    def name(self, name: str) -> Found[int]:
        variable = self._context.variable(name)
        if variable is not None:
            return _place(variable)
        if self._context.register(name) is not None:
            return InRegister(name)
        symbol = self._context.symbol(name)
        if symbol is None:
            raise MistakeError(f"there is no variable, register or symbol {name!r}")
        return Value(symbol, UNSIGNED)

    def special(self, name: str) -> Found[int]:
        if name in ("address", "size", "value"):
            return Value(self._of_access(name), UNSIGNED)
        if self._context.register(name) is None:
            raise MistakeError(f"there is no register {name!r}")
        return InRegister(name)

    def _of_access(self, name: str) -> int:
        access = self._context.access
        if access is None:
            raise MistakeError(f"${name} is known only where the guest accesses memory")
        if name == "address":
            return access.address
        if name == "size":
            return access.size
        return self._load(access.address, access.size) if access.value is None else access.value

    def read(self, place: Place[int]) -> Value[int]:
        if isinstance(place, InRegister):
            return Value(INT.wrap(self._context.register(place.name) or 0), INT)
        if isinstance(place, Held) or place.bits is not None:
            variable = place.variable if isinstance(place, Held) else self._variable(place)
            type_ = plain(OfSource(variable.type, variable))
            number = 0 if self._quiet else variable.number()
            return Value(number, type_ if isinstance(type_, Integer | Pointer) else INT)
        found = plain(place.type)
        assert isinstance(found, Integer | Pointer)
        integer = found if isinstance(found, Integer) else UNSIGNED
        return Value(integer.wrap(self._load(place.address, integer.size)), found)

    def _load(self, address: int, size: int) -> int:
        if self._quiet:
            return 0
        return int.from_bytes(self._context.memory.read(address & ADDRESS_MASK, size), "little")

    def convert(self, value: Value[int], to: Integer) -> int:
        return to.wrap(value.number)

    def binary(self, op: str, a: int, b: int, type_: Integer) -> int:
        return 0 if self._quiet and op in "/%" and not b else compute(op, a, b, type_)

    def choose(self, condition: int, then: Callable[[], Value[int]], otherwise: Callable[[], Value[int]]) -> Value[int]:
        """The other one is asked for its type alone."""
        a, b = self._branch(then, bool(condition)), self._branch(otherwise, not condition)
        type_ = chosen_type(a, b)
        chosen = a if condition else b
        return Value(self.convert(chosen, type_ if isinstance(type_, Integer) else UNSIGNED), type_)

    def _branch(self, branch: Callable[[], Value[int]], is_taken: bool) -> Value[int]:
        was, self._quiet = self._quiet, self._quiet or not is_taken
        try:
            return branch()
        finally:
            self._quiet = was

    # -- results ------------------------------------------------------------------------------------------------------

    def result(self, node: Node) -> Result:
        """The value; a variable of the source is shown as such."""
        found = node.find(self)
        with node.blamed():
            variable = self._shown(found)
            if variable is None:
                value = found if isinstance(found, Value) else load(self, found)
                return Result(value.number, name_of(value.type), _text(value))
            number = None
            if isinstance(plain(OfSource(variable.type, variable)), Integer | Pointer):
                number = variable.number()
            return Result(number, variable.type_name, variable.text, variable)

    def _shown(self, found: Found[int]) -> Variable | None:
        if isinstance(found, Held):
            return found.variable
        if isinstance(found, InMemory) and isinstance(found.type, OfSource):
            return self._variable(found)
        return None

    def _variable(self, place: InMemory[int]) -> Variable:
        """What has a type of the source, as a variable."""
        assert isinstance(place.type, OfSource)
        like = place.type.like
        storage = like.storage and replace(like.storage, location=At(place.address & ADDRESS_MASK))
        return replace(like, type=place.type.type, storage=storage, at=0, shift=place.shift, bits=place.bits)

    def address(self, node: Node) -> tuple[int, int]:
        """Where it is, and its size."""
        place = node.find(self)
        with node.blamed():
            if not isinstance(place, InMemory) or place.bits is not None:
                raise MistakeError("it is not in memory: *(int *)x is what x is the address of")
            return place.address & ADDRESS_MASK, size_of(place.type)

    def assign(self, assignment: Assignment) -> Result:
        """The value that is there then."""
        place = assignment.target.find(self)
        value = assignment.value.value(self)
        with assignment.target.blamed():
            if isinstance(place, Value):
                raise MistakeError("it cannot be changed: it is a value")
            self._store(place, value)
        return self.result(assignment.target)

    def _store(self, place: Place[int], value: Value[int]) -> None:
        variable = self._shown(place)
        if isinstance(place, InRegister):
            self._context.set_register(place.name, UNSIGNED.wrap(value.number))
        elif variable is not None:
            variable.assign(_fitting(variable, value.number))
        else:
            assert isinstance(place, InMemory)
            type_ = load(self, place).integer
            self._context.memory.write(place.address & ADDRESS_MASK, _bytes(type_.wrap(value.number), type_.size))


def _bytes(number: int, size: int) -> bytes:
    return (number & (1 << 8 * size) - 1).to_bytes(size, "little")


def _fitting(variable: Variable, number: int) -> int:
    """The number as the variable holds it."""
    type_ = plain(OfSource(variable.type, variable))
    if variable.bits is not None:
        return number & (1 << variable.bits) - 1
    if isinstance(type_, Pointer):
        return UNSIGNED.wrap(number)
    return type_.wrap(number) if isinstance(type_, Integer) else number


def _place(variable: Variable) -> Place[int]:
    if variable.address is None:
        return Held(variable)
    return InMemory(variable.address, OfSource(variable.type, variable))


def _text(value: Value[int]) -> str:
    """The value as C writes it."""
    if isinstance(value.type, Pointer):
        return hex(value.number)
    is_letter = value.type.size == 1 and not value.type.is_bool and 32 <= value.number < 127
    return f"{value.number} {chr(value.number)!r}" if is_letter else str(value.number)
