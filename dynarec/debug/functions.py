"""Functions, and what is inlined into them, by address and by name."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from dynarec.debug.info import Die, Info, Range, Unit
from dynarec.debug.lines import Lines
from dynarec.debug.sections import BadDwarf, Budget

SCOPES = frozenset({"DW_TAG_lexical_block", "DW_TAG_inlined_subroutine", "DW_TAG_try_block", "DW_TAG_catch_block"})
MAX_DEPTH = 64
"""Blocks within blocks."""


@dataclass(eq=False, slots=True)
class Scope:
    """A function, a block of one, or a function inlined into another: what has variables of its own.

    ranges: empty for one that has no code; its variables are never in scope.
    """

    die: Die
    ranges: list[Range]
    variables: list[Die] = field(default_factory=list)
    parameters: list[Die] = field(default_factory=list)
    call_sites: list[Die] = field(default_factory=list)
    children: list[Scope] = field(default_factory=list)

    @property
    def is_inlined(self) -> bool:
        """Whether it is a function inlined into another."""
        return self.die.tag == "DW_TAG_inlined_subroutine"

    def contains(self, address: int) -> bool:
        """Whether the address is code of it."""
        return any(low <= address < high for low, high in self.ranges)

    def path(self, address: int) -> list[Scope]:
        """This scope and those within it that an address is in, from outside to inside."""
        found = [self]
        while inner := next((each for each in found[-1].children if each.contains(address)), None):
            found.append(inner)
        return found


@dataclass(eq=False)
class Function:
    """A function that has code.

    name: "" when it has none. low, high: the part with its entry; other parts are in `ranges`. file, line: of its
    declaration, "" and 0 when unknown.
    """

    die: Die
    name: str
    ranges: list[Range]
    file: str
    line: int

    @property
    def low(self) -> int:
        """Its first address, where it is called."""
        return self.ranges[0][0]

    @property
    def high(self) -> int:
        """The first address after the part with its entry."""
        return self.ranges[0][1]

    @property
    def parameters(self) -> list[str]:
        """The names of its parameters, "" for one without a name."""
        return [die.name for die in self.scope.parameters]

    @cached_property
    def scope(self) -> Scope:
        """Its variables and blocks; without them when they are damaged."""
        try:
            return read_scope(self.die, self.ranges)
        except BadDwarf:
            return Scope(self.die, self.ranges)


@dataclass(frozen=True, slots=True)
class Inlined:
    """A function inlined at an address, with the place it is called from."""

    name: str
    scope: Scope
    call_file: str
    call_line: int
    call_column: int


def read_scope(die: Die, ranges: list[Range]) -> Scope:
    """The tree of scopes below a function."""
    unit = die.unit
    budget = Budget(unit.end - unit.offset)
    stack: list[tuple[int, Scope]] = [(-1, Scope(die, ranges))]
    hidden: int | None = None
    for depth, child in unit.walk(die, budget):
        if hidden is not None:
            if depth > hidden:
                continue
            hidden = None
        while stack[-1][0] >= depth:
            stack.pop()
        scope = stack[-1][1]
        if child.tag in SCOPES and len(stack) < MAX_DEPTH:
            inner = Scope(child, child.ranges(budget))
            scope.children.append(inner)
            stack.append((depth, inner))
            continue
        hidden = depth
        if child.tag == "DW_TAG_formal_parameter":
            scope.parameters.append(child)
        elif child.tag == "DW_TAG_variable":
            scope.variables.append(child)
        elif child.tag in ("DW_TAG_call_site", "DW_TAG_GNU_call_site"):
            scope.call_sites.append(child)
    return stack[0][1]


@dataclass(slots=True)
class _Index:
    """What is found in one unit: functions by name, their ranges sorted, and the variables outside of functions."""

    names: dict[str, list[Function]] = field(default_factory=dict)
    ranges: list[tuple[int, int, Function]] = field(default_factory=list)
    globals: dict[str, list[Die]] = field(default_factory=dict)


class Functions:
    """The functions of one program."""

    def __init__(self, info: Info, lines: Lines, is_code: Callable[[int], bool]) -> None:
        """is_code: whether an address can be executed; functions that the linker has dropped are left out."""
        self._info = info
        self._lines = lines
        self._is_code = is_code
        self._indices: dict[int, _Index] = {}

    def at(self, address: int) -> Function | None:
        """The function whose code is at an address."""
        for unit in self._units_at(address):
            ranges = self._index(unit).ranges
            index = bisect.bisect_right(ranges, address, key=lambda each: each[0]) - 1
            if index >= 0 and address < ranges[index][1]:
                return ranges[index][2]
        return None

    def find(self, name: str) -> list[Function]:
        """The functions of a name: static ones may share it."""
        return [each for unit in self._info.units for each in self._index(unit).names.get(name, ())]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({name for unit in self._info.units for name in self._index(unit).names})

    def inlined(self, address: int) -> list[Inlined]:
        """The functions inlined at an address, from the innermost outwards; empty: only code of its own is there."""
        function = self.at(address)
        if function is None:
            return []
        return [self._inlined(scope) for scope in reversed(function.scope.path(address)) if scope.is_inlined]

    def globals(self, name: str) -> list[Die]:
        """The variables of a name that are outside of functions; those that are only declared are left out."""
        return [die for unit in self._info.units for die in self._index(unit).globals.get(name, ())]

    def global_names(self) -> list[str]:
        """The names of all variables outside of functions, sorted."""
        return sorted({name for unit in self._info.units for name in self._index(unit).globals})

    def _inlined(self, scope: Scope) -> Inlined:
        die = scope.die
        try:
            file = self._file(die, "DW_AT_call_file")
            line, column = die.number("DW_AT_call_line") or 0, die.number("DW_AT_call_column") or 0
            return Inlined(die.name, scope, file, line, column)
        except BadDwarf:
            return Inlined("", scope, "", 0, 0)

    def _file(self, die: Die, attribute: str) -> str:
        number, program = die.number(attribute), die.unit.top.number("DW_AT_stmt_list")
        return self._lines.file(program, number) if number is not None and program is not None else ""

    def _units_at(self, address: int) -> Iterator[Unit]:
        starts = self._unit_ranges
        index = bisect.bisect_right(starts, address, key=lambda each: each[0]) - 1
        if index >= 0 and address < starts[index][1]:
            yield starts[index][2]
        yield from self._units_without_ranges

    @cached_property
    def _unit_ranges(self) -> list[tuple[int, int, Unit]]:
        budget = Budget(len(self._info.data))
        found = []
        for unit in self._info.units:
            try:
                found += [(low, high, unit) for low, high in unit.top.ranges(budget) if self._is_code(low)]
            except BadDwarf:
                continue
        return sorted(found, key=lambda each: each[:2])

    @cached_property
    def _units_without_ranges(self) -> list[Unit]:
        known = {unit.offset for _, _, unit in self._unit_ranges}
        return [unit for unit in self._info.units if unit.offset not in known]

    def _index(self, unit: Unit) -> _Index:
        if unit.offset not in self._indices:
            self._indices[unit.offset] = index = _Index()
            with suppress(BadDwarf):  # what comes before the damage stays
                self._read(unit, index)
            index.ranges.sort(key=lambda each: each[:2])
        return self._indices[unit.offset]

    def _read(self, unit: Unit, index: _Index) -> None:
        budget = Budget(unit.end - unit.offset)
        for die in unit.children(unit.top, budget):
            if die.tag == "DW_TAG_subprogram":
                self._add_function(die, index, budget)
            elif die.tag == "DW_TAG_variable" and "DW_AT_location" in die and (name := die.name):
                index.globals.setdefault(name, []).append(die)

    def _add_function(self, die: Die, index: _Index, budget: Budget) -> None:
        ranges = [each for each in die.ranges(budget) if self._is_code(each[0])]
        if not ranges:
            return
        function = Function(die, die.name, ranges, *self._declaration(die))
        index.names.setdefault(function.name, []).append(function)
        index.ranges += [(low, high, function) for low, high in ranges]

    def _declaration(self, die: Die) -> tuple[str, int]:
        """File and line of a declaration."""
        try:
            declared = die.having("DW_AT_decl_line")
            if declared is None:
                return "", 0
            return self._file(declared, "DW_AT_decl_file"), declared.number("DW_AT_decl_line") or 0
        except BadDwarf:
            return "", 0
