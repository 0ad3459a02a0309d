"""Where executable memory is: one region for each scheme, and of two views the writable one is out of reach."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dynarec._native import ffi
from dynarec.core import policies, probe_policy
from dynarec.engine import Machine
from tests.native.guests import CODE, asm, load, lui

ROOT = Path(__file__).resolve().parents[2]
POLICIES = [name for name in policies() if probe_policy(name) is None]
FUNCTION = CODE + 0x100
REGION = 1 << 30
CALLS = (
    lui("s2", FUNCTION & ~0xFFF)
    + asm("addi", rd="s2", rs1="s2", imm=FUNCTION & 0xFFF)
    + asm("jalr", rd="ra", rs1="s2", imm=0)
    + asm("jal", rd=0, offset=-4)
)
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for Linux: /proc")


def calling(policy: str) -> Machine:
    """A machine that calls a function through a register, so that its table of entries is in use."""
    machine = load(CALLS.ljust(FUNCTION - CODE, b"\0") + asm("jalr", rd=0, rs1="ra", imm=0), tier="jit", wx=policy)
    machine.run(1000)
    return machine


def entries(machine: Machine) -> list[int]:
    """Addresses where units begin."""
    return [int(ffi.cast("uintptr_t", slot.entry)) for slot in machine._core.cpu.jumps if slot.entry != ffi.NULL]


def views() -> dict[str, list[range]]:
    """The views of the pages that two-view machines share, by permissions: one of each kind for each region.

    A process has one region, and a second one once a machine asked for landing pads.
    """
    found: dict[str, list[range]] = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        match = re.fullmatch(r"([0-9a-f]+)-([0-9a-f]+) (\S+) .*memfd:dynarec.*", line)
        if match:
            found.setdefault(match[3], []).append(range(int(match[1], 16), int(match[2], 16)))
    return found


def words(core: Any) -> set[int]:
    """Every aligned 64-bit word of the CPU state."""
    return set(memoryview(ffi.buffer(core.cpu)).cast("B").cast("Q"))


@pytest.mark.parametrize("policy", POLICIES)
def test_machines_share_a_region(policy: str) -> None:
    with calling(policy) as one, calling(policy) as two:
        first, second = entries(one), entries(two)
        assert first
        assert second
        assert not set(first) & set(second)
        assert max(first + second) - min(first + second) < REGION


@on_linux
def test_nothing_of_the_cpu_state_leads_to_the_writable_view() -> None:
    with calling("dualmap") as machine:
        found = views()
        assert set(found) == {"rw-s", "r-xs"}
        writable, executable = found["rw-s"], found["r-xs"]
        assert len(writable) == len(executable)
        assert entries(machine)
        assert any(all(entry in view for entry in entries(machine)) for view in executable)
        assert not any(word in view for word in words(machine._core) for view in writable)


@on_linux
def test_the_writable_view_is_elsewhere_in_each_process() -> None:
    script = (
        "from tests.native.test_regions import calling, views\n"
        "machine = calling('dualmap')\n"
        "found = views()\n"
        "print(found['rw-s'][0].start - found['r-xs'][0].start)\n"
    )
    command = [sys.executable, "-c", script]
    distances = {subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout for _ in range(3)}
    assert len(distances) == 3


def test_no_signal_handler_runs_on_the_cpu_thread() -> None:
    """Only what the thread does itself is delivered there: faults."""
    with calling(POLICIES[0]) as machine:
        job = machine._thread.post(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        blocked = job.wait(machine.stop)
    assert blocked >= {signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1, signal.SIGCHLD}
    assert not blocked & {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
