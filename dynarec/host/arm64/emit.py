"""IR to arm64: a unit's head, its ops in their order, its exits and its terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynarec.host import layout
from dynarec.host.arm64.arithmetic import ARITHMETIC, Arithmetic
from dynarec.host.arm64.conditions import CONDITIONS
from dynarec.host.arm64.encode import Cond, Label
from dynarec.host.arm64.memory import MEMORY, Memory
from dynarec.host.arm64.regs import BUDGET, CALL, STATE
from dynarec.host.base import EXITS, HEAD, Exit, ExitKind, HostCode, Mark
from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, Unit

JUMP_SLOT_SHIFT = layout.JUMP_SLOT_SIZE.bit_length() - 1
JUMP_INDEX_BITS = layout.JUMP_SLOTS.bit_length() - 1


class _SideExit:
    """A side exit whose stub is still to come; `leave` is None for the one that is out of budget."""

    __slots__ = ("executed", "label", "leave", "pc")

    def __init__(self, label: Label, leave: Jump | Interpret | None, pc: int, executed: int) -> None:
        self.label = label
        self.leave = leave
        self.pc = pc
        self.executed = executed


class Emitter(Arithmetic, Memory):
    """Emits one unit."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], jump_shift: int) -> None:
        super().__init__(unit, homes)
        self.jump_shift = jump_shift
        self.side_exits: list[_SideExit] = []
        self.head = self.asm.label()

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
        self.result.marks.append(Mark(len(self.asm.code), EXITS))
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

    # -- ops that are neither arithmetic nor memory -------------------------------------------------------------------

    def get(self, op: Op) -> None:
        self.regs.get(op)

    def set(self, op: Op) -> None:
        self.regs.set(op)

    def exit_if(self, op: Op) -> None:
        label = self._exit_label(op.attr, op.at)
        self._branch_if(op.args[0], label)
        self.regs.done(op)

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
    raise ImportError(f"arm64 lacks the ops {missing}")
