"""The connection to one client.

A thread of its own reads it, so that Ctrl-C is heard, and a client that vanishes is noticed, while the program runs.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from queue import Queue

from dynarec.debug.gdb.packets import BadStream, Mark, PacketReader, frame

CHUNK = 0x10000
FIRST_BYTES = (b"+", b"-", b"$", b"\x03")
FIRST_PACKET = 10
"""Seconds within which a client has to say something: what never does is no debugger."""
SEND_SECONDS = 10
"""Seconds within which a client has to take what it is sent."""
MOST_WAITING = 256
"""Packets that may wait for their answers."""
GLANCE = 0.01
"""Seconds between two attempts to stop the program: one that is made right before a run does nothing."""
KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPALIVE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""When a silent client is asked whether it is still there, as far as the system has these options (seconds, times)."""


class Connection:
    """Packets of a client, and answers to it. `receive`, `done`, `send` and `close` are for one thread."""

    def __init__(self, client: socket.socket, interrupt: Callable[[], None]) -> None:
        """interrupt: stops the program if it runs; called from another thread."""
        self.acks = True
        self._socket = client
        self._interrupt = interrupt
        self._packets: Queue[bytes | None] = Queue()
        self._last = b""
        self._closed = threading.Event()
        self._refused = self._is_debugger = False
        self._sending = threading.Lock()
        _configure(client)
        self._thread = threading.Thread(target=self._read, name="dynarec-gdb", daemon=True)
        self._thread.start()

    def packets(self) -> Iterator[bytes]:
        """What the client sends, until it is gone. When the next one is asked for, the last one has been answered."""
        while (packet := self._packets.get()) is not None and not self._refused:
            yield packet
            self._packets.task_done()

    def send(self, content: bytes) -> None:
        """Send a packet; to a client that is gone, nothing."""
        self._last = frame(content)
        self._write(self._last)

    def close(self) -> None:
        """Hang up. From now on it stops no program."""
        self._closed.set()
        self._hang_up()
        self._thread.join()
        self._socket.close()

    def _write(self, data: bytes) -> None:
        with self._sending:
            if not _quietly(lambda: self._socket.sendall(data)):
                self._hang_up()

    def _hang_up(self) -> None:
        _quietly(lambda: self._socket.shutdown(socket.SHUT_RDWR))

    # -- on the thread that reads -------------------------------------------------------------------------------------

    def _read(self) -> None:
        reader = PacketReader()
        try:
            while data := self._socket.recv(CHUNK):
                self._check_first(data)
                for each in reader.feed(data):
                    self._react(each)
        except OSError:
            self._hang_up()
        except BadStream:
            self._refused = True
            self._hang_up()
        self._packets.put(None)
        self._stop_program()

    def _check_first(self, data: bytes) -> None:
        """A web page can have a browser send nearly anything to this port, but not as the first byte."""
        if not self._is_debugger and data[:1] not in FIRST_BYTES:
            raise BadStream
        self._is_debugger = True

    def _react(self, each: bytes | Mark) -> None:
        match each:
            case bytes():
                self._socket.settimeout(None)
                if self.acks:
                    self._write(b"+")
                self._queue(each)
            case Mark.INTERRUPT:
                self._stop_program()
            case Mark.NACK:
                self._write(self._last)
            case Mark.DAMAGED:
                self._refuse()

    def _queue(self, packet: bytes) -> None:
        """Clients wait for answers, more or less: one that never does is let go."""
        if self._packets.unfinished_tasks >= MOST_WAITING:
            raise BadStream
        self._packets.put(packet)

    def _refuse(self) -> None:
        """Ask for a packet again; a client that cannot be asked is let go."""
        if not self.acks:
            raise BadStream
        self._write(b"-")

    def _stop_program(self) -> None:
        """Until everything that was asked for has been answered."""
        while self._packets.unfinished_tasks and not self._closed.wait(GLANCE):
            self._interrupt()


def _configure(client: socket.socket) -> None:
    client.settimeout(FIRST_PACKET)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _quietly(action: Callable[[], object]) -> bool:
    """Do something with a socket; whether the client was there."""
    try:
        action()
    except OSError:
        return False
    return True
