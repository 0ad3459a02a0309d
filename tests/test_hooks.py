"""Hooks from Python: when they are called, what they are told, what they may do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dynarec import DynarecError, Hook, Machine, MemoryAccess, StopReason, SystemCall
from dynarec.conditions import CHANGES, Condition, Insn, Op
from dynarec.machine.base import Exited
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui

ROOT = Path(__file__).parent.parent
TIERS = ("interp", "jit", "auto")
ROUNDS = 40
HEAD = CODE + 4
EVEN = CODE + 20
"""Where the branch goes to."""
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
FOREVER = asm("addi", rd="t0", rs1="t0", imm=1) + asm("jal", rd=0, offset=-4)


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(tier: str) -> Machine:
    return load(COUNTDOWN, tier=tier, hot=1)


def stopping(machine: Machine, what: object) -> bool:
    return Hook.STOP


def noting(notes: list[int]) -> Callable[[Machine, int], None]:
    return lambda machine, pc: notes.append(pc)


# -- code -------------------------------------------------------------------------------------------------------------


def test_before_the_instruction(machine: Machine) -> None:
    seen: list[tuple[int, int, int]] = []
    machine.hook_code(lambda guest, pc: seen.append((pc, guest.pc, guest.regs.t1)), CODE + 8)
    assert machine.run().reason is StopReason.EXITED
    assert seen == [(CODE + 8, CODE + 8, 3 * (visit + 1)) for visit in range(ROUNDS)]


def test_the_first_instruction_of_a_program(machine: Machine) -> None:
    seen: list[int] = []
    machine.hook_code(noting(seen), CODE)
    machine.run()
    assert seen == [CODE]


def test_each_instruction_of_a_range(machine: Machine) -> None:
    seen: list[int] = []
    machine.run(1)
    machine.hook_code(noting(seen), HEAD + 4, EVEN)
    machine.run(6 + 5)
    assert seen == [HEAD + 4, HEAD + 8, HEAD + 12, HEAD + 4, HEAD + 8]


def test_blocks(machine: Machine) -> None:
    """They begin at targets, and behind branches that are not taken."""
    seen: list[int] = []
    machine.hook_block(noting(seen))
    machine.run(1 + 6 + 5 + 1)
    assert seen == [CODE, HEAD + 12, HEAD, EVEN, HEAD]


def test_blocks_of_a_range(machine: Machine) -> None:
    seen: list[int] = []
    machine.hook_block(noting(seen), EVEN, EVEN + 4)
    machine.run(1 + 6 + 5 + 6 + 5)
    assert seen == [EVEN, EVEN]


def test_a_long_block_is_one(tier: str) -> None:
    """However it is translated."""
    code = li("t0", 1) * 200 + asm("jal", rd=0, offset=-800)
    seen: list[int] = []
    with load(code, tier=tier, hot=1) as machine:
        machine.run(201)
        machine.hook_block(noting(seen))
        machine.run(3 * 201)
    assert seen == [CODE] * 3


def test_added_late_and_removed(machine: Machine, tier: str) -> None:
    seen: list[int] = []
    machine.run(60)
    hook = machine.hook_code(noting(seen), HEAD)
    machine.run(60)
    count = len(seen)
    assert count > 8
    assert hook.active
    hook.remove()
    hook.remove()
    assert not hook.active
    assert machine.run().reason is StopReason.EXITED
    assert len(seen) == count
    stats = machine.stats()
    assert stats.flushes == 0
    assert stats.deaths["hook"] > 0 or tier == "interp"


def test_with(machine: Machine) -> None:
    seen: list[int] = []
    with machine.hook_code(noting(seen), HEAD):
        machine.run(1 + 6 + 1)
    machine.run()
    assert len(seen) == 2


def test_a_removed_hook_costs_nothing(tier: str) -> None:
    with load(FOREVER, tier=tier) as machine:
        machine.hook_code(lambda guest, pc: None, CODE).remove()
        machine.run(1000)
        before = machine.stats()
        machine.run(100_000)
        after = machine.stats()
        assert after.exits["jump"] - before.exits["jump"] < 10
        assert after.interpreted - before.interpreted < 100 or tier == "interp"


def test_a_symbol(tier: str) -> None:
    seen: list[int] = []
    with Machine.load(ROOT / "roms" / "hello.elf", tier=tier, stdout=open("/dev/null", "wb", 0)) as machine:
        machine.hook_code(noting(seen), "main")
        machine.run()
        assert seen == [machine.address("main")]


# -- ending a run -----------------------------------------------------------------------------------------------------


def test_a_hook_that_ends_the_run_is_passed_once(machine: Machine) -> None:
    machine.hook_code(stopping, HEAD)
    for visit in range(ROUNDS):
        stop = machine.run()
        assert (stop.reason, stop.pc) == (StopReason.HOOK, HEAD)
        assert machine.regs.t1 == 3 * visit
    assert machine.run().reason is StopReason.EXITED


def test_every_other_value_goes_on(machine: Machine) -> None:
    for value in (None, False, 1, "True", StopReason.HOOK):
        machine.hook_code(lambda guest, pc, value=value: value, HEAD)  # type: ignore[misc]
    assert machine.run().reason is StopReason.EXITED


def test_limits_come_first(machine: Machine) -> None:
    seen: list[int] = []
    machine.hook_code(noting(seen), HEAD)
    assert machine.run(1).reason is StopReason.BUDGET
    assert machine.run(0).reason is StopReason.BUDGET
    assert machine.run(until=HEAD).reason is StopReason.UNTIL
    assert seen == []
    machine.run(1)
    assert seen == [HEAD]


def test_hooks_are_called_in_their_order_and_each_once(machine: Machine) -> None:
    seen: list[str] = []
    first = machine.hook_block(lambda guest, pc: seen.append("first"), HEAD, HEAD + 4)
    machine.hook_code(lambda guest, pc: seen.append("second") or Hook.STOP, HEAD)
    machine.hook_code(lambda guest, pc: seen.append("third"), HEAD)
    assert machine.run().reason is StopReason.HOOK
    assert seen == ["second"]  # control came from the instruction before: no block begins
    assert machine.run().reason is StopReason.HOOK
    assert seen == ["second", "third", "first", "second"]
    first.remove()
    assert machine.run().reason is StopReason.HOOK
    assert seen == ["second", "third", "first", "second", "third", "second"]


def test_an_exception_comes_through_and_nothing_is_lost(machine: Machine) -> None:
    seen: list[int] = []
    error = ZeroDivisionError("hook")

    def fail(guest: Machine, pc: int) -> None:
        raise error

    failing = machine.hook_code(fail, HEAD)
    machine.hook_code(noting(seen), HEAD)
    with pytest.raises(ZeroDivisionError) as caught:
        machine.run()
    assert caught.value is error
    assert (machine.pc, machine.instructions, seen) == (HEAD, 1, [])
    failing.remove()
    assert machine.run(3).instructions == 3
    assert seen == [HEAD]
    assert machine.run().reason is StopReason.EXITED
    assert len(seen) == ROUNDS


# -- conditions -------------------------------------------------------------------------------------------------------


def counter_is(machine: Machine, value: int) -> Condition:
    """Whether t0 is a number."""
    register = Insn(Op.REGISTER, machine.guest.layout["t0"].index)
    return Condition((register, Insn(Op.NUMBER, value), Insn(Op.EQ)))


def test_a_condition_says_when(machine: Machine) -> None:
    seen: list[int] = []
    machine.hook_code(lambda guest, pc: seen.append(guest.regs.t0), HEAD, when=counter_is(machine, 7))
    machine.hook_block(lambda guest, pc: seen.append(guest.regs.t0), HEAD, HEAD + 4, when=counter_is(machine, 5))
    assert machine.run().reason is StopReason.EXITED
    assert seen == [7, 5]


def test_a_condition_is_of_one_hook(machine: Machine) -> None:
    """Others of the same instruction are called all the same, each at its turn."""
    seen: list[str] = []
    machine.hook_code(lambda guest, pc: seen.append("rarely"), HEAD, when=counter_is(machine, 7))
    plain = machine.hook_code(lambda guest, pc: seen.append("always"), HEAD)
    while machine.regs.t0 != 6:
        machine.run(1)
    assert seen == ["always"] * (ROUNDS - 7) + ["rarely", "always"]
    plain.remove()
    machine.run()
    assert len(seen) == ROUNDS - 7 + 2


def test_a_condition_is_asked_when_its_turn_comes(machine: Machine) -> None:
    seen: list[int] = []

    def change(guest: Machine, pc: int) -> None:
        guest.regs.t0 = 1

    machine.hook_code(change, HEAD, when=counter_is(machine, 9))
    machine.hook_code(lambda guest, pc: seen.append(guest.regs.t0), HEAD, when=counter_is(machine, 1))
    machine.hook_code(lambda guest, pc: seen.append(guest.regs.t0), HEAD, when=counter_is(machine, 9))
    assert machine.run().reason is StopReason.EXITED
    assert seen == [1]


def test_ending_a_run_by_a_condition(machine: Machine) -> None:
    machine.hook_code(stopping, HEAD, when=counter_is(machine, 3))
    stop = machine.run()
    assert (stop.reason, stop.pc, machine.regs.t0) == (StopReason.HOOK, HEAD, 3)
    assert machine.run().reason is StopReason.EXITED


def test_a_value_that_changes(tier: str) -> None:
    """The fifth of stores of (t0 >> 2) is the first that writes something else."""
    code = (
        lui("s0", DATA)
        + asm("srli", rd="t1", rs1="t0", shamt=2)
        + asm("sw", rs1="s0", rs2="t1", imm=0)
        + asm("addi", rd="t0", rs1="t0", imm=1)
        + asm("jal", rd=0, offset=-12)
    )
    with load(code, tier=tier, hot=1) as machine:
        values: list[int | None] = []
        machine.hook_memory(lambda guest, access: values.append(access.value), DATA, DATA + 4, "write", when=CHANGES)
        machine.run(1 + 4 * 41)
        assert values == list(range(1, 11))


# -- what callbacks may do --------------------------------------------------------------------------------------------


def test_a_callback_changes_registers_and_the_pc(machine: Machine) -> None:
    def skip(guest: Machine, pc: int) -> None:
        guest.regs.t0 = 1
        guest.pc = HEAD + 16

    machine.hook_code(skip, HEAD)
    stop = machine.run()
    assert (stop.reason, stop.instructions) == (StopReason.EXITED, 1 + 2 + 2)
    assert machine.regs.t1 == 0


def test_where_a_callback_goes_is_hooked_too(machine: Machine) -> None:
    seen: list[int] = []

    def skip(guest: Machine, pc: int) -> None:
        guest.pc = EVEN

    machine.hook_code(skip, HEAD)
    machine.hook_code(noting(seen), HEAD)
    machine.hook_block(noting(seen), EVEN, EVEN + 4)
    machine.run(4)
    assert seen == [EVEN, EVEN]


def test_a_callback_changes_the_instruction(machine: Machine) -> None:
    machine.run(60)

    def patch(guest: Machine, pc: int) -> None:
        guest.memory[pc : pc + 4] = asm("addi", rd="t0", rs1="zero", imm=0)

    machine.hook_code(patch, EVEN)
    machine.run()
    assert machine.instructions < 80


def test_a_callback_adds_and_removes_hooks(machine: Machine) -> None:
    seen: list[int] = []

    def once(guest: Machine, pc: int) -> None:
        hook.remove()
        guest.hook_code(noting(seen), EVEN)
        guest.hook_code(noting(seen), HEAD)

    hook = machine.hook_code(once, HEAD)
    machine.run(1 + 6 + 1)
    assert seen == [EVEN, HEAD]


def test_a_callback_stops_the_machine(machine: Machine) -> None:
    machine.hook_code(lambda guest, pc: guest.stop(), HEAD)
    stop = machine.run()
    assert (stop.reason, stop.pc, stop.instructions) == (StopReason.REQUEST, HEAD, 1)
    stop = machine.run()
    assert (stop.reason, stop.pc) == (StopReason.REQUEST, HEAD)
    assert machine.regs.t0 == ROUNDS - 1


@pytest.mark.parametrize("action", [Machine.run, Machine.start, Machine.close])
def test_a_callback_may_not_run_or_close_the_machine(machine: Machine, action: Callable[[Machine], object]) -> None:
    machine.hook_code(lambda guest, pc: action(guest), HEAD)  # type: ignore[arg-type]
    with pytest.raises(DynarecError, match=r"running already|closed by what it calls"):
        machine.run()
    assert machine.pc == HEAD
    assert machine.run(3).reason is StopReason.BUDGET


class Again:
    """A device that runs its machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def read(self, offset: int, width: int) -> int:
        return self.machine.run(1).instructions

    def write(self, offset: int, width: int, value: int) -> None:
        self.machine.close()


