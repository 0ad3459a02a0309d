"""IR to arm64.

Guest memory is `[window, wN, uxtw]`, or `[pointer, #offset]` where the pointer is window + wN: a 32-bit address cannot
leave the window, and a small offset ends in its guards. Flags are set right before they are used: only moves come in
between, which leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.host import layout
from dynarec.host.allocate import Allocator, Slot
from dynarec.host.arm64.encode import ZR, Assembler, Cond, Label, add_immediate, invert, logical_immediate
from dynarec.host.arm64.lower import reaches, signed_offset
from dynarec.host.arm64.regs import BUDGET, CALL, HOMES, POINTER, SCRATCH, STATE, WINDOW
from dynarec.host.base import Exit, ExitKind, HostCode, Mark, Site
from dynarec.host.loops import loans, with_loans
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, Unit

_CONDITIONS = {
    ops.EQ: Cond.EQ, ops.NE: Cond.NE, ops.LTU: Cond.LO, ops.GEU: Cond.HS, ops.LTS: Cond.LT, ops.GES: Cond.GE,
}  # fmt: skip
_SWAPPED = {
    Cond.EQ: Cond.EQ, Cond.NE: Cond.NE, Cond.LO: Cond.HI, Cond.HS: Cond.LS, Cond.LT: Cond.GT, Cond.GE: Cond.LE,
}  # fmt: skip
"""The condition that holds for (b, a) when the other holds for (a, b)."""

JUMP_SLOT_SHIFT = layout.JUMP_SLOT_SIZE.bit_length() - 1
JUMP_INDEX_BITS = layout.JUMP_SLOTS.bit_length() - 1
SIGN_BIT = 31
HALF = 32
"""Bits of a product's half."""


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

    def register(self, operand: Operand) -> int:
        """Zero has a register of its own."""
        return ZR if type(operand) is int and operand == 0 else super().register(operand)


class _SideExit:
    """A side exit whose stub is still to come; `leave` is None for the one that is out of budget."""

    __slots__ = ("executed", "label", "leave", "pc")

    def __init__(self, label: Label, leave: Jump | Interpret | None, pc: int, executed: int) -> None:
        self.label = label
        self.leave = leave
        self.pc = pc
        self.executed = executed


