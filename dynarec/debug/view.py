"""What can be seen of a stopped program: frames, variables, code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynarec.debug.scope import NumberedRegisters
from dynarec.debug.source import Frame, Source
from dynarec.debug.unwind import MAX_FRAMES
from dynarec.debug.values import Variable
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Machine

LONGEST = 8
"""Bytes enough for any instruction."""
ADDRESS_SPACE = 1 << 32
MOST_INLINED = 64
"""Inlined functions in the frames that are looked at."""


@dataclass(frozen=True, slots=True)
class CodeLine:
    """An instruction of a listing.

    data: its bytes, as long as they could be read. text: "(no instruction)" where there is none. symbol: a name of its
    address, or "". file, line: where it comes from, "" and 0 when unknown.
    """

    address: int
    data: bytes
    text: str
    symbol: str
    file: str
    line: int


class View:
    """Looks at one machine; valid while that does not run."""

    def __init__(self, machine: Machine, source: Source) -> None:
        self.machine = machine
        self.source = source
        numbers = machine.guest.dwarf
        self.registers = None if numbers is None else NumberedRegisters(machine, numbers)

    def frames(self, most: int = MAX_FRAMES) -> list[Frame]:
        """The backtrace, from the innermost frame outwards."""
        if self.registers is None:
            return self.source.frames(self.machine.pc, {}, self.machine.memory, most)
        return self.source.frames(self.machine.pc, self.registers, self.machine.memory, most)

    def calls(self, most: int = MAX_FRAMES) -> list[Frame]:
        """The frames that are calls: without those of inlined functions."""
        return [frame for frame in self.frames(most + MOST_INLINED) if not frame.is_inlined][:most]

    def variables(self, frame: Frame) -> list[Variable]:
        """The parameters and variables that a frame can see; those that may be changed know where they are."""
        return self.source.variables(frame, self.machine.memory, self.registers)

    def variable(self, name: str, frame: Frame | None = None) -> Variable:
        """A variable that a frame can see, or a global one. Raises DynarecError."""
        found = self.source.variable(name, frame, self.machine.memory, self.registers)
        if found is None:
            raise DynarecError(f"{self.machine.program.name}: there is no variable {name!r} here")
        return found

    def place(self, address: int) -> str:
        """ "main+0x14", or "" where nothing is known."""
        name, start = self.source.function_name(address), self.source.function_start(address)
        if not name or start is None:
            return ""
        return f"{name}+{address - start:#x}" if address != start else name

    def listing(self, address: int, count: int) -> list[CodeLine]:
        """The instructions from an address on, of memory as it is now; fewer where no memory follows."""
        found: list[CodeLine] = []
        while len(found) < count and address < ADDRESS_SPACE:
            line = self._code_line(address)
            if line is None:
                break
            found.append(line)
            address += len(line.data)
        return found

    def before(self, address: int, count: int) -> list[CodeLine]:
        """Up to so many instructions before an address: counted from the nearest beginning that is known.

        Without one, from where instructions end at the address.
        """
        start = self.source.function_start(address)
        parcel = self.machine.guest.isa.parcel
        starts = [start] if start is not None and start < address else []
        starts += range(max(0, address - count * LONGEST // 2), address, parcel)
        for each in starts:
            lines = self._up_to(each, address)
            if lines:
                return lines[-count:]
        return []

    def _up_to(self, start: int, address: int) -> list[CodeLine]:
        """The instructions from start that end right at an address; none if one of them goes beyond it."""
        lines: list[CodeLine] = []
        while start < address:
            line = self._code_line(start)
            if line is None:
                return []
            lines.append(line)
            start += len(line.data)
        return lines if start == address else []

    def _code_line(self, address: int) -> CodeLine | None:
        data = self.machine.code_at(address, LONGEST)
        isa = self.machine.guest.isa
        if not data:
            return None
        insn = isa.decode(int.from_bytes(data, "little"))
        if insn is not None and insn.length > len(data):
            insn = None
        size = insn.length if insn else min(isa.parcel, len(data))
        row = self.source.lines.at(address)
        symbol = self.machine.symbols.nearest(address)
        return CodeLine(
            address=address,
            data=data[:size],
            text=insn.text(address) if insn else "(no instruction)",
            symbol=symbol[0] if symbol and not symbol[1] else "",
            file=row.file if row else "",
            line=row.line if row else 0,
        )
