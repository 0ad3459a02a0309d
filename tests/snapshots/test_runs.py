"""A run that goes on from a snapshot is the run that was: in every tier, on each host, whatever code did meanwhile."""

from __future__ import annotations

import functools
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynarec import loading
from dynarec.core import CoreConfig, policies, probe_policy
from dynarec.engine import Machine, Stop, StopReason
from dynarec.snapshot import Snapshot
from tests.differential.executors import CODE_SIZE, REGISTERS, EmulatedExecutor, other_hosts
from tests.differential.programs import CODE, DATA, DATA_SIZE, Program, random_program
from tests.machine.elf import Part, R, W, X, build
from tests.native import test_self_modifying as modifying
from tests.native.guests import asm, li

TIERS = ("jit", "auto", "interp")
POLICIES = [name for name in policies() if probe_policy(name) is None]
LARGE_PAGE = 16384
SEEDS = range(1, 9)
LONGEST = 10_000
MOMENTS, SPLITS = ([1, 400, 3000], (1, 77, 1233, 1234)) if "CI" in os.environ else ([1, 3000], (77, 1234))
"""Of a program that rewrites itself: when it is kept; after how many instructions a repeated run is interrupted."""


@pytest.fixture(params=[0, LARGE_PAGE], ids=["pages of this system", "pages of 16 KiB"])
def host_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(loading, "CoreConfig", functools.partial(CoreConfig, host_page=request.param))
    return int(request.param)


@dataclass(frozen=True)
class View:
    """What a machine has come to."""

    stop: Stop
    instructions: int
    registers: tuple[int, ...]
    data: bytes


def machine_of(program: Program, tier: str) -> Machine:
    """The program, ready to start."""
    code = Part(CODE, program.code.ljust(CODE_SIZE, b"\0"), flags=R | X)
    machine = Machine.load(
        build([code, Part(DATA, program.data, flags=R | W)], CODE), "user", tier=tier, hot=2, sync=True
    )
    for name, value in zip(REGISTERS, program.registers, strict=True):
        machine.regs[name] = value
    return machine


def go_on(machine: Machine, instructions: int) -> View:
    stop = machine.run(instructions)
    registers = tuple(machine.regs[name] for name in machine.regs)
    return View(stop, machine.instructions, registers, machine.memory.read(DATA, DATA_SIZE))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("host_page")
def test_random_programs(tier: str, seed: int, tmp_path: Path) -> None:
    """From a random place on, in the same machine and, by a file, in others."""
    program, rng, path = random_program(seed), random.Random(seed), tmp_path / "snapshot"
    with machine_of(program, "interp") as whole:
        length = whole.run(LONGEST).instructions
    with machine_of(program, tier) as machine:
        machine.run(rng.randrange(length + 1))
        kept = machine.snapshot()
        kept.save(path)
        count = rng.randrange(length + 1)
        middle, end = go_on(machine, count), go_on(machine, LONGEST)
        for _ in range(2):
            machine.restore(kept)
            assert machine.instructions == kept.instructions
            assert go_on(machine, count) == middle
            assert go_on(machine, LONGEST) == end
    loaded = Snapshot.load(path)
    for other in TIERS:
        with machine_of(program, other) as machine:
            machine.run(rng.randrange(length + 1))
            machine.restore(loaded)
            assert go_on(machine, count) == middle
            assert go_on(machine, LONGEST) == end


