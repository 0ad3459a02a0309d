"""Code that changes while it runs: what is stored takes effect at the next instruction, with or without fence.i.

Single steps fetch each instruction anew, so what they compute is what translated and decoded code has to.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

import pytest

from dynarec import loading
from dynarec.core import CoreConfig, policies, probe_policy
from dynarec.engine import Machine, StopReason
from guest_isa.rv32 import GUEST
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, PAGE, asm, li, load, lui, registers

POLICIES = [name for name in policies() if probe_policy(name) is None]
TIERS = ("jit", "auto", "interp")
LARGE_PAGE = 16384
FUNCTION = CODE + 0x200
BY_BYTE = GUEST._replace(code_policy="byte")
BUDGETS = (1, 7, 64, 1500)
PROGRAMS = 24
WORDS = 32
SAFE = ("a0", "a1", "a2", "a3", "a4", "a5", "s4", "s5")
"""Registers that random instructions use; s2 points to the code, s3 to instructions to store."""


@pytest.fixture(params=[0, LARGE_PAGE], ids=["pages of this system", "pages of 16 KiB"])
def host_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(loading, "CoreConfig", functools.partial(CoreConfig, host_page=request.param))
    return int(request.param)


def address(rd: str, value: int) -> bytes:
    low = (value & 0xFFF ^ 0x800) - 0x800
    return lui(rd, value - low) + asm("addi", rd=rd, rs1=rd, imm=low)


def load_pair(code: bytes, data: bytes, **options: object) -> Machine:
    loaded = load(code, **options)
    loaded.memory[DATA : DATA + len(data)] = data
    return loaded


# -- one store at a time ----------------------------------------------------------------------------------------------

POINTERS = address("s2", CODE) + address("s3", DATA)
AHEAD = (
    POINTERS
    + asm("lw", rd="t0", rs1="s3", imm=0)
    + asm("sw", rs1="s2", rs2="t0", imm=len(POINTERS) + 8)
    + li("a0", 1)  # this one is replaced right before it runs
    + asm("jal", rd=0, offset=0)
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("host_page")
def test_the_next_instruction_of_the_same_trace(tier: str, policy: str) -> None:
    with load_pair(AHEAD, li("a0", 2), tier=tier, wx=policy) as running:
        running.run(20)
        assert running.regs.a0 == 2


LOOP_HEAD = POINTERS + li("s0", 0)
CALLING = (
    LOOP_HEAD
    + asm("xori", rd="s3", rs1="s3", imm=4)
    + asm("lw", rd="t0", rs1="s3", imm=0)
    + asm("sw", rs1="s2", rs2="t0", imm=FUNCTION - CODE)
    + asm("jal", rd="ra", offset=FUNCTION - (CODE + len(LOOP_HEAD) + 12))
    + asm("add", rd="s0", rs1="s0", rs2="a0")
    + asm("jal", rd=0, offset=-20)
)
RETURN = asm("jalr", rd=0, rs1="ra", imm=0)


def calling(**options: object) -> Machine:
    code = CALLING.ljust(FUNCTION - CODE, b"\0") + li("a0", 9) + RETURN
    return load_pair(code, li("a0", 1) + li("a0", 2), **options)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("host_page")
def test_a_function_that_is_patched_before_each_call(tier: str, policy: str) -> None:
    with calling(tier=tier, wx=policy) as running:
        running.run(len(LOOP_HEAD) // 4 + 8 * 60)
        assert running.regs.s0 == 90
        deaths = running.stats().deaths
        assert deaths["store"] >= 50 if tier == "jit" else True
        assert deaths["fence.i"] == deaths["host-write"] == 0
        if tier == "jit":
            assert {(death.reason, death.address) for death in running._core.deaths()} >= {("store", FUNCTION)}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("host_page")
def test_memory_that_is_code_and_data_alike(tier: str) -> None:
    """A counter beside the code: the page stops to fault, and still no store to code is missed."""
    rounds = 300
    head = POINTERS + li("s0", 0)
    body = (
        asm("lw", rd="t1", rs1="s2", imm=0x700)
        + asm("addi", rd="t1", rs1="t1", imm=1)
        + asm("sw", rs1="s2", rs2="t1", imm=0x700)
        + asm("xori", rd="s3", rs1="s3", imm=4)
        + asm("lw", rd="t0", rs1="s3", imm=0)
        + asm("sw", rs1="s2", rs2="t0", imm=FUNCTION - CODE)
    )
    call = asm("jal", rd="ra", offset=FUNCTION - (CODE + len(head) + len(body)))
    code = head + body + call + asm("add", rd="s0", rs1="s0", rs2="a0") + asm("jal", rd=0, offset=-len(body) - 8)
    code = code.ljust(FUNCTION - CODE, b"\0") + li("a0", 9) + RETURN
    with load_pair(code, li("a0", 1) + li("a0", 2), tier=tier) as running:
        running.run(len(head) // 4 + (len(body) // 4 + 5) * rounds)
        assert running.memory[CODE + 0x700 : CODE + 0x704] == rounds.to_bytes(4, "little")
        assert running.regs.s0 == 3 * rounds // 2
        stats = running.stats()
        if tier == "jit":
            assert stats.mixed_pages == 1
            assert stats.faults < 40


@pytest.mark.usefixtures("host_page")
def test_data_in_the_host_page_of_code() -> None:
    """Where host pages are larger than the guest's, data beside code does not fault for ever."""
    rounds = 2000
    head = address("s2", DATA) + li("s0", 0)
    body = asm("addi", rd="s0", rs1="s0", imm=1) + asm("sw", rs1="s2", rs2="s0", imm=0)
    code = head + body + asm("jal", rd=0, offset=-len(body))
    parts = [Part(CODE, code.ljust(PAGE, b"\0"), flags=R | X), Part(CODE + PAGE, size=PAGE, flags=R | W)]
    elf = build(parts, entry=CODE).replace(address("s2", DATA), address("s2", CODE + PAGE))
    with Machine.load(elf, tier="jit") as running:
        running.run(len(head) // 4 + 3 * rounds)
        assert running.memory[CODE + PAGE : CODE + PAGE + 4] == rounds.to_bytes(4, "little")
        assert running.stats().faults < 40


# -- from outside -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("host_page")
def test_writes_from_outside(tier: str) -> None:
    loop = li("a0", 1) + asm("jal", rd=0, offset=-4)
    with load_pair(loop, b"", tier=tier, hot=1) as running:
        running.run(1000)
        running.memory[CODE : CODE + 4] = li("a0", 2)
        running.run(2)
        assert running.regs.a0 == 2
        if tier == "jit":
            assert running.stats().deaths["host-write"] == 1
        running.memory[DATA : DATA + 4] = bytes(4)
        running.run(2)
        assert running.stats().deaths["host-write"] == (1 if tier == "jit" else running.stats().deaths["host-write"])


# -- programs that overwrite themselves at random ---------------------------------------------------------------------


def random_word(rng: random.Random) -> bytes:
    """An instruction that neither jumps nor leaves the registers it may use."""
    rd, rs1, rs2 = (rng.choice(SAFE) for _ in range(3))
    kind = rng.randrange(4)
    if kind == 0:
        return asm("addi", rd=rd, rs1=rs1, imm=rng.randrange(-2048, 2048))
    if kind == 1:
        return asm(rng.choice(("add", "xor", "sub", "mul")), rd=rd, rs1=rs1, rs2=rs2)
    if kind == 2:
        return asm("lw", rd="t0", rs1="s3", imm=4 * rng.randrange(WORDS))
    return asm("sw", rs1="s2", rs2="t0", imm=len(POINTERS) + 4 * rng.randrange(1, WORDS))


def random_program(rng: random.Random) -> tuple[bytes, bytes]:
    """Code that runs round and round and stores instructions into itself; the instructions that it stores."""
    first = asm("lw", rd="t0", rs1="s3", imm=0)
    body = b"".join(random_word(rng) for _ in range(WORDS))
    data = b"".join(random_word(rng) for _ in range(WORDS))
    return POINTERS + first + body + asm("jal", rd=0, offset=-len(first) - len(body)), data


def trajectory(code: bytes, data: bytes, **options: object) -> Iterator[tuple[list[int], bytes]]:
    with load_pair(code, data, **options) as running:
        for budget in BUDGETS:
            stop = running.run(budget)
            assert (stop.reason, stop.instructions) == (StopReason.BUDGET, budget)
            yield registers(running), running.memory[CODE : CODE + PAGE]


def step_by_step(code: bytes, data: bytes) -> Iterator[tuple[list[int], bytes]]:
    with load_pair(code, data, tier="interp") as running:
        for budget in BUDGETS:
            for _ in range(budget):
                running.run(1)
            yield registers(running), running.memory[CODE : CODE + PAGE]


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_random_programs_that_overwrite_themselves(seed: int) -> None:
    rng = random.Random(seed)
    code, data = random_program(rng)
    expected = list(step_by_step(code, data))
    for options in ({"tier": "jit"}, {"tier": "auto", "hot": 3}, {"tier": "jit", "guest": BY_BYTE}, {"tier": "interp"}):
        assert list(trajectory(code, data, **options)) == expected, (seed, options)


@pytest.mark.usefixtures("host_page")
def test_every_policy_and_page_size_in_one() -> None:
    for policy in POLICIES:
        code, data = random_program(random.Random(policy))
        expected = list(step_by_step(code, data))
        assert list(trajectory(code, data, tier="jit", wx=policy)) == expected
        assert list(trajectory(code, data, tier="interp")) == expected
