"""Blocking calls that another thread can interrupt."""

from __future__ import annotations

import contextlib
import os
import select


class Interrupted(Exception):  # noqa: N818
    """A blocking call was given up; nothing was transferred, and the guest may make the call again."""


class Waiter:
    """Waits for a descriptor or for time to pass, until `interrupt` is called (from any thread or a signal handler)."""

    def __init__(self) -> None:
        self._receive, self._send = os.pipe()
        os.set_blocking(self._receive, False)
        os.set_blocking(self._send, False)

    def close(self) -> None:
        """Release the descriptors; may be called twice."""
        if self._receive >= 0:
            os.close(self._receive)
            os.close(self._send)
            self._receive = self._send = -1

    def interrupt(self) -> None:
        """Make the call that waits now, or else the next one, raise Interrupted."""
        with contextlib.suppress(OSError):  # a full pipe is an interrupt already; a closed one has no one waiting
            os.write(self._send, b"!")

    def readable(self, fd: int) -> None:
        """Return when a read of fd does not block; raises Interrupted."""
        self._wait([fd], [], None)

    def writable(self, fd: int) -> None:
        """Return when a small write to fd does not block; raises Interrupted."""
        self._wait([], [fd], None)

    def sleep(self, seconds: float) -> None:
        """Let time pass; raises Interrupted."""
        self._wait([], [], seconds)

    def _wait(self, reads: list[int], writes: list[int], timeout: float | None) -> None:
        try:
            ready, _, _ = select.select([*reads, self._receive], writes, [], timeout)
        except ValueError:  # a descriptor that select cannot take: the call itself finds out what it is
            return
        if self._receive in ready:
            self._drain()
            raise Interrupted

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._receive, select.PIPE_BUF):
                pass