@pytest.mark.parametrize("host", other_hosts())
def test_the_other_host_goes_on_alike(host: str) -> None:
    """Its code under Unicorn starts from the registers and the memory of the snapshot."""
    executor = EmulatedExecutor(host)
    for seed in SEEDS:
        program, rng = random_program(seed), random.Random(seed)
        with machine_of(program, "jit") as machine:
            length = machine.run(LONGEST).instructions
        with machine_of(program, "jit") as machine:
            machine.run(rng.randrange(length))
            kept = machine.snapshot()
            count = rng.randrange(length - kept.instructions)
            wanted = go_on(machine, count)
        emulated = executor.machine
        emulated.cache.flush()
        emulated.forget_end()
        emulated.memory.write(CODE, program.code.ljust(CODE_SIZE, b"\0"))
        for page in range(DATA // 4096, (DATA + DATA_SIZE) // 4096):
            emulated.memory.write(page * 4096, kept.pages[page])
        for word, name in enumerate(kept.origin.registers):
            if name in emulated.regs:
                emulated.regs[name] = kept.moment.state[word]
        emulated.pc = kept.pc
        assert emulated.run(count) is None, f"seed {seed}"
        assert tuple(emulated.regs[name] for name in REGISTERS) == wanted.registers[1 : 1 + len(REGISTERS)], seed
        assert emulated.memory.read(DATA, DATA_SIZE) == wanted.data, f"seed {seed}"


# -- code that changes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("at", MOMENTS)
@pytest.mark.usefixtures("host_page")
def test_self_modifying_code(tier: str, policy: str, at: int) -> None:
    """A function is written anew in each round; after many, its page is code and data alike."""
    code = modifying.CALLING.ljust(modifying.FUNCTION - CODE, b"\0") + li("a0", 0) + asm("jalr", rd=0, rs1="ra", imm=0)
    with modifying.load_pair(code, li("a0", 1) + li("a0", 2), tier=tier, wx=policy) as machine:
        machine.run(at)
        kept = machine.snapshot()
        machine.run(1234)
        wanted = (modifying.registers(machine), machine.memory.read(CODE, 4096))
        for some in SPLITS:
            machine.restore(kept)
            machine.run(some)
            machine.run(1234 - some)
            assert (modifying.registers(machine), machine.memory.read(CODE, 4096)) == wanted
            machine.run(some)


LOOP = li("a0", 1) + asm("addi", rd="a1", rs1="a1", imm=1) + asm("jal", rd=0, offset=-8)
ELSEWHERE = CODE + 4096


@pytest.mark.parametrize("policy", POLICIES)
def test_only_units_of_changed_bytes_die(policy: str) -> None:
    """A page with a loop for which nothing changes, and one whose first instruction the host replaces."""
    parts = [Part(at, LOOP.ljust(4096, b"\0"), flags=R | W | X) for at in (CODE, ELSEWHERE)]
    with Machine.load(build(parts, CODE), "user", tier="jit", wx=policy) as machine:
        machine.run(100)
        machine.pc = ELSEWHERE
        machine.run(100)
        kept = machine.snapshot()
        machine.memory.write(ELSEWHERE, li("a0", 2))
        machine.pc = ELSEWHERE
        machine.run(100)
        assert machine.regs.a0 == 2
        before = machine.stats()
        machine.restore(kept)
        machine.run(100)
        after = machine.stats()
        assert machine.regs.a0 == 1
        assert after.deaths["host-write"] > before.deaths["host-write"]
        assert after.discarded - before.discarded == after.deaths["host-write"] - before.deaths["host-write"]
        assert after.flushes == before.flushes
        machine.restore(kept)
        machine.pc = CODE
        machine.run(100)
        assert machine.stats().translated == after.translated, "the loop that did not change is translated again"


def test_what_the_host_counts_goes_on() -> None:
    """The guest's count of instructions goes back; what has been done has been done."""
    with machine_of(random_program(1), "jit") as machine:
        machine.run(5)
        kept = machine.snapshot()
        machine.run(5)
        done = machine.stats().instructions
        machine.restore(kept)
        assert machine.instructions == kept.instructions == 5
        assert machine.stats().instructions == done == 10
        machine.run(3)
        assert machine.instructions == 8
        assert machine.stats().instructions == 13


def test_instret_is_the_guests() -> None:
    code = asm("csrrs", rd="a0", csr=0xC02, rs1="zero") + asm("jal", rd=0, offset=-4)
    with Machine.load(build([Part(CODE, code, flags=R | X)], CODE), "user") as machine:
        machine.run(11)
        kept = machine.snapshot()
        machine.run(2)
        count = machine.regs.a0
        machine.run(1000)
        machine.restore(kept)
        machine.run(2)
        assert machine.regs.a0 == count == 12


def test_before_and_behind_the_end() -> None:
    code = li("a0", 7) + li("a7", 93) + asm("ecall")
    with Machine.load(build([Part(CODE, code, flags=R | X)], CODE), "user") as machine:
        machine.run(1)
        before = machine.snapshot()
        assert machine.run().status == 7
        behind = machine.snapshot()
        machine.restore(before)
        machine.regs.a0 = 9
        stop = machine.run()
        assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 9, 2)
        machine.restore(behind)
        stop = machine.run()
        assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 7, 0)
