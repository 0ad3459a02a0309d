"""Units made for the contract suite: one op, with its operands and its result in every kind of place."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dynarec.ir import ops
from dynarec.ir.ops import OpKind, Type
from dynarec.ir.unit import GuestInsn, Jump, Op, Operand, Terminal, Unit
from tests.host.contract import HOME_COUNT
from tests.ir.units import EDGES, HOMES, KEY, LAYOUT

assert len(HOMES) == HOME_COUNT
INSN_LENGTH = 4
BEHIND = KEY + 0x800
"""Where units go on."""
MASK = 0x5A5A_5A5A
"""Turns the content of a field into a value that is in none."""


@dataclass(slots=True)
class Maker:
    """Appends ops without folding anything."""

    unit: Unit = field(default_factory=lambda: Unit(KEY))

    def __post_init__(self) -> None:
        self.insn()

    def insn(self) -> None:
        """The next guest instruction begins."""
        count = len(self.unit.insns)
        self.unit.insns.append(GuestInsn(KEY + INSN_LENGTH * count, INSN_LENGTH, f"insn {count}"))

    def op(self, kind: OpKind, *args: Operand, attr: object = None) -> Op:
        op = Op(kind, args, attr, len(self.unit.insns) - 1)
        self.unit.ops.append(op)
        return op

    def get(self, name: str) -> Op:
        return self.op(ops.GET, attr=LAYOUT[name])

    def set(self, name: str, value: Operand) -> None:
        self.op(ops.SET, value, attr=LAYOUT[name])

    def end(self, terminal: Terminal | None = None) -> Unit:
        """The finished unit."""
        self.unit.terminal = terminal or Jump(BEHIND)
        return self.unit


Source = Callable[[Maker, int, int], Operand]
"""(maker, number of the operand, a constant) -> the operand."""


def in_home(maker: Maker, number: int, constant: int) -> Operand:
    return maker.get(f"r{number}")


def in_memory(maker: Maker, number: int, constant: int) -> Operand:
    return maker.get(f"r{HOME_COUNT + number}")


def immediate(maker: Maker, number: int, constant: int) -> Operand:
    return constant


def computed(maker: Maker, number: int, constant: int) -> Operand:
    return maker.op(ops.XOR, maker.get(f"r{number + 3}"), MASK)


def compared_before(maker: Maker, number: int, constant: int) -> Operand:
    """A condition with other uses."""
    condition = maker.op(ops.LTU, maker.get("r4"), maker.get("r9"))
    maker.set("r5", maker.op(ops.BIT, condition))
    return condition


def known(maker: Maker, number: int, constant: int) -> Operand:
    return constant & 1


def compared_now(maker: Maker, number: int, constant: int) -> Operand:
    """A condition that is used next, and nowhere else."""
    return maker.op(ops.GES, maker.get("r4"), maker.get("r9"))


SOURCES: dict[Type, tuple[Source, ...]] = {
    Type.I32: (in_home, in_memory, immediate, computed),
    Type.I1: (compared_before, known, compared_now),
}

Sink = Callable[[Maker, Op], None]


def _to(*names: str) -> Sink:
    def sink(maker: Maker, result: Op) -> None:
        for name in names:
            maker.set(name, result)

    return sink


def _stored(maker: Maker, result: Op) -> None:
    """The result is used by other ops, and in no field."""
    maker.set("r6", maker.op(ops.ADD, maker.op(ops.XOR, result, maker.get("r7")), result))


SINKS: tuple[Sink, ...] = (_to("r6"), _to("r0"), _to("r1"), _to("r8"), _to("r10"), _to("r6", "r10"), _to(), _stored)
"""A home, homes and words of the operands, another word, several places, nowhere, a scratch register."""


def _keep(maker: Maker, operands: list[Operand]) -> None:
    """Use operands once more, in the next instruction."""
    maker.insn()
    for name, operand in zip(("r2", "r11", "r7"), operands, strict=False):
        maker.set(name, operand)


def _operands(maker: Maker, sources: tuple[Source, ...], rng: random.Random) -> list[Operand]:
    """Operands from these sources; a condition that is to be used next comes last."""
    made: dict[int, Operand] = {}
    for number in sorted(range(len(sources)), key=lambda each: sources[each] is compared_now):
        made[number] = sources[number](maker, number, rng.choice(EDGES))
    return [made[number] for number in range(len(sources))]


def _word(maker: Maker, op: Op) -> Op:
    """The op's value as one that state can hold."""
    return op if op.kind.result is Type.I32 else maker.op(ops.BIT, op)


