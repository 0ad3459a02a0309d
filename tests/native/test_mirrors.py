"""Pages that hooks watch keep their bytes in mirrors: whatever happens to them, they hold what was written last."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Iterator

import pytest

from dynarec import Hook, Machine, loading
from dynarec.core import CoreConfig
from dynarec.machine.base import Access
from tests.native.guests import CODE, PAGE, asm, load

TIERS = ("interp", "jit", "auto")
BOTH = Access.READ | Access.WRITE
START, COUNT = 0x40_0000, 32
"""Pages that the guest goes round, more than there are mirrors (DR_MIRRORS)."""
ROUND = 7 * COUNT
LOOP = (
    asm("lw", rd="a0", rs1="s0", imm=0)
    + asm("addi", rd="a0", rs1="a0", imm=1)
    + asm("sw", rs1="s0", rs2="a0", imm=0)
    + asm("add", rd="s0", rs1="s0", rs2="s1")
    + asm("and", rd="s0", rs1="s0", rs2="s2")
    + asm("or", rd="s0", rs1="s0", rs2="s3")
    + asm("jal", rd=0, offset=-24)
)
"""Adds one to the first word of each page in turn."""


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[0, 4 * PAGE], ids=["pages of this system", "pages of 16 KiB"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tier: str) -> Iterator[Machine]:
    monkeypatch.setattr(loading, "CoreConfig", functools.partial(CoreConfig, host_page=request.param))
    with load(LOOP, tier=tier, hot=1) as made:
        made.memory.map(START, COUNT * PAGE, BOTH)
        made.regs.s0 = made.regs.s3 = START
        made.regs.s1, made.regs.s2 = PAGE, (COUNT - 1) * PAGE
        yield made


def watch(machine: Machine, page: int, kind: str) -> Hook:
    """A word that the guest does not touch, in a page that it does."""
    at = START + page * PAGE + 64
    return machine.hook_memory(lambda _, access: pytest.fail(str(access)), at, at + 4, kind)


def counts(machine: Machine) -> list[int]:
    return [int.from_bytes(machine.memory.read(START + page * PAGE, 4), "little") for page in range(COUNT)]


def test_more_pages_than_mirrors(machine: Machine) -> None:
    hooks = [watch(machine, page, ("read", "write", "access")[page % 3]) for page in range(COUNT)]
    for rounds in range(1, 5):
        machine.run(ROUND)
        assert counts(machine) == [rounds] * COUNT
        for hook in hooks[rounds::5]:
            hook.remove()
    machine.run(ROUND)
    assert counts(machine) == [5] * COUNT


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_to_the_pages(machine: Machine, seed: int) -> None:
    """Hooks, permissions, mappings, writes of the host and snapshots, between pieces of the run."""
    rng = random.Random(seed)
    hooks: list[Hook] = []
    expected, moments = [0] * COUNT, []
    for _ in range(60):
        page, address = (number := rng.randrange(COUNT)), START + number * PAGE
        action = rng.choice(("hook", "hook", "unhook", "protect", "map", "write", "save", "restore"))
        if action == "hook":
            hooks.append(watch(machine, page, rng.choice(("read", "write", "access"))))
        elif action == "unhook" and hooks:
            hooks.pop(rng.randrange(len(hooks))).remove()
        elif action == "protect":
            machine.memory.protect(address, PAGE, rng.choice((Access.READ, Access.WRITE)))
            assert counts(machine) == expected, (seed, action)
            machine.memory.protect(address, PAGE, BOTH)
        elif action == "map":
            machine.memory.map(address, PAGE, BOTH)
            expected[page] = 0
        elif action == "write":
            machine.memory[address : address + 4] = (1000).to_bytes(4, "little")
            expected[page] = 1000
        elif action == "save":
            moments.append((machine.snapshot(), list(expected)))
        elif action == "restore" and moments:
            moment, expected = rng.choice(moments)
            machine.restore(moment)
            expected = list(expected)
        assert counts(machine) == expected, (seed, action)
        machine.pc, machine.regs.s0 = CODE, START
        machine.run(ROUND)
        expected = [count + 1 for count in expected]
        assert counts(machine) == expected, (seed, action)


def test_another_thread_looks(machine: Machine) -> None:
    """What it sees of a page never goes back."""
    for page in range(COUNT):
        watch(machine, page, "access")
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(int.from_bytes(machine.memory.read(START + 3 * PAGE, 4), "little"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            machine.run(10 * ROUND)
    finally:
        done.set()
        thread.join()
    assert seen == sorted(seen)
    assert counts(machine) == [200] * COUNT


def test_code_in_a_page_whose_writes_are_hooked(tier: str) -> None:
    """It is fetched, translated, and what is stored to it takes effect."""
    body = asm("addi", rd="t0", rs1="t0", imm=1)
    patched = int.from_bytes(asm("addi", rd="t0", rs1="t0", imm=100), "little")
    code = asm("sw", rs1="s1", rs2="a1", imm=4) + body + asm("jal", rd=0, offset=-8)
    with load(code, tier=tier, hot=1) as machine:
        machine.regs.s1, machine.regs.a1 = CODE, int.from_bytes(body, "little")
        machine.hook_memory(lambda _, access: None, CODE + 512, CODE + 516, "write")
        machine.run(3 * 20)
        assert machine.regs.t0 == 20
        machine.regs.a1 = patched
        machine.run(3 * 2)
        assert machine.regs.t0 == 220
