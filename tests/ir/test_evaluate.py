"""The reference evaluator: where units are left, what has retired, what a fault leaves behind."""

from __future__ import annotations

import random

import pytest

from dynarec.ir.evaluate import Left, Outcome, evaluate
from dynarec.ir.state import STATE_WORDS
from dynarec.ir.text import parse_unit
from tests.ir.units import LAYOUT, MEMORY_BASE, Shape, assert_same, clone, observe, random_start, random_unit
from tests.reference import Region

BODY = """\
unit 0x100:
  ; 0x100 4  first
  %0 = get r0
  set r1, 0x11
  ; 0x104 2  second
  %1 = eq %0, 0x1
  exit_if %1, trap 4 %0
  %2 = eq %0, 0x2
  exit_if %2, interpret
  %3 = load32 %0, 0x8
  set r2, %3
  %4 = ltu %3, 0x10
  exit_if %4, jump 0x200
  ; 0x106 4  third
  set r3, 0x33
"""
BASE = 0x1000
R = [LAYOUT[f"r{n}"].index for n in range(4)]


def run(terminal: str, r0: int, word: int = 0x99) -> tuple[Outcome, list[int]]:
    """The outcome, and r1 to r3."""
    unit = parse_unit(BODY + "  " + terminal, LAYOUT)
    state = [0] * STATE_WORDS
    state[R[0]] = r0
    memory = Region(BASE, 16)
    memory.store(BASE + 8, 32, word)
    outcome = evaluate(unit, state, memory)
    return outcome, [state[index] for index in R[1:]]


@pytest.mark.parametrize(
    ("terminal", "outcome"),
    [
        ("jump 0x300", Outcome(Left.JUMP, 0x300, 3)),
        ("jump_to %3", Outcome(Left.JUMP, 0x99, 3)),
        ("branch %4, 0x300, 0x10a", Outcome(Left.JUMP, 0x10A, 3)),
        ("branch 0x1, 0x300, 0x10a", Outcome(Left.JUMP, 0x300, 3)),
        ("trap 8 %3", Outcome(Left.TRAP, 0x106, 2, 8, 0x99)),
        ("interpret", Outcome(Left.INTERPRET, 0x106, 2)),
        ("sync_code 0x10a", Outcome(Left.SYNC_CODE, 0x10A, 3)),
    ],
)
def test_terminals(terminal: str, outcome: Outcome) -> None:
    assert run(terminal, BASE) == (outcome, [0x11, 0x99, 0x33])


def test_side_exits() -> None:
    assert run("jump 0x300", BASE, word=7) == (Outcome(Left.JUMP, 0x200, 2), [0x11, 7, 0])
    assert run("jump 0x300", 1) == (Outcome(Left.TRAP, 0x104, 1, 4, 1), [0x11, 0, 0])
    assert run("jump 0x300", 2) == (Outcome(Left.INTERPRET, 0x104, 1), [0x11, 0, 0])


def test_a_fault_leaves_the_state_before_its_instruction() -> None:
    assert run("jump 0x300", BASE + 8) == (Outcome(Left.READ_FAULT, 0x104, 1, value=BASE + 16), [0x11, 0, 0])


def test_addresses_wrap() -> None:
    unit = parse_unit("unit 0x0:\n ; 0x0 4\n %0 = load8u 0xffffffff, 0x1001\n set r0, %0\n jump 0x4", LAYOUT)
    memory = Region(BASE, 16)
    memory.data[0] = 0xAB
    state = [0] * STATE_WORDS
    evaluate(unit, state, memory)
    assert state[R[0]] == 0xAB


