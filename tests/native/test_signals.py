"""Signals that are not the guest's: the handlers of others keep working, whichever came first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import ctypes, faulthandler, os, signal, sys
from dynarec import StopReason
from tests.native.guests import asm, li, load

def guest_faults():
    with load(asm("lw", rd="a0", rs1="zero", imm=0), tier="jit") as machine:
        stop = machine.run()
        assert (stop.reason, stop.status) == (StopReason.TRAP, 139), stop

def die():
    print("alive", flush=True)
    ctypes.string_at(8)

{body}
"""
BEFORE = "faulthandler.enable()\nguest_faults()\ndie()"
BEHIND = "guest_faults()\nfaulthandler.enable()\nguest_faults()\nguest_faults()\ndie()"
BETWEEN = (
    "machine = load(asm('lw', rd='a0', rs1='zero', imm=0), tier='jit')\n"
    "faulthandler.enable()\n"
    "assert machine.run().status == 139\n"
    "faulthandler.disable()\n"
    "guest_faults()\n"
    "faulthandler.enable()\n"
    "guest_faults()\n"
    "die()"
)
NONE = "guest_faults()\ndie()"
IN_PYTHON = (
    "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n"
    "guest_faults()\n"
    "signal.raise_signal(signal.SIGUSR1)"
)


dies = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="not under a sanitizer, which ends the process itself"
)


def python(body: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT.format(body=body)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


@dies
@pytest.mark.parametrize("body", [BEFORE, BEHIND, BETWEEN], ids=["before", "behind", "between"])
def test_faulthandler_sees_the_faults_of_others_and_no_guests(body: str) -> None:
    done = python(body)
    assert done.stdout == "alive\n"
    assert done.returncode == -11
    assert done.stderr.count("Fatal Python error: Segmentation fault") == 1


@dies
def test_without_other_handlers_the_process_dies_of_its_own_fault() -> None:
    done = python(NONE)
    assert (done.stdout, done.returncode) == ("alive\n", -11)
    assert "Python" not in done.stderr


def test_handlers_in_python() -> None:
    done = python(IN_PYTHON)
    assert (done.stdout, done.stderr, done.returncode) == ("handled\n", "", 0)
