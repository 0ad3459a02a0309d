"""IR to arm64: the whole of a unit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

from dynarec.host import layout
from dynarec.host.arm64.arithmetic import ARITHMETIC, Arithmetic
from dynarec.host.arm64.conditions import CONDITIONS
from dynarec.host.arm64.encode import Assembler, Cond, Extend
from dynarec.host.arm64.memory import MEMORY, Memory
from dynarec.host.arm64.regs import BUDGET, CALL, CONTEXT, HOMES, SCRATCH, STATE
from dynarec.host.base import ExitKind, Hardening
from dynarec.host.buffer import Label
from dynarec.host.emit import complete
from dynarec.ir.ops import MASK32
from dynarec.ir.state import Field
from dynarec.ir.unit import Unit

LINK_SIZE = 2 * layout.WORD
"""Bytes of what takes something from the budget and branches."""
JUMP_SCALE_SHIFT = layout.JUMP_SCALE.bit_length() - 1
COUNTER_PAGE = 1 << 12
"""What one addition reaches."""


@cache
def _link_code(refund: int) -> bytes:
    asm, behind = Assembler(), Label()
    if refund:
        asm.add_ri(BUDGET, BUDGET, refund)
    else:
        asm.b(behind)
    asm.b(behind)
    asm.bind(behind)
    return asm.finish()


class Emitter(Arithmetic, Memory):
    """Emits one unit."""

    numbers: ClassVar = {register: number for number, register in enumerate((*HOMES, *SCRATCH))}
    methods = complete("arm64", ARITHMETIC, CONDITIONS, MEMORY)

    def __init__(
        self,
        unit: Unit,
        homes: Mapping[Field, int],
        jump_shift: int,
        harden: frozenset[Hardening] = frozenset(),
        counting: bool = False,
    ) -> None:
        super().__init__(unit, homes)
        self.counting = counting
        self.jump_shift = jump_shift
        self.harden = harden

    def _landing_pad(self) -> None:
        if Hardening.BTI in self.harden:
            self.asm.bti("j")

    def _charge(self, out_of_budget: Label) -> None:
        self.asm.subs_ri(BUDGET, BUDGET, self.charged)
        self.asm.bcond(Cond.MI, out_of_budget)

    def _charge_again(self, instructions: int, label: Label) -> None:
        self.asm.subs_ri(BUDGET, BUDGET, instructions)
        self.asm.bcond(Cond.PL, label)

    def _add_one(self, number: int, *scratch: int) -> int:
        """Four instructions; dynarec/host/arm64/__init__.py knows which of them say what counter it is."""
        start = self.asm.here
        base, count = scratch or (CALL, CONTEXT)
        page, within = divmod(layout.COUNTERS + number * layout.COUNTER_SIZE, COUNTER_PAGE)
        self.asm.add_ri64(base, STATE, page * COUNTER_PAGE)
        self.asm.ldr64(count, base, within)
        self.asm.add_ri64(count, count, 1)
        self.asm.str64(count, base, within)
        return start

    def _link(self, refund: int) -> int:
        link = self.asm.here
        self.asm.code += _link_code(refund)
        return link

    def _call_stub(self) -> None:
        self.asm.ldr64(CALL, STATE, layout.EXIT)
        if Hardening.PAC in self.harden:
            self.asm.sub_ri64(CONTEXT, STATE, -layout.EXIT)
            self.asm.blraa(CALL, CONTEXT)
        else:
            self.asm.blr(CALL)

    def _jump_to(self, register: int, mask: int, executed: int) -> None:
        """Look the target up in the CPU state's table of entries; the dispatcher fills it."""
        asm = self.asm
        slot, key = self.regs.temporary(), self.regs.temporary()
        counter = self._count(executed, slot, key)
        if executed < self.charged:
            asm.add_ri(BUDGET, BUDGET, self.charged - executed)
        asm.add_ext64(slot, STATE, register, Extend.UXTH, JUMP_SCALE_SHIFT)
        asm.ldp64(key, slot, slot, layout.JUMPS)
        miss = asm.label()
        asm.cmp_rr(key, register)
        asm.bcond(Cond.NE, miss)
        if Hardening.PAC in self.harden:
            asm.braa(slot, key)
        else:
            asm.br(slot)
        asm.bind(miss)
        if mask != MASK32:
            asm.and_ri(slot, register, mask)
            register = slot
        asm.str(register, STATE, layout.PC)
        self._call_exit(ExitKind.INDIRECT, 0, 0, counter=counter)
