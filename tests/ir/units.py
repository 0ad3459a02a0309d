"""Random units for the tests of passes and hosts, and what it means for two units to do the same.

    rng = random.Random(seed)
    unit = random_unit(rng)
    after = run_passes(clone(unit))
    assert_same(unit, after, rng)

A unit obeys the rules that lifted units obey: within a guest instruction all accesses and all side exits with a trap
come before the first `set`; a side exit with a jump comes last; a `set` of a narrow field is masked. Values are also
used across guest instructions, as they are between passes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from dynarec.ir import ops
from dynarec.ir.evaluate import Outcome, evaluate
from dynarec.ir.ops import MASK32, OpKind, Type
from dynarec.ir.state import STATE_WORDS, Field, StateLayout
from dynarec.ir.text import format_unit, parse_unit
from dynarec.ir.unit import Branch, GuestInsn, Interpret, Jump, JumpTo, Op, Operand, SyncCode, Terminal, Trap, Unit
from tests.reference import Region

LAYOUT = StateLayout(
    [*(Field(f"r{n}", n + 1) for n in range(12)), Field("narrow", 20, bits=8), Field("half", 21, bits=16)], {"sp": "r2"}
)
FIELDS = LAYOUT.fields
HOMES = FIELDS[:8]
"""Registers a test host keeps in host registers: some, so that the others live in memory."""
KEY = 0x1_0000
MEMORY_BASE = 0x2_0000
MEMORY_SIZE = 0x1000
EDGES = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x7FF, 0x800, 0xFFF, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000,
         0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_F800, 0xFFFF_FF80, 0xFFFF_FFFE, 0xFFFF_FFFF)  # fmt: skip
OFFSETS = (0, 1, 2, 3, 4, 8, 60, 0x7FC, 0x800, MASK32 - 3, MASK32, 0xFFFF_F800)
CAUSES = (0, 2, 3, 4, 8)
INSN_LENGTHS = (2, 4)
TARGETS = (KEY, KEY + 0x40, 0, 0xFFFF_FFFC, 0x7FFF_FFF0)

PURE = tuple(kind for kind in ops.OPS.values() if kind.pure)
PURE_VALUES = tuple(kind for kind in PURE if kind.result is Type.I32)


def random_value(rng: random.Random) -> int:
    """32 bits, with edge cases often."""
    return rng.choice(EDGES) if rng.random() < 0.5 else rng.getrandbits(32)


@dataclass(frozen=True, slots=True)
class Shape:
    """What random units are made of. kinds: the pure ops; reuse: how often an operand is a value made before."""

    insns: int = 8
    kinds: tuple[OpKind, ...] = PURE
    reuse: float = 0.8
    memory: bool = True
    exits: bool = True
    faults: bool = True


class _Maker:
    def __init__(self, rng: random.Random, shape: Shape) -> None:
        self.rng = rng
        self.shape = shape
        self.unit = Unit(KEY)
        self.values: dict[Type, list[Op]] = {Type.I32: [], Type.I1: []}

    def make(self) -> Unit:
        pc = KEY
        for _ in range(self.rng.randint(1, self.shape.insns)):
            length = self.rng.choice(INSN_LENGTHS)
            self.unit.insns.append(GuestInsn(pc, length, f"insn {len(self.unit.insns)}"))
            self._insn()
            pc += length
        self.unit.terminal = self._terminal(pc)
        return self.unit

    def _insn(self) -> None:
        """Reads, accesses and traps; then writes; then, maybe, a way out."""
        rng = self.rng
        for _ in range(rng.randint(0, 5)):
            rng.choices((self._pure, self._get, self._access, self._trap_if), weights=(6, 3, 2, 1))[0]()
        for _ in range(rng.choices((0, 1, 2, 3), weights=(2, 6, 2, 1))[0]):
            self._set()
        if self.shape.exits and rng.random() < 0.2:
            leave = Jump(rng.choice(TARGETS)) if rng.random() < 0.6 else JumpTo(self._operand(Type.I32))
            self._append(ops.EXIT_IF, self._operand(Type.I1), attr=leave)

    def _append(self, kind: OpKind, *args: Operand, attr: object = None) -> Op:
        op = Op(kind, args, attr, len(self.unit.insns) - 1)
        self.unit.ops.append(op)
        if kind.result is not Type.VOID:
            self.values[kind.result].append(op)
        return op

    def _operand(self, kind: Type) -> Operand:
        made = self.values[kind]
        if made and self.rng.random() < self.shape.reuse:
            # Mostly recent values: they make chains.
            return self.rng.choice(made[-4:]) if self.rng.random() < 0.6 else self.rng.choice(made)
        if kind is Type.I1:
            return self.rng.getrandbits(1)
        return random_value(self.rng)

    def _pure(self) -> Op:
        kind = self.rng.choice(self.shape.kinds)
        return self._append(kind, *(self._operand(param) for param in kind.params))

    def _get(self) -> None:
        self._append(ops.GET, attr=self.rng.choice(FIELDS))

    def _set(self) -> None:
        field = self.rng.choice(FIELDS)
        value = self._operand(Type.I32)
        if field.bits != ops.WORD_BITS:
            mask = (1 << field.bits) - 1
            value = value & mask if isinstance(value, int) else self._append(ops.AND, value, mask)
        self._append(ops.SET, value, attr=field)

    def _address(self) -> Operand:
        """Mostly inside the memory; unless faults are wanted, always, with room for any offset of `OFFSETS`."""
        if self.shape.faults and self.rng.random() < 0.1:
            return self._operand(Type.I32)
        if self.rng.random() < 0.1:
            return MEMORY_BASE + MEMORY_SIZE // 2 + self.rng.randrange(64)
        inside = self._append(ops.AND, self._operand(Type.I32), 0xFF)
        return self._append(ops.ADD, inside, MEMORY_BASE + MEMORY_SIZE // 2)

    def _offset(self) -> int:
        wild = self.shape.faults and self.rng.random() < 0.3
        return self.rng.choice(OFFSETS) if wild else self.rng.randrange(64)

    def _access(self) -> None:
        if not self.shape.memory:
            return
        kind = self.rng.choice((*ops.LOADS, *ops.STORES, ops.STORE32_IF))
        args: list[Operand] = [self._address(), self._offset()]
        if kind not in ops.LOADS:
            args.append(self._operand(Type.I32))
        if kind is ops.STORE32_IF:
            args.insert(0, self._operand(Type.I1))
        self._append(kind, *args)

    def _trap_if(self) -> None:
        if self.shape.exits:
            leave = Interpret() if self.rng.random() < 0.2 else Trap(self.rng.choice(CAUSES), self._operand(Type.I32))
            self._append(ops.EXIT_IF, self._operand(Type.I1), attr=leave)

    def _terminal(self, end: int) -> Terminal:
        target = self.rng.choice((end, *TARGETS))
        makers: tuple[Callable[[], Terminal], ...] = (
            lambda: Jump(target),
            lambda: JumpTo(self._operand(Type.I32)),
            lambda: Branch(self._operand(Type.I1), target, end),
            lambda: Trap(self.rng.choice(CAUSES), self._operand(Type.I32)),
            Interpret,
            lambda: SyncCode(end),
        )
        return self.rng.choices(makers, weights=(4, 3, 5, 1, 1, 1))[0]()


def random_unit(rng: random.Random, shape: Shape | None = None) -> Unit:
    """A well-formed unit over `LAYOUT`; the same generator state gives the same unit."""
    return _Maker(rng, shape or Shape()).make()


def clone(unit: Unit) -> Unit:
    """An equal unit that shares no op with `unit`, over `LAYOUT`."""
    return parse_unit(format_unit(unit), LAYOUT)


@dataclass(frozen=True, slots=True)
class Start:
    """The state and memory a unit starts from."""

    state: tuple[int, ...]
    memory: bytes


def random_start(rng: random.Random) -> Start:
    """State with edge cases and values that fit their fields; random memory."""
    state = [0] * STATE_WORDS
    for field in FIELDS:
        state[field.index] = random_value(rng) & ((1 << field.bits) - 1)
    return Start(tuple(state), rng.randbytes(MEMORY_SIZE))


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a guest can see of a unit's run."""

    outcome: Outcome
    state: tuple[int, ...]
    memory: bytes