class Emitter:
    """Emits one unit."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], jump_shift: int) -> None:
        self.unit = unit
        self.jump_shift = jump_shift
        self.asm = Assembler()
        self.lent = loans(unit, homes)
        self.regs = Registers(unit, with_loans(homes, self.lent), self.asm)
        self.result = HostCode(b"", loans=[(HOMES.index(loan.register), loan.borrower.index) for loan in self.lent])
        self.charged = unit.retired
        self.side_exits: list[_SideExit] = []
        self.head = self.asm.label()
        self.pending: Op | None = None
        self.pointed: Op | None = None
        """The value that the pointer register counts from."""

    def emit(self) -> HostCode:
        """The code of the whole unit."""
        self._head()
        marks = self.result.marks
        for index, op in enumerate(self.unit.ops):
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
            self.asm.subs_ri(BUDGET, BUDGET, self.charged)
            label = self.asm.label()
            self.asm.bcond(Cond.MI, label)
            self.side_exits.append(_SideExit(label, None, self.unit.key, 0))

    def _call_exit(self, kind: ExitKind, target: int, refund: int, link: int = 0) -> None:
        self.asm.ldr64(CALL, STATE, layout.EXIT)
        self.asm.blr(CALL)
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
            self.asm.b(self.head)
            return
        self._exchange(outwards=True)
        link = self.asm.b_patchable()
        self._call_exit(ExitKind.JUMP, target, 0, link)

    def _side_exit_stub(self, side: _SideExit) -> None:
        self.asm.bind(side.label)
        refund = self.charged - side.executed
        if side.leave is None:
            self._exchange(outwards=True)
            self._call_exit(ExitKind.BUDGET, side.pc, refund)
        elif isinstance(side.leave, Interpret):
            self._exchange(outwards=True)
            self._call_exit(ExitKind.INTERPRET, side.pc, refund)
        else:
            if refund:
                self.asm.add_ri(BUDGET, BUDGET, refund)
            self._leave(side.leave.target)

    def _exit_label(self, leave: Jump | Interpret, at: int) -> Label:
        """Where to branch in order to leave from instruction `at`."""
        executed = at + 1 if isinstance(leave, Jump) else at
        if isinstance(leave, Jump) and leave.target == self.unit.key and executed == self.charged:
            return self.head
        label = self.asm.label()
        self.side_exits.append(_SideExit(label, leave, self.unit.insns[at].pc, executed))
        return label

    def _terminal(self) -> None:
        self.result.marks.append(Mark(len(self.asm.code), -2))
        match self.unit.terminal:
            case Jump(target=target):
                self._leave(target)
            case JumpTo(target=target):
                self._jump_to(target)
            case Branch(condition=condition, taken=taken, fallthrough=fallthrough):
                self._branch_if(condition, self._exit_label(Jump(taken), len(self.unit.insns) - 1))
                self._leave(fallthrough)
            case _:
                self._call_exit(ExitKind.INTERPRET, self.unit.insns[-1].pc, 0)

    def _jump_to(self, target: Operand) -> None:
        """Look the target up in the CPU state's table of entries; the dispatcher fills it."""
        asm = self.asm
        register = self.regs.register(target)
        slot, key = self.regs.temporary(), self.regs.temporary()
        asm.ubfx(slot, register, self.jump_shift, JUMP_INDEX_BITS)
        asm.add_ext64(slot, STATE, slot, amount=JUMP_SLOT_SHIFT)
        asm.ldp64(key, slot, slot, layout.JUMPS)
        miss = asm.label()
        asm.cmp_rr(key, register)
        asm.bcond(Cond.NE, miss)
        asm.br(slot)
        asm.bind(miss)
        asm.str(register, STATE, layout.PC)
        self._call_exit(ExitKind.INDIRECT, 0, 0)

    # -- conditions ---------------------------------------------------------------------------------------------------

    def _fuses(self, op: Op, index: int) -> bool:
        """Whether the compare's only use comes next, so that it need not become a value."""
        if self.regs.left[op] != 1:
            return False
        if index + 1 < len(self.unit.ops):
            return op in self.unit.ops[index + 1].args
        return self.unit.terminal_value() is op

    def _take_pending(self, operand: Operand) -> Op | None:
        pending, self.pending = self.pending, None
        return pending if pending is operand else None

    def _condition(self, operand: Operand) -> Cond:
        """Set the flags for a condition; the code that tells it from them."""
        pending = self._take_pending(operand)
        if pending is not None:
            condition = self._compare(pending)
            self.regs.done(pending)
            return condition
        self._compare_constant(self.regs.register(operand), 0)
        return Cond.NE

    def _compare(self, op: Op) -> Cond:
        a, b = op.args
        condition = _CONDITIONS[op.kind]
        if type(self.regs.value(a)) is int:
            a, b, condition = b, a, _SWAPPED[condition]
        constant = self.regs.value(b)
        register = self.regs.register(a)
        if not (isinstance(constant, int) and self._compare_constant(register, constant)):
            self.asm.cmp_rr(register, self.regs.register(b))
        return condition

    def _compare_constant(self, register: int, constant: int) -> bool:
        """Compare in one instruction, if there is one; beside an immediate, the zero register is the stack pointer."""
        if register == ZR and constant == 0:
            self.asm.cmp_rr(ZR, ZR)
        elif register != ZR and add_immediate(constant):
            self.asm.cmp_ri(register, constant)
        elif register != ZR and add_immediate(-constant & ops.MASK32):
            self.asm.cmn_ri(register, -constant & ops.MASK32)
        else:
            return False
        return True

    def _branch_if(self, operand: Operand, label: Label) -> None:
        """Branch to the label if the condition holds: without flags where it is a test of a register alone."""
        pending = self._take_pending(operand)
        if pending is None:
            self.asm.cbnz(self.regs.register(operand), label)
            return
        against_zero = self.regs.value(pending.args[1]) == 0 and type(self.regs.value(pending.args[0])) is not int
        branch = _BRANCHES_ON_ZERO.get(pending.kind) if against_zero else None
        if branch is not None:
            branch(self.asm, self.regs.register(pending.args[0]), label)
        else:
            self.asm.bcond(self._compare(pending), label)
        self.regs.done(pending)

    # -- state --------------------------------------------------------------------------------------------------------

    def get(self, op: Op) -> None:
        self.regs.get(op)

    def set(self, op: Op) -> None:
        self.regs.set(op)

    # -- arithmetic ---------------------------------------------------------------------------------------------------

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
        if type(constant) is int and logical_immediate(constant) is not None:
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

    def three(self, op: Op) -> None:
        """Ops with an instruction of the same meaning on registers."""
        self._three(op, _THREE[op.kind])

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

    def extend(self, op: Op) -> None:
        source = self.regs.register(op.args[0])
        self.regs.done(op)
        _EXTENSIONS[op.kind](self.asm, self.regs.result(op), source)

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

    # -- conditions as values -----------------------------------------------------------------------------------------

    def compare(self, op: Op) -> None:
        condition = self._compare(op)
        self.regs.done(op)
        self.asm.cset(self.regs.result(op), condition)

    def bit(self, op: Op) -> None:
        (a,) = op.args
        value = self.regs.value(a)
        if self.pending is not None:
            condition = self._condition(a)
            self.regs.done(op)
            self.asm.cset(self.regs.result(op), condition)
        elif isinstance(value, Op):
            self.regs.alias(op, value)
            self.regs.done(op)
        else:
            self.asm.mov_ri(self.regs.result(op), value)

    def select(self, op: Op) -> None:
        """Fetching after the compare makes moves only, so the flags hold."""
        condition, a, b = op.args
        code = self._condition(condition)
        self.regs.unlock()
        first, second = self.regs.register(a), self.regs.register(b)
        self.regs.done(op)
        self.asm.csel(self.regs.result(op), first, second, code)

    # -- memory -------------------------------------------------------------------------------------------------------

    def _site(self, op: Op) -> None:
        pc = self.unit.insns[op.at].pc
        self.result.sites.append(Site(len(self.asm.code), pc, self.charged - op.at))

    def _address(self, base: Operand, offset: Operand) -> int:
        """A register with the address; an offset is left only where `lower` was switched off."""
        assert isinstance(offset, int)
        value = self.regs.value(base)
        if isinstance(value, int):
            return self.regs.register((value + offset) & ops.MASK32)
        register = self.regs.register(base)
        if offset == 0:
            return register
        address = self.regs.temporary()
        self.asm.mov_ri(address, offset)
        self.asm.add_rr(address, address, register)
        return address

    def _point(self, op: Op) -> bool:
        """Make the pointer hold the access's base, if the access can go through it."""
        base, offset = op.args[:2]
        value = self.regs.value(base)
        if isinstance(value, int) or offset == 0 or not reaches(signed_offset(offset), op.kind.bits):
            return False
        if self.pointed is not value:
            self.asm.add_ext64(POINTER, WINDOW, self.regs.register(base))
            self.pointed = value
        return True

    def load(self, op: Op) -> None:
        pointed = self._point(op)
        address = 0 if pointed else self._address(op.args[0], op.args[1])
        self.regs.done(op)
        to = self.regs.result(op)
        self._site(op)
        if pointed:
            _POINTED_LOADS[op.kind](self.asm, to, POINTER, signed_offset(op.args[1]))
        else:
            _LOADS[op.kind](self.asm, to, WINDOW, address)

    def store(self, op: Op) -> None:
        base, offset, operand = op.args
        pointed = self._point(op)
        address = 0 if pointed else self._address(base, offset)
        source = self.regs.register(self.regs.value(operand))
        self._site(op)
        if pointed:
            _POINTED_STORES[op.kind](self.asm, source, POINTER, signed_offset(offset))
        else:
            _STORES[op.kind](self.asm, source, WINDOW, address)
        self.regs.done(op)

    def store_if(self, op: Op) -> None:
        condition, base, offset, operand = op.args
        code = self._condition(condition)
        self.regs.unlock()
        address = self._address(base, offset)
        source = self.regs.register(self.regs.value(operand))
        over = self.asm.label()
        self.asm.bcond(invert(code), over)
        self._site(op)
        self.asm.str_x(source, WINDOW, address)
        self.asm.bind(over)
        self.regs.done(op)

    def exit_if(self, op: Op) -> None:
        label = self._exit_label(op.attr, op.at)
        self._branch_if(op.args[0], label)
        self.regs.done(op)

    def call(self, op: Op) -> None:
        raise ValueError(f"{op} is the interpreter's: it must not reach a host")


