"""Arithmetic on arm64."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.arm64.conditions import Conditions
from dynarec.host.arm64.encode import ZR, Assembler, Cond, add_immediate, logical_immediate
from dynarec.host.arm64.parts import INVERTED, PRODUCTS, SHIFTED, SHIFTS, field_width
from dynarec.host.arm64.regs import VECTOR
from dynarec.host.parts import Part
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand

HALF = 32
"""Bits of a product's half."""

_LOGIC = {
    ops.AND: (Assembler.and_rr, Assembler.and_ri),
    ops.OR: (Assembler.orr_rr, Assembler.orr_ri),
    ops.XOR: (Assembler.eor_rr, Assembler.eor_ri),
}
_SHIFTS = {
    ops.SHL: (Assembler.lsl_rr, Assembler.lsl_ri),
    ops.SHR: (Assembler.lsr_rr, Assembler.lsr_ri),
    ops.SAR: (Assembler.asr_rr, Assembler.asr_ri),
    ops.ROR: (Assembler.ror_rr, Assembler.ror_ri),
}
_TWO = {
    ops.SEXT8: Assembler.sxtb,
    ops.SEXT16: Assembler.sxth,
    ops.ZEXT8: Assembler.uxtb,
    ops.ZEXT16: Assembler.uxth,
    ops.CLZ: Assembler.clz,
    ops.BSWAP: Assembler.rev,
}


