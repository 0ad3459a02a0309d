"""Runs that begin with the translations of earlier ones: they do the same, and translate nothing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dynarec import run_loop, tuning
from dynarec.background import THREAD_NAME
from dynarec.core import policies, probe_policy
from dynarec.disk import cache, units_file
from dynarec.disk.places import own_key
from dynarec.disk.record import KeptUnit, purpose_of
from dynarec.disk.units_file import MAC_END, Units
from dynarec.engine import Machine, StopReason
from dynarec.hooks import Hook
from dynarec.inspect.recorder import Recorder
from dynarec.tuning import DECISIONS
from tests.disk.runs import CODE, HOT, ROUNDS, finish, load, loop, run
from tests.native import guests
from tests.native.guests import EXIT, asm, li, lui, registers
from tests.native.test_background import LOOP, PATIENCE, run_until, run_until_translated
from tests.native.test_devices import DEVICE, Register
from tests.native.test_devices import loop as device_loop
from tests.native.test_self_modifying import load_pair, random_program
from tests.test_tuning import INTERVAL, LATE, loop_with

ROMS = Path(__file__).parents[2] / "roms"
POLICIES = [name for name in policies() if probe_policy(name) is None]
SEED = 5
ODD = 4001
PAGES = (guests.CODE, guests.DATA)


@pytest.mark.parametrize("tier", ["auto", "jit"])
def test_the_second_run_translates_nothing(tier: str, folder: Path) -> None:
    cold, first = run(tier=tier)
    assert (first.kept, first.translated > 0) == (0, True)
    (file,) = folder.iterdir()
    before = file.read_bytes()
    warm, second = run(tier=tier)
    assert warm == cold
    assert (second.kept, second.translated) == (first.blocks, 0)
    assert second.interpreted <= first.interpreted
    assert file.read_bytes() == before, "there is nothing new to be written"


def test_in_the_background() -> None:
    """The first block that is hot brings the units of earlier runs along; the guest goes on meanwhile."""
    for kept in (0, 1):
        with load(LOOP, hot=HOT, sync=False) as machine:
            run_until_translated(machine)
            stats = machine.stats()
            assert (stats.kept, stats.translated) == (kept, 1 - kept)
            machine.run(ODD - machine.instructions % ODD)
            assert machine.regs.s0 == (machine.instructions + 1) // 2


def test_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest waits for a few units, and goes on before the next ones are installed."""
    code = loop(asm("addi", rd="a1", rs1="a1", imm=1)) + loop(asm("addi", rd="a0", rs1="a0", imm=1)) + LOOP
    with load(code, hot=HOT) as machine:
        machine.run(ODD)
        blocks = machine.stats().blocks
    assert blocks > 2
    monkeypatch.setattr(cache, "BATCH", 1)
    batches: list[int] = []
    install = run_loop.RunLoop._install_kept

    def count(self: run_loop.RunLoop, disk: cache.DiskCache, units: list[KeptUnit]) -> list[int]:
        batches.append(len(units))
        return install(self, disk, units)

    monkeypatch.setattr(run_loop.RunLoop, "_install_kept", count)
    with load(code, hot=HOT, sync=False) as machine:
        run_until(machine, lambda: machine.stats().kept == blocks)
        assert machine.stats().translated == 0
    assert batches == [1] * blocks


def test_a_machine_that_is_closed_before_it_adopts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with load(LOOP, hot=HOT, sync=False) as machine:
        run_until_translated(machine)
    has_read = threading.Event()

    def read(disk: cache.DiskCache, breathe: Callable[[], None]) -> None:
        read_file(disk, breathe)
        has_read.set()

    read_file = cache.DiskCache.read
    monkeypatch.setattr(cache.DiskCache, "read", read)
    before = set(threading.enumerate())
    machine = load(LOOP, hot=HOT, sync=False)
    machine.run(100)
    assert has_read.wait(PATIENCE)
    machine.close()
    assert THREAD_NAME not in [thread.name for thread in set(threading.enumerate()) - before]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy(policy: str) -> None:
    cold, _ = run(wx=policy)
    warm, second = run(wx=policy)
    assert (warm, second.translated) == (cold, 0)
    assert second.kept


