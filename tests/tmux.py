"""A program in tmux, as somebody sits in front of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS = 60
PERIOD = 0.05


class Tmux:
    """A terminal of 80 by 24 in tmux, with a server of its own."""

    def __init__(self, folder: Path, command: Sequence[str | Path]) -> None:
        self._base = ["tmux", "-u", "-S", str(folder / "tmux"), "-f", os.devnull]
        line = f"{shlex.join(map(str, command))}; echo ended with $?; read wait"
        self._call("new-session", "-d", "-x", "80", "-y", "24", line)

    def keys(self, *keys: str) -> None:
        self._call("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self._call("capture-pane", "-p")

    def expect(self, text: str) -> str:
        """Wait for a text; the screen with it. Raises AssertionError with the screen if it does not come."""
        deadline = time.monotonic() + SECONDS
        while text not in (screen := self.screen):
            assert time.monotonic() < deadline, f"no {text!r} in {SECONDS} s:\n{screen}"
            time.sleep(PERIOD)
        return screen

    def close(self) -> None:
        subprocess.run([*self._base, "kill-server"], capture_output=True, check=False)

    def _call(self, *words: str) -> str:
        return subprocess.run([*self._base, *words], capture_output=True, text=True, check=True).stdout
