"""Guest memory at its limits: pages without some permission, a host without room, other threads that read."""

from __future__ import annotations

import ctypes
import gc
import io
import mmap
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynarec.engine import Machine, StopReason
from dynarec.errors import DynarecError, GuestMemoryError
from dynarec.machine.base import Access
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui

TIERS = ("interp", "jit", "auto")
READ_WRITE = Access.READ | Access.WRITE
FAR = CODE + 0x4000
PATIENCE = 20
"""Seconds until a thread has ended."""
MOST_MAPS = 80_000
"""More than vm.max_map_count of ordinary Linux."""

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux") or "DYNAREC_EMULATED" in os.environ, reason="for Linux: vm.max_map_count"
)
plain = pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="not under a sanitizer, which needs maps itself")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("access", [Access.EXECUTE, Access.WRITE, Access.NONE])
def test_pages_that_may_not_be_read_are_not_read(tier: str, access: Access) -> None:
    with load(lui("s0", DATA) + asm("lw", rd="a0", rs1="s0", imm=0) + EXIT, tier=tier) as machine:
        machine.memory.protect(DATA, PAGE, access)
        stop = machine.run()
        assert stop.trap is not None
        assert (stop.trap.name, stop.trap.value) == ("load access fault", DATA)


@pytest.mark.parametrize("tier", TIERS)
def test_code_that_may_only_be_executed_runs(tier: str) -> None:
    with load(li("a0", 7) + EXIT, tier=tier) as machine:
        machine.memory.protect(CODE, PAGE, Access.EXECUTE)
        assert machine.run().status == 7


@pytest.mark.parametrize("tier", TIERS)
def test_an_instruction_whose_second_half_comes_later_is_what_it_is_at_the_time(tier: str) -> None:
    start, end = CODE + PAGE - 6, CODE + PAGE
    with load(bytes(PAGE - 6) + li("a1", 5) + li("a0", 1)[:2], tier=tier) as machine:
        machine.pc = start
        stop = machine.run()
        assert stop.trap is not None
        assert (stop.trap.name, stop.trap.value, stop.pc) == ("instruction access fault", end, end - 2)
        machine.memory.map(end, PAGE, READ_WRITE | Access.EXECUTE)
        for number in (2, 3, 4):
            machine.memory.write(end, li("a0", number)[2:])
            machine.pc = start
            machine.run(2)
            assert (machine.regs.a0, machine.pc) == (number, end + 2)


def test_another_thread_may_read_what_comes_and_goes() -> None:
    """The guest maps and unmaps in a loop."""
    at, size = 0x2000_0000, 0x40_0000

    def call(number: int) -> bytes:
        return li("a7", number) + asm("ecall")

    region = lui("a0", at) + lui("a1", size)
    body = region + li("a2", 3) + li("a3", 0x32) + li("a4", -1) + li("a5", 0) + call(222) + region + call(215)
    with load(body + asm("jal", rd=0, offset=-len(body)), tier="jit") as machine:
        run = machine.start()
        seen = set()
        for _ in range(2000):
            try:
                seen.add(len(machine.memory.read(at, size)))
            except DynarecError:
                seen.add(0)
        run.stop()
        assert run.wait().reason is StopReason.REQUEST
        assert seen <= {0, size}


# -- a host that has no room for more maps ----------------------------------------------------------------------------


