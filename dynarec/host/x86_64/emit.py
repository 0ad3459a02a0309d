"""IR to x86-64: a unit's head, its ops in their order, its exits and its terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.host import layout
from dynarec.host.base import EXITS, HEAD, Exit, ExitKind, HostCode, Mark
from dynarec.host.x86_64.arithmetic import ARITHMETIC, Arithmetic
from dynarec.host.x86_64.conditions import CONDITIONS
from dynarec.host.x86_64.encode import Alu, Cond, Label, Mem, Shift
from dynarec.host.x86_64.memory import MEMORY, Memory
from dynarec.host.x86_64.regs import STATE
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, Unit

_EXIT = Mem(STATE, layout.EXIT)
_PC = Mem(STATE, layout.PC)
_BUDGET = Mem(STATE, layout.BUDGET)

JUMP_SLOT_SHIFT = layout.JUMP_SLOT_SIZE.bit_length() - 1
MAX_SCALE_SHIFT = 3


class _SideExit:
    """A side exit whose stub is still to come; `leave` is None for the one that is out of budget.

    `link` is the offset of the branch's distance.
    """

    __slots__ = ("executed", "label", "leave", "link", "pc")

    def __init__(self, label: Label, leave: Jump | Interpret | None, pc: int, executed: int, link: int = 0) -> None:
        self.label = label
        self.leave = leave
        self.pc = pc
        self.executed = executed
        self.link = link


class Emitter(Arithmetic, Memory):
    """Emits one unit."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], jump_shift: int, bmi2: bool) -> None:
        super().__init__(unit, homes)
        self.jump_shift = jump_shift
        self.bmi2 = bmi2
        self.side_exits: list[_SideExit] = []
        self.head = self.asm.label()

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
        marks.append(Mark(len(self.asm.code), EXITS))
        for side_exit in self.side_exits:
            self._side_exit_stub(side_exit)
        self.result.code = self.asm.finish()
        return self.result

    # -- head and exits -----------------------------------------------------------------------------------------------

    def _head(self) -> None:
        self.result.marks.append(Mark(0, HEAD))
        self._exchange(outwards=False)
        self.asm.bind(self.head)
        if self.charged:
            self.asm.alu_mi(Alu.SUB, _BUDGET, self.charged)
            label = self.asm.label()
            self.asm.jcc(Cond.S, label)
            self.side_exits.append(_SideExit(label, None, self.unit.key, 0))

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
        if side.leave is None:
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
        self.result.marks.append(Mark(len(self.asm.code), EXITS))
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

    # -- ops that are neither arithmetic nor memory -------------------------------------------------------------------

    def get(self, op: Op) -> None:
        self.regs.get(op)

    def set(self, op: Op) -> None:
        self.regs.set(op)

    def exit_if(self, op: Op) -> None:
        condition = self._condition(op.args[0])
        self.regs.done(op)
        self._branch_out(condition, op.attr, op.at)

    def call(self, op: Op) -> None:
        raise ValueError(f"{op} is the interpreter's: it must not reach a host")


_EMITTERS: dict[OpKind, Callable[[Emitter, Op], None]] = {
    **ARITHMETIC,
    **CONDITIONS,
    **MEMORY,
    ops.GET: Emitter.get,
    ops.SET: Emitter.set,
    ops.EXIT_IF: Emitter.exit_if,
    ops.CALL: Emitter.call,
}
if missing := set(ops.OPS.values()) - set(_EMITTERS):
    raise ImportError(f"x86-64 lacks the ops {missing}")
