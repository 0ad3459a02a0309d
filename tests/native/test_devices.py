"""Devices of Python in the guest's memory: what the guest does with them is the same in every tier."""

from __future__ import annotations

import random

import pytest

from dynarec import AccessFault, Device, DynarecError
from dynarec.core import EXIT_KINDS
from dynarec.engine import Machine, StopReason
from dynarec.errors import GuestMemoryError
from dynarec.machine.base import Exited
from tests.native.guests import CODE, DATA, EXIT, asm, li, load, lui, registers

DEVICE = 0x4000_0000
TIERS = ("interp", "jit", "auto")
SEED = 11
ROUNDS = 200
LOADS, STORES = ("lb", "lbu", "lh", "lhu", "lw"), ("sb", "sh", "sw")


class Register(Device):
    """Answers by a rule, and keeps a log of what the guest has done."""

    def __init__(self) -> None:
        self.log: list[tuple[int, ...]] = []
        self.value = 1

    def read(self, offset: int, width: int, /) -> int:
        self.value = self.value * 1103515245 + 12345 & 0xFFFF_FFFF
        self.log.append((offset, width, self.value))
        return self.value

    def write(self, offset: int, width: int, value: int, /) -> Exited | None:
        self.log.append((offset, width, value, 1))
        self.value ^= value
        return None

    def peek(self, offset: int, width: int, /) -> int:
        return self.value & ((1 << 8 * width) - 1)


def loop(body: bytes, rounds: int) -> bytes:
    """The body so many times, with s0 as the counter; s1 points at the device, s2 at data."""
    start = lui("s1", DEVICE) + lui("s2", DATA) + li("s0", rounds)
    step = asm("addi", rd="s0", rs1="s0", imm=-1)
    back = asm("bne", rs1="s0", rs2="zero", offset=-(len(body) + len(step)))
    return start + body + step + back + li("a0", 0) + EXIT


def with_device(code: bytes, device: Device, **options: object) -> Machine:
    machine = load(code, **options)
    machine.add_device(DEVICE, device)
    return machine


def random_body(rng: random.Random) -> bytes:
    """Loads and stores by a pointer that is at the device in some rounds and at data in others."""
    body = asm("andi", rd="t0", rs1="s0", imm=1 << rng.randrange(6)) + asm("add", rd="t1", rs1="s2", rs2="zero")
    body += asm("beq", rs1="t0", rs2="zero", offset=8) + asm("add", rd="t1", rs1="s1", rs2="zero")
    for _ in range(rng.randrange(2, 9)):
        base, reg = rng.choice(("t1", "t1", "s1", "s2")), rng.choice(("a0", "a1", "a2", "a3"))
        if rng.random() < 0.5:
            body += asm(rng.choice(LOADS), rd=reg, rs1=base, imm=rng.randrange(64))
        else:
            body += asm(rng.choice(STORES), rs1=base, rs2=reg, imm=rng.randrange(64))
        body += asm("add", rd="a0", rs1="a0", rs2=reg)
    return body


def outcome(tier: str, seed: int, pieces: int) -> tuple[object, ...]:
    """All that a run of a random program comes to, in pieces of random lengths."""
    rng = random.Random(seed)
    device = Register()
    with with_device(loop(random_body(rng), ROUNDS), device, tier=tier, hot=2) as machine:
        seen = []
        for _ in range(pieces):
            machine.run(rng.randrange(1, 400))
            seen.append(registers(machine))
        stop = machine.run()
        return seen, registers(machine), stop.instructions, device.log, machine.memory[DATA : DATA + 128]


@pytest.mark.parametrize("seed", range(SEED, SEED + 25))
def test_loops_over_devices_and_memory_are_the_same_in_every_tier(seed: int) -> None:
    print(f"seed {seed}")
    expected = outcome("interp", seed, 6)
    assert outcome("jit", seed, 6) == expected
    assert outcome("auto", seed, 6) == expected


def exits_to_interpreter(machine: Machine) -> int:
    exits = machine._core.stats()["exits"]
    assert isinstance(exits, list)
    return exits[EXIT_KINDS.index("interpret")]


