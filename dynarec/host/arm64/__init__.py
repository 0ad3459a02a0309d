"""arm64 (AAPCS64; Apple's platform rules: x18 is never used)."""

from __future__ import annotations

from collections.abc import Sequence

from dynarec.host.arm64 import disasm
from dynarec.host.arm64.emit import Emitter
from dynarec.host.arm64.lower import lower
from dynarec.host.arm64.regs import HOMES
from dynarec.host.base import Hardening, Host, HostCode
from dynarec.ir.state import Field
from dynarec.ir.unit import Unit


class Arm64(Host):
    """The code generator for arm64."""

    name = "arm64"
    home_registers = HOMES

    def __init__(self, homes: Sequence[Field], jump_shift: int, harden: frozenset[Hardening] = frozenset()) -> None:
        super().__init__(homes, jump_shift)
        self.harden = harden

    def lower(self, unit: Unit) -> None:
        lower(unit)

    def emit(self, unit: Unit) -> HostCode:
        return Emitter(unit, self.homes, self.jump_shift, self.harden).emit()

    def disassemble(self, code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
        return disasm.disassemble(code, address)
