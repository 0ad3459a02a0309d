"""What the ops of a unit have to do with on arm64: registers, state words, constants."""

from __future__ import annotations

from collections.abc import Mapping

from dynarec.host.allocate import Allocator
from dynarec.host.arm64.encode import ZR, Assembler, Cond
from dynarec.host.arm64.parts import ACCEPTS
from dynarec.host.arm64.regs import SCRATCH, STATE
from dynarec.host.emit import UnitEmitter
from dynarec.host.moves import Slot
from dynarec.host.parts import find_parts
from dynarec.ir.ops import signed
from dynarec.ir.state import Field
from dynarec.ir.unit import Operand, Unit

IMM12_END = 1 << 12


class Registers(Allocator):
    """The allocator's primitives on arm64."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], assembler: Assembler) -> None:
        super().__init__(unit, homes, SCRATCH)
        self.asm = assembler

    def copy(self, to: int, source: int) -> None:
        self.asm.mov_rr(to, source)

    def load_slot(self, to: int, slot: Slot) -> None:
        self.asm.ldr(to, STATE, slot)

    def store_slot(self, slot: Slot, source: int) -> None:
        self.asm.str(source, STATE, slot)

    def constant(self, to: int, value: int) -> None:
        self.asm.mov_ri(to, value)

    def store_constant(self, slot: Slot, value: int) -> None:
        self.asm.str(self.register(value), STATE, slot)

    def add_constant(self, to: int, source: int, value: int) -> None:
        """A few times `NEAR` is less than what two immediates are together."""
        number = signed(value)
        add = self.asm.add_ri if number > 0 else self.asm.sub_ri
        high, low = divmod(abs(number), IMM12_END)
        for part in (low, high * IMM12_END):
            if part:
                add(to, source, part)
                source = to

    def register(self, operand: Operand) -> int:
        """Zero has a register of its own."""
        return ZR if type(operand) is int and operand == 0 else super().register(operand)


class Operands(UnitEmitter[Cond]):
    """One unit's code while it is made, and the places of the values in it."""

    asm: Assembler

    def __init__(self, unit: Unit, homes: Mapping[Field, int]) -> None:
        super().__init__(unit, homes)
        self.asm = Assembler()
        self.regs = Registers(unit, self.homes, self.asm)
        self.parts = find_parts(unit, self.regs.left, ACCEPTS)
