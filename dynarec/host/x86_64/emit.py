"""IR to x86-64.

Guest memory is reached through gs with 32-bit addresses (the window's base is in gs): addresses wrap at 4 GiB by
themselves and no register is spent. Flags are set right before they are used: only moves come in between, which leave
them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.host import layout
from dynarec.host.allocate import Allocator, Slot
from dynarec.host.base import Exit, ExitKind, HostCode, Mark, Site
from dynarec.host.loops import loans, with_loans
from dynarec.host.x86_64.address import Scaled, find_scaled
from dynarec.host.x86_64.encode import Alu, Assembler, Cond, Label, Mem, Shift, invert
from dynarec.host.x86_64.forms import Reg
from dynarec.host.x86_64.regs import HOMES, SCRATCH, STATE
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, Unit

_SLOTS = {offset: Mem(STATE, offset) for offset in range(layout.HOMES, layout.JUMPS, layout.WORD)}
"""Memory operands of the words around the CPU state register."""
_EXIT = Mem(STATE, layout.EXIT)
_PC = Mem(STATE, layout.PC)
_BUDGET = Mem(STATE, layout.BUDGET)

_ALU = {ops.ADD: Alu.ADD, ops.SUB: Alu.SUB, ops.AND: Alu.AND, ops.OR: Alu.OR, ops.XOR: Alu.XOR}
_SHIFTS = {ops.SHL: Shift.SHL, ops.SHR: Shift.SHR, ops.SAR: Shift.SAR, ops.ROR: Shift.ROR}
_CONDITIONS = {
    ops.EQ: Cond.E, ops.NE: Cond.NE, ops.LTU: Cond.B, ops.GEU: Cond.AE, ops.LTS: Cond.L, ops.GES: Cond.GE,
}  # fmt: skip
_SWAPPED = {
    Cond.E: Cond.E, Cond.NE: Cond.NE, Cond.B: Cond.A, Cond.AE: Cond.BE, Cond.L: Cond.G, Cond.GE: Cond.LE,
}  # fmt: skip
"""The condition that holds for (b, a) when the other holds for (a, b)."""
_AGAINST_ZERO = {Cond.L: Cond.S, Cond.GE: Cond.NS}
"""After `test r, r`, which clears the overflow flag."""

JUMP_SLOT_SHIFT = 4
MAX_SCALE_SHIFT = 3


class Registers(Allocator):
    """The allocator's primitives on x86-64."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], assembler: Assembler) -> None:
        super().__init__(unit, homes, SCRATCH)
        self.asm = assembler

    def copy(self, to: int, source: int) -> None:
        self.asm.mov_rr(to, source)

    def load_slot(self, to: int, slot: Slot) -> None:
        self.asm.mov_rm(to, _SLOTS[slot])

    def store_slot(self, slot: Slot, source: int) -> None:
        self.asm.mov_mr(_SLOTS[slot], source)

    def constant(self, to: int, value: int) -> None:
        self.asm.mov_ri(to, value)

    def store_constant(self, slot: Slot, value: int) -> None:
        self.asm.mov_mi(_SLOTS[slot], value)


class _SideExit:
    """A side exit whose stub is still to come. `link` is the offset of the branch's distance if it can be patched itself."""

    __slots__ = ("executed", "label", "leave", "link", "pc")

    def __init__(self, label: Label, leave: Jump | Interpret, pc: int, executed: int, link: int) -> None:
        self.label = label
        self.leave = leave
        self.pc = pc
        self.executed = executed
        self.link = link


