"""Protection keys (pkeys(7)): the rights of each thread, looked at and tried from outside of the core.

A thread inherits its rights from the thread that starts it; threads that are older than the key have none.
`DYNAREC_NEEDS_PKEY` is set where the processor must have keys (.ci/amd64_kernel.py): there, nothing is skipped.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynarec._native import ffi, lib
from dynarec.core import policies, probe_policy
from dynarec.engine import Machine, StopReason
from tests.native.guests import DATA, EXIT, PAGE, asm, li, load, lui, registers

ROOT = Path(__file__).resolve().parents[2]
LIBC = ctypes.CDLL(None, use_errno=True)
ALL, NO_ACCESS, NO_WRITE = 0, 1, 2
"""Rights, as pkey_get(3) tells them."""
TRAP_ACCESS = 139
HEAD = 16
"""Bytes of code that are compared."""


def missing() -> str | None:
    """What protection keys lack here; None: they work."""
    if "pkey" not in policies():
        return "no policy was built that uses protection keys"
    key = LIBC.pkey_alloc(0, 0)
    if key < 0:
        return f"pkey_alloc says {os.strerror(ctypes.get_errno())!r}"
    LIBC.pkey_free(key)
    return None


MISSING = None if os.environ.get("DYNAREC_NEEDS_PKEY") else missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"not on this processor: {MISSING}")

LOOP = (
    li("t0", 40)
    + asm("addi", rd="t1", rs1="t1", imm=3)
    + asm("addi", rd="t0", rs1="t0", imm=-1)
    + asm("bne", rs1="t0", rs2="zero", offset=-8)
    + EXIT
)
ENDLESS = asm("addi", rd="t1", rs1="t1", imm=1) + asm("jal", rd=0, offset=-4)
OFF_THE_PAGE = lui("s6", DATA) + asm("sw", rs1="s6", rs2="s6", imm=0) + asm("addi", rd="s6", rs1="s6", imm=4)
OFF_THE_PAGE += asm("jal", rd=0, offset=-8)


@dataclass(frozen=True, slots=True)
class Region:
    """A mapping of this process that has a protection key. permissions: those in the page tables."""

    start: int
    end: int
    permissions: str
    key: int


def regions() -> list[Region]:
    """All of them, from /proc/self/smaps (proc(5))."""
    found = []
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *values = line.split()
        if not name.endswith(":"):
            start, end = (int(number, 16) for number in name.split("-"))
            permissions = values[0]
        elif name == "ProtectionKey:" and int(values[0]):
            found.append(Region(start, end, permissions, int(values[0])))
    return found


def the_region() -> Region:
    (region,) = regions()
    return region


Do = Callable[[Callable[[], int]], int]


def new_thread() -> Do:
    """Has functions called by one thread, which is started now."""
    pool = ThreadPoolExecutor(1)
    pool.submit(int).result()
    return lambda function: pool.submit(function).result()


def owner_of(machine: Machine) -> Do:
    """Has functions called by the thread that installs code and runs the guest."""
    return lambda function: machine._thread.post(function).wait(machine.stop)


def write(address: int) -> Callable[[], int]:
    return lambda: int(ctypes.memset(address, 0, 1) is not None)


# -- in processes of their own, where it is known which thread is older than the key -----------------------------------


def alone(function: Callable[..., None], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Has a process call one of the functions below."""
    call = f"from {__name__} import {function.__name__} as call; call(*{arguments!r})"
    command = [sys.executable, "-c", call]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def intrude(who: str) -> None:
    """That thread writes to the region, and this process is no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    older = new_thread()
    with load(LOOP, tier="jit", wx="pkey") as machine:
        machine.run()
        threads = {"older": older, "younger": new_thread(), "owner": owner_of(machine)}
        address = the_region().start
        print(f"{who} writes", flush=True)
        threads[who](write(address))
        print(f"{who} has written", flush=True)


def intrude_while_another_may() -> None:
    """One thread may write, for as long as it likes; another tries to."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with load(LOOP, tier="jit", wx="pkey") as machine:
        machine.run()
        writer, other = new_thread(), new_thread()
        region = the_region()
        writer(lambda: int(LIBC.pkey_set(region.key, ALL)))
        writer(write(region.end - 1))
        print("one has written", flush=True)
        other(write(region.end - 1))
        print("another has written", flush=True)