def _branch_if_negative(asm: Assembler, register: int, label: Label) -> None:
    asm.tbnz(register, SIGN_BIT, label)


def _branch_if_not_negative(asm: Assembler, register: int, label: Label) -> None:
    asm.tbz(register, SIGN_BIT, label)


_BRANCHES_ON_ZERO: dict[OpKind, Callable[[Assembler, int, Label], None]] = {
    ops.EQ: Assembler.cbz,
    ops.NE: Assembler.cbnz,
    ops.LTS: _branch_if_negative,
    ops.GES: _branch_if_not_negative,
}
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
_THREE = {ops.MUL: Assembler.mul}
_EXTENSIONS = {
    ops.SEXT8: Assembler.sxtb,
    ops.SEXT16: Assembler.sxth,
    ops.ZEXT8: Assembler.uxtb,
    ops.ZEXT16: Assembler.uxth,
}
_LOADS = {
    ops.LOAD8U: Assembler.ldrb_x,
    ops.LOAD8S: Assembler.ldrsb_x,
    ops.LOAD16U: Assembler.ldrh_x,
    ops.LOAD16S: Assembler.ldrsh_x,
    ops.LOAD32: Assembler.ldr_x,
}
_STORES = {
    ops.STORE8: Assembler.strb_x,
    ops.STORE16: Assembler.strh_x,
    ops.STORE32: Assembler.str_x,
}
_POINTED_LOADS = {
    ops.LOAD8U: Assembler.ldrb,
    ops.LOAD8S: Assembler.ldrsb,
    ops.LOAD16U: Assembler.ldrh,
    ops.LOAD16S: Assembler.ldrsh,
    ops.LOAD32: Assembler.ldr,
}
_POINTED_STORES = {
    ops.STORE8: Assembler.strb,
    ops.STORE16: Assembler.strh,
    ops.STORE32: Assembler.str,
}
_EMITTERS: dict[OpKind, Callable[[Emitter, Op], None]] = {
    ops.GET: Emitter.get,
    ops.SET: Emitter.set,
    ops.ADD: Emitter.add,
    ops.SUB: Emitter.subtract,
    **dict.fromkeys(_LOGIC, Emitter.logic),
    **dict.fromkeys(_SHIFTS, Emitter.shift),
    **dict.fromkeys(_THREE, Emitter.three),
    **dict.fromkeys(_EXTENSIONS, Emitter.extend),
    **dict.fromkeys((ops.MULHU, ops.MULHS), Emitter.multiply_high),
    ops.MULHSU: Emitter.multiply_high_mixed,
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
    raise ImportError(f"arm64 lacks the ops {missing}")
