"""What the emitters of all hosts share: a unit's head, its ops in their order, its exits, and compares that fuse.

A host derives its emitter from `UnitEmitter`; the methods of its ops stand in a table by kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from dynarec.features import COMPARES
from dynarec.host import layout
from dynarec.host.allocate import Allocator
from dynarec.host.base import Counter, Exit, ExitKind, HostCode, Site
from dynarec.host.buffer import Buffer, Label
from dynarec.host.loops import loans, with_loans
from dynarec.host.moves import REGISTERS, Move, ParallelMoves
from dynarec.host.parts import Parts
from dynarec.host.recoveries import Recoveries
from dynarec.ir import ops
from dynarec.ir.ops import MASK32, OpKind
from dynarec.ir.state import Field
from dynarec.ir.unit import Branch, Deferred, Interpret, Jump, JumpTo, Op, Operand, Unit

Cond = TypeVar("Cond")
"""The host's condition codes."""


KEEP_FLAGS = frozenset((ops.GET, ops.SET, ops.EXIT_IF, *ops.COMPARES))
"""Ops that move, or set the flags by themselves."""
_Leave = Jump | JumpTo | Interpret


class _SideExit:
    """A side exit whose stub is still to come; `leave` is None for the one of the head, out of budget.

    `register` holds the target of a `JumpTo`, which may have to be masked. `moves` make the deferred writes.
    """

    __slots__ = ("executed", "label", "leave", "mask", "moves", "pc", "register")

    def __init__(
        self,
        label: Label,
        leave: _Leave | None,
        pc: int,
        executed: int,
        register: int = 0,
        mask: int = MASK32,
        moves: Sequence[Move] = (),
    ) -> None:
        self.label = label
        self.leave = leave
        self.pc = pc
        self.executed = executed
        self.register = register
        self.mask = mask
        self.moves = moves


