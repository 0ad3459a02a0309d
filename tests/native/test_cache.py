"""The code cache under pressure: programs with far more code than it holds run exactly as in the interpreter."""

from __future__ import annotations

import random
from functools import cache

import pytest

from dynarec.core import policies, probe_policy
from dynarec.engine import Machine
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, asm, li, lui, registers

POLICIES = [name for name in policies() if probe_policy(name) is None]
FUNCTIONS = 480
STRIDE = 0x100
"""Bytes from one function to the next."""
FIRST = CODE + 0x1000
TABLE = FIRST + FUNCTIONS * STRIDE + 0x1000 & ~0xFFF
ORDER = 512
"""Entries of the table of calls, a power of two."""
SEED = 11
KIBI = 1024
INSTRUCTIONS = 40_000


def function(number: int, rng: random.Random) -> bytes:
    """Work on a0 and s4; every third one calls the function behind it."""
    body = b""
    for _ in range(rng.randrange(40, 58)):
        body += rng.choice(
            (
                asm("addi", rd="a0", rs1="a0", imm=rng.randrange(-2000, 2000)),
                asm("xor", rd="s4", rs1="s4", rs2="a0"),
                asm("slli", rd="a1", rs1="a0", shamt=rng.randrange(32)),
                asm("add", rd="s4", rs1="s4", rs2="a1"),
            )
        )
    if number % 3 == 0:
        keep = asm("addi", rd="s5", rs1="ra", imm=0)
        call = asm("jal", rd="ra", offset=STRIDE - len(body) - len(keep))
        return body + keep + call + asm("jalr", rd=0, rs1="s5", imm=0)
    return body + asm("jalr", rd=0, rs1="ra", imm=0)


@cache
def program() -> bytes:
    """A loop that calls functions by a table, in an order that has no pattern."""
    rng = random.Random(SEED)
    main = (
        lui("s2", TABLE)
        + li("s3", 0)
        # loop: s3 is the offset in the table
        + asm("add", rd="t0", rs1="s2", rs2="s3")
        + asm("lw", rd="t1", rs1="t0", imm=0)
        + asm("jalr", rd="ra", rs1="t1", imm=0)
        + asm("addi", rd="s3", rs1="s3", imm=4)
        + asm("andi", rd="s3", rs1="s3", imm=4 * ORDER - 1)
        + asm("jal", rd=0, offset=-20)
    )
    functions = b"".join(function(number, rng).ljust(STRIDE, b"\0") for number in range(FUNCTIONS + 1))
    table = b"".join((FIRST + STRIDE * rng.randrange(FUNCTIONS)).to_bytes(4, "little") for _ in range(ORDER))
    parts = [
        Part(CODE, main, flags=R | X),
        Part(FIRST, functions, flags=R | X),
        Part(TABLE, table, flags=R | W),
    ]
    return build(parts, entry=CODE)


@cache
def interpreted() -> list[int]:
    """The registers at the end of a run in the interpreter."""
    return run(tier="interp")[0]


def run(**options: object) -> tuple[list[int], Machine]:
    machine = Machine.load(program(), **options)  # type: ignore[arg-type]
    assert machine.run(INSTRUCTIONS).instructions == INSTRUCTIONS
    return registers(machine), machine


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [16, 33, 64, 1024])
def test_small_caches(size: int, policy: str) -> None:
    found, machine = run(tier="jit", wx=policy, cache_size=size * KIBI)
    stats = machine.stats()
    assert found == interpreted()
    assert stats.code_bytes <= size * KIBI
    assert stats.flushes == 0
    assert (stats.evictions > 0) == (stats.deaths["evicted"] > 0) == (size < 256)
    assert stats.discarded == sum(stats.deaths.values())
    machine.close()


def test_only_the_oldest_generation_goes() -> None:
    _, machine = run(tier="jit", cache_size=64 * KIBI)
    stats = machine.stats()
    assert stats.blocks > 0
    assert stats.code_bytes > 32 * KIBI
    assert {death.reason for death in machine._core.deaths()} == {"evicted"}
    machine.close()


def test_the_log_of_deaths_goes_back_a_while() -> None:
    _, machine = run(tier="jit", cache_size=16 * KIBI)
    deaths = machine._core.deaths()
    total = machine.stats().discarded
    assert len(deaths) == min(total, 1024)
    assert deaths[-3:] == machine._core.deaths(total - 3)
    assert [death.instructions for death in deaths] == sorted(death.instructions for death in deaths)
    machine.close()