@pytest.mark.parametrize("name", ["json", "queens", "lz"])
def test_programs(name: str, tmp_path: Path) -> None:
    """In tier jit everything that is executed is translated: so it was, all of it."""

    def output() -> tuple[bytes, int]:
        path = tmp_path / "output"
        with (
            path.open("wb", buffering=0) as stdout,
            Machine.load(
                ROMS / "bench" / f"{name}.elf", args=["2"], tier="jit", stdout=stdout, disk_cache=True
            ) as machine,
        ):
            assert machine.run().status == 0
            return path.read_bytes(), machine.stats().translated

    cold, translated = output()
    assert translated
    assert output() == (cold, 0)


def test_only_what_is_new_is_translated() -> None:
    """The first run does not come to the second loop."""
    second = loop(asm("addi", rd="a0", rs1="a0", imm=1))
    code = loop(asm("addi", rd="a1", rs1="a1", imm=1)) + second + EXIT
    with load(code, hot=HOT) as machine:
        machine.run(until=guests.CODE + len(code) - len(second) - len(EXIT))
        first = machine.stats()
    _, stats = run(code)
    assert 0 < stats.kept <= first.blocks
    assert stats.translated > 0
    _, stats = run(code)
    assert stats.translated == 0


# -- the map of home registers ----------------------------------------------------------------------------------------


def test_the_map_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is chosen again, and the code that was made for it is there, as is that for the one before."""
    monkeypatch.setattr(run_loop, "SAMPLE_INTERVAL", INTERVAL)
    monkeypatch.setattr(tuning, "DECISIONS", (DECISIONS[0], 2 * DECISIONS[0]))
    code, instructions = loop_with(LATE), 3 * DECISIONS[0] * INTERVAL
    with load(code, hot=HOT) as machine:
        machine.run(instructions)
        cold, homes = registers(machine), machine.translator.host.home_fields  # type: ignore[union-attr]
        assert machine.stats().flushes or len(homes) >= len(machine.guest.layout.fields)
        translated = machine.stats().translated
    with load(code, hot=HOT) as machine:
        machine.run(instructions)
        assert machine.translator.host.home_fields == homes  # type: ignore[union-attr]
        assert registers(machine) == cold
        assert (machine.stats().translated, machine.stats().kept) == (0, translated)


def test_units_for_another_map(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever wrote them: they are not installed."""
    cold, first = run()
    (file,) = folder.iterdir()
    data = file.read_bytes()
    identity = data[MAC_END : MAC_END + 32]
    units = units_file.read(data, identity, own_key())
    for homes in (bytes(32), b"\xff" * 32):
        others = [homes + bytes(record[len(homes) :]) for record in units.records.values()]
        changed = Units(1, {DECISIONS[0]: homes}, (), {purpose_of(record): record for record in others})
        file.write_bytes(units_file.write(changed, identity, own_key()))
        warm, stats = run()
        assert (warm, stats.kept, stats.translated) == (cold, 0, first.translated)
        assert capsys.readouterr().err == ""


# -- when something is not as it was -----------------------------------------------------------------------------------


def test_other_bytes_in_memory() -> None:
    """A unit is installed only if its bytes are there, also later; what is there now is translated."""
    run()
    other = asm("addi", rd="t0", rs1="t0", imm=77)
    at = CODE.index(asm("addi", rd="t0", rs1="t0", imm=5))

    def change(machine: Machine) -> None:
        machine.memory[guests.CODE + at : guests.CODE + at + 4] = other

    changed, _ = run(prepare=change, tier="interp")
    warm, second = run(prepare=change)
    assert warm == changed
    assert second.translated > 0
    again, third = run(prepare=change)
    assert (again, third.translated) == (changed, 0), "the last one is kept"


