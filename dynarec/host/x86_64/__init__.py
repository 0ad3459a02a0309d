"""x86-64 (System V)."""

from __future__ import annotations

from collections.abc import Sequence

from dynarec.host import layout
from dynarec.host.base import Host, HostCode
from dynarec.host.x86_64 import disasm
from dynarec.host.x86_64.emit import LINK_SIZE, Emitter
from dynarec.host.x86_64.lower import lower
from dynarec.host.x86_64.regs import HOMES, NAMES
from dynarec.ir.state import Field
from dynarec.ir.unit import Unit


class X86_64(Host):  # noqa: N801 - the manual's spelling
    """The code generator for x86-64. bmi2: the CPU has BMI2, BMI1, LZCNT and POPCNT."""

    name = "x86_64"
    home_registers = HOMES
    register_names = NAMES

    def __init__(self, homes: Sequence[Field], jump_shift: int, bmi2: bool = False) -> None:
        super().__init__(homes, jump_shift)
        self.bmi2 = bmi2
        self.features = ("bmi2",) if bmi2 else ()

    def lower(self, unit: Unit) -> None:
        lower(unit)

    def emit(self, unit: Unit) -> HostCode:
        return Emitter(unit, self.homes, self.jump_shift, self.bmi2, self.counting).emit()

    def disassemble(self, code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
        return disasm.disassemble(code, address)

    def unpatched(self, code: bytes, made: HostCode) -> bytes:
        blank = bytearray(code)
        for link in made.links:
            blank[link : link + LINK_SIZE] = bytes(LINK_SIZE)
        for counter in made.counters:
            blank[counter.offset : counter.offset + layout.WORD] = bytes(layout.WORD)
        return bytes(blank)
