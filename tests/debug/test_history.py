"""Backwards: each moment of the past is what it was, however it is reached."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Position, Reason
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from dynarec.machine.base import Device, Hardware
from dynarec.machine.console import RAM as CONSOLE_RAM
from tests.debug.build import SOURCE
from tests.debug.stopped import MARKED

PROGRAM = Path(__file__).with_name("program.elf")
ROMS = Path(__file__).parents[2] / "roms"
TIERS = ("auto", "jit", "interp")
SIZE = 64 << 20
PAGE = 4096
COMMANDS = b"traps\nuser\necho x\nticks 3\nhalt 0\n"

HELD_OUTPUT = ("line", "line_count", "line_since", "looked")
"""Of the serial port: what the guest has sent and the host has not been given yet. Taking a snapshot hands it on."""

tiers = pytest.mark.parametrize("tier", TIERS)


def load(name: str, tier: str = "auto", stdin: bytes = b"", machine: str = "auto") -> Machine:
    path = PROGRAM if name == "program" else ROMS / f"{name}.elf"
    return Machine.load(
        path, machine, tier=tier, hot=2, sync=True, stdin=io.BytesIO(stdin), stdout=io.BytesIO(), seed=1
    )


def state(debugger: Debugger) -> tuple[object, ...]:
    """All that the guest can see of itself, but for memory that it does not use."""
    machine = debugger.machine
    stack = machine.regs.sp & -PAGE
    memory = machine.memory.read(stack, PAGE) if machine.memory.is_mapped(stack, PAGE) else b""
    devices = machine.core.save_devices() if machine.profile.name == "virt" else None
    if devices is not None:
        uart = devices["uart"]
        assert isinstance(uart, dict)
        for name in HELD_OUTPUT:
            del uart[name]
    return debugger.position, machine.pc, machine.core.registers, memory, machine.core.skipped, devices


def walk(debugger: Debugger, count: int) -> list[tuple[object, ...]]:
    """So many steps, and the state before each of them and at the end."""
    states = [state(debugger)]
    while len(states) <= count and debugger.step_instruction().reason is Reason.STEP:
        states.append(state(debugger))
    return states


@tiers
@pytest.mark.parametrize(("name", "start"), [("program", 0), ("words", 0), ("kernel", 9_000), ("kernel", 60_000)])
def test_steps_back_come_by_each_moment_again(tier: str, name: str, start: int) -> None:
    stdin = COMMANDS if name == "kernel" else b"one two two\nthree\n"
    with load(name, tier, stdin) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(start + 1)
        states = walk(debugger, 300)
        assert len(states) > 100
        for expected in reversed(states[:-1]):
            assert debugger.reverse_step_instruction().reason is Reason.STEP
            assert state(debugger) == expected
        assert walk(debugger, len(states) - 1) == states, "and forwards again"


@tiers
def test_a_walk_at_random_through_a_run_with_a_trap_handler(tier: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with load("kernel", tier, COMMANDS) as machine:
        debugger = Debugger(machine, history=SIZE)
        history = debugger.history
        assert history is not None
        debugger.resume()
        end = history.end
        seen: dict[Position, tuple[object, ...]] = {}
        for _ in range(60):
            history.go_to(Position(chance.randrange(end.instructions)))
            debugger.step_instruction(chance.randrange(3)) if chance.random() < 0.5 else None
            here = debugger.position
            assert seen.setdefault(here, state(debugger)) == state(debugger)


@tiers
def test_a_million_instructions_back_and_forth(tier: str) -> None:
    with load("kernel", tier, COMMANDS * 3) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(500)
        first = state(debugger)
        history = debugger.history
        assert history is not None
        debugger.step_instruction(1_000_000)
        last = state(debugger)
        memory = machine.memory.read(0x8000_0000, 1 << 20)
        for _ in range(3):
            history.go_to(first[0])  # type: ignore[arg-type]
            assert state(debugger) == first
            debugger.step_instruction(1_000_000)
            assert state(debugger) == last
            assert machine.memory.read(0x8000_0000, 1 << 20) == memory


def test_every_tier_goes_the_same_way_back() -> None:
    found = []
    for tier in TIERS:
        with load("kernel", tier, COMMANDS) as machine:
            debugger = Debugger(machine, history=SIZE)
            debugger.break_at("machine_handle")
            while debugger.resume().reason is Reason.BREAKPOINT:
                pass
            way = [state(debugger)]
            while debugger.reverse_resume().reason is Reason.BREAKPOINT:
                way.append(state(debugger))
            found.append(way)
    assert len(found[0]) > 10
    assert found[0] == found[1] == found[2]


# -- motions ----------------------------------------------------------------------------------------------------------


@tiers
def test_back_to_breakpoints_in_the_other_order(tier: str) -> None:
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        point = debugger.break_at("factorial")
        numbers = []
        while debugger.resume().reason is Reason.BREAKPOINT:
            numbers.append(debugger.evaluate("n").number)
        back = []
        while (stopped := debugger.reverse_resume()).reason is Reason.BREAKPOINT:
            assert stopped.stoppers == (point,)
            back.append(debugger.evaluate("n").number)
        assert back == numbers[::-1] == [1, 2, 3, 4]
        assert stopped.reason is Reason.BEGINNING
        assert machine.pc == machine.program.entry
        assert debugger.resume().stoppers == (point,)


@tiers
def test_back_with_conditions_and_watchpoints(tier: str) -> None:
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        debugger.resume()
        point = debugger.break_at("factorial", "n == 3")
        assert debugger.reverse_resume().stoppers == (point,)
        assert debugger.evaluate("n").number == 3
        watch = debugger.watch("total")
        stopped = debugger.reverse_resume()
        assert stopped.stoppers == (watch,)
        assert stopped.access is not None
        assert stopped.access.value != debugger.evaluate("total").number
        debugger.step_instruction()
        assert debugger.evaluate("total").number == stopped.access.value


@tiers
def test_lines_back(tier: str) -> None:
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        debugger.until(f"program.c:{MARKED['last']}")
        last = MARKED["last"]
        places = []
        for _ in range(3):
            debugger.reverse_next()
            frame = debugger.view.frames(1)[0]
            places.append((frame.name, frame.line))
        assert places == [("main", last - 1), ("main", last - 2), ("main", last - 3)]
        debugger.until(f"program.c:{MARKED['last']}")
        debugger.reverse_step()
        assert debugger.view.frames(1)[0].line == last - 1
        debugger.until(f"program.c:{MARKED['last']}")
        point = debugger.break_at("add")
        debugger.reverse_resume()
        debugger.delete(point.number)
        debugger.reverse_finish()
        assert debugger.step_instruction().pc == machine.address("add")


@tiers
def test_next_back_passes_over_a_long_call(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynarec.debug.backwards.FIRST_TRAIL", 4)
    monkeypatch.setattr("dynarec.debug.backwards.LONGEST_TRAIL", 40)
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        debugger.until(f"program.c:{MARKED['last']}")
        debugger.reverse_next()
        frame = debugger.view.frames(1)[0]
        assert (frame.name, frame.line) == ("main", MARKED["main recurses"])


@tiers
def test_back_to_the_last_write(tier: str) -> None:
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        debugger.resume()
        value = debugger.evaluate("total").number
        stopped = debugger.reverse_to_write("total")
        assert debugger.view.frames(1)[0].name == "add"
        assert debugger.evaluate("total").number != value
        assert stopped.access is not None
        assert stopped.access.value == value


def test_back_to_a_system_call_that_wrote(tmp_path: Path) -> None:
    with load("words", stdin=b"a few words\n") as machine:
        debugger = Debugger(machine, history=SIZE)
        call = debugger.catch("syscall", 63)
        debugger.resume()
        buffer = machine.regs.a1
        where = debugger.position
        debugger.delete(call.number)
        debugger.resume()
        stopped = debugger.reverse_to_write(buffer, 1)
        while debugger.position > where and stopped.reason is not Reason.BEGINNING:
            stopped = debugger.reverse_to_write(buffer, 1)
        assert (debugger.position, "system call" in stopped.detail) == (where, True)


@pytest.mark.parametrize("motion", ["reverse_step", "reverse_next", "reverse_step_instruction", "reverse_resume"])
def test_nothing_comes_before_the_beginning(motion: str) -> None:
    with load("program") as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        for _ in range(2):
            assert getattr(debugger, motion)().reason is Reason.BEGINNING
            assert debugger.position.instructions == 0
        debugger.step_instruction(3)
        while (stopped := getattr(debugger, motion)()).reason is not Reason.BEGINNING:
            pass
        assert stopped.pc == machine.program.entry


def test_without_history_there_is_no_way_back() -> None:
    with load("program") as machine:
        debugger = Debugger(machine)
        assert not debugger.can_reverse
        with pytest.raises(DynarecError, match="no history is kept"):
            debugger.reverse_resume()


def test_the_clock_of_the_host_has_no_history() -> None:
    hardware = Hardware(clock="host")
    with Machine.load(ROMS / "kernel.elf", stdin=io.BytesIO(), stdout=io.BytesIO(), hardware=hardware) as machine:
        debugger = Debugger(machine, history=SIZE)
        with pytest.raises(DynarecError, match="use --clock virtual"):
            debugger.reverse_step_instruction()


def test_a_way_back_that_is_interrupted_changes_nothing() -> None:
    with load("kernel", stdin=COMMANDS) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(200_000)
        before = state(debugger)
        debugger.break_at(machine.program.entry)
        history = debugger.history
        assert history is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(history, "call_hooks_here", debugger.interrupt)
            assert debugger.reverse_resume().reason is Reason.INTERRUPTED
        assert state(debugger) == before
        assert debugger.reverse_resume().reason is Reason.BREAKPOINT


# -- the world --------------------------------------------------------------------------------------------------------


def test_nothing_goes_out_twice_and_nothing_is_asked_for_again(tmp_path: Path) -> None:
    output, data = io.BytesIO(), io.BytesIO(b"one two two\n")
    with Machine.load(ROMS / "words.elf", stdin=data, stdout=output) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.resume()
        text = output.getvalue()
        assert text
        for _ in range(3):
            history = debugger.history
            assert history is not None
            history.go_to(history.start)
            assert debugger.resume().reason is Reason.EXITED
        assert output.getvalue() == text


def test_input_by_a_pipe_comes_again_where_it_came() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb", 0) as stdin,
        os.fdopen(writer, "wb", 0) as typing,
        Machine.load(ROMS / "kernel.elf", stdin=stdin, stdout=io.BytesIO()) as machine,
    ):
        debugger = Debugger(machine, history=SIZE)
        point = debugger.break_at("machine_handle")
        moments = []
        for command in (b"echo a\n", b"traps\n", b"echo b\n"):
            typing.write(command)
            assert debugger.resume().stoppers == (point,)
            moments.append(state(debugger))
        assert debugger.history is not None
        debugger.history.go_to(debugger.history.start)
        again = []
        for _ in moments:
            assert debugger.resume().stoppers == (point,)
            again.append(state(debugger))
        assert again == moments


class Counter(Device):
    """A device whose values cannot be had a second time, that writes to memory, and raises a line."""

    def __init__(self, machine: Machine) -> None:
        self.count = 0
        self.written: list[int] = []
        self._machine = machine

    def read(self, offset: int, width: int, /) -> int:
        self.count += 1
        self._machine.memory.write(0x8010_0000, bytes([self.count % 256]))
        return self.count

    def write(self, offset: int, width: int, value: int, /) -> None:
        self.written.append(value)


@tiers
def test_devices_of_python_are_not_asked_again(tier: str) -> None:
    with load("devices", tier, machine="virt") as machine:
        device = Counter(machine)
        machine.add_device(0x4000_0000, device)
        machine.run(until="main")
        machine.regs.a0, machine.regs.a1 = 0x4000_0000, 500
        machine.pc = machine.address("read_bytes")
        debugger = Debugger(machine, history=SIZE)
        states = []
        for _ in range(4):
            debugger.step_instruction(250)
            states.append((state(debugger), machine.memory[0x8010_0000]))
        asked = device.count
        assert asked > 100
        assert debugger.history is not None
        debugger.history.go_to(debugger.history.start)
        again = []
        for _ in range(4):
            debugger.step_instruction(250)
            again.append((state(debugger), machine.memory[0x8010_0000]))
        assert again == states
        assert device.count == asked
        debugger.step_instruction(100)
        assert device.count > asked, "the present goes on"


def test_the_picture_of_a_console_is_that_of_the_moment() -> None:
    with load("blocks") as machine:
        debugger = Debugger(machine, history=SIZE)
        history, console = debugger.history, machine.profile
        assert history is not None
        pictures = []
        for _ in range(4):
            debugger.step_instruction(2_000_000)
            pictures.append((debugger.position, console.picture(), machine.memory.read(CONSOLE_RAM.start, 1 << 16)))  # type: ignore[attr-defined]
        assert len({repr(picture) for _, picture, _ in pictures}) > 1
        for position, picture, memory in reversed(pictures):
            history.go_to(position)
            assert console.picture() == picture  # type: ignore[attr-defined]
            assert machine.memory.read(CONSOLE_RAM.start, 1 << 16) == memory


# -- changing the past ------------------------------------------------------------------------------------------------


@tiers
def test_a_change_in_the_past_begins_another_future(tier: str) -> None:
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        debugger.break_at("factorial", "n == 4")
        debugger.resume()
        deeper = debugger.resume()
        assert deeper.status == 14
        debugger.reverse_resume()
        debugger.evaluate("n = 1")
        assert debugger.history is not None
        assert not debugger.history.is_past
        assert debugger.resume().status != 14
        debugger.break_at("factorial")
        debugger.reverse_resume()
        debugger.evaluate("n = 4")
        assert debugger.resume().reason is Reason.BREAKPOINT
        assert debugger.evaluate("n").number == 3


def test_files_are_where_they_were_after_a_change_in_the_past(tmp_path: Path) -> None:
    with load("words", stdin=b"one two\nthree\n") as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.catch("syscall", 63)
        debugger.resume()
        debugger.resume()
        debugger.reverse_resume()
        debugger.changed()
        last = debugger.resume()
        while last.reason is Reason.CATCHPOINT:
            last = debugger.resume()
        assert (last.reason, last.status) == (Reason.EXITED, 0)


def test_input_is_read_again_after_a_change_in_the_past() -> None:
    output = io.BytesIO()
    lines = b"".join(b"echo line%03d\n" % number for number in range(200)) + b"halt 0\n"
    with Machine.load(ROMS / "kernel.elf", stdin=io.BytesIO(lines), stdout=output) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(8_000)
        middle = debugger.position
        assert debugger.resume().reason is Reason.EXITED
        first = output.getvalue()
        assert debugger.history is not None
        debugger.history.go_to(middle)
        debugger.changed()
        assert debugger.resume().reason is Reason.EXITED
        again = output.getvalue()[len(first) :]
        assert again
        assert first.endswith(again)


@tiers
def test_several_breakpoints_at_one_place_on_the_way_back(tier: str) -> None:
    with load("program", tier) as machine:
        debugger = Debugger(machine, [SOURCE.parent], history=SIZE)
        debugger.resume()
        points = (debugger.break_at("factorial"), debugger.break_at("factorial", "n == 1"))
        assert debugger.reverse_resume().stoppers == points
        assert debugger.reverse_resume().stoppers == points[:1]


def test_what_takes_too_much_memory_is_forgotten() -> None:
    with load("mandelbrot") as machine:
        debugger = Debugger(machine, history=1 << 20)
        history = debugger.history
        assert history is not None
        history._slice = 100_000
        for _ in range(200):
            history._run_on(100_000)
            history._slice = 100_000
        assert sum(each.size for each in history._checkpoints[1:]) <= 1 << 20
        assert history.start.instructions > 0
        with pytest.raises(DynarecError, match="history begins after"):
            history.go_to(Position(history.start.instructions - 1))
        assert debugger.reverse_resume().reason is Reason.BEGINNING
        assert debugger.position == history.start


@tiers
def test_a_trap_at_the_present_is_caught_again(tier: str) -> None:
    with load("kernel", tier, COMMANDS) as machine:
        debugger = Debugger(machine, history=SIZE)
        point = debugger.catch("trap")
        debugger.resume()
        first = state(debugger)
        debugger.reverse_step_instruction()
        stopped = debugger.resume()
        assert (stopped.stoppers, state(debugger)) == ((point,), first)
        debugger.reverse_step_instruction()
        assert debugger.step_instruction().stoppers == (point,)
        assert state(debugger) == first
        debugger.delete(point.number)
        debugger.reverse_step_instruction()
        assert debugger.step_instruction().reason is Reason.STEP
        assert state(debugger) == first


def test_many_system_calls_and_stops_are_within_the_bounds() -> None:
    with load("words", stdin=b"word " * 40_000) as machine:
        debugger = Debugger(machine, history=1 << 18)
        history = debugger.history
        assert history is not None
        debugger.catch("syscall")
        while debugger.resume().reason is Reason.CATCHPOINT:
            debugger.changed()
            assert sum(each.size for each in history._checkpoints[1:]) + history.journal.size <= 1 << 18


def test_there_is_no_snapshot_of_the_past() -> None:
    with load("program") as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(50)
        debugger.snapshot()
        debugger.reverse_step_instruction()
        with pytest.raises(DynarecError, match="no snapshot of the past"):
            debugger.snapshot()


def test_ctrl_c_on_a_way_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with load("kernel", stdin=COMMANDS) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(200_000)
        before = state(debugger)

        def interrupted() -> None:
            raise KeyboardInterrupt

        assert debugger.history is not None
        with monkeypatch.context() as patch:
            patch.setattr(debugger.history, "call_hooks_here", interrupted)
            with pytest.raises(KeyboardInterrupt):
                debugger.reverse_resume()
        assert state(debugger) == before
        assert not debugger.history.is_past
