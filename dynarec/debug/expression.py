"""DWARF expressions (DWARF 5, 2.5 and 2.6): where a variable is, or what its value is."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from elftools.dwarf.dwarf_expr import DW_OP_opcode2name

from dynarec.debug.sections import BadDwarf, Reader
from dynarec.debug.state import Memory

ADDRESS_SIZE = 4
MAX_STEPS = 1000
MAX_STACK = 256
MAX_PIECES = 256
MAX_NESTING = 4
"""Expressions within expressions: entry values and calls."""
MAX_IMPLICIT = 1 << 16


class Unavailable(Exception):  # noqa: N818
    """A value that the compiler did not keep, or describes in a way that is not known."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """It is in guest memory."""

    address: int


@dataclass(frozen=True, slots=True)
class InRegister:
    """It is in a register, by DWARF number."""

    number: int


@dataclass(frozen=True, slots=True)
class Constant:
    """It is nowhere, but has these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """It is nowhere, and its value is not known."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """It is in several places. Each has its size in bits, and the bits that are left out at its beginning."""

    pieces: tuple[tuple[Simple, int, int], ...]


Simple = InMemory | InRegister | Constant | Missing
Location = Simple | Pieces
MISSING = Missing()


class Context(Protocol):
    """What expressions refer to. Each raises Unavailable for what is not known."""

    @property
    def memory(self) -> Memory: ...

    def register(self, number: int) -> int:
        """The value of a register in the frame."""

    def frame_base(self) -> int:
        """What variables of the function are relative to."""

    def cfa(self) -> int:
        """The stack pointer of the caller before the call."""

    def entry_value(self, expression: bytes) -> int:
        """What an expression had as its value when the function was entered."""

    def indexed_address(self, index: int) -> int:
        """An address of .debug_addr."""

    def base_type(self, offset: int) -> tuple[int, bool]:
        """Size in bytes, and whether it is signed, of a type of whole numbers in the unit; 0 means an address."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """A value on the stack; untyped ones have the size of an address, and are not signed."""

    value: int
    size: int = ADDRESS_SIZE
    signed: bool = False


def _typed(value: int, size: int = ADDRESS_SIZE, signed: bool = False) -> _Typed:
    bits = 8 * size
    value &= (1 << bits) - 1
    return _Typed(value - (1 << bits) if signed and value >> (bits - 1) else value, size, signed)


def _signed(item: _Typed) -> int:
    return _typed(item.value, item.size, True).value


def _unsigned(item: _Typed) -> int:
    return _typed(item.value, item.size).value


def _divide(a: int, b: int) -> int:
    if not b:
        raise Unavailable("a division by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _modulo(a: int, b: int) -> int:
    return a - b * _divide(a, b)


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "DW_OP_and": operator.and_,
    "DW_OP_minus": operator.sub,
    "DW_OP_mul": operator.mul,
    "DW_OP_or": operator.or_,
    "DW_OP_plus": operator.add,
    "DW_OP_xor": operator.xor,
    "DW_OP_mod": _modulo,
}
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "DW_OP_eq": operator.eq,
    "DW_OP_ge": operator.ge,
    "DW_OP_gt": operator.gt,
    "DW_OP_le": operator.le,
    "DW_OP_lt": operator.lt,
    "DW_OP_ne": operator.ne,
}
UNARY: dict[str, Callable[[int], int]] = {"DW_OP_abs": abs, "DW_OP_neg": operator.neg, "DW_OP_not": operator.invert}
FIXED = {
    **{f"DW_OP_const{size}u": (size, False) for size in (1, 2, 4, 8)},
    **{f"DW_OP_const{size}s": (size, True) for size in (1, 2, 4, 8)},
    "DW_OP_addr": (ADDRESS_SIZE, False),
}
SHIFTS = frozenset({"DW_OP_shl", "DW_OP_shr", "DW_OP_shra"})


def locate(expression: bytes, context: Context) -> Location:
    """What an expression says. Raises Unavailable, BadDwarf, and GuestMemoryError for memory that it goes through."""
    return _Evaluator(expression, context).location()


def evaluate(expression: bytes, context: Context, initial: int | None = None) -> int:
    """The value of an expression that computes an address or a number, unsigned; as `locate`."""
    machine = _Evaluator(expression, context)
    if initial is not None:
        machine.push(initial)
    machine.run_all()
    return _unsigned(machine.pop())


class _Evaluator:
    """The stack machine."""

    def __init__(self, expression: bytes, context: Context) -> None:
        self.reader = Reader(expression)
        self.context = context
        self.stack: list[_Typed] = []
        self.place: Simple | None = None
        self.steps = 0

    def push(self, value: int, size: int = ADDRESS_SIZE, signed: bool = False) -> None:
        if len(self.stack) >= MAX_STACK:
            raise BadDwarf("an expression with a stack that is too large")
        self.stack.append(_typed(value, size, signed))

    def pop(self) -> _Typed:
        if not self.stack:
            raise BadDwarf("an expression that takes from an empty stack")
        return self.stack.pop()

    def run_all(self) -> None:
        """Run an expression without pieces."""
        while self.reader.at < self.reader.end:
            if self.step() is not None or self.place is not None:
                raise BadDwarf("a place where a value is wanted")

    def location(self) -> Location:
        pieces: list[tuple[Simple, int, int]] = []
        while self.reader.at < self.reader.end:
            piece = self.step()
            if piece is not None:
                pieces.append((self.simple(), *piece))
                self.place, self.stack = None, []
                if len(pieces) > MAX_PIECES:
                    raise BadDwarf("too many pieces")
        return Pieces(tuple(pieces)) if pieces else self.simple()

    def simple(self) -> Simple:
        """The place that was described last."""
        if self.place is not None:
            return self.place
        return InMemory(_unsigned(self.stack[-1])) if self.stack else MISSING

    def step(self) -> tuple[int, int] | None:
        """Do one operation; size and offset in bits when it ends a piece."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise BadDwarf("an expression without an end")
        name = DW_OP_opcode2name.get(self.reader.unsigned(1), "")
        if name == "DW_OP_piece":
            return 8 * self.reader.uleb(), 0
        if name == "DW_OP_bit_piece":
            return self.reader.uleb(), self.reader.uleb()
        if not (self._literal(name) or self._calculate(name) or self._order(name) or self._refer(name)):
            self._describe(name)
        return None

    def _literal(self, name: str) -> bool:
        if name in FIXED:
            size, signed = FIXED[name]
            self.push(self.reader.signed(size) if signed else self.reader.unsigned(size))
        elif name.startswith("DW_OP_lit"):
            self.push(int(name[9:]))
        elif name == "DW_OP_constu":
            self.push(self.reader.uleb())
        elif name == "DW_OP_consts":
            self.push(self.reader.sleb())
        elif name in ("DW_OP_const_type", "DW_OP_GNU_const_type"):
            size, signed = self.context.base_type(self.reader.uleb())
            self.push(int.from_bytes(self.reader.take(self.reader.unsigned(1)), "little"), size, signed)
        elif name in ("DW_OP_addrx", "DW_OP_constx", "DW_OP_GNU_addr_index", "DW_OP_GNU_const_index"):
            self.push(self.context.indexed_address(self.reader.uleb()))
        else:
            return False
        return True

    def _calculate(self, name: str) -> bool:
        if name in UNARY:
            item = self.pop()
            self.push(UNARY[name](_signed(item)), item.size, item.signed)
        elif name == "DW_OP_plus_uconst":
            item = self.pop()
            self.push(item.value + self.reader.uleb(), item.size, item.signed)
        elif name in ARITHMETIC or name in COMPARE or name in SHIFTS or name == "DW_OP_div":
            b, a = self.pop(), self.pop()
            self.push(*self._binary(name, a, b))
        elif name in ("DW_OP_convert", "DW_OP_GNU_convert", "DW_OP_reinterpret", "DW_OP_GNU_reinterpret"):
            offset = self.reader.uleb()
            size, signed = self.context.base_type(offset) if offset else (ADDRESS_SIZE, False)
            self.push(self.pop().value, size, signed)
        else:
            return False
        return True

    def _binary(self, name: str, a: _Typed, b: _Typed) -> tuple[int, int, bool]:
        untyped = a.size == ADDRESS_SIZE and not a.signed
        if name in COMPARE:
            # Values without a type are compared as signed ones (DWARF 5, 2.5.1.5).
            return int(COMPARE[name](_signed(a), _signed(b)) if untyped else COMPARE[name](a.value, b.value)), 4, False
        if name in SHIFTS:
            count = min(_unsigned(b), 8 * a.size)
            value = a.value << count if name == "DW_OP_shl" else _unsigned(a) >> count
            return _signed(a) >> count if name == "DW_OP_shra" else value, a.size, a.signed
        if name == "DW_OP_div":
            return _divide(_signed(a), _signed(b)) if untyped else _divide(a.value, b.value), a.size, a.signed
        return ARITHMETIC[name](a.value, b.value), a.size, a.signed

    def _order(self, name: str) -> bool:
        stack = self.stack
        if name == "DW_OP_dup":
            self._pick(0)
        elif name == "DW_OP_over":
            self._pick(1)
        elif name == "DW_OP_pick":
            self._pick(self.reader.unsigned(1))
        elif name == "DW_OP_drop":
            self.pop()
        elif name == "DW_OP_swap":
            stack += [self.pop(), self.pop()]
        elif name == "DW_OP_rot":
            top, second, third = self.pop(), self.pop(), self.pop()
            stack += [top, third, second]
        elif name in ("DW_OP_nop", "DW_OP_GNU_uninit"):
            pass
        elif name in ("DW_OP_skip", "DW_OP_bra"):
            distance = self.reader.signed(2)
            if name == "DW_OP_skip" or self.pop().value:
                self.reader = Reader(self.reader.data, self.reader.at + distance)
        else:
            return False
        return True

    def _pick(self, depth: int) -> None:
        if depth >= len(self.stack):
            raise BadDwarf("an expression that takes from an empty stack")
        item = self.stack[-1 - depth]
        self.push(item.value, item.size, item.signed)

    def _refer(self, name: str) -> bool:
        context, reader = self.context, self.reader
        if name.startswith("DW_OP_breg") and name[10:].isdigit():
            number = int(name[10:])
            self.push(context.register(number) + reader.sleb())
        elif name == "DW_OP_bregx":
            self.push(context.register(reader.uleb()) + reader.sleb())
        elif name == "DW_OP_fbreg":
            self.push(context.frame_base() + reader.sleb())
        elif name == "DW_OP_call_frame_cfa":
            self.push(context.cfa())
        elif name == "DW_OP_deref":
            self._load(ADDRESS_SIZE)
        elif name == "DW_OP_deref_size":
            self._load(reader.unsigned(1))
        elif name in ("DW_OP_deref_type", "DW_OP_GNU_deref_type"):
            size = reader.unsigned(1)
            self._load(size, *context.base_type(reader.uleb()))
        elif name in ("DW_OP_regval_type", "DW_OP_GNU_regval_type"):
            number = reader.uleb()
            self.push(context.register(number), *context.base_type(reader.uleb()))
        elif name in ("DW_OP_entry_value", "DW_OP_GNU_entry_value"):
            self.push(context.entry_value(reader.take(reader.uleb())))
        else:
            return False
        return True

    def _load(self, size: int, as_size: int = ADDRESS_SIZE, signed: bool = False) -> None:
        if not 1 <= size <= 16:
            raise BadDwarf("a load of no possible size")
        data = self.context.memory.read(_unsigned(self.pop()), size)
        self.push(int.from_bytes(data, "little"), as_size, signed)

    def _describe(self, name: str) -> None:
        if name == "DW_OP_regx":
            self.place = InRegister(self.reader.uleb())
        elif name.startswith("DW_OP_reg") and name[9:].isdigit():
            self.place = InRegister(int(name[9:]))
        elif name == "DW_OP_stack_value":
            item = self.pop()
            self.place = Constant(_unsigned(item).to_bytes(item.size, "little"))
        elif name == "DW_OP_implicit_value":
            size = self.reader.uleb()
            self.place = Constant(self.reader.take(size))
        else:
            raise Unavailable(name or "an operation that is not known")
