"""The recorder: what it says of units, counted against what the machine has done."""

from __future__ import annotations

import io
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec import DynarecError, Machine, StopReason
from dynarec.core import DEATHS
from dynarec.host import native_host_name
from dynarec.inspect.code import UnitCode
from dynarec.inspect.live import LiveSource
from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.recorder import Recorder
from dynarec.opt import PASS_NAMES
from dynarec.records import Records
from tests.differential.programs import CODE as RANDOM_CODE
from tests.differential.programs import random_program
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, EXIT, asm, li, load, lui

ROMS = Path(__file__).parent.parent.parent / "roms"
NAMES = sorted(path.stem for path in ROMS.glob("*.elf"))
SMALLEST_CACHE = 1 << 16
INSTRUCTIONS = 400_000 if "CI" in os.environ else 100_000
SEED = 7


def open_rom(name: str, **options: object) -> Machine:
    streams = {"stdin": io.BytesIO(), "stdout": io.BytesIO(), "stderr": io.BytesIO()}
    return Machine.load(ROMS / f"{name}.elf", **{**streams, "seed": 1, **options})  # type: ignore[arg-type]


def loop(rounds: int) -> bytes:
    """Counts a0 down to 0: two instructions a round."""
    return (
        lui("a0", rounds & ~0xFFF)
        + asm("addi", rd="a0", rs1="a0", imm=rounds & 0x7FF)
        + (asm("addi", rd="a0", rs1="a0", imm=-1) + asm("bne", rs1="a0", rs2="zero", offset=-4))
    )


@pytest.fixture
def looping() -> Iterator[Machine]:
    with load(loop(0x2000) + EXIT, tier="jit") as machine:
        yield machine


def only(recording: Recording, key: int) -> Unit:
    (unit,) = (each for each in recording.units if each.key == key)
    return unit


# -- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache_size", [1 << 24, SMALLEST_CACHE])
@pytest.mark.parametrize("tier", ["jit", "auto"])
@pytest.mark.parametrize("name", NAMES)
def test_what_units_and_interpreter_have_executed_is_what_the_machine_has_retired(
    name: str, tier: str, cache_size: int
) -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    with open_rom(name, tier=tier, cache_size=cache_size) as machine:
        machine.run(1000)
        before = machine.instructions
        recorder = Recorder(machine, sampling=None)
        while machine.instructions - before < INSTRUCTIONS and machine.exit_status is None:
            machine.run(rng.choice((1, 7, 1000, 20_011)))
        recording = recorder.record()
        assert recording.first == before
        assert recording.instructions == recording.retired == machine.instructions - before


def random_machine(seed: int) -> Machine:
    program = random_program(seed)
    parts = [Part(RANDOM_CODE, program.code, flags=R | W | X)]
    return Machine.load(build(parts, entry=RANDOM_CODE), tier="jit")


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_are_counted(seed: int) -> None:
    """They fault, trap, and store to themselves."""
    with random_machine(seed) as machine:
        recorder = Recorder(machine, sampling=None)
        for _ in range(3):
            machine.run(5000)
        recording = recorder.record()
        assert recording.instructions == recording.retired == machine.stats().instructions


def executed(recording: Recording) -> Counter[int]:
    """How often each instruction has retired in units, by their rounds and by what ended them early."""
    found: Counter[int] = Counter()
    for unit in recording.units:
        left = Counter({unit.charged: 0})
        for each in unit.exits:
            if each.kind != "budget":
                left[each.executed] += each.taken or 0
        left.update(dict(unit.faulted))
        rounds = unit.rounds or 0
        for index, pc in enumerate(unit.pcs[: unit.charged]):
            rounds -= left[index]
            found[pc] += rounds
    return found


