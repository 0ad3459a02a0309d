"""Where a serial port's input comes from: a file, which is always ready, or somebody at a terminal or a pipe."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable

from dynarec.machine.base import ByteFile
from dynarec.machine.own_streams import own_stream
from dynarec.machine.waiting import Interrupted, Waiter

STDIN = 0
PIECE = 256
ROOM_PERIOD = 0.01
"""Seconds after which the thread tries again to bring what the guest has had no room for."""

Feed = Callable[[bytes], int]
Filter = Callable[[bytes], bytes]


def descriptor_of(file: ByteFile | None) -> int | None:
    """The descriptor of an input (None: this process's own); None when it has none."""
    try:
        return own_stream(STDIN) if file is None else file.fileno()
    except OSError:
        return None


def is_live(descriptor: int | None) -> bool:
    """Whether its input comes when it comes: a terminal, a pipe, a socket."""
    if descriptor is None:
        return False
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return os.isatty(descriptor) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


class FileInput:
    """Input that is always ready, so a run with it is the same every time."""

    live = False

    def __init__(self, file: ByteFile | None, descriptor: int | None) -> None:
        self._file = file
        self._descriptor = descriptor
        self._ended = file is None and descriptor is None

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none when there are no more."""
        data = b"" if self._ended else self._read(size)
        self._ended = not data
        return data

    def _read(self, size: int) -> bytes:
        try:
            if self._file is not None:
                return self._file.read(size) or b""
            assert self._descriptor is not None
            return os.read(self._descriptor, size)
        except OSError:
            return b""

    def close(self) -> None:
        """Nothing is held."""


class LiveInput:
    """A thread that reads a descriptor and feeds a port.

    feed: brings bytes to the port; how many it has taken. accept: given what came in, gives what the port receives.
    """

    def __init__(self, descriptor: int, feed: Feed, accept: Filter) -> None:
        self._descriptor = descriptor
        self._feed = feed
        self._accept = accept
        self._waiter = Waiter()
        self._closed = threading.Event()
        self.live = True
        self._thread = threading.Thread(target=self._work, name="dynarec-input", daemon=True)
        self._thread.start()

    def read(self, size: int) -> bytes:
        """Nothing: the thread brings it."""
        return b""

    def close(self) -> None:
        """End the thread. May be called twice."""
        self._closed.set()
        self._waiter.interrupt()
        self._thread.join()
        self._waiter.close()

    def _work(self) -> None:
        try:
            while self._pass_on():
                pass
        except (Interrupted, OSError):
            pass  # closed, or the terminal is gone: there is no more input
        self.live = False

    def _pass_on(self) -> bool:
        """Bring some bytes; whether there can be more."""
        self._waiter.readable(self._descriptor)
        data = os.read(self._descriptor, PIECE)
        accepted = self._accept(data)
        while accepted:
            accepted = accepted[self._feed(accepted) :]
            if accepted and self._closed.wait(ROOM_PERIOD):
                return False
        return bool(data)
