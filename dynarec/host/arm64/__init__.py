"""arm64 (AAPCS64; Apple's platform rules: x18 is never used)."""

from __future__ import annotations

from dynarec.host.arm64 import disasm
from dynarec.host.arm64.emit import Emitter
from dynarec.host.arm64.lower import lower
from dynarec.host.arm64.regs import HOMES
from dynarec.host.base import Host, HostCode
from dynarec.ir.unit import Unit


class Arm64(Host):
    """The code generator for arm64."""

    name = "arm64"
    home_registers = HOMES

    def lower(self, unit: Unit) -> None:
        lower(unit)

    def emit(self, unit: Unit) -> HostCode:
        return Emitter(unit, self.homes, self.jump_shift).emit()

    def disassemble(self, code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
        return disasm.disassemble(code, address)
