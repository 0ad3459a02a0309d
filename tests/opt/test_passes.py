"""Every pass leaves a unit's meaning and form as they are: alone, twice, and all of them in their order."""

from __future__ import annotations

import random

import pytest

from dynarec.host import HOSTS, make_host
from dynarec.ir.verify import verify
from dynarec.opt import PASSES, Pass
from guest_isa.rv32 import GUEST
from tests.ir.units import LAYOUT, Shape, assert_same, clone, random_unit

UNITS = 150
SEED = 20_261_120


def lowerings() -> list[Pass]:
    return [Pass(f"lower-{name}", make_host(name, GUEST).lower, "") for name in HOSTS]


@pytest.mark.parametrize("each", [*PASSES, *lowerings()], ids=lambda each: each.name)
def test_a_pass_alone(each: Pass) -> None:
    for seed in range(SEED, SEED + UNITS):
        rng = random.Random(seed)
        before = random_unit(rng, Shape())
        after = clone(before)
        for _ in range(2):
            each.run(after)
            verify(after, LAYOUT)
        assert_same(before, after, rng, 3)


@pytest.mark.parametrize("host", HOSTS)
def test_all_passes_in_order(host: str) -> None:
    lower = make_host(host, GUEST).lower
    for seed in range(SEED, SEED + UNITS):
        rng = random.Random(seed)
        before = random_unit(rng, Shape())
        after = clone(before)
        for each in PASSES:
            each.run(after)
            verify(after, LAYOUT)
        lower(after)
        verify(after, LAYOUT)
        assert_same(before, after, rng, 3)


def test_names_are_unique() -> None:
    names = [each.name for each in PASSES]
    assert len(set(names)) == len(names)
