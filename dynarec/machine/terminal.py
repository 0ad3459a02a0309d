"""The terminal of a machine with a serial port: keys go to the guest as they are typed, but for one escape key."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

ESCAPE = 0x01
"""Ctrl-A."""
HELP = b"\r\nCtrl-A h  this text\r\nCtrl-A x  leave\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n"
LFLAG, CC = 3, 6
IFLAG, OFLAG = 0, 1
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
SIGNAL_STATUS_BASE = 128


class EscapeFilter:
    """Takes the escape key and the one behind it out of what is typed."""

    def __init__(self, leave: Callable[[], None], show: Callable[[bytes], None]) -> None:
        """leave: called for Ctrl-A x. show: prints the help."""
        self._leave = leave
        self._show = show
        self._escaped = False

    def __call__(self, data: bytes) -> bytes:
        return bytes(byte for byte in data if self._passes(byte))

    def _passes(self, byte: int) -> bool:
        if not self._escaped:
            self._escaped = byte == ESCAPE
            return not self._escaped
        self._escaped = False
        if byte == ord("x"):
            self._leave()
        elif byte in b"h?":
            self._show(HELP)
        return byte == ESCAPE


@contextlib.contextmanager
def raw_terminal(descriptor: int | None) -> Iterator[None]:
    """Keys arrive one by one and unchanged, Ctrl-C too; whatever happens, the terminal is as it was afterwards.

    Nothing happens for what is no terminal. Main thread only, since a signal that ends the process must end this too.
    """
    if descriptor is None or not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    handlers = {number: signal.signal(number, _exit) for number in ENDINGS}
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, _raw(before))
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(SIGNAL_STATUS_BASE + number)


def _raw(before: list[Any]) -> list[Any]:
    """As cfmakeraw has it, but output keeps its line ends: a guest may send newlines alone."""
    after = [*before[:CC], list(before[CC])]
    after[IFLAG] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        | termios.ICRNL | termios.IXON
    )  # fmt: skip
    after[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    after[CC][termios.VMIN], after[CC][termios.VTIME] = 1, 0
    return after
