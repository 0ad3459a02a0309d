"""Parallel moves: whatever their order, sources are what they were before the first of them."""

from __future__ import annotations

import random

from dynarec.host import layout
from dynarec.host.base import Source
from dynarec.host.moves import NOWHERE, REGISTERS, Move, Mover, ParallelMoves, Place, Slot, in_word
from dynarec.ir.ops import MASK32

HOMES = range(4)
WORDS = [number * layout.WORD for number in range(4)]
SPILLS = [layout.SPILL + number * layout.WORD for number in range(layout.SPILL_WORDS)]
SEEDS = range(1, 1500)


class Machine(Mover):
    """Registers and words, with three scratch registers."""

    scratch = (10, 11, 12)

    def __init__(self) -> None:
        self.content = {place: 1000 + number for number, place in enumerate(self.places())}

    @classmethod
    def places(cls) -> list[Place]:
        return [*(REGISTERS[number] for number in (*HOMES, *cls.scratch)), *map(in_word, (*WORDS, *SPILLS))]

    def copy(self, to: int, source: int) -> None:
        self.content[REGISTERS[to]] = self.content[REGISTERS[source]]

    def load_slot(self, to: int, slot: Slot) -> None:
        self.content[REGISTERS[to]] = self.content[in_word(slot)]

    def store_slot(self, slot: Slot, source: int) -> None:
        self.content[in_word(slot)] = self.content[REGISTERS[source]]

    def constant(self, to: int, value: int) -> None:
        self.content[REGISTERS[to]] = value

    def add_constant(self, to: int, source: int, value: int) -> None:
        assert value, "a copy"
        self.content[REGISTERS[to]] = self.content[REGISTERS[source]] + value & MASK32


def random_moves(rng: random.Random) -> list[Move]:
    targets = [*(REGISTERS[number] for number in HOMES), *map(in_word, WORDS)]
    crowded = [*(REGISTERS[number] for number in Machine.scratch), *map(in_word, SPILLS[:2])]
    sources = rng.choice(([*Machine.places(), NOWHERE], targets, crowded))
    chosen = rng.sample(targets, rng.randint(1, len(targets)))
    return [Move(to, rng.choice(sources), rng.choice((0, 0, 4, MASK32))) for to in chosen]


def test_random_moves() -> None:
    for seed in SEEDS:
        rng = random.Random(seed)
        moves, machine = random_moves(rng), Machine()
        kept = rng.choice(((), (10,), (12,)))
        before = dict(machine.content)
        ParallelMoves(machine, moves, kept).make()
        for to, source, plus in moves:
            wanted = (before[source] if source.source is not Source.NOTHING else 0) + plus & MASK32
            assert machine.content[to] == wanted, f"seed {seed}: {to} of {moves}"
        written = {move.to for move in moves}
        for place in [*(REGISTERS[number] for number in (*HOMES, *kept)), *map(in_word, WORDS)]:
            assert place in written or machine.content[place] == before[place], f"seed {seed}: {place} of {moves}"