@pytest.mark.parametrize("number", range(8))
def test_code_that_changes_while_it_runs(number: int) -> None:
    """Whatever units there are from runs before; other data makes the code another one each time."""
    seed = SEED + number
    print(f"seed {seed}")
    rng = random.Random(seed)
    code, _ = random_program(rng)
    for data in (random_program(rng)[1] for _ in range(4)):
        states = []
        for tier in ("interp", "auto", "jit"):
            with load_pair(code, data, tier=tier, hot=HOT, disk_cache=True) as machine:
                stop = machine.run(1500)
                states.append((stop, registers(machine), *(machine.memory[at : at + guests.PAGE] for at in PAGES)))
        assert states[1] == states[0]
        assert states[2] == states[0]


def test_a_hook_is_called_as_often() -> None:
    calls: list[int] = []

    def count(machine: Machine, pc: int) -> None:
        calls.append(machine.instructions)

    def hook(machine: Machine) -> None:
        machine.hook_code(count, guests.CODE + 16)

    plain, _ = run(prepare=hook, tier="interp")
    expected, calls = calls, []
    assert expected
    run()
    warm, stats = run(prepare=hook)
    assert (calls, warm) == (expected, plain)
    assert stats.kept == 0, "units run across the hook"
    warm, stats = run()
    assert (warm, stats.translated) == (plain, 0), "and what was made around it is not kept"


def test_a_run_up_to_an_address_in_a_unit() -> None:
    run()
    with load(CODE, hot=HOT) as machine:
        stop = machine.run(until=guests.CODE + 12)
        assert (stop.reason, stop.pc) == (StopReason.UNTIL, guests.CODE + 12)
        machine.run(1)
        assert machine.run(until=guests.CODE + 12).reason is StopReason.UNTIL


def test_who_looks_sees_translations() -> None:
    """A recorder is told of every unit, with all that is known of its making."""
    cold, _ = run()
    with load(CODE, hot=HOT) as machine:
        recorder = Recorder(machine)
        assert finish(machine) == cold
        recording = recorder.record()
        stats = machine.stats()
        assert stats.kept == 0
        assert len(recording.units) == stats.translated > 0
        assert all(unit.phases for unit in recording.units)
        recorder.close()
    warm, stats = run()
    assert (warm, stats.translated) == (cold, 0), "code that counts is not kept"


def test_hooks_that_answer_for_the_machine() -> None:
    run()

    def handled(machine: Machine, call: object) -> Hook:
        machine.regs.a7 = 93
        return Hook.STOP

    with load(CODE, hot=HOT) as machine:
        machine.hook_syscall(handled, 93)
        assert machine.run().reason is StopReason.HOOK
        assert machine.stats().translated == 0


def test_code_beside_data_that_is_stored_to() -> None:
    """What compares its bytes is kept, and used when its page has become code and data alike once more."""
    code = loop(lui("t2", guests.CODE) + asm("sw", rs1="t2", rs2="s0", imm=0x700), 10 * ROUNDS) + EXIT
    for tier in ("auto", "jit"):
        cold, first = run(code, tier=tier)
        assert first.deaths["store"] > 0
        run(code, tier=tier)  # it has units from the start, and so may store to its page where the first one did not
        warm, third = run(code, tier=tier)
        assert (warm, third.translated) == (cold, 0)
        assert third.deaths["store"] > 0


# -- blocks that earlier runs have not translated ---------------------------------------------------------------------

UNKNOWN = guests.CODE + 0x800


def is_due(machine: Machine, key: int = UNKNOWN) -> bool:
    """Whether the translator's thread would make its unit, if it became hot."""
    assert machine._loop._source is not None
    return machine._loop._source.is_due(key)


def test_they_can_wait_while_no_more_is_interpreted_than_then() -> None:
    with load(LOOP, hot=HOT) as machine:
        machine.run(10 * HOT)
        assert machine.stats().translated
        assert is_due(machine)
        machine.run(1)
        interpreted = machine.stats().interpreted
    with load(LOOP, hot=HOT) as machine:
        machine.run(10 * HOT)
        assert machine.stats().kept
        while machine.stats().interpreted <= interpreted:
            assert not is_due(machine)
            machine.run(1)  # is interpreted
        machine.run(1)
        for _ in range(interpreted):  # as much as there was before the units were
            machine.run(1)
        assert is_due(machine)