class UnitEmitter(ABC, Generic[Cond]):
    """Emits one unit. A subclass sets `asm`, `regs`, `parts` and `jump_shift`.

    numbers: of host registers, as deferred writes name them (`Recovery.number`).
    """

    asm: Buffer
    regs: Allocator
    jump_shift: int
    parts: Parts
    numbers: ClassVar[Mapping[int, int]]
    methods: ClassVar[Mapping[OpKind, Callable[[Any, Op], None]]]
    """The method that emits an op; those of this module are in `METHODS`."""
    counting = False
    """Whether the unit is to count how often each of its rounds ended, and where."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int]) -> None:
        self.unit = unit
        self.charged = unit.retired
        """Guest instructions that a round takes from the budget."""
        self.lent = loans(unit, homes)
        self.homes = with_loans(homes, self.lent)
        numbers = {register: number for number, register in enumerate(homes.values())}
        self.result = HostCode(b"", loans=[(numbers[loan.register], loan.borrower.index) for loan in self.lent])
        self.pending: Op | None = None
        """A compare that its only use, which comes next, is going to make."""
        self.side_exits: list[_SideExit] = []
        self.top = Label()
        """Where a round begins that has been charged."""
        self.compared: tuple[Operand, Operand] | None = None
        """What the flags were set for."""
        self.late: set[Op] = set()
        """Masks of computed jumps, which a jump needs only where its target is not found."""
        self.recoveries = Recoveries(
            self.result.recoveries, self.numbers, {home: field.index for field, home in self.homes.items()}
        )

    def emit(self) -> HostCode:
        """The code of the whole unit."""
        self.result.counted = self.counting
        self.late = self._late_masks()
        regs, code, starts = self.regs, self.asm.code, self.result.starts
        starts.append(len(code))
        self._head()
        remade = regs.remade
        for index, op in enumerate(self.unit.ops):
            starts.append(len(code))
            regs.at = index
            if op in self.late or op in remade:
                continue
            if op.kind not in KEEP_FLAGS:
                self.compared = None
            if op.kind.compares and self._fuses(op, index):
                self.pending = op
                continue
            self.methods[op.kind](self, op)
            regs.unlock()
            if op.deferred:
                regs.leave_behind()
        self.regs.at = len(self.unit.ops)
        self.recoveries.close(len(self.result.sites) - 1)
        starts.append(len(code))
        self._terminal()
        self.regs.unlock()
        for side_exit in self.side_exits:
            self._side_exit_stub(side_exit)
        self.result.code = self.asm.finish()
        return self.result

    def _late_masks(self) -> set[Op]:
        targets = [op.attr.target for op in self.unit.ops if op.kind is ops.EXIT_IF and isinstance(op.attr, JumpTo)]
        if isinstance(self.unit.terminal, JumpTo):
            targets.append(self.unit.terminal.target)
        return {each for each in targets if isinstance(each, Op) and self._is_late(each)}

    def _is_late(self, target: Op) -> bool:
        """Whether it is the jump that makes its target an address of code."""
        is_mask = target.kind is ops.AND and target.args[1] == MASK32 << self.jump_shift & MASK32
        is_alone = self.regs.left[target] == 1 and target not in self.parts.outer
        return is_mask and is_alone and isinstance(target.args[0], Op)

    def _target(self, target: Operand) -> tuple[int, int]:
        """The register with the target of a computed jump, and the mask that makes it an address of code."""
        if isinstance(target, Op) and target in self.late:
            source, mask = target.args
            return self.regs.register(source), int(mask)  # type: ignore[arg-type]
        return self.regs.register(target), MASK32

    def _site(self, op: Op, moves: Sequence[Move] | None = None) -> None:
        """The next host instruction makes the op's access. moves: what are deferred writes then, if not now."""
        self.recoveries.site(len(self.result.sites), self.regs.moves(op.deferred) if moves is None else moves)
        self.result.sites.append(Site(self.asm.here, self.unit.insns[op.at].pc, self.charged - op.at))

    # -- primitives of the host ---------------------------------------------------------------------------------------

    @abstractmethod
    def _charge(self, out_of_budget: Label) -> None:
        """Take `charged` from the budget; branch if that is more than it has."""

    @abstractmethod
    def _charge_again(self, instructions: int, label: Label) -> None:
        """Take so much from the budget; branch back unless that is more than it has."""

    @abstractmethod
    def _add_one(self, number: int, *scratch: int) -> int:
        """Add 1 to the unit's counter; what of the code the core changes to say which that is. Changes the flags.

        scratch: registers for that, where those of exit calls are in use.
        """

    @abstractmethod
    def _link(self, refund: int) -> int:
        """A link in front of an exit call, as it is until it is linked: its offset. It changes the flags."""

    @abstractmethod
    def _branch_if(self, condition: Operand, label: Label, holds: bool) -> None:
        """Branch to the label if the condition holds; or if it does not."""

    @abstractmethod
    def _call_stub(self) -> None:
        """Call the exit stub of the CPU state."""

    @abstractmethod
    def _jump_to(self, register: int, mask: int, executed: int) -> None:
        """Jump to the entry for the guest pc in a register, or leave with it, masked, in its word of the CPU state.

        executed: guest instructions that have retired; the others are given back.
        """

    @abstractmethod
    def _set_flags(self, a: Operand, b: Operand) -> None:
        """Compare."""

    @abstractmethod
    def _condition_code(self, kind: OpKind, a: Operand, b: Operand, swapped: bool) -> Cond:
        """What tells from the flags, set for a and b, how a compare of a with b comes out; swapped: of b with a."""

    @abstractmethod
    def _test(self, operand: Operand) -> Cond:
        """Set the flags for a condition that is a value, 0 or 1."""

    @abstractmethod
    def _set_bit(self, op: Op, condition: Cond) -> None:
        """Make the op's value 1 if the flags say so, else 0."""

    # -- head and exits -----------------------------------------------------------------------------------------------

    def _landing_pad(self) -> None:
        """What a hardened host wants where control comes from an indirect branch; nothing on others."""

    def _head(self) -> None:
        self._landing_pad()
        if self.charged:
            label = Label()
            self._charge(label)
            self.side_exits.append(_SideExit(label, None, self.unit.key, 0))
        self.result.body = self.asm.here
        self._exchange(outwards=False)
        self.asm.bind(self.top)

    def _count(self, executed: int, *scratch: int) -> int | None:
        """Count, if that is wanted, that a round ends here when so many instructions have retired; the counter."""
        if not self.counting:
            return None
        number = len(self.result.unexecuted)
        self.result.unexecuted.append(self.charged - executed)
        self.result.counters.append(Counter(self._add_one(number, *scratch), number))
        return number

    def _exchange(self, outwards: bool) -> None:
        """Bring lent homes to their borrowers on the way in, back to their owners on the way out."""
        for loan in self.lent:
            leaving, coming = (loan.borrower, loan.owner) if outwards else (loan.owner, loan.borrower)
            self.regs.store_slot(leaving.index * layout.WORD, loan.register)
            self.regs.load_slot(loan.register, coming.index * layout.WORD)

    def _call_exit(
        self, kind: ExitKind, target: int, refund: int, link: int = 0, inside: bool = False, counter: int | None = None
    ) -> None:
        self._call_stub()
        self.result.exits.append(Exit(kind, self.asm.here, link, target, refund, inside, counter))

    def _leave(self, target: int, executed: int, inside: bool = False) -> None:
        """Go to a known guest pc, when so many instructions have retired. inside: of a basic block."""
        if self._goes_round(target):
            self._go_round(executed)
            return
        counter = self._count(executed)
        self._exchange(outwards=True)
        refund = self.charged - executed
        link = self._link(refund) if refund <= layout.MAX_REFUND else 0
        self._call_exit(ExitKind.JUMP, target, refund, link, inside, counter)

    def _goes_round(self, target: int) -> bool:
        return self.charged > 0 and self.unit.goes_round(target)

    def _go_round(self, executed: int) -> None:
        """What the round before has not executed is given back in one step."""
        self._count(executed)
        self._charge_again(executed, self.top)
        self._exchange(outwards=True)
        self._call_exit(ExitKind.BUDGET, self.unit.key, self.charged)

    def _side_exit(
        self, condition: Operand, leave: _Leave, at: int, holds: bool = True, deferred: Deferred = ()
    ) -> None:
        """Leave from instruction `at` if the condition holds; or if it does not."""
        executed = at if isinstance(leave, Interpret) else at + 1
        label = Label()
        target = self._target(leave.target) if isinstance(leave, JumpTo) else (0, MASK32)
        self._branch_if(condition, label, holds)
        moves = self.regs.moves(deferred)
        self.side_exits.append(_SideExit(label, leave, self.unit.insns[at].pc, executed, *target, moves))

    def _side_exit_stub(self, side: _SideExit) -> None:
        self.asm.bind(side.label)
        if side.moves:
            self._write_deferred(side)
        if isinstance(side.leave, Jump):
            self._leave(side.leave.target, side.executed)
            return
        if isinstance(side.leave, JumpTo):
            self._look_up(side)
            return
        kind = ExitKind.BUDGET if side.leave is None else ExitKind.INTERPRET
        if side.leave is not None:
            self._exchange(outwards=True)
        self._call_exit(kind, side.pc, self.charged - side.executed)

    def _write_deferred(self, side: _SideExit) -> None:
        """Bring the state up to date."""
        moves, kept = list(side.moves), [side.register] if isinstance(side.leave, JumpTo) else []
        target = REGISTERS[side.register]
        if kept and any(target == each.to for each in moves):
            kept, side.register = [], self.regs.scratch[0]
            moves.append(Move(REGISTERS[side.register], target))
        ParallelMoves(self.regs, moves, kept).make()

    def _look_up(self, side: _SideExit) -> None:
        """Leave to a computed address."""
        register = side.register
        if any(register == loan.register for loan in self.lent):
            register = self.regs.temporary()
            self.regs.copy(register, side.register)
        self.regs.lock(register)
        self._exchange(outwards=True)
        self._jump_to(register, side.mask, side.executed)
        self.regs.unlock()

    def _terminal(self) -> None:
        match self.unit.terminal:
            case Jump(target=target):
                self._leave(target, self.charged, self.unit.cut)
            case JumpTo(target=target):
                self._jump_to(*self._target(target), self.charged)
            case Branch(condition=condition, taken=taken, fallthrough=fallthrough):
                rounds = self._goes_round(taken)  # they go on without another branch
                away, on = (fallthrough, taken) if rounds else (taken, fallthrough)
                self._side_exit(condition, Jump(away), len(self.unit.insns) - 1, holds=not rounds)
                self._leave(on, self.charged)
            case _:
                self._call_exit(ExitKind.INTERPRET, self.unit.insns[-1].pc, 0)

    # -- conditions ---------------------------------------------------------------------------------------------------

    def _fuses(self, op: Op, index: int) -> bool:
        """Whether the compare's only use comes next, so that it need not become a value."""
        if self.regs.left.get(op) != 1:
            return False
        if index + 1 < len(self.unit.ops):
            return op in self.unit.ops[index + 1].args
        return self.unit.terminal_value() is op

    def _take_pending(self, operand: Operand) -> Op | None:
        pending, self.pending = self.pending, None
        return pending if pending is operand else None

    def _compare(self, op: Op) -> Cond:
        """Set the flags for a compare, unless they are; the code that tells its outcome from them."""
        a, b = map(self.regs.value, op.args)
        swapped = type(a) is int
        if swapped:
            a, b = b, a
        if self.compared != (a, b) or COMPARES.name in self.unit.without:
            self._set_flags(a, b)
            self.compared = (a, b)
        return self._condition_code(op.kind, a, b, swapped)

    def _condition(self, operand: Operand) -> Cond:
        """Set the flags for a condition; the code that tells it from them."""
        pending = self._take_pending(operand)
        if pending is None:
            self.compared = None
            return self._test(operand)
        condition = self._compare(pending)
        self.regs.done(pending)
        return condition

    # -- ops ----------------------------------------------------------------------------------------------------------

    def compare(self, op: Op) -> None:
        condition = self._compare(op)
        self.regs.done(op)
        self._set_bit(op, condition)

    def bit(self, op: Op) -> None:
        (a,) = op.args
        value = self.regs.value(a)
        if self.pending is not None:
            condition = self._condition(a)
            self.regs.done(op)
            self._set_bit(op, condition)
        elif isinstance(value, Op):
            self.regs.alias(op, value)
            self.regs.done(op)
        else:
            self.regs.constant(self.regs.result(op), value)

    def get(self, op: Op) -> None:
        self.regs.get(op)

    def set(self, op: Op) -> None:
        self.regs.set(op)

    def exit_if(self, op: Op) -> None:
        self._side_exit(op.args[0], op.attr, op.at, deferred=op.deferred)
        self.regs.done(op)
        self._release(op.leave_value)

    def _release(self, target: Operand | None) -> None:
        if isinstance(target, Op):
            (self.regs.done if target in self.late else self.regs.release)(target)

    def call(self, op: Op) -> None:
        raise ValueError(f"{op} is the interpreter's: it must not reach a host")


METHODS: Mapping[OpKind, Callable[[UnitEmitter[Any], Op], None]] = {
    **dict.fromkeys(ops.COMPARES, UnitEmitter.compare),
    ops.BIT: UnitEmitter.bit,
    ops.GET: UnitEmitter.get,
    ops.SET: UnitEmitter.set,
    ops.EXIT_IF: UnitEmitter.exit_if,
    ops.CALL: UnitEmitter.call,
}


def complete(host: str, *tables: Mapping[OpKind, Callable[[Any, Op], None]]) -> dict[OpKind, Callable[[Any, Op], None]]:
    """A host's tables as one, with the methods of this module; ImportError unless it has all ops."""
    methods = {kind: method for table in (METHODS, *tables) for kind, method in table.items()}
    if missing := set(ops.OPS.values()) - set(methods):
        raise ImportError(f"{host} lacks the ops {missing}")
    return methods