@contextmanager
def no_more_maps() -> Iterator[None]:
    """This process has used up its maps: pages that alternate are one each."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    page = os.sysconf("SC_PAGESIZE")
    with mmap.mmap(-1, MOST_MAPS * page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        pages = range(start, start + MOST_MAPS * page, 2 * page)
        if all(libc.mprotect(at, page, mmap.PROT_READ) == 0 for at in pages):
            pytest.skip("this system has room for more maps than the test uses up")
        try:
            yield
        finally:
            libc.mprotect(start, MOST_MAPS * page, mmap.PROT_READ | mmap.PROT_WRITE)


def far_machine(code: bytes) -> Machine:
    """Code that jumps to `code`, which is far enough away to be a map of its own; two instructions have been run."""
    start = li("t0", 1) + asm("jalr", rd=0, rs1="s0", imm=0)
    parts = [Part(CODE, start, flags=R | W | X), Part(FAR, code.ljust(0x3000, b"\0"), flags=R | W | X)]
    machine = Machine.load(build(parts, entry=CODE), tier="jit")
    machine.regs.s0 = FAR + PAGE
    machine.memory.write(FAR + PAGE, code)
    machine.run(2)
    return machine


@linux
@plain
def test_an_install_that_fails_leaves_nothing_behind() -> None:
    store = asm("sw", rs1="s0", rs2="s1", imm=0)
    round_ = asm("addi", rd="a0", rs1="a0", imm=1) + store + asm("addi", rd="s3", rs1="s3", imm=-1)
    with far_machine(round_ + asm("bne", rs1="s3", rs2="zero", offset=-12) + EXIT) as machine:
        machine.regs.s3 = 10
        machine.regs.s1 = int.from_bytes(asm("addi", rd="a0", rs1="a0", imm=5), "little")
        with no_more_maps(), pytest.raises(DynarecError):
            machine.run()
        assert machine.run().status == 46


@linux
@plain
def test_what_cannot_be_mapped_stays_as_it_was() -> None:
    with load(EXIT) as machine:
        machine.memory.map(0x4000_0000, 0x10000, READ_WRITE)
        machine.memory.write(0x4000_4000, b"secret")
        with no_more_maps():
            with pytest.raises(GuestMemoryError):
                machine.memory.map(0x4000_4000, PAGE, READ_WRITE)
            with pytest.raises(GuestMemoryError):
                machine.memory.protect(0x4000_4000, PAGE, Access.READ)
            assert machine.memory.read(0x4000_4000, 6) == b"secret"
        machine.memory.write(0x4000_4000, b"public", checked=True)


@linux
@plain
@pytest.mark.parametrize("tier", TIERS)
def test_a_guest_that_asks_for_more_than_there_is_gets_an_error(tier: str) -> None:
    """mprotect of a page of data, in a process that has no room for it: -ENOMEM."""
    call = lui("a0", 0x4000_0000 + PAGE) + lui("a1", PAGE) + li("a2", 1) + li("a7", 226) + asm("ecall")
    with load(call + asm("sub", rd="a0", rs1="zero", rs2="a0") + EXIT, tier=tier) as machine:
        machine.memory.map(0x4000_0000, 3 * PAGE, READ_WRITE)
        machine.run(4)
        with no_more_maps():
            machine.run(1)
        assert machine.run().status == 12


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [{"timeout": -1}, {"timeout": float("nan")}, {"until": -1}, {"until": 1 << 32}, {"instructions": -1}]
)
def test_impossible_limits_are_refused_before_the_run(arguments: dict[str, float]) -> None:
    before = set(threading.enumerate())
    with load(asm("jal", rd=0, offset=0)) as machine:
        with pytest.raises(ValueError, match="a run "):
            machine.run(**arguments)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            machine.run(timeout="5")  # type: ignore[arg-type]
        assert machine.run(10).instructions == 10
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("dynarec"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name


def test_machines_that_are_dropped_in_a_cycle_take_their_core_along() -> None:
    kernel = Path(__file__).parents[2] / "roms" / "kernel.elf"
    for _ in range(20):
        machine = Machine.load(kernel, stdin=io.BytesIO(b"time\r"), stdout=io.BytesIO())
        machine.run(30_000)
        machine.myself = machine  # type: ignore[attr-defined]
        del machine
    gc.collect()
    with Machine.load(kernel, stdin=io.BytesIO(b"halt 3\r"), stdout=io.BytesIO()) as machine:
        assert machine.run().status == 3