def test_but_not_what_was_known_and_is_no_longer_right() -> None:
    code = CODE.ljust(UNKNOWN - guests.CODE, b"\0") + loop(b"", 10) + EXIT
    with load(code, hot=HOT) as machine:
        machine.pc = UNKNOWN
        finish(machine)
    with load(code, hot=HOT) as machine:
        machine.run(ROUNDS)
        assert machine._loop._disk is not None
        machine._loop._disk.refuse(UNKNOWN + 8)
        assert is_due(machine, UNKNOWN + 8)


# -- devices -----------------------------------------------------------------------------------------------------------


def with_device(machine: Machine) -> None:
    machine.add_device(DEVICE, Register())


def test_instructions_that_reach_devices_stay_with_the_interpreter() -> None:
    code = device_loop(asm("lw", rd="a0", rs1="s1", imm=0) + asm("sw", rs1="s2", rs2="a0", imm=0), 200)
    cold, first = run(code, with_device)
    assert first.faults > 0
    warm, second = run(code, with_device)
    assert warm == cold
    assert (second.faults, second.kept > 0) == (0, True)
    assert second.translated < first.translated


def test_until_they_no_longer_do() -> None:
    """The same instruction reaches memory in the second run: it gets its access back."""
    code = device_loop(asm("lw", rd="a0", rs1="s1", imm=0), 2000)
    run(code, with_device)

    def at_data(machine: Machine) -> None:
        machine.run(1)
        machine.regs.s1 = guests.DATA

    _, second = run(code, at_data)
    assert second.kept > 0
    assert second.interpreted < second.instructions / 2


# -- where it is of use, and where not ---------------------------------------------------------------------------------


def many_loops(count: int) -> bytes:
    body = b"".join(asm("xori", rd="t0", rs1="t0", imm=value) for value in range(30))
    back = asm("addi", rd="s0", rs1="s0", imm=-1) + asm("bne", rs1="s0", rs2="zero", offset=-len(body) - 4)
    inner = b"".join(li("s0", 4) + body + back for _ in range(count))
    return li("s3", 3) + inner + asm("addi", rd="s3", rs1="s3", imm=-1)


def test_what_was_evicted_comes_back() -> None:
    """The code cache is too small for the program, which goes round in it."""
    parts = 25
    code = many_loops(parts)
    code += asm("beq", rs1="s3", rs2="zero", offset=8) + asm("jal", rd=0, offset=4 - len(code) - 4) + EXIT
    assert len(code) <= guests.PAGE
    cold, first = run(code, tier="jit", cache_size=4096)
    assert first.evictions > 0
    warm, second = run(code, tier="jit", cache_size=4096)
    assert (warm, second.translated) == (cold, 0)
    assert second.kept > first.blocks


def test_nothing_is_kept_unless_it_is_asked_for(folder: Path) -> None:
    for options in ({"disk_cache": False}, {"tier": "interp"}):
        run(**options)
        assert not folder.exists()


def test_the_folder_may_be_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAREC_CACHE_DIR", "")
    run()
    assert run()[1].kept == 0
    assert not folder.exists()


def test_a_long_run_saves_from_time_to_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Callable[[], None]] = []

    class Timer:
        daemon = False

        def __init__(self, seconds: float, action: Callable[[], None]) -> None:
            assert seconds == cache.SAVE_SECONDS
            written.append(action)

        def start(self) -> None:
            """When a test says so."""

        def cancel(self) -> None:
            """It never fires by itself."""

        def join(self) -> None:
            """It has ended."""

    monkeypatch.setattr(cache.threading, "Timer", Timer)
    with load(CODE, hot=HOT) as machine:
        machine.run(200)
        assert machine.stats().translated > 0
        (save,) = written
        assert not folder.exists()
        save()
        assert len(list(folder.iterdir())) == 1
        finish(machine)
