"""A program on a pseudo-terminal, as somebody sits in front of it."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 30
CHUNK = 4096
PERIOD = 0.01


class Session:
    """output: what was printed behind the last text that was waited for."""

    def __init__(self, command: Sequence[str | Path], seconds: float = SECONDS) -> None:
        """seconds: how long each text, and the end, may take."""
        self.seconds = seconds
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave)
        self.output = b""
        os.set_blocking(self.master, False)

    def expect(self, text: bytes) -> bytes:
        """Wait for the text; what came before it. Raises AssertionError with the output if it does not come."""
        deadline = time.monotonic() + self.seconds
        while text not in self.output:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seconds} s: {self.output!r}"
            try:
                self.output += os.read(self.master, CHUNK)
            except BlockingIOError:
                time.sleep(PERIOD)
        before, _, self.output = self.output.partition(text)
        return before

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ended(self) -> int:
        """The exit status; the terminal must be as it was."""
        status = self.process.wait(self.seconds)
        assert termios.tcgetattr(self.slave) == self.before
        return status

    def close(self) -> None:
        """End the program, however it is."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@contextmanager
def on_terminal(command: Sequence[str | Path], seconds: float = SECONDS) -> Iterator[Session]:
    """A session that is over when the block is."""
    session = Session(command, seconds)
    try:
        yield session
    finally:
        session.close()
