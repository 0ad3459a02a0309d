"""One client: its packets, each answered before the next one is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from dynarec.debug.gdb.going import Going
from dynarec.debug.gdb.memory import Memory
from dynarec.debug.gdb.queries import Queries
from dynarec.debug.gdb.stop_reply import SIGKILL, stop_reply
from dynarec.debug.gdb.text import ENCODING, BadPacket, Features, data, error_text, number
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.gdb.connection import Connection
    from dynarec.debug.gdb.target import Target

OK = "OK"
UNKNOWN = ""
PACKET = re.compile(r"([vqQj][A-Za-z]+|b[cs]|.)[:;,]?(.*)", re.DOTALL)
"""The name of a packet, and what it is about."""
STAY_STOPPED = "1"


class End(Enum):
    """How a client has left. LEFT: the program waits for the next one. DETACHED: it runs meanwhile. KILLED: no more."""

    LEFT = "left"
    DETACHED = "detached"
    KILLED = "killed"


class Session:
    """Answers what it knows, and as the protocol asks, nothing to what it does not know."""

    def __init__(self, target: Target, connection: Connection) -> None:
        self.target = target
        self.connection = connection
        self.features = Features()
        self.extended = False
        self._end: End | None = None
        own = {
            "?": self._why, "!": self._extend, "H": self._ok, "T": self._ok, "g": self._read_all, "G": self._write_all,
            "p": self._read, "P": self._write, "Z": self._add_point, "z": self._drop_point, "D": self._detach,
            "k": self._kill, "vKill": self._kill_politely, "vRun": self._run, "R": self._run_silently,
        }  # fmt: skip
        self._commands: dict[str, Callable[[str], str | bytes | None]] = {
            **own,
            **Memory(target).commands,
            **Going(self).commands,
            **Queries(self).commands,
        }

    def serve(self) -> End:
        """Until the client is gone."""
        for packet in self.connection.packets():
            reply = self.answer(packet)
            if reply is not None:
                self.connection.send(reply)
            if self._end is not None:
                return self._end
        return End.LEFT

    def answer(self, packet: bytes) -> bytes | None:
        """The content of the answer; None: there is none."""
        match = PACKET.fullmatch(packet.decode(ENCODING))
        command = self._commands.get(match[1]) if match else None
        if match is None or command is None:
            return UNKNOWN.encode()
        try:
            reply = command(match[2])
        except DynarecError as error:
            reply = error_text(error, self.features)
        return reply.encode(ENCODING, "replace") if isinstance(reply, str) else reply

    def say(self, text: str) -> None:
        """Show a text to the client's user, before the answer."""
        self.connection.send(b"O" + text.encode().hex().encode())

    def understand(self, **features: bool) -> None:
        """The client has said that it understands something."""
        self.features = replace(self.features, **features)

    def _ok(self, text: str) -> str:
        return OK

    def _why(self, text: str) -> str:
        return stop_reply(self.target, self.features)

    # -- registers ----------------------------------------------------------------------------------------------------

    def _read_all(self, text: str) -> str:
        return self.target.registers.read_all().hex()

    def _write_all(self, text: str) -> str:
        self.target.registers.write_all(data(text.partition(";")[0]))
        return OK

    def _read(self, text: str) -> str:
        return self.target.registers.read(number(text.partition(";")[0])).hex()

    def _write(self, text: str) -> str:
        which, _, value = text.partition(";")[0].partition("=")
        self.target.registers.write(number(which), data(value))
        return OK

    # -- breakpoints --------------------------------------------------------------------------------------------------

    def _add_point(self, text: str) -> str:
        self.target.points.add(*_point(text))
        return OK

    def _drop_point(self, text: str) -> str:
        self.target.points.drop(*_point(text))
        return OK

    # -- the end, and another beginning -------------------------------------------------------------------------------

    def _extend(self, text: str) -> str:
        self.extended = True
        return OK

    def _detach(self, text: str) -> str:
        self._end = End.LEFT if text.startswith(STAY_STOPPED) else End.DETACHED
        return OK

    def _kill(self, text: str) -> str | None:
        """LLDB waits for an answer, GDB for none."""
        self.target.killed_by = SIGKILL
        if not self.extended:
            self._end = End.KILLED
        return stop_reply(self.target, self.features) if self.features.threads else None

    def _kill_politely(self, text: str) -> str:
        self._kill(text)
        return OK

    def _run(self, text: str) -> str:
        """The arguments are those of this command line: a client that gives some has to be told."""
        _, *arguments = text.split(";")
        if any(arguments):
            raise BadPacket("the program's arguments are given to dynarec debug, behind --")
        self.target.restart()
        return stop_reply(self.target, self.features)

    def _run_silently(self, text: str) -> None:
        self.target.restart()


def _point(text: str) -> tuple[str, int, int]:
    """The type, address and size of "type,address,size;conditions"."""
    kind, *rest = text.partition(";")[0].split(",")
    if len(rest) != 2:
        raise BadPacket("a breakpoint has a type, an address and a size")
    return kind, number(rest[0]), number(rest[1])
