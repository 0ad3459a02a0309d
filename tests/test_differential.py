"""Random programs on everything that can run them, each once; what they come to is compared over all pairs.

`DYNAREC_SEED=n` runs the one program with that seed. A failure names the pairs, and tells how to repeat it, where the
first difference of two of them is, and what was made of the code there.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import pytest

from dynarec.core import Tier
from tests.differential.executors import (
    BackgroundExecutor,
    CoreExecutor,
    EmulatedExecutor,
    Evaluator,
    Executor,
    View,
    all_executors,
)
from tests.differential.programs import CODE, Program, random_program

FIRST_SEEDS = (1, 10_001, 20_001, 30_001)
"""Of the parts, which several processes may run."""
SEED = FIRST_SEEDS[0]
INSTRUCTIONS = 10_000 if "CI" in os.environ else 800
"""Guest instructions that each of them runs for a part."""
LONGEST_RUN = 10_000
ROOM = 1000
MOST_PAIRS = 6
"""That a failure names."""


@pytest.fixture(scope="module")
def executors() -> list[Executor]:
    return all_executors()


def programs(seed: int) -> Iterator[Program]:
    """Without end, or the one that is asked for."""
    if "DYNAREC_SEED" in os.environ:
        yield random_program(int(os.environ["DYNAREC_SEED"]))
        return
    while True:
        yield random_program(seed)
        seed += 1


def difference(one: Executor, ones: Sequence[View], other: Executor, others: Sequence[View]) -> str:
    """What the first differs in from the second, in words; "" if in nothing."""
    if one.is_plain or other.is_plain:
        ones, others = [replace(ones[-1], retired=others[-1].retired)], others[-1:]
    texts = [text for mine, theirs in zip(ones, others, strict=False) if (text := mine.differences(theirs))]
    if len(ones) != len(others):
        texts.append(f"it ends after {ones[-1].retired} instructions, not {others[-1].retired}")
    return texts[0] if texts else ""


def compare(program: Program, executors: Sequence[Executor], counts: Sequence[int]) -> int:
    """Run the program on each; how many pairs were compared. Fails with the story of the first two that differ."""
    able = [each for each in executors if not (program.has_bits and each.is_plain)]
    views = {each: each.run(program, counts) for each in able}
    pairs = list(combinations(able, 2))
    bad = {pair: text for a, b in pairs if (text := difference(b, views[b], a, views[a])) for pair in [(a, b)]}
    if not bad:
        return len(pairs)
    names = [f"{b.name} is not as {a.name}" for a, b in bad]
    (one, other), text = next(iter(bad.items()))
    lines = [f"DYNAREC_SEED={program.seed}: {len(bad)} of {len(pairs)} pairs differ", *names[:MOST_PAIRS], text]
    raise AssertionError("\n".join([*lines, first_difference(program, one, other, counts[-1])]))


def first_difference(program: Program, one: Executor, other: Executor, most: int) -> str:
    """After how many instructions the two first are not in the same place, and the code there."""
    pc = CODE
    for count in range(1, most):
        wanted, found = one.run(program, [count]), other.run(program, [count])
        if text := difference(other, found, one, wanted):
            where = f"first after {count} instructions, the last one at {pc:#x}:\n{text}"
            return f"{where}\n{program.listing()}\n{_stories(program, pc, one, other)}"
        if wanted[-1].trap is not None:
            break
        pc = wanted[-1].pc
    return f"not if they are stopped in between\n{program.listing()}\n{_stories(program, CODE, one, other)}"


def _stories(program: Program, pc: int, *executors: Executor) -> str:
    return "\n".join(each.story(program, pc) for each in executors)


@pytest.mark.parametrize("first_seed", FIRST_SEEDS)
def test_random_programs(executors: list[Executor], first_seed: int) -> None:
    evaluator = Evaluator()
    total = ran = faults = pairs = 0
    for program in programs(first_seed):
        count, ways = evaluator.watch(program, LONGEST_RUN)
        rng = random.Random(program.seed)
        # Traces run as they are only where the budget has room for them.
        counts = [*sorted(rng.sample(range(count + 1), min(2, count))), count + ROOM]
        for each in executors:
            each.guide = ways
        pairs += compare(program, executors, counts)
        faults += evaluator.run(program, counts)[-1].pc != program.end
        total, ran = total + count, ran + 1
        if total >= INSTRUCTIONS:
            break
    seeds = f"seeds {first_seed} to {first_seed + ran - 1}"
    print(f"{seeds}: {total} instructions, {faults} accesses that fault, {pairs} pairs of tiers")
    assert pairs


class Wrong(Evaluator):
    """Is wrong about a register from an instruction on."""

    name = "wrong"
    since = 3

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        def spoilt(view: View) -> View:
            registers = (view.registers[0] ^ 1, *view.registers[1:])
            return replace(view, registers=registers) if view.retired >= self.since else view

        return [spoilt(view) for view in super().run(program, counts)]


def test_who_is_wrong_is_named(executors: list[Executor]) -> None:
    program = random_program(SEED)
    with pytest.raises(AssertionError) as failure:
        compare(program, [executors[0], Wrong(), executors[1]], [2, 10])
    text = str(failure.value)
    assert text.startswith(f"DYNAREC_SEED={SEED}: 2 of 3 pairs differ\nwrong is not as evaluator\n")
    assert "interpreter is not as wrong" in text
    assert "first after 3 instructions" in text
    assert program.listing() in text


def test_the_tiers_differ_in_what_they_run(executors: list[Executor]) -> None:
    assert len({each.name for each in executors}) == len(executors)
    for seed in range(SEED, SEED + 5):
        program = random_program(seed)
        count, ways = Evaluator().watch(program, LONGEST_RUN)
        for each in executors:
            each.guide = ways
            each.run(program, [count + ROOM])
    cores = {each.core.tier: each.core.stats() for each in executors if isinstance(each, CoreExecutor)}
    assert cores[Tier.INTERP]["installed"] == 0 < cores[Tier.INTERP]["interpreted"]
    assert cores[Tier.AUTO]["installed"] > 0 < cores[Tier.AUTO]["interpreted"]
    assert cores[Tier.JIT]["interpreted"] < cores[Tier.JIT]["instructions"]
    background = [each.machine.stats() for each in executors if isinstance(each, BackgroundExecutor)]
    assert all(stats.translated > 0 for stats in background)
    guided = [each for each in executors if isinstance(each, EmulatedExecutor) and each.guided]
    assert all(each.translator.guide is ways for each in guided)
    assert guided
