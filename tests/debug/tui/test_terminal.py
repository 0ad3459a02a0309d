"""The interface in real terminals: a pseudo-terminal, and tmux."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debug.build import ELF, FOLDER
from tests.debug.tui.driving import ROMS
from tests.pseudo_terminal import on_terminal
from tests.tmux import Tmux

SECONDS = 60


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing is remembered yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    return tmp_path


def command(rom: Path, *options: str) -> list[str | Path]:
    return [sys.executable, "-m", "dynarec", "debug", rom, "--source", FOLDER, *options]


@pytest.mark.parametrize(("end", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_leave_the_terminal_as_it_was(home: Path, end: signal.Signals, status: int) -> None:
    with on_terminal(command(ELF), SECONDS) as session:
        session.expect(b"not started")
        session.process.send_signal(end)
        session.expect(b"\x1b[?1049l")
        assert session.ended() == status


def test_the_end_while_the_program_runs(home: Path) -> None:
    with on_terminal([*command(ROMS / "bench" / "crc32.elf"), "--", "100000000"], SECONDS) as session:
        session.expect(b"not started")
        session.type(b"run\r")
        session.expect(b"running")
        session.type(b"\x11")  # Ctrl-Q
        assert session.ended() == 0


def test_without_a_terminal() -> None:
    done = subprocess.run(command(ELF), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 125
    assert done.stderr == "dynarec: the debugger needs a terminal; --gdb and --dap do without\n"


def test_without_textual(home: Path) -> None:
    """A module of that name that cannot be imported stands in front of it."""
    (home / "textual.py").write_text("raise ModuleNotFoundError(\"No module named 'textual'\", name='textual')\n")
    environment = {**os.environ, "PYTHONPATH": str(home)}
    done = subprocess.run(command(ELF), env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1
    assert "needs textual: pip install 'dynarec[debug]'" in done.stderr


def test_a_program_that_cannot_be_loaded(home: Path) -> None:
    with on_terminal(command(home / "missing.elf"), SECONDS) as session:
        session.expect(b"missing.elf")
        assert session.ended() == 125


@pytest.fixture
def tmux(home: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    made = Tmux(home, command(ELF))
    yield made
    made.close()


def test_in_tmux(tmux: Tmux) -> None:
    tmux.expect("not started")
    tmux.keys("break add", "Enter")
    tmux.expect("Breakpoint 1 at")
    tmux.keys("run", "Enter")
    screen = tmux.expect("●▶0001000e")
    assert "1 Code" in screen.splitlines()[1]
    tmux.expect("add (a=1, b=2) at program.c:17")
    tmux.keys("Escape")
    tmux.expect("s Step")
    tmux.keys("n")
    tmux.expect("▶0001001c")
    tmux.keys("3")
    tmux.expect("#1  walk (")
    tmux.keys("q")
    assert "1 Code" not in tmux.expect("ended with 0")