@pytest.mark.parametrize("access", [asm("lw", rd="t1", rs1="t0", imm=0), asm("sw", rs1="t0", rs2="t1", imm=0)])
def test_a_device_may_not_run_or_close_the_machine(tier: str, access: bytes) -> None:
    with load(lui("t0", 0x4000_0000) + access, tier=tier) as machine:
        machine.add_device(0x4000_0000, Again(machine))
        with pytest.raises(DynarecError, match=r"running already|closed by what it calls"):
            machine.run(10)


# -- memory -----------------------------------------------------------------------------------------------------------


def watched(machine: Machine, start: int, end: int | None = None, kind: str = "access") -> list[MemoryAccess]:
    """The list that a hook fills from now on."""
    seen: list[MemoryAccess] = []
    machine.hook_memory(lambda guest, access: seen.append(access), start, end, kind)
    return seen


def test_before_the_access(tier: str) -> None:
    """What a callback changes, the instruction sees."""
    code = lui("s0", DATA) + asm("lw", rd="a0", rs1="s0", imm=8) + asm("sw", rs1="s0", rs2="s1", imm=8) + EXIT
    with load(code, tier=tier) as machine:
        machine.regs.s1 = 0x1234_5678

        def change(guest: Machine, access: MemoryAccess) -> None:
            assert guest.pc == access.pc
            if access.kind == "read":
                guest.memory[DATA + 8] = 77
            else:
                assert guest.memory[DATA + 8] == 77
                guest.regs.s1 = 5

        machine.hook_memory(change, DATA + 8, DATA + 12)
        assert machine.run().status == 77
        assert machine.memory[DATA + 8 : DATA + 12] == bytes((5, 0, 0, 0))


