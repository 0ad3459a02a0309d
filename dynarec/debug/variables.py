"""The variables that a frame can see, and those of the whole program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dynarec.debug.datatypes import WHOLE, Type
from dynarec.debug.expression import (
    Constant,
    InRegister,
    Location,
    Unavailable,
    evaluate,
    locate,
)
from dynarec.debug.functions import Function, Functions, Scope
from dynarec.debug.info import Die, Unit
from dynarec.debug.sections import BadDwarf, Budget
from dynarec.debug.state import Memory, Registers
from dynarec.debug.storage import Storage
from dynarec.debug.unwind import Activation
from dynarec.debug.values import Variable
from dynarec.errors import GuestMemoryError

ADDRESS_MASK = 0xFFFF_FFFF
MAX_VARIABLES = 1000
MAX_CALLERS = 4
"""Callers that are asked for the value of an argument which they were passed themselves."""


@dataclass(frozen=True, slots=True)
class Place:
    """A frame of a stopped guest, as variables see it; of a program that was not started, without function."""

    activation: Activation
    function: Function | None
    memory: Memory
    registers: Registers | None = None
    budget: Budget = field(default_factory=Budget)


class Variables:
    """The variables of one program."""

    def __init__(self, functions: Functions, function_name: Callable[[int], str]) -> None:
        self._functions = functions
        self._function_name = function_name

    def visible(self, scopes: tuple[Scope, ...], place: Place) -> list[Variable]:
        """The parameters and variables of scopes, the outermost first; damaged ones are left out."""
        found = []
        for scope in scopes:
            for die in (*scope.parameters, *scope.variables):
                variable = self._variable(die, place)
                if variable is not None and variable.name:
                    found.append(variable)
        return found[-MAX_VARIABLES:]

    def globals(self, name: str, place: Place) -> list[Variable]:
        """The variables of a name outside of functions; one of the file of the frame comes first."""
        dies = self._functions.globals(name)
        if place.function:
            here = place.function.die.unit
            dies.sort(key=lambda die: die.unit is not here)
        found = (self._variable(die, place) for die in dies)
        return [variable for variable in found if variable is not None]

    def _variable(self, die: Die, place: Place) -> Variable | None:
        try:
            name, typed = die.name, die.having("DW_AT_type")
            type_ = Type(typed.reference("DW_AT_type") if typed else None)
            if die.flag("DW_AT_declaration") and die.flag("DW_AT_external"):
                return next(iter(self.globals(name, place)), None)
        except BadDwarf:
            return None
        context = _Context(self._functions, die.unit, place)
        return Variable(name, type_, self._storage(die, type_, context), self._function_name, context.count)

    def _storage(self, die: Die, type_: Type, context: _Context) -> Storage | None:
        """Where it is; None when it is nowhere."""
        place = context.place
        try:
            location = context.location(die, type_)
        except (BadDwarf, Unavailable, GuestMemoryError, RecursionError):
            return None
        return None if location is None else Storage(location, place.activation, place.memory, place.registers)


class _Context:
    """What expressions in a unit refer to, in one frame."""

    def __init__(self, functions: Functions, unit: Unit, place: Place, callers: int = 0) -> None:
        self.functions = functions
        self.unit = unit
        self.place = place
        self.memory = place.memory
        self.callers = callers

    def location(self, die: Die, type_: Type) -> Location | None:
        """Where a variable is at the place."""
        holder = die.having("DW_AT_location")
        if holder is not None:
            expression = self.expression(holder, "DW_AT_location")
            return locate(expression, self) if expression else None
        constant = die.having("DW_AT_const_value")
        return self._constant(constant, type_) if constant is not None else None

    def expression(self, die: Die, name: str) -> bytes | None:
        """The expression of an attribute that holds at the place; None when none does."""
        value = die.value(name)
        if isinstance(value, bytes) or value is None:
            return value
        budget = self.place.budget
        default = None
        for low, high, expression in self.unit.location_list(value, die.form(name), budget):
            if low == 0 and high > ADDRESS_MASK:
                default = expression
            elif low <= self.place.activation.place < high:
                return expression
        return default

    def _constant(self, die: Die, type_: Type) -> Location | None:
        value = die.value("DW_AT_const_value")
        if isinstance(value, bytes):
            return Constant(value)
        if die.form("DW_AT_const_value") in ("DW_FORM_string", "DW_FORM_strp", "DW_FORM_line_strp"):
            return Constant(die.string("DW_AT_const_value").encode() + b"\0")
        size = type_.size
        if value is None or size is None or not 0 < size <= 16:
            return None
        return Constant((value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def count(self, array: Type) -> int | None:
        """The elements of an array of variable length."""
        try:
            bounds = array.dimensions[0] if array.dimensions else None
            if bounds is None:
                return None
            for name, more in (("DW_AT_count", 0), ("DW_AT_upper_bound", 1)):
                value = self._bound(bounds, name)
                if value is not None:
                    return max(value + more, 0)
        except (BadDwarf, Unavailable, GuestMemoryError, RecursionError):
            return None
        return None

    def _bound(self, bounds: Die, name: str) -> int | None:
        value = bounds.value(name)
        if isinstance(value, bytes):
            found = evaluate(value, self)
        elif bounds.form(name).startswith("DW_FORM_ref"):
            die = bounds.reference(name)
            location = self.location(die, Type(None)) if die else None
            if location is None:
                return None
            storage = Storage(location, self.place.activation, self.memory, None)
            found = int.from_bytes(storage.read(0, 4), "little")
        else:
            return None
        return found - (1 << 32) if found >> 31 else found

    def register(self, number: int) -> int:
        registers = self.place.activation.registers
        if number not in registers:
            raise Unavailable("in a register that is lost")
        return registers[number]

    def frame_base(self) -> int:
        function = self.place.function
        holder = function.die.having("DW_AT_frame_base") if function else None
        expression = self.expression(holder, "DW_AT_frame_base") if holder else None
        if expression is None:
            raise Unavailable("relative to an unknown frame")
        location = locate(expression, _FrameBase(self))
        if isinstance(location, InRegister):
            return self.register(location.number)
        return evaluate(expression, _FrameBase(self))

    def cfa(self) -> int:
        if self.place.activation.cfa is None:
            raise Unavailable("relative to an unknown frame")
        return self.place.activation.cfa

    def indexed_address(self, index: int) -> int:
        return self.unit.indexed_address(index)

    def base_type(self, offset: int) -> tuple[int, bool]:
        type_ = Type(self.unit.die(self.unit.offset + offset))
        size = type_.size
        if type_.encoding not in WHOLE or size is None or not 0 < size <= 16:
            raise Unavailable("computed with numbers of a kind that is not known")
        return size, type_.is_signed

    def entry_value(self, expression: bytes) -> int:
        """What the caller says that it passed (DWARF 5, 3.4.2)."""
        caller, function = self.place.activation.caller, self.place.function
        if caller is None or function is None or self.callers >= MAX_CALLERS:
            raise Unavailable("optimised out")
        calling = self.functions.at(caller.place)
        site = _call_site(calling, caller) if calling else None
        if calling is None or site is None or not _calls(site, function):
            raise Unavailable("optimised out")
        value = _passed(site, expression, self.place.budget)
        if value is None:
            raise Unavailable("optimised out")
        place = Place(caller, calling, self.memory, budget=self.place.budget)
        return evaluate(value, _Context(self.functions, site.unit, place, self.callers + 1))


class _FrameBase(_Context):
    """What the expression for the frame base refers to: all but itself."""

    def __init__(self, context: _Context) -> None:
        super().__init__(context.functions, context.unit, context.place, context.callers)

    def frame_base(self) -> int:
        raise BadDwarf("a frame base that is relative to itself")


def _call_site(function: Function, caller: Activation) -> Die | None:
    """The description of the call that returns to the place of the caller."""
    for scope in function.scope.path(caller.place):
        for die in scope.call_sites:
            if caller.pc in (die.address("DW_AT_call_return_pc"), die.address("DW_AT_low_pc")):
                return die
    return None


def _calls(site: Die, function: Function) -> bool:
    """Whether the call is one of the function, and not of one that ended by jumping to it."""
    origin = site.reference("DW_AT_call_origin") or site.reference("DW_AT_abstract_origin")
    return origin is not None and origin.name == function.name


def _passed(site: Die, expression: bytes, budget: Budget) -> bytes | None:
    """The expression for what a call passes in the place that an expression describes."""
    for die in site.unit.children(site, budget):
        if die.value("DW_AT_location") == expression:
            value = die.value("DW_AT_call_value") or die.value("DW_AT_GNU_call_site_value")
            return value if isinstance(value, bytes) else None
    return None
