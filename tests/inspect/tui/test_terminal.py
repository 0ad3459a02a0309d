"""The inspector in real terminals: a pseudo-terminal, and tmux."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.errors import DynarecError
from dynarec.inspect import dump
from dynarec.inspect.tui import run
from tests.inspect.recordings import full
from tests.inspect.tui.test_live import Growing
from tests.pseudo_terminal import on_terminal
from tests.test_machine import ROMS
from tests.tmux import Tmux

SECONDS = 60
INSPECT = [sys.executable, "-m", "dynarec", "inspect"]


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dump."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    path = tmp_path / "a.dump"
    dump.write(full(), path)
    return path


@pytest.mark.parametrize(("end", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_leave_the_terminal_as_it_was(recording: Path, end: signal.Signals, status: int) -> None:
    with on_terminal([*INSPECT, recording], SECONDS) as session:
        session.expect(b"5 dead")
        session.process.send_signal(end)
        session.expect(b"\x1b[?1049l")
        assert session.ended() == status


def test_the_end_while_the_program_runs(recording: Path) -> None:
    with on_terminal([*INSPECT, ROMS / "bench" / "crc32.elf", "--", "100000000"], SECONDS) as session:
        session.expect(b"live")
        session.type(b"q")
        assert session.ended() == 0


def test_without_a_terminal(recording: Path) -> None:
    """The command does without; the inspector itself says what it needs."""
    source = Growing()
    with pytest.raises(DynarecError, match="the inspector needs a terminal"):
        run(source)
    assert source.is_closed
    done = subprocess.run([*INSPECT, recording], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    assert done.returncode == 0
    assert b"hello.elf" in done.stdout


@pytest.fixture
def tmux(recording: Path, tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    made = Tmux(tmp_path, [*INSPECT, recording])
    yield made
    made.close()


def test_in_tmux(tmux: Tmux) -> None:
    screen = tmux.expect("5 dead")
    assert screen.splitlines()[1] == " 1 Units 2 Guest 3 IR 4 Host 5 Links 6 Cache 7 Time 8 Events 9 Hints 0 Compare"
    tmux.keys("4")
    tmux.expect("head")
    tmux.keys("3", "]")
    tmux.expect("lifted")
    tmux.keys("6")
    tmux.expect("┃")
    tmux.keys("/")
    tmux.keys("dead", "Enter")
    tmux.expect("5 of ")
    tmux.keys("?")
    tmux.expect("light or dark")
    tmux.expect("[ and ]")
    tmux.keys("q", "8")
    tmux.expect("install")
    tmux.keys("q")
    tmux.expect("ended with 0")