def test_a_site_that_keeps_reaching_a_device_no_longer_faults() -> None:
    device = Register()
    with with_device(loop(asm("lw", rd="a1", rs1="s1", imm=4), 1000), device, tier="jit") as machine:
        machine.run()
        stats = machine._core.stats()
        assert len(device.log) == 1000
        assert (stats["device_reads"], stats["device_sites"]) == (1000, 1)
        assert isinstance(stats["faults"], int)
        assert stats["faults"] <= 8
        assert {death.reason for death in machine._core.deaths()} == {"device"}


def test_a_site_that_reaches_memory_again_gets_its_access_back() -> None:
    body = asm("lw", rd="a1", rs1="t1", imm=4)
    code = lui("t1", DEVICE) + loop(body, 100)
    code = code[: -len(EXIT)]
    again = lui("t1", DATA) + asm("jal", rd="zero", offset=-len(code))
    with with_device(code + again, Register(), tier="jit") as machine:
        machine.run(1000)
        first = machine._core.stats()
        machine.run(20_000)
        assert machine._core.stats()["device_reads"] == first["device_reads"] == 100
        before = exits_to_interpreter(machine)
        machine.run(20_000)
        assert exits_to_interpreter(machine) == before


@pytest.mark.parametrize("tier", TIERS)
def test_a_site_that_the_guest_rewrites_is_read_anew(tier: str) -> None:
    """Two rounds of a loop; behind the first, its load becomes another one."""
    old, new = asm("lw", rd="a1", rs1="s1", imm=0), asm("lbu", rd="a1", rs1="s1", imm=5)
    start = lui("s1", DEVICE) + lui("s2", DATA) + lui("t2", CODE) + asm("lw", rd="t3", rs1="s2", imm=0)
    again = li("s0", 100)
    body = old + asm("addi", rd="s0", rs1="s0", imm=-1) + asm("bne", rs1="s0", rs2="zero", offset=-8)
    site = len(start + again)
    change = asm("sw", rs1="t2", rs2="t3", imm=site) + asm("fence.i") + asm("xori", rd="t4", rs1="t4", imm=1)
    back = asm("bne", rs1="t4", rs2="zero", offset=-len(again + body + change))
    device = Register()
    with with_device(start + again + body + change + back + EXIT, device, tier=tier, hot=2) as machine:
        machine.memory.write(DATA, new)
        assert machine.run().reason is StopReason.EXITED
    assert [entry[:2] for entry in device.log] == [(0, 4)] * 100 + [(5, 1)] * 100


class Writer(Device):
    """A store to it changes guest memory, as a DMA engine does."""

    def __init__(self) -> None:
        self.machine: Machine | None = None

    def write(self, offset: int, width: int, value: int, /) -> None:
        assert self.machine is not None
        self.machine.memory.write(CODE + 4 * value, li("a0", 42))


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_device_writes_to_code_is_what_runs_next(tier: str) -> None:
    code = lui("s1", DEVICE) + li("a1", 3) + asm("sw", rs1="s1", rs2="a1", imm=0) + li("a0", 1) + EXIT
    device = Writer()
    with with_device(code, device, tier=tier) as machine:
        device.machine = machine
        assert machine.run().status == 42


class Fails(Device):
    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error

    def read(self, offset: int, width: int, /) -> int:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return 9


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("after", [0, 30])
@pytest.mark.parametrize("error", [ZeroDivisionError("device"), KeyboardInterrupt(), SystemExit(3)], ids=type)
def test_an_exception_comes_out_unchanged_and_the_access_is_done_again(
    tier: str, after: int, error: BaseException
) -> None:
    device = Fails(error)
    device.error = None
    code = loop(asm("lw", rd="a1", rs1="s1", imm=0), 50)
    with with_device(code, device, tier=tier, hot=2) as machine:
        machine.run(3 + 3 * after)
        device.error = error
        with pytest.raises(type(error)) as caught:
            machine.run()
        assert caught.value is error
        assert machine.instructions == 3 + 3 * after
        assert machine.pc == CODE + 12
        assert machine.run().reason is StopReason.EXITED
        assert (machine.regs.a1, machine.instructions) == (9, 3 + 3 * 50 + 3)


