"""Bits and bytes of a word on x86-64: counted, found, reversed."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.x86_64.encode import Alu, Assembler, Cond, Shift
from dynarec.host.x86_64.operands import Operands
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op

_COUNTS = {ops.CLZ: Assembler.lzcnt_rr, ops.CTZ: Assembler.tzcnt_rr, ops.POPCNT: Assembler.popcnt_rr}
_HIGHEST = ops.WORD_BITS - 1
_NO_ONE = _HIGHEST ^ ops.WORD_BITS
"""The number of the highest one that would be 32 zeros above it."""
_PAIRS, _NIBBLES, _BYTES, _EACH_BYTE = 0x5555_5555, 0x3333_3333, 0x0F0F_0F0F, 0x0101_0101
_TOP_BYTE = 24


class Bits(Operands):
    """Ops on one word. A CPU that lacks the count has bsr and bsf, which say nothing of zero."""

    def _source_and_result(self, op: Op) -> tuple[int, int]:
        source = self.regs.register(op.args[0])
        self.regs.done(op)
        return source, self.regs.result(op)

    def count(self, op: Op) -> None:
        if self.bmi2:
            source, to = self._source_and_result(op)
            _COUNTS[op.kind](self.asm, to, source)
        else:
            _PLAIN_COUNTS[op.kind](self, op)

    def _plain_leading_zeros(self, op: Op) -> None:
        none = self.regs.temporary_beside(op)
        source, to = self._source_and_result(op)
        self.asm.mov_ri(none, _NO_ONE)
        self.asm.bsr_rr(to, source)
        self.asm.cmov_rr(Cond.E, to, none)
        self.asm.alu_ri(Alu.XOR, to, _HIGHEST)

    def _plain_trailing_zeros(self, op: Op) -> None:
        none = self.regs.temporary_beside(op)
        source, to = self._source_and_result(op)
        self.asm.mov_ri(none, ops.WORD_BITS)
        self.asm.bsf_rr(to, source)
        self.asm.cmov_rr(Cond.E, to, none)

    def _plain_ones(self, op: Op) -> None:
        """Sums in fields of two bits, four, eight; a product adds up the bytes in its highest one."""
        asm = self.asm
        half = self.regs.temporary_beside(op)
        source, to = self._source_and_result(op)
        if to != source:
            asm.mov_rr(to, source)
        self._shifted_down(half, to, 1, _PAIRS)
        asm.alu_rr(Alu.SUB, to, half)
        self._shifted_down(half, to, 2, _NIBBLES)
        asm.alu_ri(Alu.AND, to, _NIBBLES)
        asm.alu_rr(Alu.ADD, to, half)
        self._shifted_down(half, to, 4, ops.MASK32)
        asm.alu_rr(Alu.ADD, to, half)
        asm.alu_ri(Alu.AND, to, _BYTES)
        asm.imul_rri(to, to, _EACH_BYTE)
        asm.shift_ri(Shift.SHR, to, _TOP_BYTE)

    def _shifted_down(self, to: int, source: int, count: int, mask: int) -> None:
        self.asm.mov_rr(to, source)
        self.asm.shift_ri(Shift.SHR, to, count)
        if mask != ops.MASK32:
            self.asm.alu_ri(Alu.AND, to, mask)

    def reverse_bytes(self, op: Op) -> None:
        source, to = self._source_and_result(op)
        if to != source:
            self.asm.mov_rr(to, source)
        self.asm.bswap_r(to)


_PLAIN_COUNTS: dict[OpKind, Callable[[Bits, Op], None]] = {
    ops.CLZ: Bits._plain_leading_zeros,
    ops.CTZ: Bits._plain_trailing_zeros,
    ops.POPCNT: Bits._plain_ones,
}
BITS: dict[OpKind, Callable[[Bits, Op], None]] = {
    **dict.fromkeys(_COUNTS, Bits.count),
    ops.BSWAP: Bits.reverse_bytes,
}
"""The method that emits an op of this module."""
