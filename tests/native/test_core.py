"""The C core: the same behaviour under every policy of executable memory that this machine has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec._native import ffi, lib
from dynarec.engine import Machine, StopReason
from dynarec.errors import DynarecError
from dynarec.host import layout
from dynarec.host.base import Recovery, Source
from dynarec.translate import Translation
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui, registers

TIERS = ("jit", "auto", "interp")
TRAP_ACCESS = 139


def policies() -> list[str]:
    names = []
    while (name := lib.dr_policy_name(len(names))) != ffi.NULL:
        names.append(ffi.string(name).decode())
    return [name for name in names if lib.dr_policy_probe(name.encode()) == ffi.NULL]


@pytest.fixture(params=policies())
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_some_policy_works() -> None:
    assert policies()


def test_unknown_policy_says_so() -> None:
    assert ffi.string(lib.dr_policy_probe(b"none-such")) == b"there is no policy of that name on this system"


def test_layout_is_the_one_that_hosts_know() -> None:
    names = ("window", "exit_pc", "exit", "pc", "budget", "state", "spill", "jumps", "homes", "counters")
    assert {name: lib.dr_layout(name.encode()) for name in names} == {
        name: getattr(layout, name.upper()) for name in names
    }
    assert lib.DR_MAX_REFUND == layout.MAX_REFUND
    assert lib.dr_layout(b"sink") == layout.SINK_WORD * layout.WORD


FUNCTION = CODE + 0x100
PATCHING = (
    (
        li("s0", 0)
        + li("s1", 3)
        # loop: three calls each round, then the function's first instruction becomes the one at s3
        + asm("jal", rd="ra", offset=FUNCTION - (CODE + 8))
        + asm("add", rd="s0", rs1="s0", rs2="a0")
        + asm("lw", rd="t0", rs1="s3", imm=0)
        + asm("sw", rs1="s2", rs2="t0", imm=0)
        + asm("fence.i", rd=0, rs1=0, imm=0)
        + asm("addi", rd="s3", rs1="s3", imm=4)
        + asm("addi", rd="s1", rs1="s1", imm=-1)
        + asm("bne", rs1="s1", rs2="zero", offset=-28)
        + asm("addi", rd="a0", rs1="s0", imm=0)
        + EXIT
    ).ljust(0x100, b"\0")
    + li("a0", 1)
    + asm("jalr", rd="zero", rs1="ra", imm=0)
)


@pytest.mark.parametrize("tier", TIERS)
def test_changed_code_runs_behind_fence_i(policy: str, tier: str) -> None:
    with load(PATCHING, tier=tier, wx=policy, hot=1) as machine:
        machine.regs.s2, machine.regs.s3 = FUNCTION, DATA
        machine.memory[DATA : DATA + 12] = li("a0", 20) + li("a0", 300) + li("a0", 0)
        assert machine.run().status == (1 + 20 + 300) & 0xFF
        if tier == "jit":
            stats = machine.stats()
            assert stats.discarded >= 2
            assert stats.links > 0


def test_links_into_discarded_code_are_undone(policy: str) -> None:
    loop = (
        asm("addi", rd="t0", rs1="t0", imm=1) + asm("beq", rs1="t0", rs2="zero", offset=8) + asm("jal", rd=0, offset=-8)
    )
    with load(loop + EXIT, tier="jit", wx=policy) as machine:
        machine.run(10_000)
        before = machine.regs.t0
        machine.memory[CODE : CODE + 4] = asm("addi", rd="t0", rs1="t0", imm=5)
        machine.run(3_000)
        assert machine.regs.t0 - before == 5 * 1000
        assert machine.stats().discarded >= 1


def test_only_the_owner_writes_code(policy: str) -> None:
    with load(EXIT, tier="jit", wx=policy) as machine:
        machine.run()
        core, translator = machine._core, machine._translator
        assert translator is not None
        translation = translator.translate(CODE)
        before = machine.stats()
        errors: list[str] = []

        def intrude() -> None:
            try:
                core.install(translation)
            except DynarecError as error:
                errors.append(str(error))

        thread = threading.Thread(target=intrude)
        thread.start()
        thread.join()
        assert errors
        assert "does not own" in errors[0]
        assert machine.stats().toggles == before.toggles


@pytest.mark.parametrize("field", ["ret", "link", "kind"])
def test_units_with_offsets_outside_their_code_are_refused(field: str) -> None:
    with load(EXIT, tier="jit") as machine:
        code = ffi.new("uint8_t[]", 64)
        good = {"kind": lib.DR_EXIT_JUMP, "ret": 32, "link": 8, "target": CODE, "refund": 0}
        exits = ffi.new("struct dr_exit[]", [good | {field: 1000}])
        unit = ffi.new(
            "struct dr_unit *", {"key": CODE, "code": code, "code_size": 64, "exits": exits, "exit_count": 1}
        )
        core, units, serials = machine._core, ffi.new("struct dr_unit *[]", [unit]), ffi.new("uint64_t[1]")
        unit.epoch = core.epoch
        install = machine._thread.post(lambda: core.check(lib.dr_install(core.pointer, units, 1, serials)))
        with pytest.raises(DynarecError, match=r"outside its code|not in front of its exit call"):
            install.wait(machine.stop)


JUMPS = asm("addi", rd="t0", rs1="t0", imm=1) + asm("beq", rs1="t0", rs2="zero", offset=8) + asm("jal", rd=0, offset=-8)


def test_units_are_charged_as_they_say() -> None:
    with load(JUMPS + EXIT, tier="jit") as machine:
        core, translator = machine._core, machine._translator
        assert translator is not None
        for change in ({"body": 0}, {"body": 1}):
            translation = translator.translate(CODE)
            wrong = replace(translation, code=replace(translation.code, **change))
            with pytest.raises(DynarecError, match="takes something else from the budget"):
                machine._thread.post(lambda wrong=wrong: core.install(wrong)).wait(machine.stop)
        translation = translator.translate(CODE)
        translation.unit.insns.pop()
        with pytest.raises(DynarecError, match="takes something else from the budget"):
            machine._thread.post(lambda: core.install(translation)).wait(machine.stop)


@pytest.mark.parametrize("limit", [64, 127, 128, 300])
def test_units_of_any_length_are_linked(limit: int) -> None:
    """More guest instructions than a link can charge, or give back."""
    loop = JUMPS[:4] + asm("andi", rd="t1", rs1="t0", imm=3) + asm("beq", rs1="t1", rs2="zero", offset=8 + 4 * 200)
    away = asm("addi", rd="a1", rs1="a1", imm=1) + asm("jal", rd=0, offset=-4 * 205)
    code = loop + asm("addi", rd="a0", rs1="a0", imm=1) * 200 + asm("jal", rd=0, offset=-4 * 203) + away
    with load(code, tier="interp") as expected, load(code, tier="jit") as machine:
        assert machine.translator is not None
        machine.translator.limit = limit
        for count in (1, 100, 1000, 5000, 3, 777, 20_000):
            assert machine.run(count).instructions == expected.run(count).instructions == count
            assert registers(machine) == registers(expected)
        assert machine.stats().links > 1


def test_links_have_one_price() -> None:
    """What an exit gives back is in the code; a record that says something else links nothing."""
    with load(li("t1", 5) + JUMPS + EXIT, tier="jit") as machine:
        translator = machine._translator
        assert translator is not None
        translate = translator.translate

        def dearer(key: int, *breathe: Callable[[], None]) -> Translation:
            made = translate(key, *breathe)
            made.code.exits[:] = [
                each._replace(refund=each.refund + 1) if each.link else each for each in made.code.exits
            ]
            return made

        translator.translate = dearer  # type: ignore[method-assign]
        with pytest.raises(DynarecError, match="or for another price"):
            machine.run(10_000)


COUNTDOWN = (
    li("t0", 40)
    + asm("addi", rd="t1", rs1="t1", imm=3)
    + asm("andi", rd="t2", rs1="t1", imm=1)
    + asm("beq", rs1="t2", rs2="zero", offset=8)
    + asm("addi", rd="s5", rs1="s5", imm=1)
    + asm("addi", rd="t0", rs1="t0", imm=-1)
    + asm("bne", rs1="t0", rs2="zero", offset=-20)
    + EXIT
)


@pytest.mark.parametrize("tier", ["jit", "auto"])
def test_every_budget_stops_exactly_there(policy: str, tier: str) -> None:
    with load(COUNTDOWN, tier="interp") as expected, load(COUNTDOWN, tier=tier, wx=policy, hot=1) as machine:
        for count in range(1, 60):
            assert machine.run(count % 7).instructions == count % 7
            expected.run(count % 7)
            assert registers(machine) == registers(expected)


def test_a_fault_in_a_loop_that_borrows_homes_has_exact_state(policy: str) -> None:
    """The loop walks off the end of the data page; s6 to s9 are held in memory outside it."""
    loop = (
        asm("sw", rs1="s6", rs2="s7", imm=0)
        + asm("addi", rd="s7", rs1="s7", imm=7)
        + asm("addi", rd="s8", rs1="s8", imm=-1)
        + asm("add", rd="s9", rs1="s9", rs2="s7")
        + asm("addi", rd="s6", rs1="s6", imm=4)
        + asm("jal", rd=0, offset=-20)
    )
    runs = []
    for tier in ("interp", "jit"):
        with load(lui("s6", DATA) + loop, tier=tier, wx="auto" if tier == "interp" else policy) as machine:
            machine.regs.a7, machine.regs.tp = 0x1234, 0x5678
            stop = machine.run()
            assert stop.reason is StopReason.TRAP
            assert stop.status == TRAP_ACCESS
            assert stop.trap is not None
            assert stop.trap.value == DATA + PAGE
            runs.append((registers(machine), stop.instructions, bytes(machine.memory[DATA : DATA + PAGE])))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("tier", TIERS)
def test_until_stops_before_the_address(tier: str) -> None:
    where = CODE + 8
    with load(COUNTDOWN, tier=tier, hot=1) as machine:
        for visit in range(1, 6):
            stop = machine.run(until=where)
            assert stop.reason is StopReason.UNTIL
            assert stop.pc == where
            assert machine.regs.t1 == 3 * visit
            machine.run(1)
        assert machine.run().reason is StopReason.EXITED


def test_code_that_cannot_be_fetched_is_translated_once_it_can() -> None:
    with load(lui("t0", 0x40000) + asm("jalr", rd="zero", rs1="t0", imm=0), tier="jit") as machine:
        assert machine.run().status == TRAP_ACCESS
        from dynarec.machine.base import Access

        machine.memory.map(0x40000, PAGE, Access.READ | Access.WRITE | Access.EXECUTE)
        machine.memory[0x40000:0x40004] = asm("jal", rd=0, offset=0)
        machine.pc = 0x40000
        assert machine.run(10_000).reason is StopReason.BUDGET
        assert machine.stats().interpreted < 5_000


def test_samples_choose_homes_and_change_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    from dynarec import tuning

    elf = Path(__file__).parents[2] / "roms" / "bench" / "queens.elf"
    with Machine.load(elf, args=["28"], tier="jit", stdout=open("/dev/null", "wb", 0)) as machine:
        expected = machine.run().instructions
        untouched = machine._translator.host.homes  # type: ignore[union-attr]
    monkeypatch.setattr(tuning, "DECISIONS", (64, 128))
    monkeypatch.setattr("dynarec.run_loop.SAMPLE_INTERVAL", 9_973)
    with Machine.load(elf, args=["28"], tier="jit", stdout=open("/dev/null", "wb", 0)) as machine:
        assert machine.run().instructions == expected
        stats = machine.stats()
        if ffi.string(lib.dr_host()) == b"x86_64":  # arm64 holds all that this program uses
            assert set(machine._translator.host.homes) != set(untouched)  # type: ignore[union-attr]
            assert stats.flushes >= 1


BAD_RECOVERIES = {
    "behind the last site": (Recovery(0, 1, 1, Source.NOTHING, 0, 0), "to a site"),
    "before its first site": (Recovery(1, 0, 1, Source.NOTHING, 0, 0), "to a site"),
    "a word that is not the guest's": (Recovery(0, 0, 48, Source.NOTHING, 0, 0), "no word"),
    "a register that is none": (Recovery(0, 0, 1, Source.REGISTER, 32, 0), "from no place"),
    "a word behind the state": (Recovery(0, 0, 1, Source.WORD, 64, 0), "from no place"),
    "a number of nothing": (Recovery(0, 0, 1, Source.NOTHING, 1, 0), "from no place"),
    "a source that is none": (Recovery(0, 0, 1, 3, 0, 0), "from no place"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("recovery", "text"), BAD_RECOVERIES.values(), ids=BAD_RECOVERIES)
def test_deferred_writes_to_or_from_elsewhere_are_refused(recovery: Recovery, text: str) -> None:
    with load(asm("lw", rd="a0", rs1="s0", imm=0) + EXIT, tier="jit") as machine:
        made = machine.translator.translate(CODE)
        assert len(made.code.sites) == 1
        machine.core.bind_thread()
        machine.core.install(made)
        made.code.recoveries.append(recovery)
        with pytest.raises(DynarecError, match=f"a unit defers a write .*{text}"):
            machine.core.install(made)
