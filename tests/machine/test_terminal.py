"""The terminal of machine virt: keys go to the guest, Ctrl-A x leaves, and the terminal is as it was before."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.machine.terminal import EscapeFilter

KERNEL = Path(__file__).parents[2] / "roms" / "kernel.elf"
SECONDS = 30


def test_the_escape_key() -> None:
    left: list[bool] = []
    shown: list[bytes] = []
    keys = EscapeFilter(lambda: left.append(True), shown.append)
    assert keys(b"ab\x01") == b"ab"
    assert keys(b"h\x01\x01c") == b"\x01c"
    assert (len(shown), left) == (1, [])
    assert keys(b"\x01xyz") == b"yz"
    assert left == [True]


class Session:
    """The kernel on a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dynarec", "run", KERNEL], stdin=self.slave, stdout=self.slave, stderr=self.slave
        )
        self.output = b""
        os.set_blocking(self.master, False)

    def expect(self, text: bytes) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            try:
                self.output += os.read(self.master, 4096)
            except BlockingIOError:
                time.sleep(0.01)
        self.output = self.output.partition(text)[2]

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ended(self) -> int:
        """The exit status; the terminal must be as it was."""
        status = self.process.wait(SECONDS)
        assert termios.tcgetattr(self.slave) == self.before
        return status


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.master)
    os.close(made.slave)


def test_typed_commands_and_leaving(session: Session) -> None:
    session.expect(b"> ")
    session.type(b"echo typed\r")
    session.expect(b"\ntyped\r\n> ")
    session.type(b"\x01h")
    session.expect(b"Ctrl-A x")
    session.type(b"\x01x")
    assert session.ended() == 0


def test_ctrl_c_is_for_the_guest(session: Session) -> None:
    session.expect(b"> ")
    session.type(b"echo a\x03b\r")
    session.expect(b"\na\x03b\r\n> ")
    session.type(b"halt 4\r")
    assert session.ended() == 4


def test_a_signal_that_ends_the_process(session: Session) -> None:
    session.expect(b"> ")
    session.process.send_signal(signal.SIGTERM)
    assert session.ended() == 128 + signal.SIGTERM
