"""arm64 (AAPCS64; Apple's platform rules: x18 is never used)."""

from __future__ import annotations

from collections.abc import Sequence

from dynarec.host import layout
from dynarec.host.arm64 import disasm
from dynarec.host.arm64.emit import LINK_SIZE, Emitter
from dynarec.host.arm64.lower import lower
from dynarec.host.arm64.regs import HOMES, NAMES
from dynarec.host.base import Hardening, Host, HostCode
from dynarec.ir.state import Field
from dynarec.ir.unit import Unit

COUNTER_WORDS = (0, 1, 3)
"""Instructions that say which counter it is: its page, and the load and the store there."""
IMM12 = 0xFFF << 10


class Arm64(Host):
    """The code generator for arm64."""

    name = "arm64"
    home_registers = HOMES
    register_names = NAMES

    def __init__(self, homes: Sequence[Field], jump_shift: int, harden: frozenset[Hardening] = frozenset()) -> None:
        super().__init__(homes, jump_shift)
        self.harden = harden

    def lower(self, unit: Unit) -> None:
        lower(unit)

    def emit(self, unit: Unit) -> HostCode:
        return Emitter(unit, self.homes, self.jump_shift, self.harden, self.counting).emit()

    def disassemble(self, code: bytes, address: int = 0) -> list[tuple[int, bytes, str]]:
        return disasm.disassemble(code, address)

    def unpatched(self, code: bytes, made: HostCode) -> bytes:
        blank = bytearray(code)
        for link in made.links:
            blank[link : link + LINK_SIZE] = bytes(LINK_SIZE)
        for counter in made.counters:
            for word in COUNTER_WORDS:
                clear_bits(blank, counter.offset + word * layout.WORD, IMM12)
        return bytes(blank)


def clear_bits(code: bytearray, offset: int, bits: int) -> None:
    """Of the instruction at an offset."""
    word = int.from_bytes(code[offset : offset + layout.WORD], "little") & ~bits
    code[offset : offset + layout.WORD] = word.to_bytes(layout.WORD, "little")