@pytest.mark.parametrize("tier", TIERS)
def test_a_refusal_is_an_access_fault(tier: str) -> None:
    class Refuses(Device):
        pass

    with with_device(loop(asm("lw", rd="a1", rs1="s1", imm=8), 5), Refuses(), tier=tier) as machine:
        stop = machine.run()
        assert stop.trap is not None
        assert (stop.trap.name, stop.trap.value, stop.pc) == ("load access fault", DEVICE + 8, CODE + 12)


@pytest.mark.parametrize("tier", TIERS)
def test_a_device_may_stop_the_run(tier: str) -> None:
    class Stops(Device):
        machine: Machine

        def write(self, offset: int, width: int, value: int, /) -> None:
            self.machine.stop()

    device = Stops()
    with with_device(loop(asm("sw", rs1="s1", rs2="s0", imm=0), 5), device, tier=tier) as machine:
        device.machine = machine
        stop = machine.run()
        assert (stop.reason, stop.instructions, stop.pc) == (StopReason.REQUEST, 4, CODE + 16)


@pytest.mark.parametrize("tier", TIERS)
def test_a_device_cannot_run_the_machine_that_runs_it(tier: str) -> None:
    class Runs(Device):
        machine: Machine

        def read(self, offset: int, width: int, /) -> int:
            self.machine.run(1)
            return 0

    device = Runs()
    with with_device(loop(asm("lw", rd="a1", rs1="s1", imm=0), 5), device, tier=tier) as machine:
        device.machine = machine
        with pytest.raises(DynarecError, match="running already"):
            machine.run()


@pytest.mark.parametrize("tier", TIERS)
def test_a_device_cannot_close_the_machine_that_runs_it(tier: str) -> None:
    class Closes(Device):
        machine: Machine

        def read(self, offset: int, width: int, /) -> int:
            self.machine.close()
            return 0

    device = Closes()
    with with_device(loop(asm("lw", rd="a1", rs1="s1", imm=0), 5), device, tier=tier) as machine:
        device.machine = machine
        with pytest.raises(DynarecError, match="stop it instead"):
            machine.run()
        machine.pc += 4
        assert machine.run(2).reason is StopReason.BUDGET


def test_a_device_may_stand_where_another_one_stood() -> None:
    first, second = Register(), Register()
    with with_device(loop(asm("lw", rd="a1", rs1="s1", imm=0), 5), first, tier="jit") as machine:
        machine.memory.unmap(DEVICE, 4096)
        machine.add_device(DEVICE, second)
        machine.run()
        assert (len(first.log), len(second.log)) == (0, 5)


def test_looking_at_a_device_changes_nothing() -> None:
    device = Register()
    with with_device(loop(b"", 5), device) as machine:
        assert machine.memory[DEVICE : DEVICE + 2] == b"\x01\x01"
        assert device.log == []


def test_a_device_that_cannot_be_looked_at() -> None:
    class Shy(Device):
        def read(self, offset: int, width: int, /) -> int:
            raise AssertionError

    with with_device(loop(b"", 5), Shy()) as machine, pytest.raises(GuestMemoryError):
        _ = machine.memory[DEVICE]


@pytest.mark.parametrize("tier", TIERS)
def test_only_whole_accesses_reach_a_device(tier: str) -> None:
    device = Register()
    with with_device(loop(asm("lw", rd="a1", rs1="s1", imm=-2), 1), device, tier=tier) as machine:
        stop = machine.run()
        assert stop.trap is not None
        assert device.log == []


@pytest.mark.parametrize("tier", TIERS)
def test_atomic_accesses_are_for_memory(tier: str) -> None:
    device = Register()
    code = loop(asm("amoswap.w", rd="a1", rs1="s1", rs2="s0"), 5)
    with with_device(code, device, tier=tier) as machine:
        stop = machine.run()
        assert stop.trap is not None
        assert (stop.trap.name, stop.pc, device.log) == ("store/AMO access fault", CODE + 12, [])


def test_devices_are_added_while_the_machine_does_not_run() -> None:
    with load(asm("jal", rd="zero", offset=0)) as machine:
        run = machine.start()
        with pytest.raises(DynarecError, match="does not run"):
            machine.add_device(DEVICE, Register())
        run.stop()
        run.wait()
        with pytest.raises(DynarecError, match="whole pages"):
            machine.add_device(DEVICE + 1, Register())
        with pytest.raises(AccessFault):
            Device().read(0, 4)
