"""Packets by which a client learns what there is, and says what it understands."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from dynarec.debug.gdb import description
from dynarec.debug.gdb.description import THREAD
from dynarec.debug.gdb.monitor import Monitor
from dynarec.debug.gdb.packets import MAX_PACKET
from dynarec.debug.gdb.stop_reply import stop_reply
from dynarec.debug.gdb.text import BadPacket, data, numbers
from dynarec.guest_state import ADDRESS_SPACE

if TYPE_CHECKING:
    from dynarec.debug.gdb.session import Session

OK = "OK"
SUPPORTED = (
    f"PacketSize={MAX_PACKET:x};QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;QThreadSuffixSupported+;"
    "QListThreadsInStopReply+;qXfer:features:read+;qXfer:memory-map:read+;qXfer:exec-file:read+;qXfer:threads:read+"
)
REVERSE = ";ReverseStep+;ReverseContinue+"
WATCHPOINTS = 1024
"""As many as LLDB may want to set: their number is not limited."""
OUTPUT_PIECE = 2048
"""Characters of the output of a monitor command in one packet."""


class Queries:
    """Of one client."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._monitor = Monitor(session.target)
        self.commands: dict[str, Callable[[str], str | bytes | None]] = {
            "qSupported": self._supported,
            "QStartNoAckMode": self._no_acks,
            "QThreadSuffixSupported": lambda text: OK,
            "QListThreadsInStopReply": lambda text: self._understands(threads=True),
            "QEnableErrorStrings": lambda text: self._understands(messages_behind=True),
            "qXfer": self._transfer,
            "qRcmd": self._command,
            "qAttached": lambda text: "1",
            "qC": lambda text: f"QC{THREAD:x}",
            "qfThreadInfo": lambda text: f"m{THREAD:x}",
            "qsThreadInfo": lambda text: "l",
            "qThreadStopInfo": lambda text: stop_reply(self._session.target, self._session.features),
            "qHostInfo": lambda text: f"{self._platform}watchpoint_exceptions_received:before;",
            "qProcessInfo": lambda text: f"pid:{THREAD:x};{self._platform}",
            "qWatchpointSupportInfo": lambda text: f"num:{WATCHPOINTS};",
            "qSupportsDetachAndStayStopped": lambda text: OK,
        }

    def _understands(self, **features: bool) -> str:
        self._session.understand(**features)
        return OK

    @property
    def _platform(self) -> str:
        """For LLDB."""
        target = self._session.target
        endian = target.debugger.machine.guest.endianness
        return f"triple:{target.description.triple.encode().hex()};ptrsize:4;endian:{endian};"

    def _supported(self, text: str) -> str:
        theirs = text.split(";")
        self._session.understand(breaks="swbreak+" in theirs, messages="error-message+" in theirs)
        return SUPPORTED + (REVERSE if self._session.target.debugger.can_reverse else "")

    def _no_acks(self, text: str) -> str:
        self._session.connection.acks = False
        return OK

    def _transfer(self, text: str) -> str | bytes:
        """ "object:read:annex:offset,size": a part of a document."""
        parts = text.split(":")
        if len(parts) != 4 or parts[1] != "read":
            return ""
        document = self._document(parts[0], parts[2])
        if document is None:
            return ""
        offset, size = numbers(parts[3], 2)
        content = document.encode()
        if offset > len(content):
            raise BadPacket(f"{parts[0]} ends at {len(content):#x}")
        end = offset + min(size, MAX_PACKET // 2)
        return (b"m" if end < len(content) else b"l") + content[offset:end]

    def _document(self, kind: str, annex: str) -> str | None:
        target = self._session.target
        program = target.debugger.machine.program
        match kind, annex:
            case "features", "target.xml":
                return description.target_xml(target.description)
            case "features", _:
                raise BadPacket(f"there is no {annex[:40]!r}")
            case "memory-map", "":
                return description.memory_map(ADDRESS_SPACE)
            case "threads", "":
                return description.threads(program.name)
            case "exec-file", _:
                return os.path.abspath(program.path) if program.path else ""
        return None

    def _command(self, text: str) -> str:
        """A command that the user has typed behind `monitor`."""
        output = self._monitor.run(data(text).decode(errors="replace"))
        for start in range(0, len(output), OUTPUT_PIECE):
            self._session.say(output[start : start + OUTPUT_PIECE])
        return OK