def test_ending_the_run_before_an_access(tier: str) -> None:
    code = lui("s0", DATA) + asm("sw", rs1="s0", rs2="s0", imm=0) + asm("addi", rd="t0", rs1="t0", imm=1)
    with load(code + asm("jal", rd=0, offset=-8), tier=tier) as machine:
        machine.run(61)
        machine.memory[DATA : DATA + 4] = bytes(4)
        hook = machine.hook_memory(stopping, DATA, kind="write")
        for visit in range(20, 24):
            stop = machine.run()
            assert (stop.reason, stop.pc) == (StopReason.HOOK, CODE + 4)
            assert machine.regs.t0 == visit
            assert machine.memory[DATA : DATA + 4] == (bytes(4) if visit == 20 else DATA.to_bytes(4, "little"))
        hook.remove()
        assert machine.run(300).reason is StopReason.BUDGET


def test_a_failing_memory_hook_loses_nothing(tier: str) -> None:
    code = lui("s0", DATA) + asm("lw", rd="a0", rs1="s0", imm=0) + EXIT
    with load(code, tier=tier) as machine:
        machine.memory[DATA] = 9

        def fail(guest: Machine, access: MemoryAccess) -> None:
            raise KeyError(access.address)

        machine.hook_memory(fail, DATA)
        seen = watched(machine, DATA)
        with pytest.raises(KeyError):
            machine.run()
        assert (machine.pc, machine.instructions, machine.regs.a0, seen) == (CODE + 4, 1, 0, [])
        assert machine.run().status == 9
        assert seen == [MemoryAccess(CODE + 4, DATA, 4, None, "read")]


