"""Running a process and measuring it: processor time, wall time, peak resident size."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dynarec.bench.programs import BenchProgram
from dynarec.errors import DynarecError

CLOCK_TICK = 1e-6
"""Seconds: the resolution of wait4's processor times. A shorter time counts as this much, so that ratios exist."""
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of ru_maxrss (getrusage(2))."""

# Linux counts the memory of the process that starts another to the new one's peak (setmax_mm_hiwater_rss in exec), so a
# small process must stand in between.
PEAK_LAUNCHER = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


class WrongResult(DynarecError):  # noqa: N818
    """A benchmark program that did not print what it must, and who ran it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished process. status: negative for a signal. cpu_seconds: user and system time of all its threads."""

    status: int
    output: bytes
    errors: str
    cpu_seconds: float
    wall_seconds: float


def run(command: Sequence[str | Path]) -> Run:
    """Run a command to its end, without input. Raises DynarecError when it cannot be started."""
    with tempfile.TemporaryFile() as errors:
        since = time.perf_counter()
        process = _start(command, errors.fileno())
        assert process.stdout is not None
        try:
            with process.stdout:
                output = process.stdout.read()
            _, wait_status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - since
        process.returncode = os.waitstatus_to_exitcode(wait_status)
        errors.seek(0)
        cpu = max(usage.ru_utime + usage.ru_stime, CLOCK_TICK)
        return Run(process.returncode, output, errors.read().decode(errors="replace"), cpu, wall)


def run_checked(program: BenchProgram, who: str, command: Sequence[str | Path]) -> Run:
    """As `run`, for a benchmark program run by `who`. Raises WrongResult unless it prints what it must."""
    done = run(command)
    if done.status != 0:
        raise WrongResult(f"{program.name}: {who} ended with status {done.status}: {last_line(done.errors)}")
    if done.output != program.output:
        printed, expected = (text.decode(errors="replace").strip() for text in (done.output, program.output))
        raise WrongResult(f"{program.name}: {who} printed {printed!r} and not {expected!r}")
    return done


def peak_bytes(command: Sequence[str | Path]) -> int:
    """The peak resident size of a command. Raises DynarecError when the command fails."""
    done = run([sys.executable, "-I", "-S", "-c", PEAK_LAUNCHER, *command])
    if done.status != 0:
        raise DynarecError(f"cannot measure {shlex.join(map(str, command))}: {last_line(done.errors)}")
    status, peak = map(int, done.output.split())
    if status != 0:
        raise DynarecError(f"{shlex.join(map(str, command))} ended with status {status}: {last_line(done.errors)}")
    return peak * MAXRSS_UNIT


def last_line(text: str) -> str:
    """What a process said at last, which is mostly why it failed."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _start(command: Sequence[str | Path], errors: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
    except OSError as error:
        raise DynarecError(f"cannot run {command[0]}: {error.strerror}") from error
