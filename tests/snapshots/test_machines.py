"""What is around the CPU goes back as well: devices and timers, files, clocks, pictures; in any process."""

from __future__ import annotations

import io
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec import Hook, Machine, Snapshot, StopReason, SystemCall
from dynarec.errors import DynarecError
from dynarec.machine.base import Device, Hardware
from dynarec.machine.console import Console, Key
from dynarec.machine.state import BadState, Fields, State
from dynarec.machine.user import UserProfile
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui

ROMS = Path(__file__).parents[2] / "roms"
KERNEL, BLOCKS, WORDS = ROMS / "kernel.elf", ROMS / "blocks.elf", ROMS / "words.elf"
TIERS = ("interp", "jit", "auto")
COMMANDS = b"echo hello\rtime\rticks 5\ruser\rtraps\rmem 0x80000000\rtime\rhalt 3\r"
PLACES = (1, 99_999, 234_567)
DEVICE = 0x5000_0000
RUN_SECONDS = 60


def kernel(tier: str, output: io.BytesIO, **options: object) -> Machine:
    return Machine.load(KERNEL, tier=tier, stdin=io.BytesIO(COMMANDS), stdout=output, **options)  # type: ignore[arg-type]


def rest(machine: Machine, output: io.BytesIO) -> tuple[bytes, int, dict[str, int], int]:
    """What a machine still does, and what it is then."""
    output.seek(0)
    output.truncate()
    stop = machine.run(timeout=RUN_SECONDS)
    assert (stop.reason, stop.status) == (StopReason.EXITED, 3)
    return (
        output.getvalue(),
        stop.instructions,
        {name: machine.regs[name] for name in machine.regs},
        machine.instructions,
    )


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("place", PLACES)
def test_a_kernel_with_timer_interrupts(tier: str, place: int, tmp_path: Path) -> None:
    output = io.BytesIO()
    with kernel(tier, output) as machine:
        machine.run(place)
        kept = machine.snapshot()
        kept.save(tmp_path / "kept")
        wanted = rest(machine, output)
        machine.restore(kept)
        assert rest(machine, output) == wanted
        machine.restore(kept)
        machine.run(wanted[1] // 2)
        machine.restore(kept)
        assert rest(machine, output) == wanted
    for other in TIERS:
        with kernel(other, output) as machine:
            machine.restore(Snapshot.load(tmp_path / "kept"))
            assert rest(machine, output) == wanted


def test_a_snapshot_changes_nothing() -> None:
    """Many of them, taken all along, against none."""
    output, many = io.BytesIO(), io.BytesIO()
    with kernel("jit", output) as machine:
        wanted = rest(machine, output)
    rng = random.Random(1)
    with kernel("jit", many) as machine:
        while machine.run(rng.randrange(1, wanted[1] // 20)).reason is StopReason.BUDGET:
            machine.snapshot()
        assert many.getvalue() == wanted[0]
        assert machine.instructions == wanted[3]
        assert {name: machine.regs[name] for name in machine.regs} == wanted[2]


def test_a_host_clock_stands_still_in_a_snapshot() -> None:
    with kernel("interp", io.BytesIO(), hardware=Hardware(clock="host")) as machine:
        machine.run(1000)
        kept = machine.snapshot()
        then = machine.interrupts.ticks
        time.sleep(0.2)
        machine.restore(kept)
        second = machine.interrupts.ticks - then
        assert second < 0.2 * 10_000_000


# -- files ------------------------------------------------------------------------------------------------------------


def run_words(root: Path, name: str, output: io.BytesIO) -> Machine:
    return Machine.load(WORDS, args=["-n", "5", name], root=root, stdout=output)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "text"
    path.parent.mkdir()
    path.write_text(" ".join(random.Random(3).choices(("one", "two", "three", "four", "five", "six"), k=20_000)))
    return path


def test_a_program_that_reads_a_file(text: Path, tmp_path: Path) -> None:
    output = io.BytesIO()
    with run_words(text.parent, "text", output) as machine:
        machine.run(1_000_000)
        kept = machine.snapshot()
        kept.save(tmp_path / "kept")
        stop = machine.run()
        wanted = output.getvalue()
        assert (stop.status, len(wanted.splitlines())) == (0, 6)
        machine.restore(kept)
        again = machine.run()
        assert (again.status, again.instructions) == (0, stop.instructions)
        assert output.getvalue() == 2 * wanted
    loaded = Snapshot.load(tmp_path / "kept")
    with run_words(text.parent, "none", output) as machine:
        machine.restore(loaded)
        assert machine.run().instructions == stop.instructions
        assert output.getvalue() == 3 * wanted
    with Machine.load(WORDS, args=["none"]) as machine:
        machine.run(1000)
        state = machine.snapshot()
        with pytest.raises(DynarecError, match=r"file '/text' cannot be opened again: .*--root"):
            machine.restore(loaded)
        assert machine.snapshot().moment.state == state.moment.state
        assert machine.instructions == state.instructions
        assert machine.run().status == 1


def test_arguments_are_those_of_then() -> None:
    with Machine.load(WORDS, args=["a", "b"]) as machine:
        kept = machine.snapshot()
    with Machine.load(WORDS, args=["c"]) as machine:
        machine.restore(kept)
        assert isinstance(machine.profile, UserProfile)
        assert machine.profile.options.args == ["a", "b"]


# -- console, devices of Python ---------------------------------------------------------------------------------------


def play(machine: Machine, frames: int) -> object:
    """Some frames, with keys in between; what is seen then."""
    assert isinstance(machine.profile, Console)
    for frame in range(frames):
        machine.profile.controls.key((Key.LEFT, Key.UP, Key.RIGHT)[frame % 3], frame % 2 == 0)
        machine.run(300_000)
    return machine.profile.picture(), machine.profile.read(0x20, 4), machine.profile.read(0x28, 4), machine.pc


@pytest.mark.parametrize("tier", TIERS[1:])
def test_a_game(tier: str, tmp_path: Path) -> None:
    with Machine.load(BLOCKS, tier=tier) as machine:
        play(machine, 5)
        kept = machine.snapshot()
        kept.save(tmp_path / "kept")
        wanted = play(machine, 8)
        machine.restore(kept)
        assert play(machine, 8) == wanted
    with Machine.load(BLOCKS, tier="interp") as machine:
        play(machine, 2)
        machine.restore(Snapshot.load(tmp_path / "kept"))
        assert play(machine, 8) == wanted


class Counter(Device):
    """Gives one more each time."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, offset: int, width: int, /) -> int:
        self.count += 1
        return self.count

    def save(self) -> State:
        return {"count": self.count}

    def restore(self, state: State) -> None:
        self.count = Fields(state, "counter").number("count")


@pytest.mark.parametrize("tier", TIERS)
def test_a_device_with_a_state(tier: str) -> None:
    code = lui("a1", DEVICE) + asm("lw", rd="a0", rs1="a1", imm=0) + asm("jal", rd=0, offset=-4)
    with load(code, tier=tier) as machine:
        machine.add_device(DEVICE, Counter())
        machine.run(100)
        kept = machine.snapshot()
        machine.run(1000)
        value = machine.regs.a0
        machine.restore(kept)
        machine.run(1000)
        assert machine.regs.a0 == value


# -- who may, and when ------------------------------------------------------------------------------------------------


def test_while_it_runs() -> None:
    with load(asm("jal", rd=0, offset=0)) as machine:
        kept = machine.snapshot()
        run = machine.start()
        for action in (machine.snapshot, lambda: machine.restore(kept)):
            with pytest.raises(DynarecError, match="running already"):
                action()
        run.stop()
        run.wait()
        machine.restore(kept)
        assert machine.run(5).instructions == 5


class Nosy(Device):
    """Takes a snapshot in the middle of an instruction."""

    machine: Machine

    def read(self, offset: int, width: int, /) -> int:
        self.machine.snapshot()
        return 0


def test_from_inside_of_a_run() -> None:
    with load(lui("a1", DEVICE) + asm("lw", rd="a0", rs1="a1", imm=0)) as machine:
        device = Nosy()
        device.machine = machine
        machine.add_device(DEVICE, device)
        with pytest.raises(DynarecError, match="running already"):
            machine.run(10)


def test_of_a_machine_that_is_closed(tmp_path: Path) -> None:
    with load(EXIT) as machine:
        kept = machine.snapshot()
    for action in (machine.snapshot, lambda: machine.restore(kept)):
        with pytest.raises(DynarecError, match="closed"):
            action()
    kept.save(tmp_path / "kept")
    with load(EXIT) as machine:
        machine.restore(Snapshot.load(tmp_path / "kept"))
        assert machine.run().status == 0


def other_hardware() -> Machine:
    return Machine.load(KERNEL, stdin=io.BytesIO(), stdout=io.BytesIO(), hardware=Hardware(memory=64 << 20))


def test_of_something_else() -> None:
    with load(EXIT) as machine:
        kept = machine.snapshot()
    code = build([Part(CODE, EXIT, flags=R | X)], CODE)
    with load(EXIT + EXIT) as machine, pytest.raises(DynarecError, match="is of another program"):
        machine.restore(kept)
    with Machine.load(code, "user") as machine:
        kept = machine.snapshot()
    with (
        Machine.load(code, "console") as machine,
        pytest.raises(DynarecError, match="machine user, and this is machine console"),
    ):
        machine.restore(kept)
    with kernel("interp", io.BytesIO()) as machine:
        kept = machine.snapshot()
    with other_hardware() as machine, pytest.raises(DynarecError, match=r"memory 134217728.*memory 67108864"):
        machine.restore(kept)


def test_a_state_that_cannot_be_leaves_the_machine_as_it_was() -> None:
    output = io.BytesIO()
    with kernel("interp", output) as machine:
        machine.run(50_000)
        kept = machine.snapshot()
        machine.run(50_000)
        before = machine.snapshot()
        for name in kept.profile:
            with pytest.raises(BadState):
                machine.restore(_without(kept, name))
        after = machine.snapshot()
        assert (after.moment.state, after.pc, after.instructions) == (
            before.moment.state,
            before.pc,
            before.instructions,
        )
        assert after.profile == before.profile
        rest(machine, output)


def _without(kept: Snapshot, name: str) -> Snapshot:
    return replace(kept, profile={**kept.profile, name: {"position": -1} if name == "input" else {}})


# -- the command line -------------------------------------------------------------------------------------------------


def dynarec(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "dynarec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, input=stdin, timeout=RUN_SECONDS, check=False)


def with_commands(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    path = tmp_path / "commands"
    path.write_bytes(COMMANDS)
    with path.open("rb") as file:
        command = [sys.executable, "-m", "dynarec", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, stdin=file, timeout=RUN_SECONDS, check=False)


@pytest.mark.parametrize("tier", TIERS[:2])
def test_in_another_process(tier: str, tmp_path: Path) -> None:
    """What both print is what one prints that is not stopped."""
    whole = with_commands(tmp_path, "run", KERNEL)
    kept = tmp_path / "kept"
    first = with_commands(tmp_path, "run", "--max-instructions", "200000", "--save-snapshot", kept, KERNEL)
    second = with_commands(tmp_path, "run", "--restore", kept, "--tier", tier, KERNEL)
    assert (whole.returncode, first.returncode, second.returncode) == (3, 124, 3)
    assert first.stdout + second.stdout == whole.stdout
    assert (first.stderr, second.stderr) == (b"", b"")


def test_ctrl_c_keeps_a_snapshot(tmp_path: Path) -> None:
    rom, kept = tmp_path / "rom.elf", tmp_path / "kept"
    rom.write_bytes(build([Part(CODE, asm("jal", rd=0, offset=0), flags=R | X)], CODE))
    command = [sys.executable, "-m", "dynarec", "run", "--verbose", "--save-snapshot", str(kept), str(rom)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        for _ in range(2):
            running.stderr.readline()
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        assert running.wait(RUN_SECONDS) == 130
    with Machine.load(rom) as machine:
        machine.restore(Snapshot.load(kept))
        assert machine.instructions > 0


def test_no_snapshot_of_a_program_that_has_ended(tmp_path: Path) -> None:
    done = dynarec("run", "--save-snapshot", tmp_path / "kept", ROMS / "hello.elf")
    assert done.returncode == 0
    assert (
        done.stderr.decode()
        == f"dynarec: there is no snapshot to write to {tmp_path / 'kept'}: the program has ended\n"
    )
    assert not (tmp_path / "kept").exists()


def test_no_such_snapshot(tmp_path: Path) -> None:
    done = dynarec("run", "--restore", tmp_path / "none", ROMS / "hello.elf")
    assert done.returncode == 125
    assert done.stderr.decode() == f"dynarec: {tmp_path / 'none'}: cannot be read: No such file or directory\n"


# -- hooks and waiting: a replay is the run that it repeats -----------------------------------------------------------

COUNT = asm("addi", rd="t0", rs1="t0", imm=1)
GET_PID = li("a7", 172) + asm("ecall")


@pytest.mark.parametrize("tier", TIERS)
def test_hooks_stop_again_in_a_replay(tier: str) -> None:
    code = COUNT + lui("s0", DATA) + asm("lw", rd="t1", rs1="s0", imm=0) + GET_PID + EXIT
    with load(code, tier=tier) as machine:
        machine.hook_code(lambda *_: Hook.STOP, CODE)
        machine.hook_memory(lambda *_: Hook.STOP, DATA)
        machine.hook_syscall(lambda *_: Hook.STOP, 172)
        start = machine.snapshot()
        for _ in range(2):
            stops = [machine.run().pc for _ in range(3)]
            assert stops == [CODE, CODE + 8, CODE + 16]
            machine.restore(start)


@pytest.mark.parametrize("tier", TIERS)
def test_a_hook_that_has_been_passed_stays_passed(tier: str) -> None:
    seen: list[int] = []

    def stop(_: Machine, pc: int) -> bool:
        seen.append(pc)
        return Hook.STOP

    with load(COUNT * 4 + EXIT, tier=tier) as machine:
        machine.hook_code(stop, CODE + 4)
        machine.run()
        there = machine.snapshot()
        machine.run(2)
        machine.restore(there)
        assert machine.run(2).reason is StopReason.BUDGET
        assert seen == [CODE + 4]


@pytest.mark.parametrize("tier", TIERS)
def test_calls_that_a_hook_answers_are_answered_in_a_replay(tier: str) -> None:
    def answer(machine: Machine, _: SystemCall) -> object:
        machine.regs.a0 = 1234
        return Hook.HANDLED

    with load(COUNT + GET_PID + EXIT, tier=tier) as machine:
        machine.hook_syscall(answer, 172)
        start = machine.snapshot()
        for _ in range(2):
            machine.run(3)
            assert machine.regs.a0 == 1234
            machine.restore(start)


@pytest.mark.parametrize("tier", TIERS)
def test_blocks_begin_where_they_began(tier: str) -> None:
    seen: list[int] = []
    with load(COUNT * 8 + EXIT, tier=tier) as machine:
        machine.hook_block(lambda _, pc: seen.append(pc))
        machine.run(4)
        there = machine.snapshot()
        machine.run(2)
        machine.restore(there)
        machine.run(2)
        assert seen == [CODE]


WAITS = (
    li("t0", 128) + asm("csrrw", rd="zero", rs1="t0", csr=0x304)  # mie: the timer
    + asm("wfi") + asm("addi", rd="s1", rs1="s1", imm=1) + asm("jal", rd="zero", offset=-8)
)  # fmt: skip


def waiting(tier: str) -> Machine:
    parts = [Part(0x8000_0000, WAITS, PAGE, flags=R | W | X)]
    stream = io.BytesIO()
    return Machine.load(build(parts, 0x8000_0000), "virt", tier=tier, stdin=io.BytesIO(), stdout=stream)


@pytest.mark.parametrize("tier", TIERS)
def test_a_wait_that_was_stopped_goes_on(tier: str) -> None:
    with waiting(tier) as machine, waiting(tier) as other:
        assert machine.run(timeout=0.05).reason is StopReason.TIMEOUT
        there = machine.snapshot()
        other.restore(there)
        for each in (machine, other):
            assert each.run(100, timeout=0.05).reason is StopReason.TIMEOUT
            assert each.regs.s1 == 0
            each.interrupts.set_lines(128, True)
            assert each.run(100).reason is StopReason.BUDGET
            assert each.regs.s1 == 34


def test_times_that_are_far_away_do_not_come(tmp_path: Path) -> None:
    with waiting("jit") as machine:
        machine.interrupts.set_deadline((1 << 62) - 1, 128)
        assert machine.run(timeout=0.05).reason is StopReason.TIMEOUT
        machine.snapshot().save(tmp_path / "far")
        machine.restore(Snapshot.load(tmp_path / "far"))


def test_another_thread_reads_while_pages_come_and_go() -> None:
    """A read hook closes the pages of a loop's data, and going back closes and opens all."""
    loop = lui("s0", DATA) + asm("lw", rd="t1", rs1="s0", imm=64) + asm("jal", rd="zero", offset=-4)
    with load(loop, tier="jit") as machine:
        start = machine.snapshot()
        ended = threading.Event()
        errors: list[BaseException] = []

        def look() -> None:
            try:
                while not ended.is_set():
                    assert machine.memory.read(DATA, PAGE) == bytes(PAGE)
            except BaseException as error:
                errors.append(error)

        looker = threading.Thread(target=look)
        looker.start()
        with machine.hook_memory(lambda *_: None, DATA, DATA + 4, kind="read"):
            for _ in range(20):
                machine.run(2000)
                machine.restore(start)
        ended.set()
        looker.join()
        assert errors == []