def test_python_hits_no_hooks(tier: str) -> None:
    with load(FOREVER, tier=tier) as machine:
        seen = watched(machine, DATA, DATA + PAGE)
        machine.memory[DATA] = 1
        assert machine.memory[DATA : DATA + 8] == b"\1" + bytes(7)
        machine.run(100)
        assert seen == []


# -- system calls -----------------------------------------------------------------------------------------------------

GETPID, WRITE, EXIT_NUMBER = 172, 64, 93
CALLS = li("a7", GETPID) + asm("ecall") + li("a7", EXIT_NUMBER) + asm("ecall")
FIRST_CALL, SECOND_CALL = CODE + 4, CODE + 12


def test_system_calls_by_number(tier: str) -> None:
    every: list[SystemCall] = []
    exits: list[SystemCall] = []
    with load(CALLS, tier=tier) as machine:
        machine.regs.a1 = 5
        machine.hook_syscall(lambda guest, call: every.append(call))
        machine.hook_syscall(lambda guest, call: exits.append(call), EXIT_NUMBER)
        status = machine.run().status
    assert [(call.pc, call.number) for call in every] == [(FIRST_CALL, GETPID), (SECOND_CALL, EXIT_NUMBER)]
    assert every[0].args[:2] == (0, 5)
    assert exits == every[1:]
    assert exits[0].args[0] & 0xFF == status


