"""IR to x86-64: the whole of a unit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

from dynarec.host import layout
from dynarec.host.base import ExitKind
from dynarec.host.buffer import Label
from dynarec.host.emit import complete
from dynarec.host.x86_64.arithmetic import ARITHMETIC, Arithmetic
from dynarec.host.x86_64.bits import BITS, Bits
from dynarec.host.x86_64.conditions import CONDITIONS
from dynarec.host.x86_64.encode import Alu, Assembler, Cond, Mem, Reg, invert
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


@cache
def _exit_call() -> bytes:
    """Calls the exit stub of the CPU state: the return address in rax."""
    asm, behind = Assembler(), Label()
    asm.lea_label(Reg.RAX, behind)
    asm.jmp_m(_EXIT)
    asm.bind(behind)
    return asm.finish()


@cache
def _link_code(refund: int) -> bytes:
    asm, behind = Assembler(), Label()
    if refund:
        asm.alu_mi(Alu.ADD, _BUDGET, refund)
        asm.jmp_longer(behind)
    else:
        asm.jmp(behind)
        asm.nop(LINK_SIZE - asm.here)
    asm.bind(behind)
    return asm.finish()


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
        link = self.asm.here
        self.asm.code += _link_code(refund)
        return link

    def _branch_if(self, condition: Operand, label: Label, holds: bool) -> None:
        code = self._condition(condition)
        self.asm.jcc(code if holds else invert(code), label)

    def _call_stub(self) -> None:
        self.asm.code += _exit_call()

    def _jump_to(self, register: int, mask: int, executed: int) -> None:
        """Look the target up in the CPU state's table of entries; the dispatcher fills it."""
        asm = self.asm
        index = self.regs.temporary()
        counter = self._count(executed)
        if executed < self.charged:
            asm.alu_mi(Alu.ADD, _BUDGET, self.charged - executed)
        miss = asm.label()
        asm.movzx16_rr(index, register)
        asm.alu_rm(Alu.CMP, register, Mem(STATE, layout.JUMPS, index, layout.JUMP_SCALE))
        asm.jcc_short(Cond.NE, miss)
        asm.jmp_m(Mem(STATE, layout.JUMPS + layout.JUMP_ENTRY, index, layout.JUMP_SCALE))
        asm.bind(miss)
        if mask != MASK32:
            asm.mov_rr(index, register)
            asm.alu_ri(Alu.AND, index, mask)
            register = index
        asm.mov_mr(_PC, register)
        self._call_exit(ExitKind.INDIRECT, 0, 0, counter=counter)