def print_rights() -> None:
    """Those of all threads, before and after one of them may write."""
    older = new_thread()
    with load(LOOP, tier="jit", wx="pkey") as machine:
        machine.run()
        key = the_region().key
        threads = [older, new_thread(), owner_of(machine), new_thread()]
        print([do(lambda: int(LIBC.pkey_get(key))) for do in threads])
        threads[-1](lambda: int(LIBC.pkey_set(key, ALL)))
        print([do(lambda: int(LIBC.pkey_get(key))) for do in threads])


def use_from_an_older_thread() -> None:
    """It has no right to the key, reads code, and has a machine of its own that installs, runs and faults."""
    older = new_thread()
    with load(LOOP, tier="jit", wx="pkey") as machine:
        machine.run()
        region = the_region()
        print(older(lambda: int(LIBC.pkey_get(region.key))))
        print(older(status_of_a_fault))
        code = ffi.new("uint8_t[]", HEAD)
        print(older(lambda: int(lib.dr_read_code(machine._core.pointer, 0, code, HEAD))))
        print(bytes(code) == ctypes.string_at(region.start, HEAD))


def status_of_a_fault() -> int:
    """Status of a guest that leaves its memory in translated code."""
    with load(OFF_THE_PAGE, tier="jit", wx="pkey") as machine:
        stop = machine.run()
        assert stop.trap is not None
        assert stop.trap.value == DATA + PAGE
        return stop.status or 0


# -- the tests -------------------------------------------------------------------------------------------------------


def test_the_policy_works_and_is_the_strictest() -> None:
    assert probe_policy("pkey") is None
    with load(LOOP, tier="jit") as machine:
        assert machine._core.policy == "pkey"


@pytest.mark.parametrize("who", ["older", "younger", "owner"])
def test_a_write_outside_of_a_batch_kills(who: str) -> None:
    done = alone(intrude, who)
    assert (done.stdout, done.stderr) == (f"{who} writes\n", "")
    assert done.returncode == -signal.SIGSEGV


def test_a_thread_that_may_write_helps_no_other() -> None:
    done = alone(intrude_while_another_may)
    assert (done.stdout, done.stderr) == ("one has written\n", "")
    assert done.returncode == -signal.SIGSEGV


def test_rights_are_those_of_a_thread() -> None:
    done = alone(print_rights)
    before = [NO_ACCESS, NO_WRITE, NO_WRITE, NO_WRITE]
    assert (done.stdout.splitlines(), done.stderr) == ([str(before), str([*before[:-1], ALL])], "")


def test_to_the_page_tables_the_region_may_be_written() -> None:
    """So what kills is the key. The region is one, however many machines there are."""
    with load(LOOP, tier="jit", wx="pkey"), load(LOOP, tier="jit", wx="pkey"):
        assert the_region().permissions == "rwxp"


def test_a_thread_that_may_not_write_runs_code() -> None:
    with load(LOOP, tier="jit", wx="pkey") as machine, load(LOOP, tier="interp") as expected:
        key = the_region().key
        owner = owner_of(machine)
        assert owner(lambda: int(LIBC.pkey_get(key))) == NO_WRITE
        assert machine.run().status == expected.run().status
        assert owner(lambda: int(LIBC.pkey_get(key))) == NO_WRITE
        assert registers(machine) == registers(expected)
        assert machine.stats().toggles > 0
        assert machine.stats().interpreted == 0


def test_a_thread_that_may_not_even_read_runs_code() -> None:
    with load(ENDLESS, tier="jit", wx="pkey") as machine:
        machine.run(1000)
        key, owner = the_region().key, owner_of(machine)
        installed, counted = machine.stats().toggles, machine.regs.t1
        assert owner(lambda: int(LIBC.pkey_set(key, NO_ACCESS))) == 0
        assert machine.run(1000).reason is StopReason.BUDGET
        assert machine.stats().toggles == installed
        assert machine.regs.t1 == counted + 500
        assert owner(lambda: int(LIBC.pkey_get(key))) == NO_ACCESS


def test_a_thread_older_than_the_key_can_use_the_region() -> None:
    done = alone(use_from_an_older_thread)
    assert (done.stdout.split(), done.stderr) == ([str(NO_ACCESS), str(TRAP_ACCESS), "0", "True"], "")
