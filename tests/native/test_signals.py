"""Signals that are not the guest's: the handlers of others keep working, whichever came first."""

from __future__ import annotations

import mmap
import os
import signal
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


# Sent to the thread that runs generated code, which its handler must not take for a fault of the guest's.
SENT = (
    "import threading, time\n"
    "signal.signal(signal.{name}, lambda *_: print('handled', flush=True))\n"
    "code = asm('sw', rs1='s0', rs2='s1', imm=0) + asm('addi', rd='s1', rs1='s1', imm=1)\n"
    "with load(code + asm('jal', rd=0, offset=-8), tier='jit') as machine:\n"
    "    machine.regs.s0 = 0x20000\n"
    "    machine.run(1000)\n"
    "    run = machine.start()\n"
    "    for _ in range(5):\n"
    "        time.sleep(0.01)\n"
    "        signal.pthread_kill(machine._thread._thread.ident, signal.{name})\n"
    "    run.stop()\n"
    "    assert run.wait().reason is StopReason.REQUEST\n"
    "    done = machine.instructions\n"
    "    assert (machine.regs.s1, machine.pc) == ((done + 1) // 3, 0x10000 + 4 * (done % 3))\n"
)
KILLED = "guest_faults()\nprint('alive', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)\nprint('survived')"
# A handler that was there first and lets the instruction go on elsewhere, as write barriers do.
MENDS = """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
PAGE = os.sysconf("SC_PAGESIZE")
memory = libc.mmap(None, 8 * PAGE, 0, {private_anonymous}, -1, 0)
Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)
left = list(range(8))
mend = Handler(lambda number: libc.mprotect(memory + left.pop(0) * PAGE, PAGE, 3) and None)
libc.signal.restype = ctypes.c_void_p
libc.signal(int(signal.SIGSEGV), mend)
guest_faults()
libc.memset(memory, 1, 8 * PAGE)
assert left == []
"""


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


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGTRAP", "SIGBUS"])
def test_a_signal_that_was_sent_is_no_fault(name: str) -> None:
    done = python(SENT.format(name=name))
    assert (done.returncode, set(done.stdout.splitlines())) == (0, {"handled"}), done.stderr


@dies
def test_a_signal_that_was_sent_ends_the_process_as_ever() -> None:
    done = python(KILLED)
    assert (done.returncode, done.stdout) == (-signal.SIGSEGV, "alive\n")


@dies
@pytest.mark.skipif("DYNAREC_EMULATED" in os.environ, reason="not emulated: QEMU's own faults have other addresses")
def test_a_handler_that_mends_faults_is_asked_about_each() -> None:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    done = python(MENDS.format(private_anonymous=flags))
    assert done.returncode == 0, done.stderr
