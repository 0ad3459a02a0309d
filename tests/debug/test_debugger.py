"""The debugger: where it stops a program, how it steps it, what it says."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Reason, Stopped
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from dynarec.machine.base import Device, Hardware
from tests.debug.build import SOURCE
from tests.debug.stopped import MARKED

PROGRAM = Path(__file__).with_name("program.elf")
ROMS = Path(__file__).parents[2] / "roms"
STOPPED = 0.05
TIERS = ("auto", "jit", "interp")


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def debugger(tier: str) -> Iterator[Debugger]:
    with Machine.load(PROGRAM, tier=tier, hot=1, sync=True) as machine:
        yield Debugger(machine, [SOURCE.parent])


def kernel(tier: str, commands: bytes = b"traps\nuser\n", clock: str = "virtual") -> Machine:
    """A kernel that is told what to do."""
    stdin, stdout = io.BytesIO(commands), io.BytesIO()
    return Machine.load(ROMS / "kernel.elf", tier=tier, stdin=stdin, stdout=stdout, hardware=Hardware(clock=clock))


def names(debugger: Debugger) -> list[str]:
    return [frame.name for frame in debugger.view.frames()]


def line(debugger: Debugger) -> int:
    return debugger.view.frames(1)[0].line


# -- breakpoints ------------------------------------------------------------------------------------------------------


def test_a_breakpoint_stops_before_its_instruction(debugger: Debugger) -> None:
    point = debugger.break_at("factorial")
    stopped = debugger.resume()
    assert (stopped.reason, stopped.stoppers, stopped.pc) == (Reason.BREAKPOINT, (point,), point.addresses[0])
    assert (names(debugger)[0], debugger.evaluate("n").number, point.hits) == ("factorial", 4, 1)


def test_places_are_functions_lines_symbols_and_addresses(debugger: Debugger) -> None:
    deepest = MARKED["deepest"]
    by_line = debugger.break_at(f"program.c:{deepest}")
    assert debugger.break_at(str(deepest), file="program.c").addresses == by_line.addresses
    assert debugger.break_at(by_line.addresses[0]).addresses == by_line.addresses
    entry = debugger.machine.address("add")
    assert debugger.break_at("*add").addresses == (entry,)
    assert debugger.break_at("add+4").addresses == (entry + 4,)
    assert debugger.break_at(f"{entry:#x}").addresses == (entry,)
    assert debugger.break_at("add").addresses[0] > entry, "behind the set-up of its frame"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nowhere", "there is no function, symbol or address 'nowhere'"),
        ("program.c:9999", "program.c has no code at line 9999 or behind it"),
        ("other.c:1", "no file 'other.c' has lines in the debugging information"),
        (1 << 32, "0x100000000 is no address of 32 bits"),
    ],
)
def test_places_that_there_are_not(debugger: Debugger, where: int | str, message: str) -> None:
    with pytest.raises(DynarecError, match=message):
        debugger.break_at(where)
    assert not debugger.stoppers


@pytest.mark.parametrize("when", ["n == 2", "$a0 == 2", "n == 2 && total", "*(int *)&n == 2"])
def test_a_condition_lets_the_program_pass(debugger: Debugger, when: str) -> None:
    point = debugger.break_at("factorial", when)
    stopped = debugger.resume()
    assert stopped.stoppers == (point,)
    assert (debugger.evaluate("n").number, point.hits) == (2, 1)
    assert names(debugger).count("factorial") == 3


def test_a_condition_that_cannot_be_told_stops_and_says_why(debugger: Debugger) -> None:
    debugger.break_at("factorial", "1 / (n - 4)")
    stopped = debugger.resume()
    assert stopped.reason is Reason.BREAKPOINT
    assert "division by zero" in stopped.detail


def test_a_condition_with_unknown_names_is_refused(debugger: Debugger) -> None:
    point = debugger.break_at("factorial", "n == 1")
    with pytest.raises(DynarecError, match="nothing_like_it"):
        point.set_condition("nothing_like_it == 1")
    assert debugger.resume().stoppers == (point,)
    assert debugger.evaluate("n").number == 1, "the old condition is in force"


def test_hits_that_are_ignored(debugger: Debugger) -> None:
    point = debugger.break_at("factorial", ignore=2)
    debugger.resume()
    assert (debugger.evaluate("n").number, point.hits, point.ignore) == (2, 3, 0)


def test_a_temporary_breakpoint_stops_once(debugger: Debugger) -> None:
    point = debugger.break_at("factorial", temporary=True)
    assert debugger.resume().stoppers == (point,)
    assert not debugger.stoppers
    assert debugger.resume().reason is Reason.EXITED


def test_a_disabled_breakpoint_does_not_stop(debugger: Debugger) -> None:
    point = debugger.break_at("factorial")
    point.disable()
    assert debugger.resume().reason is Reason.EXITED
    assert point.hits == 0


def test_several_breakpoints_at_one_place_all_count(debugger: Debugger) -> None:
    first, second = debugger.break_at("fill"), debugger.break_at("fill")
    assert debugger.resume().stoppers == (first, second)
    debugger.delete(first.number)
    with pytest.raises(DynarecError, match=f"there is no breakpoint {first.number}"):
        debugger.delete(first.number)


def test_a_step_onto_a_breakpoint_reaches_it(debugger: Debugger) -> None:
    debugger.until("main")
    following = debugger.view.listing(debugger.machine.pc, 2)[1].address
    point = debugger.break_at(following)
    stopped = debugger.step_instruction()
    assert (stopped.reason, stopped.stoppers, point.hits) == (Reason.BREAKPOINT, (point,), 1)
    assert debugger.step_instruction().reason is Reason.STEP
    assert point.hits == 1


def test_a_step_onto_a_breakpoint_whose_condition_is_false_is_a_step(debugger: Debugger) -> None:
    debugger.until("main")
    following = debugger.view.listing(debugger.machine.pc, 2)[1].address
    point = debugger.break_at(following, "$pc == 0")
    assert debugger.step_instruction().reason is Reason.STEP
    assert point.hits == 0


def test_breakpoints_do_not_flush_the_cache(debugger: Debugger) -> None:
    debugger.until("factorial")
    flushes = debugger.machine.stats().flushes
    debugger.break_at("add")
    debugger.resume()
    assert debugger.machine.stats().flushes == flushes


# -- watchpoints ------------------------------------------------------------------------------------------------------


def test_a_watchpoint_stops_before_the_write(debugger: Debugger) -> None:
    point = debugger.watch("total")
    stopped = debugger.resume()
    access = stopped.access
    assert access is not None
    assert (stopped.reason, stopped.stoppers, access.kind) == (Reason.WATCHPOINT, (point,), "write")
    assert debugger.evaluate("total").number == 3, "it has not been written"
    assert debugger.step_instruction().reason is Reason.STEP
    assert debugger.evaluate("total").number == access.value


def test_kinds_of_watchpoints(tier: str) -> None:
    counts = {}
    for kind in ("read", "write", "access", "change"):
        with Machine.load(PROGRAM, tier=tier, hot=1, sync=True) as machine:
            debugger = Debugger(machine)
            point = debugger.watch("sink", kind=kind)
            while debugger.resume().reason is Reason.WATCHPOINT:
                pass
            counts[kind] = point.hits
    assert counts["access"] == counts["read"] + counts["write"]
    assert 0 < counts["change"] <= counts["write"]


def test_watchpoints_have_conditions_about_the_access(debugger: Debugger) -> None:
    debugger.watch("sink", kind="write", when="$value > 10 && $size == 4")
    stopped = debugger.resume()
    assert stopped.access is not None
    assert stopped.access.value is not None
    assert stopped.access.value > 10


def test_variables_and_members_can_be_watched(debugger: Debugger) -> None:
    debugger.until("factorial")
    assert len(debugger.watch("first.value").addresses) == 4
    assert debugger.watch("matrix").addresses == range(
        debugger.machine.address("matrix"), debugger.machine.address("matrix") + 24
    )
    assert debugger.watch("n").addresses.start > debugger.machine.regs.sp
    assert len(debugger.watch(0x11000, 2).addresses) == 2
    for wrong in ("$a0", "1 + 2", "nothing"):
        with pytest.raises(DynarecError):
            debugger.watch(wrong)
    with pytest.raises(DynarecError, match="unknown kind of watchpoint 'twice'"):
        debugger.watch("sink", kind="twice")


# -- catchpoints ------------------------------------------------------------------------------------------------------


def test_system_calls_are_caught_before_they_happen(tier: str) -> None:
    output = io.BytesIO()
    with Machine.load(ROMS / "hello.elf", tier=tier, stdout=output) as machine:
        debugger = Debugger(machine)
        point = debugger.catch("syscall", 64)
        stopped = debugger.resume()
        assert (stopped.reason, stopped.stoppers) == (Reason.CATCHPOINT, (point,))
        assert stopped.detail.startswith("system call 64 (0x1, ")
        assert not output.getvalue()
        debugger.step_instruction()
        assert output.getvalue()


def test_traps_and_interrupts_of_a_kernel_are_caught_at_its_handler(tier: str) -> None:
    with kernel(tier) as machine:
        debugger = Debugger(machine)
        point = debugger.catch("interrupt")
        stopped = debugger.resume()
        assert (stopped.reason, stopped.stoppers) == (Reason.CATCHPOINT, (point,))
        assert stopped.detail.startswith("interrupt ")
        assert machine.pc == machine.regs.mtvec & ~3
        assert stopped.position.delivered > 0
        debugger.delete(point.number)
        call = debugger.catch("trap")
        stopped = debugger.resume()
        assert stopped.stoppers == (call,)
        assert machine.pc == machine.regs.mtvec & ~3


def test_a_step_into_the_handler_of_a_trap_stops_there(tier: str) -> None:
    with kernel(tier) as machine:
        debugger = Debugger(machine)
        point = debugger.catch("trap")
        debugger.resume()
        debugger.delete(point.number)
        at = machine.regs.mepc
        with kernel(tier) as other:
            again = Debugger(other)
            again.until(at)
            assert again.step_instruction().reason is Reason.STEP
            assert other.pc == other.regs.mtvec & ~3


def test_accesses_to_devices_are_caught(tier: str) -> None:
    with kernel(tier) as machine:
        debugger = Debugger(machine)
        debugger.catch("mmio")
        stopped = debugger.resume()
        assert stopped.reason is Reason.CATCHPOINT
        assert stopped.access is not None
        assert any(stopped.access.address in each for each in machine.device_ranges)


def test_translations_and_their_deaths_are_caught() -> None:
    with Machine.load(PROGRAM, tier="jit") as machine:
        debugger = Debugger(machine)
        point = debugger.catch("translate")
        stopped = debugger.resume()
        assert stopped.stoppers == (point,)
        assert stopped.detail == f"block {machine.program.entry:#010x} was translated"
        debugger.delete(point.number)
        debugger.until("factorial")
        debugger.catch("invalidate")
        debugger.write_memory(machine.address("add"), b"\x01\x00")
        assert "died: host-write, written at " in debugger.resume().detail


def test_what_cannot_be_caught(debugger: Debugger) -> None:
    with pytest.raises(DynarecError, match="cannot catch 'rain': choose one of trap, interrupt, "):
        debugger.catch("rain")


# -- steps ------------------------------------------------------------------------------------------------------------


def test_steps_by_lines_enter_functions_and_come_back(debugger: Debugger) -> None:
    debugger.until(f"program.c:{MARKED['in twice']}")
    assert names(debugger)[:2] == ["twice", "main"]
    while names(debugger)[0] != "add":
        debugger.step()
    debugger.finish()
    assert names(debugger)[:2] == ["twice", "main"]


def test_next_passes_over_calls(debugger: Debugger) -> None:
    debugger.until(f"program.c:{MARKED['main walks']}")
    lines = []
    for _ in range(4):
        debugger.next()
        assert names(debugger)[0] == "main"
        lines.append(line(debugger))
    walks = MARKED["main walks"]
    assert lines == [walks + 1, walks + 2, walks + 3, walks + 4]


def test_next_stops_at_breakpoints_inside(debugger: Debugger) -> None:
    debugger.until(f"program.c:{MARKED['main recurses']}")
    point = debugger.break_at(f"program.c:{MARKED['deepest']}")
    assert debugger.next().stoppers == (point,)
    assert names(debugger).count("factorial") == 4


def test_a_recursive_function_is_finished_in_its_own_frame(debugger: Debugger) -> None:
    debugger.break_at("factorial", temporary=True)
    debugger.resume()
    debugger.finish()
    assert names(debugger)[0] == "main"


def test_the_outermost_function_cannot_be_finished(debugger: Debugger) -> None:
    with pytest.raises(DynarecError, match="no caller"):
        debugger.finish()


def test_one_instruction_and_a_call_as_one(debugger: Debugger) -> None:
    debugger.until(f"program.c:{MARKED['main recurses']}")
    while names(debugger)[0] == "main":
        before = debugger.machine.pc
        debugger.step_instruction()
    debugger.finish()
    after = debugger.machine.pc
    assert after > before
    debugger.delete(debugger.break_at(before, temporary=True).number)
    assert debugger.next_instruction().reason is Reason.STEP


def test_a_count_of_instructions(debugger: Debugger) -> None:
    assert debugger.step_instruction(10).position.instructions == 10


# -- ends and interruptions -------------------------------------------------------------------------------------------


def test_a_program_that_has_ended_says_so(debugger: Debugger) -> None:
    stopped = debugger.resume()
    assert (stopped.reason, stopped.status) == (Reason.EXITED, 14)
    with pytest.raises(DynarecError, match="the program has ended"):
        debugger.resume()


def test_a_trap_that_nobody_handles_is_shown(tier: str) -> None:
    with Machine.load(PROGRAM, tier=tier) as machine:
        debugger = Debugger(machine)
        debugger.until("main")
        debugger.write_register("pc", 0x1000)
        stopped = debugger.resume()
        assert stopped.reason is Reason.TRAPPED
        assert stopped.trap is not None
        assert stopped.trap.pc == machine.pc == 0x1000


def test_another_thread_interrupts(tier: str) -> None:
    with kernel(tier) as machine:
        debugger = Debugger(machine, history=1 << 20)
        found: list[Stopped] = []
        thread = threading.Thread(target=lambda: found.append(debugger.resume()))
        thread.start()
        while not machine.instructions:
            time.sleep(0.001)
        debugger.interrupt()
        thread.join(20)
        assert [each.reason for each in found] == [Reason.INTERRUPTED]


def test_the_time_of_the_machine_stands_still(tier: str) -> None:
    with kernel(tier, clock="host") as machine:
        debugger = Debugger(machine)
        debugger.step_instruction()
        since = time.monotonic_ns()
        machine.profile.go_on()
        before = machine.core.elapsed
        machine.profile.stand_still()
        time.sleep(STOPPED)
        debugger.step_instruction()
        machine.profile.go_on()
        passed = machine.core.elapsed - before
        assert passed <= time.monotonic_ns() - since - STOPPED * 1e9


def test_registers_and_memory_are_written(debugger: Debugger) -> None:
    debugger.until("factorial")
    debugger.write_register("a5", 0x1234)
    assert debugger.machine.regs.a5 == 0x1234
    debugger.evaluate("n = 1")
    debugger.finish()
    assert debugger.evaluate("$a0").number == 1
    with pytest.raises(DynarecError, match="no register 'q9'"):
        debugger.write_register("q9", 1)
    with pytest.raises(DynarecError, match="instructions begin at multiples of 2"):
        debugger.write_register("pc", 0x10001)


def test_the_debugger_gives_the_machine_back() -> None:
    with Machine.load(PROGRAM) as machine:
        debugger = Debugger(machine, history=1 << 20)
        debugger.break_at("factorial")
        debugger.catch("trap")
        debugger.until("main")
        debugger.close()
        stop = machine.run()
        assert stop.status == 14


def test_a_step_is_not_taken_away_by_an_interrupt(tier: str) -> None:
    with kernel(tier, b"user\n") as machine:
        debugger = Debugger(machine)
        point = debugger.catch("interrupt")
        debugger.resume()
        debugger.delete(point.number)
        debugger.until(machine.regs.mepc)
        handler, taken = machine.regs.mtvec & ~3, 0
        for _ in range(300):
            before = debugger.position
            assert debugger.next_instruction().reason is Reason.STEP
            assert machine.pc != handler
            taken += debugger.position.delivered != before.delivered
        assert taken


def test_a_failure_leaves_the_debugger_where_the_program_is() -> None:
    class Broken(Device):
        def read(self, offset: int, width: int, /) -> int:
            raise RuntimeError("the device is broken")

    with Machine.load(ROMS / "devices.elf", "virt", stdin=io.BytesIO(), stdout=io.BytesIO()) as machine:
        machine.add_device(0x4000_0000, Broken())
        machine.run(until="main")
        debugger = Debugger(machine, history=1 << 20)
        debugger.write_register("a0", 0x4000_0000)
        debugger.write_register("a1", 5)
        debugger.write_register("pc", machine.address("read_bytes"))
        with pytest.raises(RuntimeError, match="the device is broken"):
            debugger.resume()
        assert debugger.stopped.pc == machine.pc
        assert debugger.stopped.position == debugger.position
