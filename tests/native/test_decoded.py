"""Decoded code: exact to the instruction, as good as the bytes it was made from; what it counts of branches."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dynarec.engine import Machine, StopReason
from dynarec.machine.base import Access
from dynarec.profiles import MOST, BranchProfile, JumpProfile
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, PAGE, asm, li, load, lui, registers

CRC32 = Path("roms/bench/crc32.elf")
STEPS = 4000
BUDGETS = (2, 3, 5, 7, 11, 64, 997)
SHARING = 512 * PAGE
"""Distance of two pages of which one alone is decoded at a time (DR_DECODED_PAGES)."""
COLD = {"tier": "auto", "hot": 200, "sync": True}
MIXTURES = ({"tier": "interp"}, COLD, {"tier": "auto", "hot": 3, "sync": True})
FOREVER = asm("jal", rd=0, offset=0)
RETURN = asm("jalr", rd=0, rs1="ra", imm=0)


def crc32(**options: object) -> Machine:
    return Machine.load(CRC32, args=["1"], stdin=io.BytesIO(), stdout=io.BytesIO(), **options)  # type: ignore[arg-type]


def stepped(machine: Machine, count: int) -> list[int]:
    """The registers after single steps, which decode nothing."""
    for _ in range(count):
        machine.run(1)
    return registers(machine)


def ran(machine: Machine, count: int) -> list[int]:
    assert machine.run(count).instructions == count
    return registers(machine)


# -- exactness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("options", MIXTURES, ids=str)
def test_budgets_are_exact(budget: int, options: dict[str, object]) -> None:
    with crc32(tier="interp") as one, crc32(**options) as other:
        for _ in range(STEPS // budget):
            assert ran(other, budget) == stepped(one, budget)


@pytest.mark.parametrize("options", MIXTURES, ids=str)
def test_instructions_across_pages(options: dict[str, object]) -> None:
    """One that lies in two, and a branch at the very end of one."""
    body = asm("addi", rd="s0", rs1="s0", imm=1)
    crossing = [
        asm("c.addi", rd="s1", imm=1) + body * 1022 + asm("c.addi", rd="s1", imm=1) + body,
        body * 1022 + body + asm("bne", rs1="s0", rs2="zero", offset=8) + body * 2,
        asm("c.addi", rd="s1", imm=1) * 3
        + body * 1021
        + asm("c.addi", rd="s1", imm=1)
        + asm("bne", rs1="s1", rs2="s1", offset=8),
    ]
    for code in crossing:
        looping = code + asm("jal", rd=0, offset=-len(code))
        parts = [Part(CODE, looping.ljust(2 * PAGE, b"\0"), flags=R | X)]
        elf = build(parts, entry=CODE)
        with Machine.load(elf, tier="interp") as one, Machine.load(elf, **options) as other:  # type: ignore[arg-type]
            for budget in (1020, 3, 2, 1, 1, 1, 1, 1, 1200):
                assert ran(other, budget) == stepped(one, budget)


@pytest.mark.parametrize("options", MIXTURES, ids=str)
def test_pages_that_share_a_place(options: dict[str, object]) -> None:
    call = asm("jalr", rd="ra", rs1="s2", imm=0) + asm("jal", rd=0, offset=-4)
    code = lui("s2", CODE + SHARING) + call
    parts = [
        Part(CODE, code.ljust(PAGE, b"\0"), flags=R | X),
        Part(CODE + SHARING, asm("addi", rd="s0", rs1="s0", imm=1) + RETURN, flags=R | X),
    ]
    with Machine.load(build(parts, entry=CODE), **options) as machine:  # type: ignore[arg-type]
        assert machine.run(1 + 4 * 100).reason is StopReason.BUDGET
        assert machine.regs.s0 == 100


def test_a_fault_is_at_its_instruction() -> None:
    code = li("s0", 5) + asm("addi", rd="s0", rs1="s0", imm=1) + asm("lw", rd="s0", rs1="zero", imm=0)
    with load(code, tier="interp") as machine:
        stop = machine.run()
        assert (stop.reason, stop.pc, stop.instructions) == (StopReason.TRAP, CODE + 8, 2)
        assert machine.regs.s0 == 6


# -- bytes that change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", MIXTURES, ids=str)
def test_another_thread_writes_code_that_runs(options: dict[str, object]) -> None:
    with load(FOREVER + li("a0", 7) + asm("c.ebreak"), **options) as machine:
        run = machine.start(timeout=60)
        while machine.instructions < 1000:
            pass
        machine.memory[CODE : CODE + 4] = asm("addi", rd=0, rs1="zero", imm=0)
        assert run.wait().reason is StopReason.TRAP
        assert machine.regs.a0 == 7


@pytest.mark.parametrize(
    "options", [{"tier": "interp"}, {"tier": "jit"}, {"tier": "auto", "hot": 30, "sync": True}], ids=str
)
def test_translated_code_stores_to_what_is_interpreted(options: dict[str, object]) -> None:
    """To a page without units, where stores are not noticed: a function that is called too rarely to be translated."""
    rounds, stores, one_more = 25, 40, 1 << 20
    head = lui("s2", DATA) + li("s0", 0) + asm("lw", rd="t0", rs1="s2", imm=0) + lui("t1", one_more) + li("s1", 0)
    store = asm("sw", rs1="s2", rs2="t0", imm=0) + asm("addi", rd="t2", rs1="t2", imm=-1)
    loop = store + asm("bne", rs1="t2", rs2="zero", offset=-len(store))
    call = asm("jalr", rd="ra", rs1="s2", imm=0) + asm("add", rd="s0", rs1="s0", rs2="a0")
    body = li("t2", stores) + loop + call + asm("add", rd="t0", rs1="t0", rs2="t1")
    code = head + body + asm("jal", rd=0, offset=-len(body))
    parts = [
        Part(CODE, code.ljust(PAGE, b"\0"), flags=R | X),
        Part(DATA, (li("a0", 0) + RETURN).ljust(PAGE, b"\0"), flags=R | W | X),
    ]
    with Machine.load(build(parts, entry=CODE), **options) as machine:  # type: ignore[arg-type]
        machine.run(len(head) // 4 + rounds * (1 + 3 * stores + 6))
        assert machine.regs.s0 == sum(range(rounds))
        if options["tier"] == "auto":
            assert machine._core.find(DATA) is None
            assert machine._core.find(CODE + len(head) + 4) is not None


def test_permission_to_execute_goes() -> None:
    with load(FOREVER, tier="interp") as machine:
        machine.run(100)
        machine._core.memory.protect(CODE, PAGE, Access.READ)
        assert machine.run(1000).reason is StopReason.TRAP
        machine._core.memory.protect(CODE, PAGE, Access.READ | Access.EXECUTE)
        assert machine.run(1000).reason is StopReason.BUDGET


def test_a_restore_brings_old_code_back() -> None:
    with load(li("a0", 1) + asm("jal", rd=0, offset=-4), tier="interp") as machine:
        machine.run(100)
        snapshot = machine.snapshot()
        machine.memory[CODE : CODE + 4] = li("a0", 2)
        machine.run(100)
        assert machine.regs.a0 == 2
        machine.restore(snapshot)
        machine.run(100)
        assert machine.regs.a0 == 1


def test_a_hook_in_code_that_was_decoded() -> None:
    hits = []
    with load(li("a0", 1) + asm("jal", rd=0, offset=-4), tier="interp") as machine:
        machine.run(100)
        with machine.hook_code(lambda hooked, pc: hits.append(pc), CODE + 4):
            machine.run(10)
        machine.run(100)
    assert hits == [CODE + 4] * 5


# -- profiles ---------------------------------------------------------------------------------------------------------

COUNT_DOWN = asm("addi", rd="t0", rs1="t0", imm=-1) + asm("bne", rs1="t0", rs2="zero", offset=-4)
BRANCH = CODE + 8


def counted(rounds: int, **options: object) -> Machine:
    machine = load(lui("t0", rounds & ~0xFFF) + COUNT_DOWN + FOREVER, **options)
    machine.run(1)
    machine.regs.t0 = rounds
    machine.run(2 * rounds + 5)
    return machine


def test_branches_are_counted_each_way() -> None:
    with counted(10, tier="interp") as machine:
        assert machine._core.profile(BRANCH) == BranchProfile(9, 1)
        assert machine._core.profile(BRANCH - 4) is None
        assert machine._core.profile(DATA) is None


def test_counters_end_at_the_largest_number() -> None:
    with counted(MOST + 100, tier="interp") as machine:
        assert machine._core.profile(BRANCH) == BranchProfile(MOST, 1)


def test_translated_code_does_not_count() -> None:
    with counted(100, tier="jit") as machine:
        assert machine._core.profile(BRANCH) is None
    with counted(1000, tier="auto", hot=20, sync=True) as machine:
        profile = machine._core.profile(BRANCH)
        assert isinstance(profile, BranchProfile)
        assert 10 <= profile.taken <= 20


@pytest.mark.parametrize(("ways", "votes"), [("a", 0), ("aa", 1), ("aaaaab", 0), ("a" * 9 + "b", 4), ("aaab" * 50, 0)])
def test_the_target_of_a_jump(ways: str, votes: int) -> None:
    """It jumps to one place or the other."""
    code = asm("jalr", rd=0, rs1="a0", imm=0) * 3
    with load(code, tier="interp") as machine:
        for way in ways:
            machine.pc = CODE
            machine.regs.a0 = {"a": CODE + 4, "b": CODE + 8}[way]
            machine.run(2)
        assert machine._core.profile(CODE) == JumpProfile(CODE + 4, votes)


def test_other_bytes_begin_anew() -> None:
    with counted(10, tier="interp") as machine:
        machine.memory[BRANCH : BRANCH + 4] = machine.memory[BRANCH : BRANCH + 4]
        assert machine._core.profile(BRANCH) is None


def test_profiles_are_read_while_the_guest_runs() -> None:
    with load(COUNT_DOWN + FOREVER, tier="interp") as machine:
        machine.regs.t0 = 5_000_000
        run = machine.start(20_000_000, timeout=60)
        last = 0
        while last < MOST:
            profile = machine._core.profile(CODE + 4)
            assert profile is None or (isinstance(profile, BranchProfile) and profile.taken >= last)
            last = profile.taken if isinstance(profile, BranchProfile) else last
        run.wait()
