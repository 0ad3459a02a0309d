"""Guests that the core was built without: they run on the translator, and what that leaves is evaluated."""

from __future__ import annotations

import io
import random
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from dynarec import AccessFault, Device, loading
from dynarec.cli import main
from dynarec.engine import Machine, Stop, StopReason
from dynarec.errors import DynarecError
from dynarec.machine.base import Answers, Continue, Died, Outcome, Trap
from guest_isa import load_guests
from tests.machine.elf import Part, R, W, X, build
from tests.native.toy import CALL, ELF_MACHINE, ILLEGAL, LOAD, STORE, TOY, asm
from tests.reference import Reference, Region, Regions

CODE, DATA, PAGE = 0x1_0000, 0x2_0000, 4096
DEVICE = 0x4000_0000
TIERS = ("auto", "jit", "interp")
SEED = 5
PIECES = 40
EXIT = "set r6, 93\ncall"

HELLO = f"""
    set r0, 1
    high r1, 2
    set r2, 3
    set r6, 64
    call
    set r0, 7
    {EXIT}
"""
"""write(1, DATA, 3); exit(7)"""

# r3: rounds; r1: a value that depends on all of them; r2: data; the clock is left to the evaluator.
LOOP = """
    set r3, 300
    set r1, 1
    high r2, 2
    set r4, 33
    mul r1, r4
    add r1, r3
    store r1, r2
    clock r5
    add r1, r5
    load r0, r2
    addi r2, r2, 4
    addi r3, r3, -1
    ifnot0 r3, -24
"""


def toy(text: str, **options: object) -> Machine:
    """A machine with this code, that can be written, and a page of data that says "hi"."""
    code = asm(text)
    parts = [Part(CODE, code.ljust(PAGE, b"\0"), flags=R | W | X), Part(DATA, b"hi\n", PAGE, R | W)]
    return Machine.load(build(parts, CODE, machine=ELF_MACHINE), guest=TOY, **options)  # type: ignore[arg-type]


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def seen(machine: Machine) -> tuple[object, ...]:
    registers = [machine.regs[f"r{number}"] for number in range(7)]
    return machine.instructions, machine.pc, registers, bytes(machine.memory[DATA : DATA + PAGE])


def test_a_program(tier: str) -> None:
    out = io.BytesIO()
    with toy(HELLO, tier=tier, stdout=out) as machine:
        assert machine.run().status == 7
    assert out.getvalue() == b"hi\n"


def test_a_guest_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="toy", load=lambda: TOY)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    assert load_guests()["toy"] is TOY
    with Machine.load(build([Part(CODE, asm(EXIT))], CODE, machine=ELF_MACHINE)) as machine:
        assert machine.guest is TOY
        assert machine.run().reason is StopReason.EXITED


def test_both_commands_say_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    point = SimpleNamespace(name="toy", load=lambda: TOY)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    main(["guests"])
    assert capsys.readouterr().out.rstrip().endswith("no interpreter: runs on the translator alone")
    main(["doctor"])
    out = capsys.readouterr().out
    assert "toy: no interpreter: runs on the translator alone" in out
    assert "rv32: interpreter built in" in out


def agree(text: str, data: bytes, tier: str) -> None:
    """Whether the machine is what the reference evaluator says, after runs of random lengths."""
    rng = random.Random(SEED)
    code_region, data_region = Region(CODE, PAGE), Region(DATA, PAGE)
    code_region.data[: len(asm(text))] = asm(text)
    data_region.data[: len(data)] = data
    retired = 0
    reference = Reference(TOY, Regions(code_region, data_region), CODE, lambda name: retired)
    with toy(text, tier=tier) as machine:
        machine.memory[DATA : DATA + PAGE] = bytes(data_region.data)
        for _ in range(PIECES):
            count = rng.choice((1, 2, 3, 17, 40))
            assert machine.run(count).instructions == count
            for _ in range(count):
                reference.step()
                retired += 1
            wanted = [reference[f"r{number}"] for number in range(7)]
            story = f"seed {SEED}, after {retired} instructions"
            assert seen(machine) == (retired, reference.pc, wanted, bytes(data_region.data)), story


def test_budgets_are_exact(tier: str) -> None:
    agree(LOOP, b"", tier)


def test_the_loop_is_translated() -> None:
    with toy(LOOP) as machine:
        machine.run(3000)
        stats = machine.stats()
        assert 0 < stats.interpreted < stats.instructions / 5, "the clock alone is evaluated"
        assert stats.translated


@pytest.mark.parametrize(
    ("text", "at", "cause", "value"),
    [
        ("set r1, 16\nload r0, r1", 4, LOAD, 16),
        ("high r1, 1\nset r0, 1\naddi r1, r1, -4\nstore r0, r1", 12, STORE, CODE - 4),
        ("set r0, 1\ncall", 4, CALL, 0),
    ],
)
def test_traps(text: str, at: int, cause: int, value: int, tier: str) -> None:
    with toy(text, tier=tier) as machine:
        machine.answer_by(_Nobody())
        stop = machine.run(100)
        assert stop.trap is not None
        assert (stop.pc, stop.trap.cause, stop.trap.value) == (CODE + at, cause, value)


