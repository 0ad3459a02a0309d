"""What the ops of a unit have to do with on x86-64: registers, state words, constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynarec.host import layout
from dynarec.host.allocate import Allocator
from dynarec.host.emit import UnitEmitter
from dynarec.host.moves import Slot
from dynarec.host.parts import Part, Parts, find_parts
from dynarec.host.x86_64.address import find_scaled
from dynarec.host.x86_64.encode import Alu, Assembler, Cond, Mem
from dynarec.host.x86_64.regs import SCRATCH, STATE
from dynarec.ir.ops import AND, signed
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit

SLOTS = {offset: Mem(STATE, offset) for offset in range(layout.HOMES, layout.JUMPS, layout.WORD)}
"""Memory operands of the words around the CPU state register."""


class Registers(Allocator):
    """The allocator's primitives on x86-64."""

    def __init__(
        self, unit: Unit, homes: Mapping[Field, int], assembler: Assembler, further: Iterable[Op] = ()
    ) -> None:
        super().__init__(unit, homes, SCRATCH, further)
        self.asm = assembler

    def copy(self, to: int, source: int) -> None:
        self.asm.mov_rr(to, source)

    def load_slot(self, to: int, slot: Slot) -> None:
        self.asm.mov_rm(to, SLOTS[slot])

    def store_slot(self, slot: Slot, source: int) -> None:
        self.asm.mov_mr(SLOTS[slot], source)

    def constant(self, to: int, value: int) -> None:
        self.asm.mov_ri(to, value)

    def store_constant(self, slot: Slot, value: int) -> None:
        self.asm.mov_mi(SLOTS[slot], value)

    def add_constant(self, to: int, source: int, value: int) -> None:
        self.asm.lea(to, Mem(source, signed(value)))


def _is_andn(op: Op, part: Part) -> bool:
    return isinstance(part.other, Op) and part.inverted and part.amount == 0


class Operands(UnitEmitter[Cond]):
    """One unit's code while it is made, and the places of the values in it.

    bmi2: the CPU has BMI2, and what came with it or before it: BMI1, LZCNT and POPCNT.
    """

    asm: Assembler

    def __init__(self, unit: Unit, homes: Mapping[Field, int], bmi2: bool) -> None:
        super().__init__(unit, homes)
        self.bmi2 = bmi2
        self.asm = Assembler()
        self.scaled = find_scaled(unit)
        self.regs = Registers(unit, self.homes, self.asm, self.scaled.kept())
        self.parts = find_parts(unit, self.regs.left, {AND: _is_andn}) if bmi2 else Parts()

    def _slot(self, operand: Operand) -> Slot:
        slot = self.regs.slot(operand)
        assert slot is not None
        return slot

    def _try_register(self, operand: Operand) -> int | None:
        """A register with the operand; None if it is in a state word only and loading it would not pay."""
        regs = self.regs
        if type(regs.value(operand)) is int or regs.in_register(operand) is not None:
            return regs.register(operand)
        return regs.register(operand) if regs.used_later(operand) and regs.has_free() else None

    def _alu_operand(self, kind: Alu, register: int, operand: Operand) -> None:
        value = self.regs.value(operand)
        if type(value) is int:
            self.asm.alu_ri(kind, register, value)
        elif (source := self._try_register(operand)) is not None:
            self.asm.alu_rr(kind, register, source)
        else:
            self.asm.alu_rm(kind, register, SLOTS[self._slot(operand)])

    def _fetch(self, operand: Operand) -> int | Mem:
        """A register or a memory operand; constants go to a register."""
        register = self._try_register(operand)
        return SLOTS[self._slot(operand)] if register is None else register

    def _move(self, to: int, source: int | Mem | None, operand: Operand) -> None:
        if source is None:
            value = self.regs.value(operand)
            assert isinstance(value, int)
            self.asm.mov_ri(to, value)
        elif isinstance(source, int):
            if source != to:
                self.asm.mov_rr(to, source)
        else:
            self.asm.mov_rm(to, source)