class Arithmetic(Conditions):
    """Pure ops on 32-bit values."""

    def whole(self, op: Op) -> None:
        """An op that may have a part, or be one."""
        if op in self.parts.outer:
            self._with_part(op, self.parts.outer[op])
        elif op not in self.parts.inner:
            _WHOLE[op.kind](self, op)

    def _with_part(self, op: Op, part: Part) -> None:
        regs = self.regs
        width = field_width(op, part)
        first = 0 if width else regs.register(part.other)
        second, *factor = map(regs.register, part.sources)
        regs.done(op)
        for source in part.sources:
            regs.release(source)
        to = regs.result(op)
        if factor:
            PRODUCTS[op.kind](self.asm, to, second, factor[0], first)
        elif width:
            self.asm.ubfx(to, second, part.amount, width)
        else:
            emit = (INVERTED if part.inverted else SHIFTED)[op.kind]
            emit(self.asm, to, first, second, SHIFTS[part.shift], part.amount)

    def add(self, op: Op) -> None:
        a, b = op.args
        if type(self.regs.value(a)) is int:
            a, b = b, a
        self._add_constant_or_register(op, a, b, self.regs.value(b))

    def subtract(self, op: Op) -> None:
        a, b = op.args
        constant = self.regs.value(b)
        if type(constant) is int:
            self._add_constant_or_register(op, a, b, -constant & ops.MASK32)
        else:
            self._three(op, Assembler.sub_rr)

    def _add_constant_or_register(self, op: Op, a: Operand, b: Operand, value: Operand) -> None:
        """a + b, where `value` is b, or the constant that is to be added."""
        first = self.regs.register(a)
        if type(value) is int and add_immediate(value) and first != ZR:
            self.regs.done(op)
            self.asm.add_ri(self.regs.result(op), first, value)
        elif type(value) is int and add_immediate(-value & ops.MASK32) and first != ZR:
            self.regs.done(op)
            self.asm.sub_ri(self.regs.result(op), first, -value & ops.MASK32)
        else:
            second = self.regs.register(value)
            self.regs.done(op)
            self.asm.add_rr(self.regs.result(op), first, second)

    def logic(self, op: Op) -> None:
        a, b = op.args
        if type(self.regs.value(a)) is int:
            a, b = b, a
        by_register, by_constant = _LOGIC[op.kind]
        constant = self.regs.value(b)
        first = self.regs.register(a)
        if op.kind is ops.XOR and constant == ops.MASK32:
            self.regs.done(op)
            self.asm.orn_rr(self.regs.result(op), ZR, first)
        elif type(constant) is int and logical_immediate(constant) is not None:
            self.regs.done(op)
            by_constant(self.asm, self.regs.result(op), first, constant)
        else:
            second = self.regs.register(b)
            self.regs.done(op)
            by_register(self.asm, self.regs.result(op), first, second)

    def _three(self, op: Op, emit: Callable[[Assembler, int, int, int], None]) -> None:
        first, second = self.regs.register(op.args[0]), self.regs.register(op.args[1])
        self.regs.done(op)
        emit(self.asm, self.regs.result(op), first, second)

    def multiply(self, op: Op) -> None:
        self._three(op, Assembler.mul)

    def shift(self, op: Op) -> None:
        a, b = op.args
        count = self.regs.value(b)
        by_register, by_constant = _SHIFTS[op.kind]
        if type(count) is not int:
            self._three(op, by_register)
            return
        source = self.regs.register(a)
        self.regs.done(op)
        by_constant(self.asm, self.regs.result(op), source, count & ops.SHIFT_MASK)

    def two(self, op: Op) -> None:
        """Ops with an instruction of the same meaning on one register."""
        source = self.regs.register(op.args[0])
        self.regs.done(op)
        _TWO[op.kind](self.asm, self.regs.result(op), source)

    def trailing_zeros(self, op: Op) -> None:
        source = self.regs.register(op.args[0])
        self.regs.done(op)
        to = self.regs.result(op)
        self.asm.rbit(to, source)
        self.asm.clz(to, to)

    def count_ones(self, op: Op) -> None:
        """The ones of each byte, and the sum of these: only vector registers can do that (FEAT_CSSC apart)."""
        source = self.regs.register(op.args[0])
        self.regs.done(op)
        self.asm.fmov_sw(VECTOR, source)
        self.asm.cnt(VECTOR, VECTOR)
        self.asm.addv(VECTOR, VECTOR)
        self.asm.fmov_ws(self.regs.result(op), VECTOR)

    def multiply_high(self, op: Op) -> None:
        """The product in 64 bits, and its upper half."""
        regs, asm = self.regs, self.asm
        a, b = regs.register(op.args[0]), regs.register(op.args[1])
        regs.done(op)
        to = regs.result(op)
        (asm.umull if op.kind is ops.MULHU else asm.smull)(to, a, b)
        asm.lsr_ri64(to, to, HALF)

    def multiply_high_mixed(self, op: Op) -> None:
        """Every op leaves the upper half of its register zero, so b is its own unsigned extension."""
        regs, asm = self.regs, self.asm
        a, b = regs.register(op.args[0]), regs.register(op.args[1])
        extended = regs.temporary()
        asm.sxtw(extended, a)
        asm.mul64(extended, extended, b)
        regs.done(op)
        asm.lsr_ri64(regs.result(op, extended), extended, HALF)

    def divide(self, op: Op) -> None:
        """sdiv and udiv give 0 for a zero divisor, and wrap on overflow (Arm ARM, SDIV)."""
        regs, asm = self.regs, self.asm
        a, b = regs.register(op.args[0]), regs.register(op.args[1])
        divide = asm.udiv if op.kind in (ops.DIVU, ops.REMU) else asm.sdiv
        if op.kind in (ops.REMU, ops.REMS):
            quotient = regs.temporary()
            divide(quotient, a, b)
            regs.done(op)
            asm.msub(regs.result(op, quotient), quotient, b, a)
            return
        constant = regs.value(op.args[1])
        if type(constant) is int and constant:
            regs.done(op)
            divide(regs.result(op), a, b)
            return
        quotient = regs.temporary()
        divide(quotient, a, b)
        self._compare_constant(b, 0)
        regs.done(op)
        asm.csinv(regs.result(op, quotient), quotient, ZR, Cond.NE)


_WHOLE: dict[OpKind, Callable[[Arithmetic, Op], None]] = {
    ops.ADD: Arithmetic.add,
    ops.SUB: Arithmetic.subtract,
    ops.MUL: Arithmetic.multiply,
    **dict.fromkeys(_LOGIC, Arithmetic.logic),
    **dict.fromkeys(_SHIFTS, Arithmetic.shift),
    **dict.fromkeys((ops.ZEXT8, ops.ZEXT16), Arithmetic.two),
}
ARITHMETIC: dict[OpKind, Callable[[Arithmetic, Op], None]] = {
    **dict.fromkeys(_TWO, Arithmetic.two),
    **dict.fromkeys(_WHOLE, Arithmetic.whole),
    ops.CTZ: Arithmetic.trailing_zeros,
    ops.POPCNT: Arithmetic.count_ones,
    **dict.fromkeys((ops.MULHU, ops.MULHS), Arithmetic.multiply_high),
    ops.MULHSU: Arithmetic.multiply_high_mixed,
    **dict.fromkeys((ops.DIVU, ops.DIVS, ops.REMU, ops.REMS), Arithmetic.divide),
}
"""The method that emits an op of this module."""
