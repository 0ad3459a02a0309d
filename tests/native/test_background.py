"""Background translation: the guest goes on in the interpreter, and does what it would do with any other tier."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynarec import run_loop
from dynarec.background import INSTALLATION, THREAD_NAME
from dynarec.code_cache import NativeUnit
from dynarec.core import Core, policies, probe_policy
from dynarec.engine import Machine, StopReason
from dynarec.errors import DynarecError
from dynarec.inspect.recorder import Recorder
from dynarec.observer import Catch
from dynarec.pauses import Pauses
from dynarec.translate import Translation, Translator
from dynarec.watcher import Watcher
from tests.native.guests import CODE, EXIT, asm, li, registers
from tests.native.guests import load as load_guest

ROOT = Path(__file__).resolve().parents[2]
POLICIES = [name for name in policies() if probe_policy(name) is None]
load = functools.partial(load_guest, sync=False)
PATIENCE = 60
"""Seconds until a test that hangs is one that fails."""
CHUNK = 2_000
CHUNKS = 20_000

LOOP = asm("addi", rd="s0", rs1="s0", imm=1) + asm("jal", rd=0, offset=-4)
FIRST, SECOND = CODE, CODE + 0x100


def two_loops(first: int, second: int) -> bytes:
    """So many rounds of each, over and over."""

    def loop(rounds: int) -> bytes:
        count = asm("addi", rd="s0", rs1="s0", imm=1) + asm("addi", rd="t0", rs1="t0", imm=-1)
        return li("t0", rounds) + count + asm("bne", rs1="t0", rs2="zero", offset=-8)

    code = (loop(first) + asm("jal", rd=0, offset=SECOND - FIRST - 16)).ljust(SECOND - FIRST, b"\0") + loop(second)
    return code + asm("jal", rd=0, offset=FIRST - SECOND - 16)


def run_until(machine: Machine, condition: Callable[[], bool]) -> None:
    for _ in range(CHUNKS):
        if condition():
            return
        machine.run(CHUNK)
    pytest.fail("what was waited for did not happen")


def run_until_translated(machine: Machine) -> None:
    run_until(machine, lambda: machine.stats().blocks > 0)


class Held:
    """The translator's thread comes as far as a finished translation, and waits there."""

    def __init__(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        assert machine.translator is not None
        self._translate = machine.translator.translate
        self._reached, self._go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(machine.translator, "translate", self.translate)

    def translate(self, key: int, *breathe: Callable[[], None]) -> Translation:
        made = self._translate(key, *breathe)
        if threading.current_thread().name == THREAD_NAME:
            self._reached.set()
            assert self._go_on.wait(PATIENCE)
        return made

    def await_translation(self) -> None:
        assert self._reached.wait(PATIENCE)

    def release(self) -> None:
        self._go_on.set()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with load(LOOP, hot=2) as loaded:
        yield loaded


@pytest.fixture
def held(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    holding = Held(machine, monkeypatch)
    yield holding
    holding.release()


# -- the guest does not wait ------------------------------------------------------------------------------------------


def test_the_guest_goes_on_meanwhile(machine: Machine, held: Held) -> None:
    stop = machine.run(10 * CHUNK)
    held.await_translation()
    assert (stop.reason, stop.instructions, machine.regs.s0) == (StopReason.BUDGET, 10 * CHUNK, 10 * CHUNK / 2)
    stats = machine.stats()
    assert (stats.interpreted, stats.blocks) == (10 * CHUNK, 0)
    held.release()
    run_until_translated(machine)
    assert machine.stats().interpreted < machine.instructions


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy(policy: str) -> None:
    with load(LOOP, hot=2, wx=policy) as machine:
        run_until_translated(machine)
        assert machine.regs.s0 == machine.instructions / 2


def test_a_running_guest_is_interrupted_for_what_is_finished(machine: Machine, held: Held) -> None:
    run = machine.start(timeout=PATIENCE)
    held.await_translation()
    held.release()
    while not machine.stats().blocks and not run.finished:
        pass
    run.stop()
    assert run.wait().reason is StopReason.REQUEST


def test_tier_jit_and_sync_need_no_thread() -> None:
    before = set(threading.enumerate())

    def names() -> list[str]:
        return [thread.name for thread in set(threading.enumerate()) - before]

    for options in ({"tier": "jit"}, {"tier": "interp"}, {"sync": True, "hot": 1}):
        with load(LOOP, **options) as machine:
            machine.run(CHUNK)
            assert THREAD_NAME not in names()
    with load(LOOP, hot=255) as machine:
        assert THREAD_NAME not in names()
        machine.run(1)
        assert THREAD_NAME in names()
    assert THREAD_NAME not in names()


def test_sync_is_the_same_down_to_its_numbers() -> None:
    def numbers() -> list[object]:
        with load(two_loops(20, 300), sync=True, hot=9) as machine:
            machine.run(50_000)
            stats = machine.stats()
            return [stats.interpreted, stats.translated, stats.toggles, stats.links, stats.exits, stats.lookups]

    assert numbers() == numbers()


# -- what is asked for ------------------------------------------------------------------------------------------------


def test_the_hottest_block_comes_first() -> None:
    with load(two_loops(3, 200), sync=True, hot=2) as machine:
        machine.core.set_background(True)
        machine.run(2_000)
        wanted = [machine.core.await_wanted() for _ in range(machine.core.wanted)]
        assert wanted[0] == SECOND + 4
        assert FIRST + 4 in wanted
        assert len(set(wanted)) == len(wanted)


def test_what_finds_no_room_is_asked_for_later() -> None:
    jumps = b"".join(asm("jal", rd=0, offset=4) for _ in range(200))
    code = jumps + asm("jal", rd=0, offset=-len(jumps))
    with load(code, sync=True, hot=2) as machine:
        machine.core.set_background(True)
        machine.run(1_000)
        first = {machine.core.await_wanted() for _ in range(machine.core.wanted)}
        machine.run(1_000)
        second = {machine.core.await_wanted() for _ in range(machine.core.wanted)}
        assert len(first) == len(second) == 64
        machine.core.end_wanted()
        assert machine.core.await_wanted() is None


def test_units_are_installed_in_one_batch() -> None:
    with load(two_loops(3, 200), sync=True, hot=255) as machine:
        core, translator = machine.core, machine.translator
        assert translator is not None
        units = [NativeUnit(translator.translate(key), core.epoch) for key in (FIRST, SECOND, SECOND + 4)]
        before = machine.stats().toggles
        assert machine.perform(lambda: core.install_all(units)) == [1, 2, 3]
        assert machine.stats().toggles == before + 1
        assert machine.stats().blocks == 3
        machine.run(5_000)
        assert machine.stats().interpreted < 100


def test_a_batch_may_be_larger_than_the_cache() -> None:
    with load(LOOP * 500, sync=True, hot=255, cache_size=4096) as machine:
        core, translator = machine.core, machine.translator
        assert translator is not None
        units = [NativeUnit(translator.translate(CODE + 8 * at), core.epoch) for at in range(200)]
        assert machine.perform(lambda: core.install_all(units)) == list(range(1, 201))
        stats = machine.stats()
        assert stats.evictions > 0
        assert 0 < stats.blocks < 200


# -- what has changed meanwhile ---------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Machine], object]] = {
    "code": lambda machine: machine.memory.write(CODE, li("s1", 5)),
    "hook": lambda machine: machine.hook_code(lambda guest, pc: None, CODE + 4),
    "block hook": lambda machine: machine.hook_block(lambda guest, pc: None, CODE),
    "homes": lambda machine: machine.perform(lambda: machine.core.set_homes(())),
    "flush": lambda machine: machine.perform(machine.core.flush),
    "erased": lambda machine: machine.perform(lambda: machine.core.erase(CODE)),
    "until": lambda machine: machine.perform(lambda: machine.core.set_until(CODE + 0x800)),
    "permissions": lambda machine: machine.memory.protect(CODE, 4096, machine.memory.flags(0) * 0),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_outdated_is_dropped(machine: Machine, held: Held, change: str) -> None:
    machine.run(CHUNK)
    held.await_translation()
    CHANGES[change](machine)
    held.release()
    if change == "permissions":
        assert machine.run(CHUNK).reason is StopReason.TRAP
        return
    run_until(machine, lambda: machine.stats().stale > 0)
    if change != "hook":  # where its head is all that is left of the trace, it is not worth to wait for
        run_until_translated(machine)


def test_a_hook_that_is_added_meanwhile_sees_every_round(machine: Machine, held: Held) -> None:
    machine.run(CHUNK)
    held.await_translation()
    seen: list[int] = []
    machine.hook_code(lambda guest, pc: seen.append(pc), CODE)
    held.release()
    machine.run(10 * CHUNK)
    run_until(machine, lambda: machine.stats().stale > 0)
    assert len(seen) == (machine.instructions - CHUNK) / 2


def test_recorders_that_come_and_go_meanwhile(machine: Machine, held: Held) -> None:
    machine.run(CHUNK)
    held.await_translation()
    recorder = Recorder(machine, sampling=None)
    held.release()
    run_until_translated(machine)
    assert machine.stats().stale == 1
    units = recorder.record().units
    assert [unit.key for unit in units if unit.key == CODE]
    assert all(unit.circumstances.counted for unit in units)
    recorder.close()
    run_until_translated(machine)
    assert machine.regs.s0 == machine.instructions / 2


def test_snapshots_while_something_is_under_way(machine: Machine, held: Held) -> None:
    machine.run(CHUNK)
    held.await_translation()
    snapshot = machine.snapshot()
    machine.run(CHUNK)
    expected = registers(machine)
    machine.restore(snapshot)
    held.release()
    machine.run(CHUNK)
    assert registers(machine) == expected
    run_until_translated(machine)
    machine.restore(snapshot)
    machine.run(CHUNK)
    assert registers(machine) == expected


# -- failures and ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DynarecError("no"), ZeroDivisionError("internal")])
def test_failures_come_out_of_the_run(machine: Machine, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(translator: Translator, key: int, *breathe: object) -> Translation:
        raise error

    monkeypatch.setattr(Translator, "translate", fail)
    with pytest.raises(type(error), match=str(error)):
        run_until_translated(machine)
    monkeypatch.undo()
    run_until_translated(machine)


def test_a_failure_of_a_moment_is_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the translator's thread reads may change while it reads."""
    failed = []
    translate = Translator.translate

    def fail_once(translator: Translator, key: int, *breathe: Callable[[], None]) -> Translation:
        if threading.current_thread().name == THREAD_NAME and not failed:
            failed.append(key)
            raise DynarecError("it is not mapped")
        return translate(translator, key, *breathe)

    monkeypatch.setattr(Translator, "translate", fail_once)
    run_until_translated(machine)
    assert failed == [CODE]


def test_closing_ends_a_translation(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, before = threading.Event(), set(threading.enumerate())

    def go_on_for_ever(translator: Translator, key: int, breathe: Callable[[], None]) -> Translation:
        begun.set()
        while True:
            breathe()

    monkeypatch.setattr(Translator, "translate", go_on_for_ever)
    with load(LOOP, hot=2) as machine:
        run = machine.start(timeout=PATIENCE)
        assert begun.wait(PATIENCE)
    assert run.wait().reason is StopReason.REQUEST
    assert THREAD_NAME not in [thread.name for thread in set(threading.enumerate()) - before]


def test_ctrl_c(machine: Machine) -> None:
    run = machine.start()
    timer = threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with contextlib.suppress(KeyboardInterrupt):
        run.wait()
        pytest.fail("nobody was interrupted")
    timer.join()
    assert machine.regs.s0 == (machine.instructions + 1) // 2 % 2**32
    run_until_translated(machine)


def test_no_more_threads(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        machine.run(CHUNK)
    monkeypatch.undo()
    run_until_translated(machine)


def test_a_process_may_end_without_closing_its_machines() -> None:
    script = "import sys; from dynarec import Machine; Machine.load(sys.argv[1]).run(); print('done')"
    rom = ROOT / "roms" / "hello.elf"
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", script, str(rom)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("done\n")


FORKING = """
import os, sys, time
from dynarec import Machine
with Machine.load(sys.argv[1], args=["3"], hot=2, stdout=open(os.devnull, "wb", 0)) as machine:
    machine.run(instructions=20_000)
    child = os.fork()
    while machine.exit_status is None:
        machine.run(instructions=5_000)
        time.sleep(0.001)
    stats = machine.stats()
    os.write(1, f"{machine.exit_status} {machine.instructions} {stats.blocks > 0}\\n".encode())
    if child == 0:
        machine.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_parent_and_child_of_a_fork() -> None:
    rom = ROOT / "roms" / "bench" / "queens.elf"
    with Machine.load(rom, args=["3"], stdout=open(os.devnull, "wb", 0)) as machine:
        expected = f"{machine.run().status} {machine.instructions} True"
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(rom)],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [expected, expected]


# -- those who look on ------------------------------------------------------------------------------------------------


class Told(Watcher):
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.serials: list[int] = []
        self.threads: set[str] = set()

    def installed(self, translation: Translation, serial: int, seconds: float) -> None:
        self.serials.append(serial)
        self.threads.add(threading.current_thread().name)
        assert seconds >= 0
        assert not serial or self.machine.core.find(translation.unit.key) is not None


def test_watchers_are_told_on_the_cpu_thread() -> None:
    with load(two_loops(20, 300), hot=2) as machine:
        watcher = Told(machine)
        machine.add_watcher(watcher)
        run_until(machine, lambda: len(watcher.serials) > 2)
        assert watcher.threads == {"dynarec-cpu"}
        assert watcher.serials == list(range(1, len(watcher.serials) + 1))


def test_translations_are_caught_one_by_one() -> None:
    with load(two_loops(20, 300), hot=2) as machine:
        machine.observer.catches = Catch.TRANSLATION
        caught = []
        while len(caught) < 3:
            if machine.run(CHUNK).reason is StopReason.CAUGHT:
                found = machine.observer.take_caught()
                assert found is not None
                caught.append(found.pc)
                assert machine.stats().blocks == len(caught)
        assert len(set(caught)) == 3


# -- pauses -----------------------------------------------------------------------------------------------------------


def test_pauses_are_counted_by_powers_of_two() -> None:
    pauses = Pauses()
    for nanoseconds in (0, 999, 1_000, 1_999, 2_000, 3_999, 4_000, 1_000_000):
        pauses.note(nanoseconds)
    assert pauses.counts == [2, 2, 2, 1, 0, 0, 0, 0, 0, 0, 1]
    assert pauses.longest == 1_000_000


def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause takes 3 ms."""
    monkeypatch.setattr(Core, "nanoseconds_out", property(lambda core: 3_000_000))


def test_each_translation_that_the_guest_waits_for_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_clock(monkeypatch)
    with load(two_loops(20, 300) + EXIT, sync=True, hot=2) as machine:
        machine.run(10 * CHUNK)
        stats = machine.stats()
        assert stats.translated > 2
        assert stats.pauses == (0,) * 12 + (stats.translated,)
        assert stats.longest_pause == 0.003
        assert sum(stats.pause_work) == stats.translated
        assert stats.longest_pause_work > 0


def test_a_sample_of_the_homes_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_clock(monkeypatch)
    monkeypatch.setattr(run_loop, "SAMPLE_INTERVAL", 101)
    with load(two_loops(20, 300) + EXIT, tier="jit") as machine:
        machine.run(10 * 101)
        stats = machine.stats()
        assert stats.pauses[12] == stats.translated + 9


def test_the_translator_waits_while_what_it_announced_is_installed(
    machine: Machine, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(Core, "announce", lambda core: calls.append("announce"))
    monkeypatch.setattr(Core, "give_way", lambda core, most: calls.append(f"give way {most}"))
    machine.core.set_until(None)
    run = machine.start(timeout=PATIENCE)
    held.await_translation()
    held.release()
    while "announce" not in calls and not run.finished:
        pass
    while calls[-1] == "announce" and not run.finished:
        pass
    run.stop()
    run.wait()
    assert calls[calls.index("announce") + 1] == f"give way {INSTALLATION}"


def test_a_batch_is_a_pause_and_a_translation_is_none(
    machine: Machine, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_clock(monkeypatch)
    machine.core.set_until(None)
    run = machine.start(timeout=PATIENCE)
    held.await_translation()
    assert machine.stats().pauses == ()
    held.release()
    while not machine.stats().blocks and not run.finished:
        pass
    run.stop()
    run.wait()
    assert sum(machine.stats().pauses) == machine.stats().pauses[12] >= 1


def test_the_pauses_of_a_rom_with_a_window_are_reported() -> None:
    command = [sys.executable, "-m", "dynarec", "run", str(ROOT / "roms" / "blocks.elf")]
    options = ["--headless", "--stats", "--max-instructions", "30000000"]
    done = subprocess.run(command + options, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    line = next(line for line in done.stderr.splitlines() if line.strip().startswith("pauses:"))
    print(line)
    assert " below " in line
    assert "; longest " in line
