"""The reference evaluator: what a unit means, slowly and plainly. Passes, hosts and interpreter are held against it."""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dynarec.ir import ops
from dynarec.ir.ops import OpKind
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, SyncCode, Terminal, Trap, Unit


class MemoryFault(Exception):  # noqa: N818 - named by what it reports
    """An access that guest memory refuses. address: of the access."""

    def __init__(self, address: int) -> None:
        super().__init__(f"guest memory refuses the access at {address:#010x}")
        self.address = address


class EvalMemory(Protocol):
    """Guest memory. `bits` is 8, 16 or 32, addresses and values are unsigned; both raise MemoryFault."""

    def load(self, address: int, bits: int) -> int: ...

    def store(self, address: int, bits: int, value: int) -> None: ...


Counter = Callable[[str], int]
"""The 64-bit value of a counter of the machine (`ops.COUNTERS`)."""


class Left(Enum):
    """How a unit was left."""

    JUMP = "jump"
    TRAP = "trap"
    INTERPRET = "interpret"
    SYNC_CODE = "sync_code"
    READ_FAULT = "read fault"
    WRITE_FAULT = "write fault"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a unit.

    pc: where to go on; for a trap, a fault or `interpret` the address of the instruction, which has not retired.
    retired: guest instructions of the unit that have retired. cause: of a trap.
    value: of a trap; the address of the access for a fault.
    """

    left: Left
    pc: int
    retired: int
    cause: int = 0
    value: int = 0


def evaluate(unit: Unit, state: MutableSequence[int], memory: EvalMemory, counter: Counter | None = None) -> Outcome:
    """Run `unit` once. `state` holds the words of guest state by `Field.index` and is changed in place.

    When an access faults, the state is that before its instruction: an instruction sets after its accesses.
    Raises LookupError for a unit that is not well formed (`dynarec.ir.verify`), or if `call` has no `counter`.
    """
    return _Evaluation(unit, state, memory, counter).run()


class _Evaluation:
    def __init__(self, unit: Unit, state: MutableSequence[int], memory: EvalMemory, counter: Counter | None) -> None:
        self._unit = unit
        self._state = state
        self._memory = memory
        self._counter = counter
        self._values: dict[Op, int] = {}

    def run(self) -> Outcome:
        for op in self._unit.ops:
            args = [self._value(arg) for arg in op.args]
            if op.kind is ops.EXIT_IF:
                if args[0]:
                    self._write_deferred(op)
                    return self._leave(op.attr, op.at)
                continue
            try:
                self._values[op] = self._compute(op, args)
            except MemoryFault as fault:
                self._write_deferred(op)
                return self._fault(op, fault)
        return self._leave(self._unit.terminal, len(self._unit.insns) - 1)

    def _value(self, operand: Operand) -> int:
        return operand if isinstance(operand, int) else self._values[operand]

    def _write_deferred(self, op: Op) -> None:
        for field, value in op.deferred:
            self._state[field.index] = self._value(value)

    def _compute(self, op: Op, args: list[int]) -> int:
        """The value of an op; 0 for one that has none."""
        kind = op.kind
        if kind.evaluate is not None:
            return kind.evaluate(*args)
        if kind is ops.GET:
            return int(self._state[op.attr.index])
        if kind is ops.SET:
            self._state[op.attr.index] = args[0]
            return 0
        if kind is ops.CALL:
            return self._count(op.attr, args[0])
        return self._access(kind, args)

    def _access(self, kind: OpKind, args: list[int]) -> int:
        if kind in ops.LOADS:
            value = self._memory.load(_address(*args), kind.bits)
            return _EXTEND[kind](value)
        if kind is ops.STORE32_IF:
            if not args[0]:
                return 0
            args = args[1:]
        base, offset, value = args
        self._memory.store(_address(base, offset), kind.bits, value & ((1 << kind.bits) - 1))
        return 0

    def _count(self, name: str, shift: int) -> int:
        if self._counter is None:
            raise LookupError(f"the unit asks for the counter {name}, and there is none")
        return self._counter(name) >> shift & ops.MASK32

    def _fault(self, op: Op, fault: MemoryFault) -> Outcome:
        reads = op.kind in ops.LOADS and op.attr != ops.AS_WRITE
        left = Left.READ_FAULT if reads else Left.WRITE_FAULT
        return Outcome(left, self._unit.insns[op.at].pc, op.at, value=fault.address)

    def _leave(self, leave: Terminal, at: int) -> Outcome:
        """`at`: the guest instruction that leaves."""
        here = self._unit.insns[at].pc
        match leave:
            case Jump(target):
                return Outcome(Left.JUMP, target, at + 1)
            case JumpTo(value):
                return Outcome(Left.JUMP, self._value(value), at + 1)
            case Branch(condition, taken, fallthrough):
                return Outcome(Left.JUMP, taken if self._value(condition) else fallthrough, at + 1)
            case SyncCode(target):
                return Outcome(Left.SYNC_CODE, target, at + 1)
            case Trap(cause, value):
                return Outcome(Left.TRAP, here, at, cause, self._value(value))
            case Interpret():
                return Outcome(Left.INTERPRET, here, at)


def _address(base: int, offset: int) -> int:
    return (base + offset) & ops.MASK32


def _same(value: int) -> int:
    return value


def _evaluator(kind: OpKind) -> Callable[[int], int]:
    assert kind.evaluate is not None
    return kind.evaluate


_EXTEND: dict[OpKind, Callable[[int], int]] = {
    ops.LOAD8U: _same,
    ops.LOAD8S: _evaluator(ops.SEXT8),
    ops.LOAD16U: _same,
    ops.LOAD16S: _evaluator(ops.SEXT16),
    ops.LOAD32: _same,
}
"""From what memory holds to the value of a load."""
