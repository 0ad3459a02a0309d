"""`dynarec debug --gdb`: waits for clients, one after the other, until the program has ended or was killed."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Queue
from typing import TYPE_CHECKING

from dynarec.debug.gdb.connection import GLANCE, Connection
from dynarec.debug.gdb.session import End, Session
from dynarec.debug.gdb.target import Target
from dynarec.debug.stops import Reason
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.launch import Launch

LOOPBACK = "127.0.0.1"
WHERE = re.compile(r"(?:(?P<host>[^:\[\]]*|\[[^\[\]]+\]):)?(?P<port>[0-9]{1,5})")
PORTS = range(1 << 16)
PATIENCE = 1
"""Seconds that a client waits for the one before it to be gone."""


def serve(launch: Launch, where: str) -> int:
    """Debug a program for the clients that connect to "[HOST:]PORT"; the exit status. Raises DynarecError."""
    listener = Listener(*parse_address(where))
    try:
        target = Target(launch)
        try:
            _announce(launch.name, listener)
            return serve_clients(target, listener)
        finally:
            target.close()
    finally:
        listener.close()


def parse_address(where: str) -> tuple[str, int]:
    """The host and port of "[HOST:]PORT". Raises DynarecError."""
    match = WHERE.fullmatch(where)
    if match is None or int(match["port"]) not in PORTS:
        raise DynarecError(f"--gdb {where}: give [HOST:]PORT, with a port from 0 (any free one) to {PORTS[-1]}")
    return (match["host"] or LOOPBACK).strip("[]"), int(match["port"])


def _announce(name: str, listener: Listener) -> None:
    host, port = listener.address
    shown = f"[{host}]" if ":" in host else host
    typed = f":{port}" if host == LOOPBACK else f"{shown}:{port}"
    print(f"dynarec: {name}: waiting at {shown}:{port}; in gdb: target remote {typed}", file=sys.stderr, flush=True)


def serve_clients(target: Target, listener: Listener) -> int:
    """One after the other, until the program has ended or was killed; the exit status."""
    while True:
        connection = Connection(listener.accept(), target.interrupt)
        try:
            end = Session(target, connection).serve()
        finally:
            connection.close()
            target.release()
            listener.release()
        if end is End.DETACHED:
            _run_on(target, listener)
        if not target.is_alive:
            return 0


def _run_on(target: Target, listener: Listener) -> None:
    """Run without a client, until there is one."""
    listener.on_arrival(target.interrupt)
    while target.is_alive and not listener.has_arrived:
        if target.debugger.resume().reason is Reason.TRAPPED:
            break
    listener.on_arrival(None)


def _reason(error: OSError) -> str:
    """In words, without the address, which Python repeats."""
    return (error.strerror or str(error)).partition(" (")[0]


class Listener:
    """A socket that clients connect to. While there is one, others are turned away."""

    def __init__(self, host: str, port: int) -> None:
        """Raises DynarecError when nobody can be waited for there."""
        self._clients: Queue[socket.socket] = Queue()
        self._arrived, self._free = threading.Event(), threading.Event()
        self._free.set()
        self._interrupt: Callable[[], None] | None = None
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise DynarecError(f"--gdb {host}:{port}: {_reason(error)}: choose another host or port") from error
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        threading.Thread(target=self._listen, name="dynarec-gdb-listener", daemon=True).start()

    def accept(self) -> socket.socket:
        """The next client. It is the only one until `release`."""
        client = self._clients.get()
        self._arrived.clear()
        return client

    def release(self) -> None:
        """The client is gone."""
        self._free.set()

    @property
    def has_arrived(self) -> bool:
        """Whether a client waits."""
        return self._arrived.is_set()

    def on_arrival(self, interrupt: Callable[[], None] | None) -> None:
        """What is called, from another thread and until the client is accepted, when there is one; None: nothing."""
        self._interrupt = interrupt

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                self._admit(self._socket.accept()[0])

    def _admit(self, client: socket.socket) -> None:
        if not self._free.wait(PATIENCE):
            client.close()
            return
        self._free.clear()
        self._clients.put(client)
        self._arrived.set()
        while self._arrived.is_set() and (interrupt := self._interrupt):
            interrupt()
            time.sleep(GLANCE)