def shaped_units(kind: OpKind, rng: random.Random) -> Iterator[Unit]:
    """Units with the pure op `kind` in every combination of sources, sinks and later uses."""
    choices = [SOURCES[param] for param in kind.params]
    for sources, sink, later in itertools.product(itertools.product(*choices), SINKS, (False, True)):
        maker = Maker()
        operands = _operands(maker, sources, rng)
        sink(maker, _word(maker, maker.op(kind, *operands)))
        if later:
            _keep(maker, [each for each, param in zip(operands, kind.params, strict=True) if param is Type.I32])
        yield maker.end()


def units_of_one_value(kind: OpKind) -> Iterator[Unit]:
    """Units in which all operands are one value."""
    for source, sink in itertools.product((in_home, in_memory, computed), SINKS):
        maker = Maker()
        operand = source(maker, 0, 0)
        sink(maker, _word(maker, maker.op(kind, *[operand] * len(kind.params))))
        yield maker.end()


def unit_in_homes(kind: OpKind) -> Unit:
    """The op on fields with homes; a condition is field 0 not being 0."""
    maker = Maker()
    operands = [maker.get(f"r{number}") for number in range(len(kind.params))]
    if kind.params[0] is Type.I1:
        operands[0] = maker.op(ops.NE, operands[0], 0)
    maker.set("r6", _word(maker, maker.op(kind, *operands)))
    return maker.end()


def units_with_immediates(kind: OpKind) -> Iterator[Unit]:
    """The op on a field and every edge value, either way round."""
    for edge, first in itertools.product(EDGES, (False, True)):
        maker = Maker()
        operand = maker.get("r0")
        maker.set("r6", _word(maker, maker.op(kind, *((edge, operand) if first else (operand, edge)))))
        yield maker.end()


PART_SHIFTS = (ops.SHL, ops.SHR, ops.SAR, ops.ROR, None)
PART_COUNTS = (0, 1, 8, 16, 31)
PART_CONSTANTS = (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0xFFFF_FFFF, 0x8000_0000)


def units_with_parts(kind: OpKind, rng: random.Random, count: int) -> Iterator[Unit]:
    """The op on a value that is shifted and inverted, with what may keep that from being one instruction."""
    others = (in_home, in_memory, immediate, computed)
    choices = (PART_SHIFTS, (True, False), (in_home, in_memory, computed), others, *[(True, False)] * 3)
    shapes = list(itertools.product(*choices))
    for shift, inverted, source, other, first, overwritten, shared in rng.sample(shapes, count):
        maker = Maker()
        value = source(maker, 0, 0)
        part = value if shift is None else maker.op(shift, value, rng.choice(PART_COUNTS))
        part = maker.op(ops.XOR, part, ops.MASK32) if inverted else part
        operands = [part, other(maker, 1, rng.choice(PART_CONSTANTS))][: len(kind.params)]
        if overwritten:
            maker.insn()
            maker.set("r0", maker.op(ops.ADD, maker.get("r7"), 1))
            maker.set(f"r{HOME_COUNT}", 5)
        maker.set(rng.choice(("r0", "r6", "r10")), maker.op(kind, *(operands if first else reversed(operands))))
        if shared:
            _keep(maker, operands)
        yield maker.end()


def crowded_unit(kind: OpKind, rng: random.Random, values: int) -> Unit:
    """The op on pairs out of many values that live at a time, and are all used at the end."""
    maker = Maker()
    live = [maker.op(ops.XOR, maker.get(f"r{number % 12}"), EDGES[number]) for number in range(values)]
    for _ in range(values):
        maker.insn()
        args: list[Operand] = [rng.choice(live) for _ in kind.params]
        if kind.params[0] is Type.I1:
            args[0] = maker.op(rng.choice(ops.COMPARES), rng.choice(live), rng.choice(live))
        live[rng.randrange(values)] = _word(maker, maker.op(kind, *args))
        maker.set(f"r{rng.randrange(12)}", rng.choice(live))
    total: Op = live[0]
    for value in live[1:]:
        total = maker.op(ops.ADD, maker.op(ops.ROR, total, 1), value)
    maker.insn()
    maker.set("r3", total)
    return maker.end()
