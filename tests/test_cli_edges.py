"""The command line where things are unusual: huge limits, closed streams, deaths outside of the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_cli import dynarec, one_line
from tests.test_machine import A0, A7, CODE, ECALL, HELLO, SP, T0, ZERO, addi, exit_with, lui, program

A1, A2 = 11, 12
READ, EXIT = 63, 93
EBADF = 9
NOWHERE = 0x5000_0000
NEGATE_A0 = 0x40A0_0533
JUMP_T0 = 0x0002_8067


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    return tmp_path / "prog.elf"


@pytest.mark.parametrize("tier", ["auto", "jit", "interp"])
@pytest.mark.parametrize("limit", [("--max-instructions", "9" * 30), ("--timeout", "1e300")])
def test_limits_that_nothing_reaches(tier: str, limit: tuple[str, str]) -> None:
    done = dynarec("run", HELLO, "--tier", tier, *limit)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--root", "--screenshot", "--stats-json"])
def test_empty_names(option: str) -> None:
    done = dynarec("run", HELLO, option, "")
    assert done.returncode == 125
    assert done.stderr == f"dynarec run: argument {option}: the name is empty; see dynarec run --help\n"


def test_a_death_outside_of_the_program_names_no_symbol(rom: Path) -> None:
    rom.write_bytes(program(lui(T0, NOWHERE >> 12), JUMP_T0, symbols={"main": CODE, "end": CODE + 8}))
    line = one_line(dynarec("run", rom), 139)
    assert line == "dynarec: prog.elf: instruction access fault at 0x50000000, address 0x50000000\n"


def test_closed_input_is_closed_for_the_program(rom: Path) -> None:
    """And is not some descriptor of dynarec's own, which has got the number 0."""
    call = (addi(A0, ZERO, 0), addi(A1, SP, 0), addi(A2, ZERO, 1), addi(A7, ZERO, READ), ECALL)
    rom.write_bytes(program(*call, NEGATE_A0, addi(A7, ZERO, EXIT), ECALL))
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m dynarec run "$1" <&-', sys.executable, rom],
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (EBADF, b"")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_output_changes_no_status(redirection: str) -> None:
    command = f'exec "$0" -m dynarec doctor {redirection}'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_output_of_a_rom_with_closed_streams_goes_nowhere() -> None:
    script = (
        "import os\n"
        "from dynarec.machine.console import Output\n"
        "receive, send = os.pipe()\n"
        "assert send == 1 or receive == 1\n"
        "complaints = []\n"
        "Output(None, 1, complaints.append).write(b'lost')\n"
        "os._exit(len(complaints))\n"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, script], stderr=subprocess.PIPE, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")


def test_exit_status_of_a_limit_is_not_the_programs(rom: Path) -> None:
    """The last instruction that fits is the system call that exits."""
    rom.write_bytes(program(*exit_with(3)))
    assert dynarec("run", rom, "--max-instructions", "3").returncode == 3
    assert dynarec("run", rom, "--max-instructions", "2").returncode == 124
