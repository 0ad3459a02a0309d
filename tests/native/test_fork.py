"""A fork: the child has none of the parent's executable memory, and goes on with machines of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dynarec.core import policies, probe_policy

ROOT = Path(__file__).resolve().parents[2]
POLICIES = [name for name in policies() if probe_policy(name) is None]

CHILD_AND_PARENT = """
import os, sys
from dynarec import Machine
path, policy, tier = sys.argv[1:]

def sink():
    return open(os.devnull, "wb", 0)

with Machine.load(path, tier=tier, wx=policy, stdout=sink()) as machine:
    machine.run(instructions=2000)
    child = os.fork()
    stop = machine.run()
    os.write(1, f"{machine.stats().policy} {stop.status} {machine.instructions}\\n".encode())
    if child == 0:
        machine.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""

RUNNING = """
import os, sys
from dynarec import DynarecError, Machine
path, policy = sys.argv[1:]
with Machine.load(path, tier="jit", wx=policy) as machine:
    run = machine.start()
    child = os.fork()
    if child == 0:
        try:
            machine.run()
        except DynarecError as error:
            print(error, flush=True)
        assert machine.stats().policy == policy
        with Machine.load(path, tier="jit", wx=policy) as other:
            print(other.run(instructions=1000).instructions, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    machine.stop()
    print(run.wait().reason.value)
"""

SAMPLED = """
import os, signal, sys
from dynarec import Machine
from dynarec.inspect.recorder import Recorder
FORKS, PATIENCE = 400, 20
with Machine.load(sys.argv[1], tier="jit") as machine:
    recorder = Recorder(machine, sampling=1e-6)
    run = machine.start()
    for _ in range(FORKS):
        child = os.fork()
        if child == 0:
            signal.alarm(PATIENCE)
            machine.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    machine.stop()
    print(run.wait().reason.value)
"""


def python(script: str, *arguments: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


@pytest.mark.parametrize("tier", ["jit", "auto", "interp"])
@pytest.mark.parametrize("policy", POLICIES)
def test_child_and_parent_go_on_with_the_same_machine(policy: str, tier: str) -> None:
    expected = f"{'none' if tier == 'interp' else policy} 0 3477"
    assert python(CHILD_AND_PARENT, ROOT / "roms" / "hello.elf", policy, tier) == [expected, expected]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_machine_that_was_running_says_so(policy: str, tmp_path: Path) -> None:
    from tests.test_machine import LOOP, program

    path = tmp_path / "loop.elf"
    path.write_bytes(program(LOOP))
    assert python(RUNNING, path, policy) == [
        "the machine was running when this process was forked: load the program again",
        "1000",
        "request",
    ]


@pytest.mark.parametrize(
    "change", ["machine.memory.write(machine.pc, b'\\x13\\0\\0\\0')", "machine.run(10, until=machine.pc + 8)"]
)
def test_the_child_may_change_code_first(change: str) -> None:
    script = CHILD_AND_PARENT.replace(
        "    stop = machine.run()\n", f"    if child == 0: {change}\n    stop = machine.run()\n"
    )
    child, parent = sorted(python(script, ROOT / "roms" / "hello.elf", POLICIES[0], "jit"), key=len)
    assert parent.startswith(POLICIES[0])
    assert child.startswith(POLICIES[0])


def test_a_sampler_leaves_no_lock_to_the_child(tmp_path: Path) -> None:
    from tests.test_machine import LOOP, program

    path = tmp_path / "loop.elf"
    path.write_bytes(program(LOOP))
    assert python(SAMPLED, path) == ["request"]
