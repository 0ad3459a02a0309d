"""Homes chosen from samples: when they change, to what, and that the program cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dynarec import run_loop, tuning
from dynarec.engine import Machine, StopReason
from dynarec.host import HOSTS, make_host, make_native_host
from dynarec.ir.state import Field
from dynarec.translate import Translator
from dynarec.tuning import DECISIONS, HomeTuner
from guest_isa.rv32 import GUEST
from tests.native.guests import CODE, EXIT, asm, li, load, registers

ROM = Path(__file__).parent.parent / "roms" / "bench" / "crc32.elf"
FIRST, LAST = DECISIONS[0], DECISIONS[-1]
LATE = [field.name for field in GUEST.homes[-4:]]
"""Registers that have no home on any host to begin with."""
ROUNDS = 20_000
INTERVAL = 101


class FakeCore:
    """Records the homes that it is given."""

    def __init__(self) -> None:
        self.homes: list[tuple[Field, ...]] = []

    def set_homes(self, fields: Sequence[Field]) -> None:
        self.homes.append(tuple(fields))


def loop_with(names: Sequence[str]) -> bytes:
    """A loop that does nothing but change these registers, without end."""
    steps = [asm("addi", rd=name, rs1=name, imm=number + 1) for number, name in enumerate(names)]
    return b"".join(steps) + asm("jal", rd="zero", offset=-4 * len(names))


class Rig:
    """A tuner for code at CODE, and what it talks to."""

    def __init__(self, host: str, code: bytes) -> None:
        self.core = FakeCore()
        self.translator = Translator(GUEST, make_host(host, GUEST), lambda at, size: code[at - CODE :][:size])
        self.before = self.translator.host.home_fields
        self.tuner = HomeTuner(GUEST, self.core, self.translator)  # type: ignore[arg-type]

    def sample(self, count: int) -> None:
        for _ in range(count):
            self.tuner.sample(CODE)


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_registers_that_are_used_get_homes(host: str) -> None:
    rig = Rig(host, loop_with(LATE))
    assert not {field.name for field in rig.before} & set(LATE)
    rig.sample(FIRST)
    (chosen,) = rig.core.homes
    assert {field.name for field in chosen} >= set(LATE)
    assert rig.translator.host.home_fields == chosen, "the code generator knows, too"
    assert len(set(chosen)) == len(rig.before)


def test_registers_that_nobody_uses_make_room_the_others_stay(host: str) -> None:
    rig = Rig(host, loop_with([*LATE, rig_home(host)]))
    rig.sample(FIRST)
    (chosen,) = rig.core.homes
    assert rig_home(host) in {field.name for field in chosen}
    assert len(set(chosen) & set(rig.before)) == len(rig.before) - len(LATE)


def rig_home(host: str) -> str:
    """A register that has a home, the last to have one."""
    return make_host(host, GUEST).home_fields[-1].name


def test_nothing_changes_before_the_first_decision(host: str) -> None:
    rig = Rig(host, loop_with(LATE))
    rig.sample(FIRST - 1)
    assert not rig.core.homes


def test_nothing_changes_that_is_not_worth_it(host: str) -> None:
    """The homes hold nearly everything that the code uses."""
    rig = Rig(host, loop_with([field.name for field in make_host(host, GUEST).home_fields]))
    rig.sample(LAST)
    assert not rig.core.homes
    assert rig.translator.host.home_fields == rig.before


def test_it_ends_with_the_last_decision(host: str) -> None:
    rig = Rig(host, loop_with(LATE))
    rig.sample(LAST - 1)
    assert not rig.tuner.finished
    rig.sample(1)
    assert rig.tuner.finished
    assert len(rig.core.homes) == 1, "the second choice is the first one again"


def test_what_an_earlier_run_has_chosen_is_chosen_again(host: str) -> None:
    """Though another order would do as well."""
    rig = Rig(host, loop_with(LATE))
    rig.sample(FIRST)
    (best,) = rig.core.homes
    again = Rig(host, loop_with(LATE))
    again.tuner.choices[FIRST] = best[::-1]
    again.sample(FIRST)
    assert again.core.homes == [best[::-1]]
    assert again.tuner.choices[FIRST] == best[::-1]


def test_unless_it_is_much_worse_or_none_of_this_host(host: str) -> None:
    rig = Rig(host, loop_with(LATE))
    rig.sample(FIRST)
    for earlier in (rig.before, rig.core.homes[0][1:], rig.core.homes[0][:1] * len(rig.before)):
        again = Rig(host, loop_with(LATE))
        again.tuner.choices[FIRST] = earlier
        again.sample(FIRST)
        assert again.core.homes == rig.core.homes


def test_samples_without_code_are_no_use(host: str) -> None:
    rig = Rig(host, b"")
    rig.sample(LAST)
    assert not rig.core.homes


# -- in a machine -----------------------------------------------------------------------------------------------------


def counting_program() -> bytes:
    """Sums in registers without a home, ROUNDS times."""
    *sums, counter = LATE
    steps = [asm("add", rd=name, rs1=name, rs2=counter) for name in sums]
    loop = b"".join(steps) + asm("addi", rd=counter, rs1=counter, imm=-1)
    start = asm("lui", rd=counter, upper=ROUNDS & ~0xFFF) + asm("addi", rd=counter, rs1=counter, imm=ROUNDS & 0xFFF)
    return start + loop + asm("bne", rs1=counter, rs2="zero", offset=-len(loop)) + li("a0", 0) + EXIT


def run(tuned: bool) -> tuple[list[int], int, tuple[Field, ...]]:
    """Registers and count of instructions at the end, and the homes."""
    with load(counting_program(), tier="jit") as machine:
        if not tuned:
            machine._loop.tuner = None
        stop = machine.run()
        assert stop.reason is StopReason.EXITED
        assert machine._translator is not None
        return registers(machine), machine.instructions, machine._translator.host.home_fields


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples so often that short programs are tuned."""
    monkeypatch.setattr(run_loop, "SAMPLE_INTERVAL", INTERVAL)
    monkeypatch.setattr(tuning, "DECISIONS", (3, 20))


@pytest.mark.usefixtures("often")
def test_results_are_the_same_with_and_without() -> None:
    assert run(tuned=True)[:2] == run(tuned=False)[:2]


@pytest.mark.usefixtures("often")
def test_the_machine_changes_its_homes_and_always_to_the_same() -> None:
    first = run(tuned=True)
    assert {field.name for field in first[2]} >= set(LATE)
    assert first[2] != make_native_host(GUEST).home_fields
    assert all(run(tuned=True) == first for _ in range(3))


@pytest.mark.usefixtures("often")
def test_a_program_that_is_tuned_says_the_same(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    outputs = []
    for tier in ("interp", "jit"):
        with Machine.load(ROM, args=["2"], tier=tier) as machine:
            assert machine.run().status == 0
            outputs.append((capfdbinary.readouterr().out, machine.instructions))
    assert outputs[0] == outputs[1]


def test_short_runs_take_no_samples() -> None:
    with load(counting_program(), tier="jit") as machine:
        machine.run()
        assert machine._loop.tuner is not None
        assert machine._loop.tuner._count == 0
