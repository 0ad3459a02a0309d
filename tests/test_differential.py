"""Random programs on everything that can run them: the evaluator, the C interpreter, each host's code, Unicorn's RV32.

`DYNAREC_SEED=n` runs the one program with that seed. A failure tells how to repeat it, where the first difference is,
and what was made of the code there.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dynarec.core import Tier
from tests.differential.executors import (
    CoreExecutor,
    EmulatedExecutor,
    Evaluator,
    Executor,
    Peer,
    View,
    other_hosts,
)
from tests.differential.programs import CODE, Program, random_program

FIRST_SEED = 1
INSTRUCTIONS = 120_000 if "CI" in os.environ else 8_000
"""Guest instructions that each of them runs."""
LONGEST_RUN = 10_000
ROOM = 1000


@pytest.fixture(scope="module")
def executors() -> list[Executor]:
    return [
        CoreExecutor(Tier.INTERP),
        CoreExecutor(Tier.JIT),
        *(EmulatedExecutor(name) for name in other_hosts()),
        Peer(),
    ]


def programs() -> Iterator[Program]:
    """Without end, or the one that is asked for."""
    if "DYNAREC_SEED" in os.environ:
        yield random_program(int(os.environ["DYNAREC_SEED"]))
        return
    seed = FIRST_SEED
    while True:
        yield random_program(seed)
        seed += 1


def compare(program: Program, executor: Executor, counts: list[int], wanted: list[View]) -> None:
    """Fail with the story if the executor does not come to what the evaluator came to."""
    found = executor.run(program, counts)
    if isinstance(executor, Peer):
        wanted = wanted[-1:]
        found = [replace(found[0], retired=wanted[0].retired)]
    texts = [text for mine, reference in zip(found, wanted, strict=False) if (text := mine.differences(reference))]
    if len(found) != len(wanted):
        texts.append(f"it ends after {found[-1].retired} instructions, not {wanted[-1].retired}")
    if texts:
        story = first_difference(program, executor, counts[-1])
        raise AssertionError(f"{executor.name}: DYNAREC_SEED={program.seed}\n{texts[0]}\n{story}")


def first_difference(program: Program, executor: Executor, most: int) -> str:
    """After how many instructions the executor first is not where the evaluator is, and the code there."""
    evaluator, pc = Evaluator(), CODE
    for count in range(1, most):
        wanted, found = evaluator.run(program, [count])[0], executor.run(program, [count])[0]
        if text := replace(found, retired=wanted.retired).differences(wanted):
            where = f"first after {count} instructions, the last one at {pc:#x}:\n{text}"
            return f"{where}\n{program.listing()}\n{executor.story(program, pc)}"
        if wanted.trap is not None:
            break
        pc = wanted.pc
    return f"not if it is stopped in between\n{program.listing()}\n{executor.story(program, CODE)}"


def test_random_programs(executors: list[Executor]) -> None:
    evaluator = Evaluator()
    total = ran = faults = 0
    for program in programs():
        count = evaluator.count(program, LONGEST_RUN)
        rng = random.Random(program.seed)
        # Traces run as they are only where the budget has room for them.
        counts = [*sorted(rng.sample(range(count + 1), min(2, count))), count + ROOM]
        wanted = evaluator.run(program, counts)
        for executor in executors:
            if program.has_bits and isinstance(executor, Peer):
                continue
            compare(program, executor, counts, wanted)
        total, ran, faults = total + count, ran + 1, faults + (wanted[-1].pc != program.end)
        if total >= INSTRUCTIONS:
            break
    print(f"seeds {FIRST_SEED} to {FIRST_SEED + ran - 1}: {total} instructions, {faults} accesses that fault")
    assert "DYNAREC_SEED" in os.environ or faults > 0
