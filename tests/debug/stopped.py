"""A program run to a place, and what its source says there."""

from __future__ import annotations

from pathlib import Path

from dynarec.debug.source import Frame, Source
from dynarec.debug.values import Variable
from dynarec.engine import Machine
from guest_isa.rv32 import GUEST
from tests.debug.build import SOURCE

assert GUEST.dwarf is not None
NUMBERS = GUEST.dwarf
MARKED = {
    text.partition("/* line: ")[2].partition(" */")[0]: number
    for number, text in enumerate(SOURCE.read_text().splitlines(), 1)
    if "/* line: " in text
}
"""The lines of `program.c` that have names."""


class Registers:
    """The registers of a machine by DWARF number."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __getitem__(self, number: int) -> int:
        name = NUMBERS.names[number]
        return 0 if name is None else self._machine.regs[name]

    def __setitem__(self, number: int, value: int) -> None:
        name = NUMBERS.names[number]
        if name is not None:
            self._machine.regs[name] = value


class Stopped:
    """A machine with a program that can be run to lines and functions."""

    def __init__(self, elf: Path | bytes) -> None:
        self.machine = Machine.load(elf)
        self.source = Source(self.machine.program, NUMBERS, [SOURCE.parent])
        self.registers = Registers(self.machine)

    def run_to(self, address: int) -> None:
        """Go on to an address."""
        self.machine.run(until=address, instructions=1_000_000)
        assert self.machine.pc == address

    def run_to_line(self, name: str) -> None:
        """Go on to a marked line."""
        self.run_to(min(self.source.breakpoints("program.c", MARKED[name])))

    def run_to_function(self, name: str) -> None:
        """Go on to the body of a function."""
        (function,) = self.source.functions.find(name)
        self.run_to(self.source.after_prologue(function))

    def frames(self, most: int = 100) -> list[Frame]:
        """The backtrace."""
        return self.source.frames(self.machine.pc, self.registers, self.machine.memory, most)

    def names(self) -> list[str]:
        """The functions of the backtrace."""
        return [frame.name for frame in self.frames()]

    def variables(self, level: int = 0) -> dict[str, Variable]:
        """What a frame can see."""
        frame = self.frames()[level]
        return {each.name: each for each in self.source.variables(frame, self.machine.memory, self.registers)}

    def text(self, name: str, level: int = 0) -> str:
        """The declaration and value of a variable."""
        frame = self.frames()[level]
        found = self.source.variable(name, frame, self.machine.memory, self.registers)
        assert found is not None
        return str(found)
