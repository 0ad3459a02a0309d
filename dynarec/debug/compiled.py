"""Expressions as conditions that the core evaluates: those of registers, memory at known places, and an access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dynarec.conditions import SIZE, STACK, Condition, Insn, Op
from dynarec.debug.arithmetic import INT, UNSIGNED, Integer, MistakeError, OfSource, Pointer, Value, compute, plain
from dynarec.debug.nodes import Found, InMemory, Node, Place, chosen_type
from dynarec.debug.values import Variable

WORD_MASK = 0xFFFF_FFFF
OF_ACCESS = {"address": Op.ADDRESS, "size": Op.SIZE, "value": Op.VALUE}
LOADS = {1: Op.LOAD8, 2: Op.LOAD16, 4: Op.LOAD32}
EXTENSIONS = {(1, True): Op.SEXT8, (2, True): Op.SEXT16, (1, False): Op.ZEXT8, (2, False): Op.ZEXT16}
OPS = {
    "+": Op.ADD, "-": Op.SUB, "*": Op.MUL, "&": Op.AND, "|": Op.OR, "^": Op.XOR, "<<": Op.SHL,
    "==": Op.EQ, "!=": Op.NE,
}  # fmt: skip
SIGNED = {"/": Op.DIVS, "%": Op.REMS, ">>": Op.SAR, "<": Op.LTS, ">=": Op.GES}
UNSIGNED_OPS = {"/": Op.DIVU, "%": Op.REMU, ">>": Op.SHR, "<": Op.LTU, ">=": Op.GEU}
DIVISIONS = ("/", "%")
MIRRORED = {">": "<", "<=": ">="}


class NotStaticError(Exception):
    """Something that the core cannot find or compute by itself."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where a variable is, whenever the guest is at the hook: at an offset from a register, or in it.

    register: its number in the guest's state; None: the offset is the address.
    """

    variable: Variable
    register: int | None
    offset: int = 0
    in_memory: bool = True


class StaticContext(Protocol):
    """What is known of the place of a hook before the guest is there. See `dynarec.debug.scope.HookSite`."""

    @property
    def has_access(self) -> bool: ...

    def register(self, name: str) -> Insn | None: ...

    def variable(self, name: str) -> Located | None:
        """None when there is none of that name. Raises NotStaticError."""

    def symbol(self, name: str) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Code:
    """A part of a program, which leaves one word. depth: of the stack that it needs."""

    insns: tuple[Insn, ...]
    depth: int = 1

    @property
    def constant(self) -> int | None:
        """The word, if it is known."""
        return self.insns[0].number if len(self.insns) == 1 and self.insns[0].op is Op.NUMBER else None

    def then(self, op: Op) -> Code:
        """With an op that replaces the word."""
        return Code((*self.insns, Insn(op)), self.depth)

    def joined(self, other: Code, op: Op) -> Code:
        """With an op of this word and another one."""
        return Code((*self.insns, *other.insns, Insn(op)), max(self.depth, other.depth + 1))


def compile_node(node: Node, context: StaticContext) -> Condition | None:
    """A condition; None when the core cannot evaluate it. Raises MistakeError."""
    try:
        value = node.value(_Compiler(context))
        _check_size(value.integer)
    except NotStaticError:
        return None
    code = value.number
    return Condition(code.insns) if len(code.insns) <= SIZE and code.depth <= STACK else None


def _check_size(type_: Integer) -> None:
    if type_.size > INT.size:
        raise NotStaticError


def _check_growth(code: Code) -> Code:
    """Choices may double what they are made of."""
    if len(code.insns) > SIZE:
        raise NotStaticError
    return code


class _Compiler:
    """Makes a program (see `Builder`)."""

    def __init__(self, context: StaticContext) -> None:
        self._context = context

    def number(self, value: int) -> Code:
        return Code((Insn(Op.NUMBER, value & WORD_MASK),))

    def name(self, name: str) -> Found[Code]:
        located = self._context.variable(name)
        if located is not None:
            return self._variable(located)
        register = self._context.register(name)
        if register is not None:
            return Value(Code((register,)), INT)
        symbol = self._context.symbol(name)
        if symbol is None:
            raise MistakeError(f"there is no variable, register or symbol {name!r}")
        return Value(self.number(symbol), UNSIGNED)

    def _variable(self, located: Located) -> Found[Code]:
        variable = located.variable
        if not located.in_memory:
            assert located.register is not None
            type_ = plain(OfSource(variable.type, variable))
            if not isinstance(type_, Integer | Pointer):
                raise NotStaticError
            word = Value(Code((Insn(Op.REGISTER, located.register),)), UNSIGNED)
            return Value(self.convert(word, type_), type_) if isinstance(type_, Integer) else Value(word.number, type_)
        address = self.number(located.offset)
        if located.register is not None:
            address = Code((Insn(Op.REGISTER, located.register),)).joined(address, Op.ADD)
        return InMemory(address, OfSource(variable.type, variable))

    def special(self, name: str) -> Found[Code]:
        if name in OF_ACCESS:
            if not self._context.has_access:
                raise MistakeError(f"${name} is known only where the guest accesses memory")
            return Value(Code((Insn(OF_ACCESS[name]),)), UNSIGNED)
        register = self._context.register(name)
        if register is None:
            raise MistakeError(f"there is no register {name!r}")
        return Value(Code((register,)), INT)

    def read(self, place: Place[Code]) -> Value[Code]:
        if not isinstance(place, InMemory) or place.bits is not None:
            raise NotStaticError
        type_ = plain(place.type)
        assert isinstance(type_, Integer | Pointer)
        integer = type_ if isinstance(type_, Integer) else UNSIGNED
        _check_size(integer)
        loaded = Value(place.address.then(LOADS[integer.size]), Integer(integer.size, False))
        return Value(self.convert(loaded, integer), type_)

    def convert(self, value: Value[Code], to: Integer) -> Code:
        _check_size(value.integer)
        _check_size(to)
        if to.is_bool:
            return value.number if value.integer.is_bool else value.number.joined(self.number(0), Op.NE)
        if to.size == INT.size or value.type == to:
            return value.number
        return value.number.then(EXTENSIONS[to.size, to.signed])

    def binary(self, op: str, a: Code, b: Code, type_: Integer) -> Code:
        _check_size(type_)
        if a.constant is not None and b.constant is not None and (b.constant or op not in DIVISIONS):
            return self.number(compute(op, type_.wrap(a.constant), type_.wrap(b.constant), type_))
        if op in MIRRORED:
            op, a, b = MIRRORED[op], b, a
        of_sign = SIGNED if type_.signed else UNSIGNED_OPS
        return _check_growth(a.joined(b, OPS[op] if op in OPS else of_sign[op]))

    def choose(
        self, condition: Code, then: Callable[[], Value[Code]], otherwise: Callable[[], Value[Code]]
    ) -> Value[Code]:
        a, b = then(), otherwise()
        type_ = chosen_type(a, b)
        integer = type_ if isinstance(type_, Integer) else UNSIGNED
        first, second = self.convert(a, integer), self.convert(b, integer)
        skip = Insn(Op.SKIP_IF_ZERO, len(first.insns) + 1), Insn(Op.SKIP, len(second.insns))
        insns = (*condition.insns, skip[0], *first.insns, skip[1], *second.insns)
        return Value(_check_growth(Code(insns, max(condition.depth, first.depth, second.depth))), type_)