class _Nobody(Answers):
    """Answers nothing: every trap ends the run."""

    def trap(self, trap: Trap) -> Outcome:
        return Died(trap)

    def stored(self, address: int, size: int) -> Outcome:
        return Continue()

    def wait(self) -> None:
        """Nothing is waited for."""


def test_what_is_no_instruction(tier: str) -> None:
    with toy("set r0, 1", tier=tier) as machine:
        stop = machine.run(100)
        assert stop.trap is not None
        assert (stop.trap.cause, stop.pc, stop.instructions) == (ILLEGAL, CODE + 4, 1)


# Every round makes the instruction behind its store another one, which adds one more than before to r5.
CHANGES = """
    set r3, 200
    high r0, 1
    high r1, 2
    load r4, r1
    high r2, 1
    addi r2, r2, 24
    store r4, r2
    addi r5, r5, 1
    add r4, r0
    addi r3, r3, -1
    ifnot0 r3, -12
"""


@pytest.mark.parametrize(
    "text", [CHANGES, CHANGES.replace("high r2, 1\n", "sync\nsync\nhigh r2, 1\n").replace("24", "28")]
)
def test_code_that_changes_itself(text: str, tier: str) -> None:
    agree(text, asm("addi r5, r5, 3"), tier)
    with toy(text, tier=tier) as machine:
        machine.memory[DATA : DATA + 4] = asm("addi r5, r5, 3")
        machine.run(until=CODE + len(asm(text)))
        assert machine.regs.r5 == sum(range(3, 203))


class Register(Device):
    """Counts what it is read."""

    def __init__(self) -> None:
        self.log: list[tuple[int, ...]] = []

    def read(self, offset: int, width: int, /) -> int:
        self.log.append((offset, width))
        return len(self.log)

    def write(self, offset: int, width: int, value: int, /) -> None:
        if value == 250:
            raise AccessFault("no more")
        if value == 251:
            raise ZeroDivisionError
        self.log.append((offset, width, value))


DEVICE_LOOP = """
    high r1, 0x4000
    addi r2, r1, 8
    set r3, 50
    load r4, r1
    storeb r3, r2
    add r5, r4
    addi r3, r3, -1
    ifnot0 r3, -10
"""


def test_devices(tier: str) -> None:
    with toy(DEVICE_LOOP + EXIT, tier=tier) as machine:
        device = Register()
        machine.add_device(DEVICE, device)
        machine.run(3 + 50 * 5)
        assert device.log == [each for n in range(50) for each in ((0, 4), (8, 1, 50 - n))]
        assert machine.regs.r5 == sum(range(1, 100, 2))


def test_what_devices_raise(tier: str) -> None:
    text = "high r1, 0x4000\nset r2, 250\nstoreb r2, r1"
    with toy(text, tier=tier) as machine:
        machine.add_device(DEVICE, Register())
        stop = machine.run(10)
        assert stop.trap is not None
        assert (stop.trap.cause, stop.trap.value, stop.pc) == (STORE, DEVICE, CODE + 8)
        machine.regs.r2 = 251
        with pytest.raises(ZeroDivisionError):
            machine.run(10)
        machine.regs.r2 = 1
        assert machine.run(1).instructions == 1


def test_hooks_and_single_steps(tier: str) -> None:
    with toy(LOOP, tier=tier) as machine:
        places: list[int] = []
        machine.hook_memory(lambda _, access: places.append(machine.pc), DATA + 8, DATA + 12, "write")
        assert machine.run(until=CODE + 22).pc == CODE + 22
        machine.run(100)
        assert places == [CODE + 20]


def test_a_meaning_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    with toy("clock r1", tier="interp") as machine:
        monkeypatch.setattr(next(spec for spec in TOY.isa if spec.name == "clock"), "meaning", None)
        with pytest.raises(TypeError):
            machine.run(1)
        assert (machine.pc, machine.instructions) == (CODE, 0)


def test_a_machine_mode_needs_an_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "has_interpreter", lambda name: False)
    with pytest.raises(DynarecError, match="machine mode needs an interpreter"):
        Machine.load(Path(__file__).parents[2] / "roms" / "kernel.elf")


def test_the_end_of_a_page_without_code(tier: str) -> None:
    code = asm("set r0, 1")
    parts = [Part(CODE + PAGE - 2, code[:2], flags=R | X)]
    with Machine.load(build(parts, CODE + PAGE - 2, machine=ELF_MACHINE), guest=TOY, tier=tier) as machine:
        stop: Stop = machine.run(10)
        assert stop.trap is not None
        assert (stop.trap.name, stop.trap.value, stop.pc) == ("no code", CODE + PAGE, CODE + PAGE - 2)
