"""What other people's tools are told about generated code: where it is, what it is called, which guest code it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dynarec.errors import DynarecError
from dynarec.watcher import Watcher

if TYPE_CHECKING:
    from dynarec.engine import Machine
    from dynarec.symbols import Symbols
    from dynarec.translate import Translation
    from guest_isa.guest import Guest

HEAD, EXITS = -1, -2
"""Marks of host code that are no ops (dynarec.host.base)."""
LONGEST = 8
"""Bytes that hold the longest instruction of a guest."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The guest assembly of a unit: its lines, and which host code belongs to which, as (offset, index of a line)."""

    lines: tuple[str, ...]
    rows: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A unit that was installed. address: where it is executed, in this process. code: its bytes there."""

    serial: int
    key: int
    name: str
    address: int
    code: bytes
    listing: Listing

    @property
    def end(self) -> int:
        return self.address + len(self.code)


class Tool(Protocol):
    """Is told on the CPU thread. Both may raise OSError."""

    def installed(self, code: Code) -> None:
        """A unit is there, and has not been executed yet."""

    def died(self, key: int) -> None:
        """The unit of a key is not executed any more."""

    def close(self) -> None:
        """Finish. May be called twice."""


class CodeWatcher(Watcher):
    """Tells a tool about the units of a machine, from now on. Made, and closed, while that does not run."""

    def __init__(self, machine: Machine, tool: Tool) -> None:
        """Raises DynarecError when the machine interprets everything."""
        if machine.translator is None:
            raise DynarecError(
                f"{machine.program.name}: everything is interpreted: there is no code to tell tools about"
            )
        self._machine = machine
        self._tool = tool
        self._process = os.getpid()
        self._deaths = machine.stats().discarded
        self._error: OSError | None = None
        self._closed = False
        machine.add_watcher(self)

    def installed(self, translation: Translation, serial: int, seconds: float) -> None:
        """Tell it. An error is raised when this is closed."""
        if not serial or self._error is not None or self._process != os.getpid():
            return  # the tool's files are the parent's
        try:
            self._tell_deaths()
            self._tool.installed(self._describe(translation, serial))
        except OSError as error:
            self._error = error

    def close(self) -> None:
        """Watch no more, and close the tool. May be called twice. Raises DynarecError if it could not be told all."""
        if self._closed or self._process != os.getpid():
            return
        self._closed = True
        self._machine.remove_watcher(self)
        try:
            self._tool.close()
        except OSError as error:
            self._error = self._error or error
        if self._error is not None:
            reason = self._error.strerror or self._error
            where = f"{self._error.filename}: " if self._error.filename else ""
            raise DynarecError(f"{where}not all of the generated code could be told about: {reason}") from self._error

    def _tell_deaths(self) -> None:
        for death in self._machine.core.deaths(self._deaths):
            self._tool.died(death.key)
        self._deaths = self._machine.stats().discarded

    def _describe(self, translation: Translation, serial: int) -> Code:
        machine, core, key = self._machine, self._machine.core, translation.unit.key
        name = name_of(machine.symbols, key)
        offset = core.find(key)
        assert offset is not None
        code = core.read_code(offset, len(translation.code.code))
        return Code(serial, key, name, core.run_address + offset, code, listing(translation, machine.guest, name))


def name_of(symbols: Symbols, key: int) -> str:
    """ "main", "main+0x10", or "0x00010074" where there is no symbol."""
    nearest = symbols.nearest(key)
    if nearest is None:
        return f"{key:#010x}"
    name, offset = nearest
    return f"{name}+{offset:#x}" if offset else name


def listing(translation: Translation, guest: Guest, name: str) -> Listing:
    """The name, the instructions of the trace, and a line for the exits."""
    unit, code = translation.unit, translation.code
    lines = [f"{name}:"]
    for insn in unit.insns:
        lines.append(f"    {insn.pc:#010x}  {_text(guest, translation, insn.pc)}")
    lines.append("    (exits)")
    own = {HEAD: 0, EXITS: len(lines) - 1}
    rows = [(mark.offset, own[mark.op] if mark.op < 0 else unit.ops[mark.op].at + 1) for mark in code.marks]
    return Listing(tuple(lines), tuple(_changes(rows, len(code.code))))


def _changes(rows: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Without those that own no code, and those that repeat the one before."""
    ends = [offset for offset, _ in rows[1:]] + [size]
    before = None
    for (offset, line), end in zip(rows, ends, strict=True):
        if end > offset and line != before:
            yield offset, line
            before = line


def _text(guest: Guest, translation: Translation, pc: int) -> str:
    place = 0
    for start, size in translation.ranges:
        if start <= pc < start + size:
            data = translation.source[place + pc - start : place + size][:LONGEST]
            insn = guest.isa.decode(int.from_bytes(data, "little"))
            return insn.text(pc) if insn is not None else "(no instruction)"
        place += size
    return "(no instruction)"