def test_a_callback_answers_a_system_call(tier: str) -> None:
    def answer(guest: Machine, call: SystemCall) -> object:
        guest.regs.a0 = 42
        return Hook.HANDLED

    with load(CALLS, tier=tier) as machine:
        machine.hook_syscall(answer, GETPID)
        seen: list[SystemCall] = []
        machine.hook_syscall(lambda guest, call: seen.append(call), GETPID)
        stop = machine.run()
        assert (stop.status, stop.instructions) == (42, 4)
        assert seen == []


def test_a_callback_ends_the_program(tier: str) -> None:
    with load(CALLS, tier=tier) as machine:
        machine.hook_syscall(lambda guest, call: Exited(7), GETPID)
        stop = machine.run()
        assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 7, 2)


def test_a_callback_goes_elsewhere(tier: str) -> None:
    def elsewhere(guest: Machine, call: SystemCall) -> object:
        guest.pc, guest.regs.a7, guest.regs.a0 = SECOND_CALL, EXIT_NUMBER, 3
        return Hook.HANDLED

    with load(CALLS, tier=tier) as machine:
        machine.hook_syscall(elsewhere, GETPID)
        assert machine.run().status == 3


def test_ending_the_run_before_a_system_call(tier: str) -> None:
    seen: list[int] = []
    with load(CALLS, tier=tier) as machine:
        machine.hook_syscall(stopping)
        machine.hook_syscall(lambda guest, call: seen.append(call.pc))
        for place in (FIRST_CALL, SECOND_CALL):
            stop = machine.run()
            assert (stop.reason, stop.pc) == (StopReason.HOOK, place)
        assert seen == [FIRST_CALL]
        assert machine.run().reason is StopReason.EXITED
        assert seen == [FIRST_CALL, SECOND_CALL]


def test_an_exception_before_a_system_call(tier: str) -> None:
    def fail(guest: Machine, call: SystemCall) -> None:
        raise KeyError(call.number)

    with load(CALLS, tier=tier) as machine:
        machine.hook_syscall(fail, GETPID)
        with pytest.raises(KeyError):
            machine.run()
        assert machine.pc == FIRST_CALL
        assert machine.run().reason is StopReason.EXITED