@pytest.mark.parametrize(
    ("load", "value"),
    [("load8u", 0xFE), ("load8s", 0xFFFF_FFFE), ("load16u", 0x80FE), ("load16s", 0xFFFF_80FE), ("load32", 0x7F55_80FE)],
)
def test_loads(load: str, value: int) -> None:
    unit = parse_unit(f"unit 0x0:\n ; 0x0 4\n %0 = {load} 0x1000, 0x1\n set r0, %0\n jump 0x4", LAYOUT)
    memory = Region(BASE, 16)
    memory.data[1:5] = bytes.fromhex("fe80557f")
    state = [0] * STATE_WORDS
    evaluate(unit, state, memory)
    assert state[R[0]] == value


@pytest.mark.parametrize(
    ("store", "data"),
    [
        ("store8 0x1000, 0x1, 0x12345678", "0078000000"),
        ("store16 0x1000, 0x1, 0x12345678", "0078560000"),
        ("store32 0x1000, 0x1, 0x12345678", "0078563412"),
        ("store32_if 0x1, 0x1000, 0x1, 0x12345678", "0078563412"),
        ("store32_if 0x0, 0x1000, 0x1, 0x12345678", "0000000000"),
        ("store32_if 0x0, 0x0, 0x1, 0x12345678", "0000000000"),
    ],
)
def test_stores(store: str, data: str) -> None:
    unit = parse_unit(f"unit 0x0:\n ; 0x0 4\n {store}\n jump 0x4", LAYOUT)
    memory = Region(BASE, 16)
    assert evaluate(unit, [0] * STATE_WORDS, memory).left is Left.JUMP
    assert memory.data[:5].hex() == data


def test_a_store_that_faults() -> None:
    unit = parse_unit("unit 0x0:\n ; 0x0 4\n store16 0x100f, 0x0, 0x1\n jump 0x4", LAYOUT)
    memory = Region(BASE, 16)
    assert evaluate(unit, [0] * STATE_WORDS, memory) == Outcome(Left.WRITE_FAULT, 0, 0, value=0x100F)
    assert not any(memory.data)


def test_counters() -> None:
    text = "unit 0x0:\n ; 0x0 4\n %0 = call time, 0x20\n set r0, %0\n %1 = call cycle, 0x0\n set r1, %1\n jump 0x4"
    unit = parse_unit(text, LAYOUT)
    state = [0] * STATE_WORDS
    evaluate(unit, state, Region(0, 0), {"time": 0x5_0000_0006, "cycle": 0x7_0000_0008}.__getitem__)
    assert [state[index] for index in R[:2]] == [5, 8]
    with pytest.raises(LookupError, match="counter time"):
        evaluate(unit, state, Region(0, 0))


def test_random_units_reach_every_way_out() -> None:
    seed = 2
    print(f"seed {seed}")
    rng = random.Random(seed)
    seen = {observe(random_unit(rng), random_start(rng)).outcome.left for _ in range(400)}
    assert seen == set(Left)


def test_random_units_without_faults_never_fault() -> None:
    seed = 3
    print(f"seed {seed}")
    rng = random.Random(seed)
    shape = Shape(faults=False)
    for _ in range(200):
        left = observe(random_unit(rng, shape), random_start(rng)).outcome.left
        assert left not in (Left.READ_FAULT, Left.WRITE_FAULT)


def test_the_comparison_of_units_tells_them_apart() -> None:
    rng = random.Random(4)
    unit = parse_unit("unit 0x0:\n ; 0x0 4\n %0 = get r0\n set r1, %0\n jump 0x4", LAYOUT)
    assert_same(unit, clone(unit), rng)
    wrong = parse_unit("unit 0x0:\n ; 0x0 4\n %0 = get r0\n set r2, %0\n jump 0x4", LAYOUT)
    with pytest.raises(AssertionError, match="r1: 0x"):
        assert_same(unit, wrong, rng)
    wrong = parse_unit(f"unit 0x0:\n ; 0x0 4\n store8 {MEMORY_BASE:#x}, 0x0, 0x1\n jump 0x4", LAYOUT)
    with pytest.raises(AssertionError, match="memory at"):
        assert_same(unit, wrong, rng)