@pytest.mark.parametrize("name", ["hello", "kernel", "words", "ledger", "blocks"])
def test_each_instruction_is_counted_as_a_single_step_sees_it(name: str) -> None:
    steps = 6000
    with open_rom(name, tier="interp") as machine, machine.observer.trail("a0", steps) as trail:
        machine.run(steps)
    with open_rom(name, tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run(steps)
        recording = recorder.record()
        machine.run(0)
    counted = executed(recording) + Counter(recording.interpreted) + Counter(recording.answered)
    assert counted == Counter(trail.pcs)


def test_a_loop_counts_its_rounds_and_ways_out(looping: Machine) -> None:
    recorder = Recorder(looping, sampling=None)
    looping.run()
    recording = recorder.record()
    unit = next(each for each in recording.units if each.key == CODE + 8)
    assert unit.instructions is not None
    assert unit.rounds is not None
    assert unit.rounds * unit.charged >= unit.instructions > 0x1000
    assert sum(each.taken or 0 for each in unit.exits if each.kind == "jump") == 1


def test_a_run_that_is_stopped_again_and_again_is_counted() -> None:
    with load(loop(0x7FFFF000) + EXIT, tier="jit") as machine:
        recorder = Recorder(machine, sampling=0.0005)
        for _ in range(30):
            run = machine.start()
            for _ in range(5):
                recorder.record()
            machine.stop()
            assert run.wait().reason is StopReason.REQUEST
        recording = recorder.record()
        assert recording.instructions == recording.retired == machine.instructions


def test_faults_are_counted_where_they_happen() -> None:
    """A page that appears when it is stored to, so that the same instruction faults and then does not."""
    code = lui("a1", DATA) + asm("lw", rd="a2", rs1="a1", imm=0) + asm("lw", rd="a3", rs1="a1", imm=2047)
    with load(code + EXIT, tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.memory.protect(DATA, 4096, 0)
        stop = machine.run()
        assert stop.reason is StopReason.TRAP
        recording = recorder.record()
        unit = only(recording, CODE)
        assert unit.faulted == ((1, 1),)
        assert (unit.rounds, unit.instructions) == (1, 1)
        assert recording.instructions == recording.retired == 1


def test_what_is_not_counted_is_not_told(looping: Machine) -> None:
    recorder = Recorder(looping, counts=False, sampling=None)
    looping.run()
    recording = recorder.record()
    assert not recording.counted
    assert {unit.rounds for unit in recording.units} == {unit.instructions for unit in recording.units} == {None}
    assert {each.taken for unit in recording.units for each in unit.exits if each.kind in ("jump", "indirect")} == {
        None
    }


# -- units and the region ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kernel", "blocks"])
@pytest.mark.parametrize("cache_size", [1 << 24, SMALLEST_CACHE])
def test_units_and_gaps_are_the_region(name: str, cache_size: int) -> None:
    with open_rom(name, tier="jit", cache_size=cache_size) as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run(2_000_000)
        recording = recorder.record()
        cache = recording.cache
        assert cache.size == cache_size
        assert [each.start for each in cache.generations] == [0, *(each.end for each in cache.generations[:-1])]
        covered = 0
        for generation in cache.generations:
            inside = [unit for unit in recording.live if generation.start <= unit.offset < generation.end]
            at = generation.start
            for unit in sorted(inside, key=lambda unit: unit.offset):
                assert unit.offset >= at
                at = unit.offset + len(unit.code)
                covered += len(unit.code)
            assert at <= generation.fill <= generation.end
        assert covered == cache.stats["code_bytes"] - gaps(recording)


def gaps(recording: Recording) -> int:
    """Bytes in use that are no live unit's: units that died, and what lies between two units."""
    used = sum(each.fill - each.start for each in recording.cache.generations)
    return used - sum(len(unit.code) for unit in recording.live)


@pytest.mark.parametrize("name", ["kernel", "scene3d"])
def test_code_is_what_the_region_holds_and_what_translating_again_gives(name: str) -> None:
    with open_rom(name, tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run(1_000_000)
        recording = recorder.record()
        assert any(unit.links_out for unit in recording.live)
        for unit in recording.units:
            code = UnitCode(unit, recording.subject.guest)
            if unit.alive:
                assert machine.core.read_code(unit.offset, len(unit.code)) == unit.code
            assert b"".join(line.data for line in code.host_lines) == unit.code
            assert len(code.host_lines) == unit.host_insns
            assert code.is_reproduced
            assert code.is_verified
            assert [line.pc for line in code.guest_lines] == list(unit.pcs)
            assert tuple(line.insn for line in code.stages[-1].lines[:-1]) == unit.op_insns


def test_code_that_was_changed_is_not_verified(looping: Machine) -> None:
    recorder = Recorder(looping, sampling=None)
    looping.run(1000)
    unit = recorder.record().live[-1]
    changed = replace(unit, code=bytes([unit.code[0] ^ 1]) + unit.code[1:])
    assert UnitCode(unit, "rv32").is_verified
    assert not UnitCode(changed, "rv32").is_verified


def test_links_lead_to_units_that_live() -> None:
    with open_rom("blocks", tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run(1_000_000)
        recording = recorder.record()
        for unit in recording.live:
            for each in unit.exits:
                if each.linked is not None:
                    target = recording.by_serial[each.linked]
                    assert target.alive
                    assert target.key == each.target
        assert sum(len(unit.links_out) for unit in recording.live) == sum(map(len, recording.links_in.values()))


def test_phases_and_circumstances() -> None:
    with open_rom("hello", tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run()
        for unit in recorder.record().units:
            assert set(unit.phases) == {"form", *PASS_NAMES, "lower", "emit", "pack", "install"}
            assert all(seconds >= 0 for seconds in unit.phases.values())
            assert unit.circumstances.host == native_host_name()
            assert unit.circumstances.counted


# -- deaths and events ------------------------------------------------------------------------------------------------


def overwriting() -> bytes:
    """Stores an `addi a0, a0, 1` over itself in a loop, behind its own head."""
    patched = 5
    head = lui("t0", CODE) + asm("lw", rd="t1", rs1="t0", imm=4 * patched) + li("a0", 0) + li("t2", 3)
    body = asm("sw", rs1="t0", rs2="t1", imm=4 * patched) + asm("addi", rd="a0", rs1="a0", imm=1)
    end = asm("addi", rd="t2", rs1="t2", imm=-1) + asm("bne", rs1="t2", rs2="zero", offset=-12)
    return head + body + end + EXIT


def test_a_death_says_why_and_who() -> None:
    with load(overwriting(), tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run()
        recording = recorder.record()
        deaths = [unit.died for unit in recording.dead if unit.died is not None]
        assert deaths
        assert all(death.reason == "store" for death in deaths)
        assert {death.address for death in deaths} == {CODE + 20}
        assert {death.pc for death in deaths} == {CODE + 16}
        assert all(unit.born.time <= unit.died.when.time for unit in recording.dead if unit.died)


def test_who_makes_room_has_written_nothing() -> None:
    with open_rom("scene3d", tier="jit", cache_size=1 << 13) as machine:
        recorder = Recorder(machine, sampling=None)
        while not machine.stats().evictions:
            machine.run(1000)
        recording = recorder.record()
        evicted = [unit.died for unit in recording.dead if unit.died and unit.died.reason == "evicted"]
        assert {(death.address, death.pc) for death in evicted} == {(0, 0)}
        number = DEATHS.index("evicted")
        assert {e.value for e in recording.events if e.kind == "death" and e.other == number} == {0}


def test_events_tell_the_story() -> None:
    with load(overwriting(), tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run()
        recording = recorder.record()
        by_kind = Counter(event.kind for event in recording.events)
        assert by_kind["install"] == len(recording.units)
        assert by_kind["death"] == len(recording.dead)
        stats = machine.stats()
        assert by_kind["link"] == stats.links
        assert [event.when.time for event in recording.events] == sorted(event.when.time for event in recording.events)
        for event in recording.events:
            if event.kind == "death":
                died = recording.by_serial[event.serial].died
                assert died is not None
                assert DEATHS[event.other] == died.reason
            if event.kind == "install":
                unit = recording.by_serial[event.serial]
                assert (event.other, event.value) == (unit.batch, len(unit.code))


def test_dead_units_that_are_forgotten_are_still_counted() -> None:
    with load(loop(0x7FFFF000) + EXIT, tier="jit") as machine:
        recorder = Recorder(machine, sampling=None, keep=10)
        for _ in range(50):
            machine.run(40)
            machine.perform(machine.core.flush)
        recording = recorder.record()
        assert len(recording.dead) == 10
        assert recording.forgotten.units + 10 == machine.stats().discarded
        assert recording.instructions == recording.retired == machine.instructions


# -- changing ---------------------------------------------------------------------------------------------------------


def test_a_unit_is_erased_and_comes_again(looping: Machine) -> None:
    recorder = Recorder(looping, sampling=None)
    looping.run(1000)
    source = LiveSource(looping, recorder)
    (unit,) = (each for each in source.record().live if each.key == CODE + 8)
    source.erase(unit.serial)
    died = source.record().by_serial[unit.serial].died
    assert died is not None
    assert died.reason == "flush"
    with pytest.raises(DynarecError, match="not in the cache"):
        source.erase(unit.serial)
    looping.run(1000)
    assert any(each.key == unit.key for each in source.record().live)
    assert looping.run().status == 0


@pytest.mark.parametrize("name", PASS_NAMES)
def test_a_unit_is_translated_again_without_a_pass(looping: Machine, name: str) -> None:
    recorder = Recorder(looping, sampling=None)
    looping.run(1000)
    (unit,) = (each for each in recorder.record().live if each.key == CODE + 8)
    recorder.retranslate(unit.serial, [name])
    looping.run(1000)
    (again,) = (each for each in recorder.record().live if each.key == unit.key)
    assert again.circumstances.without == (name,)
    assert UnitCode(again, "rv32").is_reproduced
    assert name not in [stage.name for stage in UnitCode(again, "rv32").stages]


def test_a_running_machine_is_changed_between_two_instructions() -> None:
    with load(loop(0x7FFFF000) + EXIT, tier="jit") as machine:
        recorder = Recorder(machine, sampling=None)
        run = machine.start()
        while not any(unit.key == CODE + 8 for unit in recorder.record().live):
            pass
        for _ in range(20):
            live = [unit for unit in recorder.record().live if unit.key == CODE + 8]
            if live:
                recorder.erase(live[0].serial)
        assert not run.finished
        machine.stop()
        run.wait()
        recording = recorder.record()
        assert recording.instructions == recording.retired


# -- the machine's side -----------------------------------------------------------------------------------------------


def test_requests_come_from_many_threads_and_the_run_goes_on() -> None:
    with load(loop(0x7FFFF000) + EXIT, tier="jit") as machine:
        run = machine.start()
        seen: list[str] = []

        def ask() -> None:
            for _ in range(50):
                seen.append(machine.perform(lambda: threading.current_thread().name))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not run.finished
        machine.stop()
        assert run.wait().reason is StopReason.REQUEST
        assert len(seen) == 200
        assert len(set(seen)) == 1


def test_a_request_that_raises_raises_where_it_was_asked(looping: Machine) -> None:
    with pytest.raises(ZeroDivisionError):
        looping.perform(lambda: 1 // 0)
    assert looping.run().status == 0


def test_a_closed_machine_performs_nothing(looping: Machine) -> None:
    looping.close()
    with pytest.raises(DynarecError, match="closed"):
        looping.perform(lambda: None)


def test_nothing_counts_when_the_recorder_is_closed(looping: Machine) -> None:
    def code(machine: Machine) -> bytes:
        machine.run(1000)
        offset = machine.core.find(CODE + 8)
        assert offset is not None
        return machine.core.read_code(offset, 64)

    with Machine.load(looping.program, tier="jit") as plain:
        expected = code(plain)
    recorder = Recorder(looping)
    assert code(looping) != expected
    recorder.close()
    recorder.close()
    assert code(looping) == expected


def test_a_machine_that_interprets_everything_has_no_cache() -> None:
    with open_rom("hello", tier="interp") as machine, pytest.raises(DynarecError, match="interpreted"):
        Recorder(machine)


def test_a_machine_has_one_recorder(looping: Machine) -> None:
    first = Recorder(looping)
    with pytest.raises(DynarecError, match="recorded already"):
        Recorder(looping)
    first.close()
    Recorder(looping).close()


def test_samples_fall_where_the_time_goes() -> None:
    with load(loop(0x7FFFF000) + EXIT, tier="jit") as machine:
        recorder = Recorder(machine, sampling=0.001)
        while not any(unit.samples for unit in recorder.record().units):
            machine.run(50_000_000)
        recording = recorder.record()
        hottest = max(recording.units, key=lambda unit: unit.samples)
        assert hottest.key in (CODE + 8, CODE + 12)
        assert recording.share(hottest) == hottest.samples / recording.samples


def test_what_nobody_asks_for_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core is asked what became of units, and those that have died are counted, without a recording."""
    monkeypatch.setattr("dynarec.inspect.recorder.UNREAD", 8)
    with load(loop(0x7FFFF000) + EXIT, tier="jit") as machine:
        recorder = Recorder(machine, sampling=None, keep=10)
        for _ in range(50):
            machine.run(40)
            machine.perform(machine.core.flush)
        assert len(recorder._alive) < 20
        recording = recorder.record()
        assert recording.instructions == recording.retired == machine.instructions


def test_a_closed_recorder_records_nothing(looping: Machine) -> None:
    recorder = Recorder(looping)
    recorder.close()
    for ask in (recorder.record, lambda: recorder.erase(1), lambda: recorder.retranslate(1)):
        with pytest.raises(DynarecError, match="not recorded any more"):
            ask()


def test_closing_waits_for_a_recording() -> None:
    """The machine is gone afterwards, and with it what is being read."""
    for _ in range(20):
        machine = load(loop(0x7FFFF000) + EXIT, tier="jit")
        recorder = Recorder(machine, sampling=0.0001)
        run = machine.start()
        ended = []

        def ask(recorder: Recorder = recorder, ended: list[str] = ended) -> None:
            try:
                while True:
                    recorder.record()
            except DynarecError as error:
                ended.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        recorder.record()
        recorder.close()
        machine.close()
        thread.join()
        assert run.wait().reason is StopReason.REQUEST
        assert "not recorded any more" in ended[0]


def test_a_recorder_that_cannot_begin_leaves_nothing(looping: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(records: Records, seconds: float) -> None:
        raise DynarecError("the sampler's thread could not be started")

    with monkeypatch.context() as patch:
        patch.setattr(Records, "sample_every", fail)
        with pytest.raises(DynarecError, match="sampler"):
            Recorder(looping)
    assert not looping.watchers
    Recorder(looping).close()