def test_a_kernel_answers_its_own_system_calls() -> None:
    with (
        Machine.load(ROOT / "roms" / "kernel.elf") as machine,
        pytest.raises(DynarecError, match="own trap handler"),
    ):
        machine.hook_syscall(stopping)


# -- mistakes, threads, ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda machine: machine.hook_code(stopping, CODE, CODE), "start < end"),
        (lambda machine: machine.hook_code(stopping, -1), "start < end"),
        (lambda machine: machine.hook_code(stopping, 1 << 32), "32 bits"),
        (lambda machine: machine.hook_block(stopping, 8, 4), "start < end"),
        (lambda machine: machine.hook_code(stopping, "nowhere"), "no symbol 'nowhere'"),
        (lambda machine: machine.hook_memory(stopping, DATA, kind="fetch"), "choose one of read, write, access"),
    ],
)
def test_mistakes(add: Callable[[Machine], object], message: str) -> None:
    with load(FOREVER) as machine, pytest.raises(DynarecError, match=message) as caught:
        add(machine)
    assert "\n" not in str(caught.value)


def test_hooks_end_with_their_machine() -> None:
    with load(FOREVER) as machine:
        hook = machine.hook_code(stopping, CODE)
    hook.remove()
    assert not hook.active
    with pytest.raises(DynarecError, match="closed"):
        machine.hook_code(stopping, CODE)


def test_another_thread_waits_for_the_end_of_a_run(tier: str) -> None:
    with load(FOREVER, tier=tier) as machine:
        hook = machine.hook_code(stopping, CODE + 0x100)
        run = machine.start()
        with pytest.raises(DynarecError, match="running already"):
            machine.hook_code(stopping, CODE)
        with pytest.raises(DynarecError, match="running already"):
            hook.remove()
        assert hook.active
        run.stop()
        assert run.wait().reason is StopReason.REQUEST
        adding = threading.Thread(target=machine.hook_code, args=(stopping, CODE))
        adding.start()
        adding.join()
        assert machine.run().reason is StopReason.HOOK


def test_stop_from_other_threads(tier: str) -> None:
    """How long it takes is printed: native/dispatch.c bounds it by a slice."""
    times = []
    with load(FOREVER, tier=tier) as machine:
        for _ in range(10):
            run = machine.start()
            time.sleep(0.01)
            since = time.perf_counter()
            machine.stop()
            assert run.wait().reason is StopReason.REQUEST
            times.append(time.perf_counter() - since)
    print(f"{tier}: a run ends {1e6 * sorted(times)[5]:.0f} microseconds after the request (median)")


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_until_leaves_other_code_alone() -> None:
    with load(COUNTDOWN, tier="jit") as machine:
        machine.run(60)
        for _ in range(10):
            assert machine.run(until=EVEN).reason is StopReason.UNTIL
            machine.run(1)
        before = machine.stats()
        assert before.flushes == 0
        assert before.deaths["breakpoint"] > 0
        for _ in range(10):
            machine.run(until=EVEN)
            machine.run(1)
        assert machine.stats().translated == before.translated


def test_costs(tier: str) -> None:
    """Printed: of a hit, and of a hook that is never hit."""
    with load(FOREVER, tier=tier) as machine:
        seconds = []
        for hooked in (False, True):
            if hooked:
                machine.hook_code(stopping, CODE + 0x100)
                machine.hook_memory(stopping, DATA, DATA + PAGE)
            machine.run(100_000)
            since = time.perf_counter()
            machine.run(300_000)
            seconds.append(time.perf_counter() - since)
        print(f"{tier}: without a hook {seconds[0]:.6f} s, with one elsewhere {seconds[1]:.6f} s")
        exits = machine.stats().exits
        machine.hook_code(lambda guest, pc: None, CODE)
        since = time.perf_counter()
        machine.run(2000)
        print(f"{tier}: {1000 * (time.perf_counter() - since):.1f} microseconds a hit")
        assert exits["jump"] < 100
