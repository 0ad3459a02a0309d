"""Hooks from Python: when they are called, what they are told, what they may do."""

from __future__ import annotations

import pytest

from dynarec import Hook, Machine, StopReason
from tests.native.guests import CODE, EXIT, asm, li, load

TIERS = ("interp", "jit", "auto")
ROUNDS = 40
HEAD = CODE + 4
COUNTDOWN = (
    li("t0", ROUNDS)
    + asm("addi", rd="t1", rs1="t1", imm=3)
    + asm("andi", rd="t2", rs1="t1", imm=1)
    + asm("beq", rs1="t2", rs2="zero", offset=8)
    + asm("addi", rd="s5", rs1="s5", imm=1)
    + asm("addi", rd="t0", rs1="t0", imm=-1)
    + asm("bne", rs1="t0", rs2="zero", offset=-20)
    + EXIT
)


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_hook_is_called_before_the_instruction(tier: str) -> None:
    seen: list[tuple[int, int, int]] = []
    with load(COUNTDOWN, tier=tier, hot=1) as machine:
        machine.hook_code(lambda guest, pc: seen.append((pc, guest.pc, guest.regs.t1)), CODE + 8)
        assert machine.run().reason is StopReason.EXITED
    assert seen == [(CODE + 8, CODE + 8, 3 * (visit + 1)) for visit in range(ROUNDS)]


def test_a_hook_that_is_added_late_and_removed(tier: str) -> None:
    seen: list[int] = []
    with load(COUNTDOWN, tier=tier, hot=1) as machine:
        machine.run(6 * 10)
        hook = machine.hook_code(lambda guest, pc: seen.append(guest.regs.t0), HEAD)
        machine.run(6 * 10)
        assert len(seen) in (10, 11, 12)
        hook.remove()
        count = len(seen)
        assert machine.run().reason is StopReason.EXITED
        assert len(seen) == count
        assert machine.stats().flushes == 0
        assert machine.stats().deaths["hook"] > 0 or tier == "interp"


def test_a_hook_that_ends_the_run_is_passed_once(tier: str) -> None:
    def stop(guest: Machine, pc: int) -> bool:
        return Hook.STOP

    with load(COUNTDOWN, tier=tier, hot=1) as machine:
        machine.hook_code(stop, HEAD)
        for visit in range(ROUNDS):
            ended = machine.run()
            assert (ended.reason, ended.pc) == (StopReason.HOOK, HEAD)
            assert machine.regs.t1 == 3 * visit
        assert machine.run().reason is StopReason.EXITED
