"""IR to x86-64: the whole of a unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dynarec.host import layout
from dynarec.host.base import ExitKind
from dynarec.host.buffer import Label
from dynarec.host.emit import complete
from dynarec.host.x86_64.arithmetic import ARITHMETIC, Arithmetic
from dynarec.host.x86_64.bits import BITS, Bits
from dynarec.host.x86_64.conditions import CONDITIONS
from dynarec.host.x86_64.encode import Alu, Cond, Mem, Reg, Shift, invert
from dynarec.host.x86_64.memory import MEMORY, Memory
from dynarec.host.x86_64.regs import HOMES, SCRATCH, STATE
from dynarec.ir.ops import MASK32
from dynarec.ir.state import Field
from dynarec.ir.unit import Operand, Unit

_EXIT = Mem(STATE, layout.EXIT)
_PC = Mem(STATE, layout.PC)
_BUDGET = Mem(STATE, layout.BUDGET)

LINK_SIZE = 10
"""Bytes of what takes something from the budget and branches, with the shortest immediate."""
JUMP_SLOT_SHIFT = layout.JUMP_SLOT_SIZE.bit_length() - 1
MAX_SCALE_SHIFT = 3


class Emitter(Arithmetic, Bits, Memory):
    """Emits one unit."""

    numbers: ClassVar = {register: number for number, register in enumerate((*HOMES, *SCRATCH))}
    methods = complete("x86-64", ARITHMETIC, BITS, CONDITIONS, MEMORY)

    def __init__(
        self, unit: Unit, homes: Mapping[Field, int], jump_shift: int, bmi2: bool, counting: bool = False
    ) -> None:
        super().__init__(unit, homes, bmi2)
        self.counting = counting
        self.jump_shift = jump_shift

    def _charge(self, out_of_budget: Label) -> None:
        self.asm.alu_mi(Alu.SUB, _BUDGET, self.charged)
        self.asm.jcc(Cond.S, out_of_budget)

    def _charge_again(self, instructions: int, label: Label) -> None:
        self.asm.alu_mi(Alu.SUB, _BUDGET, instructions)
        self.asm.jcc_back(Cond.NS, label)

    def _add_one(self, number: int, *scratch: int) -> int:
        self.asm.inc64_m(Mem(STATE, layout.COUNTERS + number * layout.COUNTER_SIZE))
        return self.asm.here - layout.WORD

    def _link(self, refund: int) -> int:
        link, behind = self.asm.here, self.asm.label()
        if refund:
            self.asm.alu_mi(Alu.ADD, _BUDGET, refund)
            self.asm.jmp_longer(behind)
        else:
            self.asm.jmp(behind)
            self.asm.nop(link + LINK_SIZE - self.asm.here)
        self.asm.bind(behind)
        return link

    def _branch_if(self, condition: Operand, label: Label, holds: bool) -> None:
        code = self._condition(condition)
        self.asm.jcc(code if holds else invert(code), label)

    def _call_stub(self) -> None:
        behind = self.asm.label()
        self.asm.lea_label(Reg.RAX, behind)
        self.asm.jmp_m(_EXIT)
        self.asm.bind(behind)

    def _jump_to(self, register: int, mask: int, executed: int) -> None:
        """Look the target up in the CPU state's table of entries; the dispatcher fills it."""
        asm = self.asm
        index = self.regs.temporary()
        scale = JUMP_SLOT_SHIFT - self.jump_shift
        shift = max(scale - MAX_SCALE_SHIFT, 0)
        counter = self._count(executed)
        if executed < self.charged:
            asm.alu_mi(Alu.ADD, _BUDGET, self.charged - executed)
        asm.mov_rr(index, register)
        asm.alu_ri(Alu.AND, index, (layout.JUMP_SLOTS - 1) << self.jump_shift)
        if shift:
            asm.shift_ri(Shift.SHL, index, shift)
        slot = Mem(STATE, layout.JUMPS, index, 1 << (scale - shift))
        miss = asm.label()
        asm.alu_rm(Alu.CMP, register, slot)
        asm.jcc_short(Cond.NE, miss)
        asm.jmp_m(Mem(STATE, layout.JUMPS + layout.JUMP_ENTRY, index, 1 << (scale - shift)))
        asm.bind(miss)
        if mask != MASK32:
            asm.mov_rr(index, register)
            asm.alu_ri(Alu.AND, index, mask)
            register = index
        asm.mov_mr(_PC, register)
        self._call_exit(ExitKind.INDIRECT, 0, 0, counter=counter)
