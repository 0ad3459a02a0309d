"""Arithmetic on x86-64."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.host.parts import Part
from dynarec.host.x86_64.address import Scaled
from dynarec.host.x86_64.conditions import Conditions
from dynarec.host.x86_64.encode import Alu, Assembler, Cond, Mem, Shift
from dynarec.host.x86_64.forms import Reg
from dynarec.host.x86_64.operands import SLOTS
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Op, Operand

_ALU = {ops.ADD: Alu.ADD, ops.SUB: Alu.SUB, ops.AND: Alu.AND, ops.OR: Alu.OR, ops.XOR: Alu.XOR}
_SHIFTS = {ops.SHL: Shift.SHL, ops.SHR: Shift.SHR, ops.SAR: Shift.SAR, ops.ROR: Shift.ROR}
_BMI2_SHIFTS = {ops.SHL: Assembler.shlx, ops.SHR: Assembler.shrx, ops.SAR: Assembler.sarx}
_EXTENSIONS = {
    ops.SEXT8: (Assembler.movsx8_rr, Assembler.movsx8_rm),
    ops.SEXT16: (Assembler.movsx16_rr, Assembler.movsx16_rm),
    ops.ZEXT8: (Assembler.movzx8_rr, Assembler.movzx8_rm),
    ops.ZEXT16: (Assembler.movzx16_rr, Assembler.movzx16_rm),
}
_HIGH = {
    ops.MULHU: (Assembler.mul_r, Assembler.mul_m),
    ops.MULHS: (Assembler.imul1_r, Assembler.imul1_m),
    ops.MULHSU: (Assembler.mul_r, Assembler.mul_m),
}


class Arithmetic(Conditions):
    """Pure ops on 32-bit values."""

    def _scaled_sum(self, op: Op, parts: Scaled) -> None:
        regs = self.regs
        base, index = regs.register(parts.base), regs.register(parts.index)
        regs.done(op)
        regs.release(parts.index)  # the use by the shift, which makes no code of its own
        self.asm.lea(regs.result(op), Mem(base, 0, index, 1 << parts.shift))

    def binary(self, op: Op) -> None:
        """d = a op b in the two-operand form, or as lea."""
        if op in self.scaled.sums:
            self._scaled_sum(op, self.scaled.sums[op])
            return
        if op in self.parts.inner:
            return
        if op in self.parts.outer:
            self._and_inverted(op, self.parts.outer[op])
            return
        regs, asm = self.regs, self.asm
        a, b = op.args
        kind = _ALU[op.kind]
        source = self._fetch(b) if type(regs.value(b)) is not int else None
        first = None if type(regs.value(a)) is int else self._fetch(a)
        regs.done(op)
        to = regs.result(op)
        if op.kind is ops.SUB and regs.value(a) == 0:
            self._move(to, source, b)
            asm.neg_r(to)
            return
        if op.kind is ops.ADD and to != first and self._add_by_lea(to, first, source, b):
            return
        if isinstance(source, int) and source == to and first != to:
            self._binary_into_second(kind, to, first, a)
            return
        self._move(to, first, a)
        if source is None:
            value = regs.value(b)
            assert isinstance(value, int)
            asm.alu_ri(kind, to, value)
        elif isinstance(source, int):
            asm.alu_rr(kind, to, source)
        else:
            asm.alu_rm(kind, to, source)

    def _and_inverted(self, op: Op, part: Part) -> None:
        regs = self.regs
        other, source = regs.register(part.other), regs.register(part.source)
        regs.done(op)
        regs.release(part.source)
        self.asm.andn(regs.result(op), source, other)

    def _add_by_lea(self, to: int, first: int | Mem | None, source: int | Mem | None, b: Operand) -> bool:
        """A sum of registers in a third one, without a move."""
        if not isinstance(first, int):
            return False
        if source is None:
            value = self.regs.value(b)
            assert isinstance(value, int)
            self.asm.lea(to, Mem(first, value - (value >> 31 << 32)))
            return True
        if isinstance(source, int) and source != to:
            self.asm.lea(to, Mem(first, 0, source))
            return True
        return False

    def _binary_into_second(self, kind: Alu, to: int, first: int | Mem | None, a: Operand) -> None:
        """The result goes where the second operand is."""
        if kind is Alu.SUB:
            self.asm.neg_r(to)
            kind = Alu.ADD
        if isinstance(first, int):
            self.asm.alu_rr(kind, to, first)
        elif first is None:
            value = self.regs.value(a)
            assert isinstance(value, int)
            self.asm.alu_ri(kind, to, value)
        else:
            self.asm.alu_rm(kind, to, first)

    def shift(self, op: Op) -> None:
        if op in self.scaled.shifts:
            return
        a, b = op.args
        count = self.regs.value(b)
        kind = _SHIFTS[op.kind]
        if type(count) is int:
            source = None if type(self.regs.value(a)) is int else self._fetch(a)
            self.regs.done(op)
            to = self.regs.result(op)
            if kind is Shift.ROR and self.bmi2 and isinstance(source, int) and source != to:
                self.asm.rorx(to, source, count & ops.SHIFT_MASK)
                return
            self._move(to, source, a)
            self.asm.shift_ri(kind, to, count & ops.SHIFT_MASK)
        elif self.bmi2 and op.kind in _BMI2_SHIFTS:
            value, amount = self.regs.register(a), self.regs.register(b)
            self.regs.done(op)
            _BMI2_SHIFTS[op.kind](self.asm, self.regs.result(op), value, amount)
        else:
            self._shift_by_cl(op, kind)

    def _shift_by_cl(self, op: Op, kind: Shift) -> None:
        a, b = op.args
        self.regs.claim(Reg.RCX)
        self.regs.load(Reg.RCX, b)
        value = self.regs.register(a)
        to = self.regs.temporary()
        self.regs.done(op)
        self.asm.mov_rr(to, value)
        self.asm.shift_rc(kind, to)
        self.regs.result_in(op, to)

    def extend(self, op: Op) -> None:
        (a,) = op.args
        from_register, from_slot = _EXTENSIONS[op.kind]
        source = self._fetch(a)
        self.regs.done(op)
        to = self.regs.result(op)
        if isinstance(source, int):
            from_register(self.asm, to, source)
        else:
            from_slot(self.asm, to, source)

    def multiply(self, op: Op) -> None:
        a, b = op.args
        constant = self.regs.value(b)
        if type(self.regs.value(a)) is int:
            a, b, constant = b, a, self.regs.value(a)
        source = self._fetch(a)
        if type(constant) is int:
            self.regs.done(op)
            to = self.regs.result(op)
            if isinstance(source, int):
                self.asm.imul_rri(to, source, constant)
            else:
                self.asm.imul_rmi(to, source, constant)
            return
        second = self._fetch(b)
        self.regs.done(op)
        to = self.regs.result(op)
        if second == to:
            source, second = second, source
        self._move(to, source, a)
        if isinstance(second, int):
            self.asm.imul_rr(to, second)
        else:
            self.asm.imul_rm(to, second)

    def multiply_high(self, op: Op) -> None:
        """edx:eax = eax * operand."""
        regs, asm = self.regs, self.asm
        a, b = op.args
        self._claim_pair()
        operand = self._divisor(b)
        regs.load(Reg.RAX, a)
        one_register, one_memory = _HIGH[op.kind]
        if isinstance(operand, int):
            one_register(asm, operand)
        else:
            one_memory(asm, operand)
        if op.kind is ops.MULHSU:
            self._correct_sign(a, operand)
        regs.done(op)
        regs.result_in(op, Reg.RDX)

    def _correct_sign(self, a: Operand, operand: int | Mem) -> None:
        """The product took a as unsigned: where a is negative, b came in once too often."""
        self.regs.load(Reg.RAX, a)
        self.asm.shift_ri(Shift.SAR, Reg.RAX, ops.SHIFT_MASK)
        if isinstance(operand, int):
            self.asm.alu_rr(Alu.AND, Reg.RAX, operand)
        else:
            self.asm.alu_rm(Alu.AND, Reg.RAX, operand)
        self.asm.alu_rr(Alu.SUB, Reg.RDX, Reg.RAX)

    def _claim_pair(self) -> None:
        self.regs.claim(Reg.RAX)
        self.regs.claim(Reg.RDX)

    def _divisor(self, operand: Operand) -> int | Mem:
        """The operand in a register or state word that multiplication and division leave alone."""
        if type(self.regs.value(operand)) is not int and self.regs.in_register(operand) is None:
            return SLOTS[self._slot(operand)]
        return self.regs.register(operand)

    def divide(self, op: Op) -> None:
        """div and idiv fault on a zero divisor and on overflow; the IR defines both."""
        regs = self.regs
        a, b = op.args
        self._claim_pair()
        divisor = regs.register(b)
        constant = regs.value(b)
        regs.load(Reg.RAX, a)
        if op.kind in (ops.DIVU, ops.REMU):
            self._divide_unsigned(divisor, constant)
        else:
            self._divide_signed(divisor, constant)
        regs.done(op)
        regs.result_in(op, Reg.RAX if op.kind in (ops.DIVU, ops.DIVS) else Reg.RDX)

    def _divide_unsigned(self, divisor: int, constant: Operand) -> None:
        asm = self.asm
        zero, end = asm.label(), asm.label()
        if not isinstance(constant, int) or constant == 0:
            asm.test_rr(divisor, divisor)
            asm.jcc_short(Cond.E, zero)
        asm.alu_rr(Alu.XOR, Reg.RDX, Reg.RDX)
        asm.div_r(divisor)
        if not isinstance(constant, int) or constant == 0:
            asm.jmp_short(end)
            asm.bind(zero)
            self._quotient_by_zero()
        asm.bind(end)

    def _quotient_by_zero(self) -> None:
        self.asm.mov_rr(Reg.RDX, Reg.RAX)
        self.asm.mov_ri(Reg.RAX, ops.MASK32)

    def _divide_signed(self, divisor: int, constant: Operand) -> None:
        """A divisor of 0 or -1 is left to a slower path."""
        asm = self.asm
        special, minus, end = asm.label(), asm.label(), asm.label()
        plain = isinstance(constant, int) and constant not in (0, ops.MASK32)
        if not plain:
            asm.lea(Reg.RDX, Mem(divisor, 1))
            asm.alu_ri(Alu.CMP, Reg.RDX, 1)
            asm.jcc_short(Cond.BE, special)
        asm.cdq()
        asm.idiv_r(divisor)
        if not plain:
            asm.jmp_short(end)
            asm.bind(special)
            asm.jcc_short(Cond.B, minus)
            self._quotient_by_zero()
            asm.jmp_short(end)
            asm.bind(minus)
            asm.neg_r(Reg.RAX)
            asm.mov_ri(Reg.RDX, 0)
        asm.bind(end)


ARITHMETIC: dict[OpKind, Callable[[Arithmetic, Op], None]] = {
    **dict.fromkeys(_ALU, Arithmetic.binary),
    **dict.fromkeys(_SHIFTS, Arithmetic.shift),
    **dict.fromkeys(_EXTENSIONS, Arithmetic.extend),
    ops.MUL: Arithmetic.multiply,
    **dict.fromkeys(_HIGH, Arithmetic.multiply_high),
    **dict.fromkeys((ops.DIVU, ops.DIVS, ops.REMU, ops.REMS), Arithmetic.divide),
}
"""The method that emits an op of this module."""