def observe(unit: Unit, start: Start) -> Observed:
    """Evaluate `unit` from `start`."""
    state = list(start.state)
    memory = Region(MEMORY_BASE, MEMORY_SIZE)
    memory.data[:] = start.memory
    outcome = evaluate(unit, state, memory)
    return Observed(outcome, tuple(state), bytes(memory.data))


def difference(expected: Observed, found: Observed) -> str:
    """The first things that differ, in words; empty if nothing does."""
    lines = []
    if expected.outcome != found.outcome:
        lines.append(f"outcome: {expected.outcome} expected, {found.outcome} found")
    for field in FIELDS:
        before, after = expected.state[field.index], found.state[field.index]
        if before != after:
            lines.append(f"{field}: {before:#x} expected, {after:#x} found")
    for place, (before, after) in enumerate(zip(expected.memory, found.memory, strict=True)):
        if before != after:
            lines.append(f"memory at {MEMORY_BASE + place:#x}: {before:#x} expected, {after:#x} found")
            break
    return "\n".join(lines)


def assert_same(before: Unit, after: Unit, rng: random.Random, starts: int = 4) -> None:
    """Fail with both texts unless the units do the same from some random starts."""
    for _ in range(starts):
        start = random_start(rng)
        if found := difference(observe(before, start), observe(after, start)):
            raise AssertionError(f"{found}\nbefore:\n{format_unit(before)}\nafter:\n{format_unit(after)}")