class Emitter:
    """Emits one unit."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], jump_shift: int, bmi2: bool) -> None:
        self.unit = unit
        self.jump_shift = jump_shift
        self.bmi2 = bmi2
        self.asm = Assembler()
        self.lent = loans(unit, homes)
        self.regs = Registers(unit, with_loans(homes, self.lent), self.asm)
        self.result = HostCode(b"", loans=[(HOMES.index(loan.register), loan.borrower.index) for loan in self.lent])
        self.scaled = find_scaled(unit)
        for parts in self.scaled.accesses.values():
            self.regs.left[parts.base] += 1
            self.regs.left[parts.index] += 1
        self.charged = unit.retired
        self.side_exits: list[_SideExit] = []
        self.head = self.asm.label()
        self.pending: Op | None = None

    def emit(self) -> HostCode:
        """The code of the whole unit."""
        self._head()
        ops_of_unit = self.unit.ops
        marks = self.result.marks
        for index, op in enumerate(ops_of_unit):
            marks.append(Mark(len(self.asm.code), index))
            self.regs.at = index
            if op.kind.compares and self._fuses(op, index):
                self.pending = op
                continue
            _EMITTERS[op.kind](self, op)
            self.regs.unlock()
        self.regs.at = len(self.unit.ops)
        self._terminal()
        marks.append(Mark(len(self.asm.code), -2))
        for side_exit in self.side_exits:
            self._side_exit_stub(side_exit)
        self.result.code = self.asm.finish()
        return self.result

    # -- head and exits -----------------------------------------------------------------------------------------------

    def _head(self) -> None:
        self.result.marks.append(Mark(0, -1))
        self._exchange(outwards=False)
        self.asm.bind(self.head)
        if self.charged:
            self.asm.alu_mi(Alu.SUB, _BUDGET, self.charged)
            label = self.asm.label()
            self.asm.jcc(Cond.S, label)
            self.side_exits.append(_SideExit(label, Jump(self.unit.key), self.unit.key, 0, -1))

    def _call_exit(self, kind: ExitKind, target: int, refund: int, link: int = 0) -> None:
        self.asm.call_m(_EXIT)
        self.result.exits.append(Exit(kind, len(self.asm.code), link, target, refund))

    def _exchange(self, outwards: bool) -> None:
        """Bring lent homes to their borrowers on the way in, back to their owners on the way out."""
        for loan in self.lent:
            leaving, coming = (loan.borrower, loan.owner) if outwards else (loan.owner, loan.borrower)
            self.regs.store_slot(leaving.index * layout.WORD, loan.register)
            self.regs.load_slot(loan.register, coming.index * layout.WORD)

    def _leave(self, target: int) -> None:
        """Go to a known guest pc, with nothing to give back."""
        if target == self.unit.key and self.charged:
            self.asm.jmp(self.head)
            return
        self._exchange(outwards=True)
        link = self.asm.jmp_patchable() + 1
        self._call_exit(ExitKind.JUMP, target, 0, link)

    def _side_exit_stub(self, side: _SideExit) -> None:
        self.asm.bind(side.label)
        refund = self.charged - side.executed
        if side.link < 0:
            self._exchange(outwards=True)
            self._call_exit(ExitKind.BUDGET, side.pc, refund)
        elif isinstance(side.leave, Interpret):
            self._exchange(outwards=True)
            self._call_exit(ExitKind.INTERPRET, side.pc, refund)
        elif refund == 0 and side.leave.target != self.unit.key and not self.lent:
            self._call_exit(ExitKind.JUMP, side.leave.target, 0, side.link)
        else:
            if refund:
                self.asm.alu_mi(Alu.ADD, _BUDGET, refund)
            self._leave(side.leave.target)

    def _branch_out(self, condition: Cond, leave: Jump | Interpret, at: int) -> None:
        """Leave if the flags say so."""
        pc = self.unit.insns[at].pc
        executed = at + 1 if isinstance(leave, Jump) else at
        if isinstance(leave, Jump) and leave.target == self.unit.key and executed == self.charged:
            self.asm.jcc(condition, self.head)
            return
        label = self.asm.label()
        self.asm.jcc(condition, label)
        self.side_exits.append(_SideExit(label, leave, pc, executed, len(self.asm.code) - layout.WORD))

    def _terminal(self) -> None:
        terminal = self.unit.terminal
        self.result.marks.append(Mark(len(self.asm.code), -2))
        match terminal:
            case Jump(target=target):
                self._leave(target)
            case JumpTo(target=target):
                self._jump_to(target)
            case Branch(condition=condition, taken=taken, fallthrough=fallthrough):
                self._branch_out(self._condition(condition), Jump(taken), len(self.unit.insns) - 1)
                self._leave(fallthrough)
            case _:
                self._call_exit(ExitKind.INTERPRET, self.unit.insns[-1].pc, 0)

    def _jump_to(self, target: Operand) -> None:
        """Look the target up in the CPU state's table of entries; the dispatcher fills it."""
        asm = self.asm
        register = self.regs.register(target)
        index = self.regs.temporary()
        scale = JUMP_SLOT_SHIFT - self.jump_shift
        shift = max(scale - MAX_SCALE_SHIFT, 0)
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
        asm.mov_mr(_PC, register)
        self._call_exit(ExitKind.INDIRECT, 0, 0)

    # -- conditions ---------------------------------------------------------------------------------------------------

    def _fuses(self, op: Op, index: int) -> bool:
        """Whether the compare's only use comes next, so that it need not become a value."""
        if self.regs.left.get(op) != 1:
            return False
        if index + 1 < len(self.unit.ops):
            return op in self.unit.ops[index + 1].args
        return self.unit.terminal_value() is op

    def _condition(self, operand: Operand) -> Cond:
        """Set the flags for a condition; the code that tells it from them."""
        pending, self.pending = self.pending, None
        if pending is not None and pending is operand:
            condition = self._compare(pending)
            self.regs.done(pending)
            return condition
        register = self.regs.register(operand)
        self.asm.test_rr(register, register)
        return Cond.NE

    def _compare(self, op: Op) -> Cond:
        a, b = op.args
        condition = _CONDITIONS[op.kind]
        if type(self.regs.value(a)) is int:
            a, b, condition = b, a, _SWAPPED[condition]
        second = self.regs.value(b)
        if type(second) is int:
            return self._compare_constant(a, second, condition)
        register = self._try_register(a)
        if register is None:
            self.asm.alu_mr(Alu.CMP, _SLOTS[self._slot(a)], self.regs.register(b))
        else:
            self._alu_operand(Alu.CMP, register, b)
        return condition

    def _compare_constant(self, a: Operand, constant: int, condition: Cond) -> Cond:
        register = self._try_register(a)
        if register is None:
            self.asm.alu_mi(Alu.CMP, _SLOTS[self._slot(a)], constant)
        elif constant == 0:
            self.asm.test_rr(register, register)
            return _AGAINST_ZERO.get(condition, condition)
        else:
            self.asm.alu_ri(Alu.CMP, register, constant)
        return condition

    # -- operands -----------------------------------------------------------------------------------------------------

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
            self.asm.alu_rm(kind, register, _SLOTS[self._slot(operand)])

    def _fetch(self, operand: Operand) -> int | Mem:
        """A register or a memory operand; constants go to a register."""
        register = self._try_register(operand)
        return _SLOTS[self._slot(operand)] if register is None else register

    # -- state --------------------------------------------------------------------------------------------------------

    def get(self, op: Op) -> None:
        self.regs.get(op)

    def set(self, op: Op) -> None:
        self.regs.set(op)

    # -- arithmetic ---------------------------------------------------------------------------------------------------

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
        regs, asm = self.regs, self.asm
        a, b = op.args
        kind = _ALU[op.kind]
        source = self._fetch(b) if type(regs.value(b)) is not int else None
        first = None if type(regs.value(a)) is int else self._fetch(a)
        regs.done(op)
        to = regs.result(op)
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
            return _SLOTS[self._slot(operand)]
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

    # -- conditions as values -----------------------------------------------------------------------------------------

    def compare(self, op: Op) -> None:
        condition = self._compare(op)
        self.regs.done(op)
        self._set_bit(op, condition)

    def _set_bit(self, op: Op, condition: Cond) -> None:
        to = self.regs.result(op)
        self.asm.setcc(condition, to)
        self.asm.movzx8_rr(to, to)

    def bit(self, op: Op) -> None:
        (a,) = op.args
        if self.pending is not None:
            condition = self._condition(a)
            self.regs.done(op)
            self._set_bit(op, condition)
            return
        value = self.regs.value(a)
        if isinstance(value, Op):
            self.regs.alias(op, value)
            self.regs.done(op)
        else:
            self._move(self.regs.result(op), None, value)

    def select(self, op: Op) -> None:
        """Fetching after the compare makes moves only, so the flags hold."""
        regs, asm = self.regs, self.asm
        condition, a, b = op.args
        code = self._condition(condition)
        regs.unlock()
        first = self._fetch(a)
        second = None if type(regs.value(b)) is int else self._fetch(b)
        regs.done(op)
        to = regs.result(op)
        if first == to:
            if second is None:
                other = regs.temporary()
                asm.mov_ri(other, regs.value(b))  # type: ignore[arg-type]
                second = other
            first, second, code = second, first, invert(code)
        self._move(to, second, b)
        if isinstance(first, int):
            asm.cmov_rr(code, to, first)
        else:
            asm.cmov_rm(code, to, first)

    # -- memory -------------------------------------------------------------------------------------------------------

    def _address(self, op: Op, base: Operand, offset: Operand) -> Mem:
        value = self.regs.value(base)
        assert isinstance(offset, int)
        if isinstance(value, int):
            return Mem(None, (value + offset) & ops.MASK32, guest=True)
        parts = self.scaled.accesses.get(op)
        if parts is not None:
            registers = self.regs.in_register(parts.base), self.regs.in_register(parts.index)
            self.regs.release(parts.base)
            self.regs.release(parts.index)
            if registers[0] is not None and registers[1] is not None:
                self.regs.lock(registers[0])
                self.regs.lock(registers[1])
                return Mem(registers[0], offset, registers[1], 1 << parts.shift, guest=True)
        return Mem(self.regs.register(base), offset, guest=True)

    def _site(self, op: Op) -> None:
        pc = self.unit.insns[op.at].pc
        self.result.sites.append(Site(len(self.asm.code), pc, self.charged - op.at))

    def load(self, op: Op) -> None:
        address = self._address(op, op.args[0], op.args[1])
        self.regs.done(op)
        to = self.regs.result(op)
        self._site(op)
        _LOADS[op.kind](self.asm, to, address)

    def store(self, op: Op) -> None:
        base, offset, operand = op.args
        address = self._address(op, base, offset)
        value = self.regs.value(operand)
        by_register, by_constant = _STORES[op.kind]
        if isinstance(value, int):
            self._site(op)
            by_constant(self.asm, address, value & ((1 << op.kind.bits) - 1))
        else:
            source = self.regs.register(operand)
            self._site(op)
            by_register(self.asm, address, source)
        self.regs.done(op)

    def store_if(self, op: Op) -> None:
        condition, base, offset, operand = op.args
        address = self._address(op, base, offset)
        source = self.regs.register(operand)
        over = self.asm.label()
        self.asm.jcc_short(invert(self._condition(condition)), over)
        self._site(op)
        self.asm.mov_mr(address, source)
        self.asm.bind(over)
        self.regs.done(op)

    def exit_if(self, op: Op) -> None:
        condition = self._condition(op.args[0])
        self.regs.done(op)
        self._branch_out(condition, op.attr, op.at)

    def call(self, op: Op) -> None:
        raise ValueError(f"{op} is the interpreter's: it must not reach a host")


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
_LOADS = {
    ops.LOAD8U: Assembler.movzx8_rm,
    ops.LOAD8S: Assembler.movsx8_rm,
    ops.LOAD16U: Assembler.movzx16_rm,
    ops.LOAD16S: Assembler.movsx16_rm,
    ops.LOAD32: Assembler.mov_rm,
}
_STORES = {
    ops.STORE8: (Assembler.mov8_mr, Assembler.mov8_mi),
    ops.STORE16: (Assembler.mov16_mr, Assembler.mov16_mi),
    ops.STORE32: (Assembler.mov_mr, Assembler.mov_mi),
}
_EMITTERS: dict[OpKind, Callable[[Emitter, Op], None]] = {
    ops.GET: Emitter.get,
    ops.SET: Emitter.set,
    **dict.fromkeys(_ALU, Emitter.binary),
    **dict.fromkeys(_SHIFTS, Emitter.shift),
    **dict.fromkeys(_EXTENSIONS, Emitter.extend),
    ops.MUL: Emitter.multiply,
    **dict.fromkeys(_HIGH, Emitter.multiply_high),
    **dict.fromkeys((ops.DIVU, ops.DIVS, ops.REMU, ops.REMS), Emitter.divide),
    **dict.fromkeys(ops.COMPARES, Emitter.compare),
    ops.BIT: Emitter.bit,
    ops.SELECT: Emitter.select,
    **dict.fromkeys(_LOADS, Emitter.load),
    **dict.fromkeys(_STORES, Emitter.store),
    ops.STORE32_IF: Emitter.store_if,
    ops.EXIT_IF: Emitter.exit_if,
    ops.CALL: Emitter.call,
}
if missing := set(ops.OPS.values()) - set(_EMITTERS):
    raise ImportError(f"x86-64 lacks the ops {missing}")
