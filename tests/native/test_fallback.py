"""What "auto" does where the first policies do not work: it says so in one line, and goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dynarec import loading
from dynarec.core import ELSEWHERE, is_automatic, passed_over, policies, probe_policy
from dynarec.errors import DynarecError
from tests.native.guests import EXIT, li, load

ROOT = Path(__file__).resolve().parents[2]
AUTOMATIC = [name for name in policies() if is_automatic(name)]


def test_auto_takes_the_first_that_works() -> None:
    with load(li("a0", 3) + EXIT, wx="auto") as machine:
        assert machine.run().status == 3
        assert machine.stats().policy == next(name for name in AUTOMATIC if probe_policy(name) is None)


def test_the_model_for_tests_is_never_taken() -> None:
    assert not is_automatic("split")


def test_a_policy_that_should_work_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    loading._announce_fallback("dualmap")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in lines] == [
        f" W^X policy dualmap instead of {name}" for name in passed_over("dualmap")
    ]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for Linux: PR_SET_MDWE")
def test_fallback_of_a_whole_run() -> None:
    """Memory that was written may not become executable in this process (prctl(2), PR_SET_MDWE)."""
    script = (
        "import ctypes, sys\n"
        "refused = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)\n"
        "from dynarec.cli import main\n"
        "print('refused' if refused else 'set', flush=True)\n"
        "sys.exit(main(['run', 'roms/hello.elf', '--tier', 'jit']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    lines = done.stdout.splitlines()
    if lines[0] == "refused":
        pytest.skip("not in this kernel: PR_SET_MDWE")
    assert (done.returncode, lines[1]) == (0, "Hello from a RISC-V program of 32 bits")
    assert done.stderr == "dynarec: W^X policy dualmap instead of mprotect: Permission denied\n"


@pytest.mark.parametrize("name", sorted(ELSEWHERE.keys() - set(policies())))
def test_a_policy_of_another_system(name: str) -> None:
    with pytest.raises(DynarecError, match=f"W\\^X policy {name} is for {ELSEWHERE[name]}; here is "):
        load(EXIT, wx=name)
