"""A process that gave up turning its memory into code (PR_SET_MDWE of Linux 6.3, prctl(2)): two views still work.

`DYNAREC_NEEDS_MDWE` is set where the kernel must have it (.ci/amd64_kernel.py): there, nothing is skipped.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dynarec.core import policies, probe_policy
from tests.native.guests import EXIT, li, load

ROOT = Path(__file__).resolve().parents[2]
PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1
WITHOUT_EXEC_GAIN = ("dualmap",)
"""The policies whose pages are never writable and executable, nor executable when they were not from the start."""
REFUSAL = "Permission denied"
STATUS = 42
ANNOUNCEMENT = rf"dynarec: W\^X policy (\w+) instead of [^\n]*: {REFUSAL}\n"


def give_up_exec_gain() -> int:
    """For the whole process, for good. 0, or the error number."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = [ctypes.c_ulong(number) for number in (PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)]
    return ctypes.get_errno() if libc.prctl(PR_SET_MDWE, *numbers) else 0


def print_verdict(policy: str) -> None:
    """In a process of its own."""
    assert give_up_exec_gain() == 0
    print(probe_policy(policy))


def print_machine() -> None:
    """In a process of its own: what a machine does there that may choose."""
    assert give_up_exec_gain() == 0
    with load(li("a0", STATUS) + EXIT, tier="jit") as machine:
        print(machine.run().status, machine._core.policy)


def alone(call: str, said: str = "") -> str:
    """What a process prints that calls one of the functions above. said: pattern of its error output, as a whole."""
    command = [sys.executable, "-c", f"from {__name__} import *; {call}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 0
    assert re.fullmatch(said, done.stderr)
    return done.stdout.rstrip()


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    if os.environ.get("DYNAREC_NEEDS_MDWE"):
        return
    if not sys.platform.startswith("linux") or alone("print(give_up_exec_gain())") == str(errno.EINVAL):
        pytest.skip("not in this kernel: PR_SET_MDWE")


@pytest.mark.parametrize("policy", [name for name in policies() if probe_policy(name) is None])
def test_only_policies_without_exec_gain_work(policy: str) -> None:
    assert alone(f"print_verdict({policy!r})") == str(None if policy in WITHOUT_EXEC_GAIN else REFUSAL)


def test_auto_takes_one_of_them() -> None:
    status, policy = alone("print_machine()", said=ANNOUNCEMENT).split()
    assert int(status) == STATUS
    assert policy in WITHOUT_EXEC_GAIN
