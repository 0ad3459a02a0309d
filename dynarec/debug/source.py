"""The source of a guest program: its lines, functions, frames and variables, as far as the file describes them.

A program without debugging information, or with damaged one, is a program without source: nothing here raises for it.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dynarec.debug.cfi import CallFrames
from dynarec.debug.functions import Function, Functions, Scope
from dynarec.debug.info import Info
from dynarec.debug.lines import Lines
from dynarec.debug.sections import Sections
from dynarec.debug.state import Memory, Registers
from dynarec.debug.text import SourceText
from dynarec.debug.unwind import MAX_FRAMES, Activation, Unwinder
from dynarec.debug.values import Variable
from dynarec.debug.variables import Place, Variables
from dynarec.program import Program
from guest_isa.profile import DwarfRegisters


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a backtrace: a call of a function, or a function inlined into it.

    name: "" when unknown. file, line, column: the place it is at, "" and 0 when unknown. scopes: what has variables
    that it can see, from outside to inside. is_inlined: it is part of the code of the next frame.
    """

    activation: Activation
    name: str
    file: str
    line: int
    column: int
    function: Function | None
    scopes: tuple[Scope, ...]
    is_inlined: bool

    @property
    def pc(self) -> int:
        """Where it goes on."""
        return self.activation.pc


class Source:
    """What is known of the source of one program; read when it is asked for."""

    def __init__(
        self, program: Program, numbers: DwarfRegisters | None = None, substitutes: Sequence[Path] = ()
    ) -> None:
        """numbers: as the guest declares them; without them there are no callers and no variables in registers.

        substitutes: folders where source files are looked for that are not where they were when they were compiled.
        """
        self.program = program
        self._numbers = numbers
        self._sections = Sections(program.elf)
        self._info = Info(self._sections)
        self.lines = Lines(self._info, self.is_code)
        self.functions = Functions(self._info, self.lines, self.is_code)
        self.call_frames = CallFrames(self._sections)
        self.text = SourceText(program.path, substitutes)
        self._variables = Variables(self.functions, self.function_name)

    @cached_property
    def _code(self) -> list[tuple[int, int]]:
        return [(each.address, each.end) for each in self.program.segments if each.executable]

    def is_code(self, address: int) -> bool:
        """Whether an address is in the executable part of the program."""
        index = bisect.bisect_right(self._code, address, key=lambda each: each[0]) - 1
        return index >= 0 and address < self._code[index][1]

    def function_start(self, address: int) -> int | None:
        """Where the function of an address begins, by debugging information or by the symbol table."""
        function = self.functions.at(address)
        if function:
            return function.low
        near = self.program.symbols.nearest(address)
        return address - near[1] if near else None

    def function_name(self, address: int) -> str:
        """The name of the function of an address, of either table; "" when unknown."""
        function = self.functions.at(address)
        if function and function.name:
            return function.name
        near = self.program.symbols.nearest(address)
        return near[0] if near else ""

    def frames(self, pc: int, registers: Registers, memory: Memory, most: int = MAX_FRAMES) -> list[Frame]:
        """The backtrace of a guest stopped at pc, from the innermost frame outwards."""
        if self._numbers is None:
            return self._expand(Activation(pc, {}))
        unwinder = Unwinder(self.call_frames, self._numbers, self.is_code, self.function_start)
        found: list[Frame] = []
        for activation in unwinder.activations(pc, registers, memory, most):
            found += self._expand(activation)
            if len(found) >= most:
                break
        return found[:most]

    def variables(self, frame: Frame, memory: Memory, registers: Registers | None = None) -> list[Variable]:
        """The parameters and variables that a frame can see; of those that share a name, the last one hides the others.

        registers: needed only to change variables in them.
        """
        place = Place(frame.activation, frame.function, memory, registers)
        return self._variables.visible(frame.scopes, place)

    def variable(
        self, name: str, frame: Frame | None, memory: Memory, registers: Registers | None = None
    ) -> Variable | None:
        """The variable of a name that a frame can see, or one outside of functions."""
        if frame is not None:
            for each in reversed(self.variables(frame, memory, registers)):
                if each.name == name:
                    return each
        activation = frame.activation if frame else Activation(0, {})
        place = Place(activation, frame.function if frame else None, memory, registers)
        return next(iter(self._variables.globals(name, place)), None)

    def breakpoints(self, file: str, line: int) -> list[int]:
        """Where to stop for a line, or for the first one after it that has code: once in each copy of it.

        A line that a function begins with is stopped at behind the set-up of its frame, where variables are in place.
        """
        nearest = self.lines.nearest(file, line)
        if nearest is None:
            return []
        chosen: dict[object, int] = {}
        for address in self.lines.addresses(file, nearest):
            function = self.functions.at(address)
            key = function.scope.path(address)[-1] if function else address
            chosen.setdefault(key, self.after_prologue(function) if function and function.low == address else address)
        return sorted(set(chosen.values()))

    def after_prologue(self, function: Function) -> int:
        """Where to stop in a function: where its variables are in place, as near to its beginning as that may be."""
        if function.die.unit.has_location_lists:
            return function.low
        return self.lines.after_prologue(function.low, function.high)

    def _expand(self, activation: Activation) -> list[Frame]:
        """The frames of one call: of what is inlined at its place, and of the function itself."""
        place = activation.place
        row = self.lines.at(place)
        file, line, column = (row.file, row.line, row.column) if row else ("", 0, 0)
        function = self.functions.at(place)
        path = function.scope.path(place) if function else []
        found = []
        for inlined in self.functions.inlined(place):
            at = path.index(inlined.scope)
            found.append(Frame(activation, inlined.name, file, line, column, function, tuple(path[at:]), True))
            path = path[:at]
            file, line, column = inlined.call_file, inlined.call_line, inlined.call_column
        name = self.function_name(place)
        found.append(Frame(activation, name, file, line, column, function, tuple(path), False))
        return found
