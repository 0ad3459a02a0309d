"""A server for programs in this process, and a client that says exactly what it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynarec.debug.gdb.packets import PacketReader, frame
from dynarec.debug.gdb.server import LOOPBACK, Listener, serve_clients
from dynarec.debug.gdb.target import Target
from dynarec.debug.launch import Launch
from dynarec.engine import Machine

SECONDS = 60
"""Nothing takes that long, also where everything is emulated."""
CHUNK = 0x10000
HISTORY = 16 << 20


class Client:
    """A connection; packets are acknowledged by neither side after `quiet`."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), SECONDS)
        self._reader = PacketReader()
        self._heard: list[object] = []

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> object:
        """The next packet or mark; None when the server has hung up."""
        while not self._heard:
            try:
                data = self.socket.recv(CHUNK)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._heard += self._reader.feed(data)
        return self._heard.pop(0)

    def answer(self) -> bytes:
        """The next packet."""
        while not isinstance(heard := self.hear(), bytes):
            assert heard is not None, "the server has hung up"
        return heard

    def ask(self, packet: str | bytes) -> str:
        """The answer to a packet."""
        self.send(frame(packet.encode("latin-1") if isinstance(packet, str) else packet))
        return self.answer().decode("latin-1")

    def go(self, packet: str) -> tuple[str, str]:
        """What the server says, and the answer, when the program has stopped."""
        self.send(frame(packet.encode()))
        said = ""
        while (each := self.answer())[:1] == b"O":
            said += bytes.fromhex(each[1:].decode()).decode()
        return said, each.decode()

    def quiet(self) -> None:
        assert self.ask("QStartNoAckMode") == "OK"

    def monitor(self, command: str) -> str:
        """The output of a monitor command."""
        self.send(frame(f"qRcmd,{command.encode().hex()}".encode()))
        output = b""
        while (each := self.answer()) != b"OK":
            assert each[:1] == b"O", each
            output += bytes.fromhex(each[1:].decode())
        return output.decode()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass
class Server:
    """A server that runs. status: what it has ended with."""

    target: Target
    listener: Listener
    status: int | None = None

    def connect(self) -> Client:
        """A client that needs no acknowledgements."""
        client = Client(self.listener.address[1])
        client.quiet()
        return client

    def run(self) -> None:
        self.status = serve_clients(self.target, self.listener)


@contextmanager
def serving(program: Path | bytes, history: int = 0, tier: str = "auto") -> Iterator[Server]:
    """A server of a program, which is killed in the end if nothing else has ended it."""
    listener = Listener(LOOPBACK, 0)
    launch = Launch(lambda: Machine.load(program, tier=tier), "program", history=history)
    server = Server(Target(launch), listener)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
        if server.target.is_alive:
            end(server)
        thread.join(SECONDS)
        assert not thread.is_alive(), "the server goes on"
        server.target.close()
    finally:
        listener.close()


def end(server: Server) -> None:
    """Kill the program, as a client does."""
    with Client(server.listener.address[1]) as client:
        client.send(b"$k#6b")
        while client.hear() is not None:
            pass
