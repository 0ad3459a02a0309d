"""Machine virt with a kernel that uses all of it: the same run in every tier, instruction for instruction."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynarec.engine import Machine, Stop, StopReason
from dynarec.errors import DynarecError
from dynarec.loading import read_kernel
from dynarec.machine.base import Hardware, TrapKind
from dynarec.machine.devicetree import Node, Property, Tree, decode, encode
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import asm, li

KERNEL = Path(__file__).parents[2] / "roms" / "kernel.elf"
TIERS = ("interp", "jit", "auto")
COMMANDS = "echo hello\rtime\rticks 5\ruser\rtraps\rmem 0x80000000\rtime\rhalt 3\r"
RAM = 0x8000_0000
RUN_SECONDS = 30


class Port(io.RawIOBase):
    """A file without a descriptor."""

    def __init__(self, text: str = "") -> None:
        self.text = text.encode()
        self.written = bytearray()

    def read(self, size: int = -1) -> bytes:
        data, self.text = self.text[:size], self.text[size:]
        return data

    def write(self, data: object) -> int:
        taken = bytes(data)  # type: ignore[call-overload]
        self.written += taken
        return len(taken)


@dataclass
class Run:
    stop: Stop
    output: str
    registers: dict[str, int]


def run(tier: str, commands: str = COMMANDS, limits: tuple[int | None, ...] = (None,), **options: object) -> Run:
    port = Port(commands)
    with Machine.load(KERNEL, tier=tier, stdin=port, stdout=port, **options) as machine:  # type: ignore[arg-type]
        for limit in limits:
            stop = machine.run(limit, timeout=RUN_SECONDS)
        return Run(stop, port.written.decode(), {name: machine.regs[name] for name in machine.regs})


@pytest.fixture(scope="module")
def interpreted() -> Run:
    return run("interp")


def test_the_kernel_does_what_it_is_told(interpreted: Run) -> None:
    assert (interpreted.stop.reason, interpreted.stop.status) == (StopReason.EXITED, 3)
    lines = interpreted.output.splitlines()
    assert lines[0] == "hart 0, device tree"
    assert "hello" in lines
    assert "ticks" in lines
    assert "+ user program: 783" in lines


@pytest.mark.parametrize(
    "line",
    [
        '".word 0": cause 2 value 00000000 at it', '".word 0xffffffff": cause 2 value ffffffff at it',
        '"csrw mhartid, zero": cause 2 value f1401073 at it', '"ecall": cause 11 value 00000000 at it',
        '"lw t2, 16(zero)": cause 5 value 00000010 at it', '"sw t2, 20(zero)": cause 7 value 00000014 at it',
        '"c.lw a0, 0(%2)": cause 5 value 00000018 at it', '"lb t2, 1(%2)": cause 5 value 0c000001 at it',
        '"jr %2": cause 1 value 00000040 elsewhere',
    ],
)  # fmt: skip
def test_traps_have_the_registers_of_the_manual(interpreted: Run, line: str) -> None:
    assert line in interpreted.output.splitlines()


@pytest.mark.parametrize("tier", TIERS[1:])
def test_every_tier_does_the_same(interpreted: Run, tier: str) -> None:
    other = run(tier)
    assert other.output == interpreted.output
    assert other.stop.instructions == interpreted.stop.instructions
    assert other.registers == interpreted.registers


@pytest.mark.parametrize("limit", [1, 99_999, 100_000, 100_001, 234_567])
def test_a_budget_ends_every_tier_at_the_same_place(limit: int) -> None:
    runs = [run(tier, limits=(limit,)) for tier in TIERS]
    assert all(each.stop.instructions == limit for each in runs)
    assert runs[0].registers == runs[1].registers == runs[2].registers


def test_pieces_make_the_same_run_as_the_whole(interpreted: Run) -> None:
    pieces = run("jit", limits=(*(7_001,) * 20, None))
    assert pieces.output == interpreted.output
    assert pieces.registers == interpreted.registers


def test_sleep_takes_no_time_when_the_clock_is_virtual() -> None:
    since = time.monotonic()
    assert run("auto", "ticks 2000\rhalt\r").stop.status == 0
    assert time.monotonic() - since < RUN_SECONDS / 2


@pytest.mark.skipif("DYNAREC_EMULATED" in os.environ, reason="not emulated: too slow for 10,000 interrupts a second")
def test_the_clock_of_the_host() -> None:
    since = time.monotonic()
    done = run("auto", "ticks 20\rtime\rhalt\r", hardware=Hardware(clock="host"))
    assert done.stop.status == 0
    assert time.monotonic() - since > 20 * 100e-6  # the periods of the timer


@pytest.mark.parametrize("clock", ["virtual", "host"])
@pytest.mark.parametrize("tier", TIERS)
def test_the_timer_interrupts_a_guest_that_does_nothing_but_run(tmp_path: Path, tier: str, clock: str) -> None:
    code = asm("auipc", rd="t0", upper=0) + asm("addi", rd="t0", rs1="t0", imm=HANDLER)
    code += asm("csrrw", rd="zero", csr=0x305, rs1="t0")  # mtvec
    code += asm("lui", rd="t0", upper=0x0200_C000) + asm("lw", rd="t1", rs1="t0", imm=-8 & 0xFFF)  # mtime
    code += asm("addi", rd="t1", rs1="t1", imm=2000) + asm("lui", rd="t0", upper=0x0200_4000)
    code += asm("sw", rs1="t0", rs2="t1", imm=0) + asm("sw", rs1="t0", rs2="zero", imm=4)  # mtimecmp
    code += li("t0", 0x80) + asm("csrrw", rd="zero", csr=0x304, rs1="t0")  # mie
    code += asm("csrrsi", rd="zero", csr=0x300, zimm=8) + asm("jal", rd="zero", offset=0)  # mstatus
    image = tmp_path / "Image"
    image.write_bytes(code.ljust(HANDLER, b"\0") + halting(0x5555, 0x10_0000))
    with Machine.load(read_kernel(image), "virt", tier=tier, hardware=Hardware(clock=clock)) as machine:
        assert machine.run(timeout=RUN_SECONDS).status == 0


HANDLER = 0x100


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RUN_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_typed_commands_through_a_pipe() -> None:
    read_end, write_end = os.pipe()
    port = Port()
    with open(read_end, "rb", buffering=0) as source, Machine.load(KERNEL, stdin=source, stdout=port) as machine:
        started = machine.start(timeout=RUN_SECONDS)
        wait_until(lambda: port.written.endswith(b"> "))
        os.write(write_end, b"echo typed\r")
        wait_until(lambda: port.written.endswith(b"\ntyped\n> "))
        os.write(write_end, b"halt 7\r")
        assert started.wait().status == 7
    os.close(write_end)


def test_a_guest_that_waits_for_ever_can_be_stopped() -> None:
    port = Port("")
    with Machine.load(KERNEL, stdin=port, stdout=port, hardware=Hardware(clock="host")) as machine:
        started = machine.start(timeout=RUN_SECONDS)
        threading.Timer(0.2, machine.stop).start()
        assert started.wait().reason is StopReason.REQUEST


def halting(command: int, finisher: int) -> bytes:
    """Code that stores the command to the finisher."""
    upper = command + 0x800 & 0xFFFF_F000
    words = [
        finisher | 0x2B7,  # lui t0
        upper | 0x337,  # lui t1
        (command - upper & 0xFFF) << 20 | 0x30313,  # addi t1, t1
        0x0062_A023,  # sw t1, 0(t0)
        0x0000_006F,  # j .
    ]
    return b"".join(word.to_bytes(4, "little") for word in words)


@pytest.mark.parametrize(("board", "finisher"), [("virt", 0x10_0000), ("mini", 0x1110_0000)])
def test_a_raw_kernel_starts_with_hart_and_tree(tmp_path: Path, board: str, finisher: int) -> None:
    image, initrd = tmp_path / "Image", tmp_path / "initrd"
    image.write_bytes(halting(0x5555, finisher))
    initrd.write_bytes(b"some files")
    hardware = Hardware(board=board, memory=16 << 20, initrd=initrd, append="console=ttyS0")
    with Machine.load(read_kernel(image), "virt", hardware=hardware) as machine:
        assert (machine.pc, machine.regs.a0) == (RAM, 0)
        tree = machine.memory.read(machine.regs.a1, 4096)
        assert tree[:4] == bytes((0xD0, 0x0D, 0xFE, 0xED))
        assert b"console=ttyS0\0" in tree
        assert machine.memory.read((machine.regs.a1 - 1) & -4096, 10) == b"some files"
        stop = machine.run(timeout=RUN_SECONDS)
    assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 0, 4)


TOHOST = RAM + 0x1000


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("number", "status"), [(0, 0), (7, 7), (0x100, 1)])
def test_a_test_program_ends_by_tohost(tier: str, number: int, status: int) -> None:
    code = asm("lui", rd="t0", upper=TOHOST) + asm("lui", rd="t1", upper=number << 1 & 0xFFFF_F000)
    code += asm("addi", rd="t1", rs1="t1", imm=number << 1 & 0xFFF | 1)
    code += asm("sw", rs1="t0", rs2="t1", imm=0) + asm("sw", rs1="t0", rs2="zero", imm=4)
    code += asm("jal", rd="zero", offset=-8 & 0x1F_FFFF)
    parts = [Part(RAM, code, flags=R | X), Part(TOHOST, size=8, flags=R | W)]
    port = Port()
    elf = build(parts, RAM, {"tohost": (TOHOST, 8, 1)})
    with Machine.load(elf, "virt", tier=tier, stderr=port) as machine:
        assert machine.run(timeout=RUN_SECONDS).status == status
        name = machine.program.name
    line = f"dynarec: {name}: test {number} failed (it ended with tohost)\n" if number else ""
    assert port.written.decode() == line


def test_a_device_tree_of_the_user(tmp_path: Path) -> None:
    image, initrd, blob = tmp_path / "Image", tmp_path / "initrd", tmp_path / "board.dtb"
    image.write_bytes(halting(0x5555, 0x10_0000))
    initrd.write_bytes(b"some files")
    memory = Node("memory@80000000", {"device_type": "memory", "reg": (0, RAM, 0, 1 << 30)})
    cells: dict[str, Property] = {"#address-cells": 2, "#size-cells": 2, "model": "of somebody else"}
    blob.write_bytes(encode(Tree(Node("", cells, [memory]), [(RAM, 4096)])))
    hardware = Hardware(memory=16 << 20, dtb=blob, initrd=initrd, append="console=ttyS0")
    with Machine.load(read_kernel(image), "virt", hardware=hardware) as machine:
        found = decode(machine.memory.read(machine.regs.a1, 4096))
        root = found.root
        assert (root.properties["model"], found.reserved) == (b"of somebody else\0", [(RAM, 4096)])
        assert root.children[0].properties["reg"] == b"".join(map(cell, (0, RAM, 0, 16 << 20)))
        chosen = root.child("chosen")
        assert chosen is not None
        start = machine.regs.a1 - 4096
        assert chosen.properties == {
            "bootargs": b"console=ttyS0\0", "linux,initrd-start": cell(start), "linux,initrd-end": cell(start + 10),
        }  # fmt: skip
        assert machine.memory.read(start, 10) == b"some files"


def cell(value: int) -> bytes:
    return value.to_bytes(4, "big")


@pytest.mark.parametrize("tier", TIERS)
def test_a_handler_that_traps_at_once_ends_the_run(tmp_path: Path, tier: str) -> None:
    image = tmp_path / "Image"
    image.write_bytes(bytes(4))
    with Machine.load(read_kernel(image), "virt", tier=tier) as machine:
        stop = machine.run(timeout=RUN_SECONDS)
    assert stop.trap is not None
    assert (stop.trap.kind, stop.pc) == (TrapKind.ACCESS, 0)


class Broken(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("tier", TIERS)
def test_an_exception_in_a_device_comes_out_and_the_machine_goes_on(tier: str) -> None:
    class Failing(Port):
        failures = 1

        def write(self, data: object) -> int:
            if self.failures:
                self.failures -= 1
                raise Broken
            return super().write(data)

    port = Failing("halt 5\r")
    with Machine.load(KERNEL, tier=tier, stdin=port, stdout=port) as machine:
        with pytest.raises(Broken):
            machine.run(timeout=RUN_SECONDS)
        assert machine.run(timeout=RUN_SECONDS).status == 5


@pytest.mark.parametrize(
    ("hardware", "text"),
    [
        (Hardware(board="toaster"), "unknown board"), (Hardware(clock="sun"), "unknown clock"),
        (Hardware(memory=5000), "5000 bytes of memory"), (Hardware(memory=4096), "outside the RAM"),
        (Hardware(dtb=Path("/nonexistent")), "cannot be read"), (Hardware(dtb=KERNEL), "kernel.elf: no device tree"),
    ],
)  # fmt: skip
def test_errors_are_one_line(hardware: Hardware, text: str) -> None:
    with pytest.raises(DynarecError, match=text) as caught:
        Machine.load(KERNEL, hardware=hardware)
    assert "\n" not in str(caught.value)


SEED = 6
PIECES = 25


def interrupted(tier: str, rng: random.Random) -> list[dict[str, int]]:
    """The registers after each of some runs of random length, with the timer falling due at random instructions."""
    seen = []
    port = Port("user\rtime\r" * 20)
    with Machine.load(KERNEL, tier=tier, hot=2, sync=True, stdin=port, stdout=port) as machine:
        machine.interrupts.set_clock(10_000_000, 1)  # a tick is an instruction
        machine.run(20_000)
        for _ in range(PIECES):
            timer = machine.guest.privileged.timer  # type: ignore[union-attr]
            machine.interrupts.set_deadline(machine.interrupts.ticks + rng.randrange(400), timer)
            machine.run(rng.randrange(1, 900))
            seen.append({name: machine.regs[name] for name in machine.regs})
    return seen


def test_interrupts_at_random_instructions() -> None:
    print(f"seed {SEED}")
    expected = interrupted("interp", random.Random(SEED))
    assert len({state["mepc"] for state in expected}) > 5
    for tier in TIERS[1:]:
        for number, (state, other) in enumerate(zip(expected, interrupted(tier, random.Random(SEED)), strict=True)):
            assert state == other, f"seed {SEED}: tier {tier} differs after piece {number}"
