"""Packets: `$data#checksum`, and the single bytes that come between them (GDB manual, "Overview" of the protocol)."""

from __future__ import annotations

import re
from enum import Enum

MAX_PACKET = 0x10000
"""Bytes of the longest packet that a client may send, as `qSupported` says."""
FRAME = len(b"$#00")
ESCAPE = ord("}")
ESCAPE_XOR = 0x20
ESCAPED = re.compile(rb"[}$#*]")
"""What may not stand in a packet as it is: `*` would repeat the character before it."""


class Mark(Enum):
    """What is no packet. DAMAGED: one with a wrong checksum."""

    ACK = "+"
    NACK = "-"
    INTERRUPT = "\x03"
    DAMAGED = ""


MARKS = {ord(mark.value): mark for mark in Mark if mark.value}


class BadStream(Exception):  # noqa: N818
    """What a client sends cannot be understood any more."""


class PacketReader:
    """Finds packets in what a client sends, however it is cut; bytes that belong to none are passed over."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes | Mark]:
        """The contents of packets, and the marks, that are complete now. Raises BadStream for one that is too long."""
        self._data += data
        found = []
        while (each := self._take()) is not None:
            found.append(each)
        if len(self._data) > MAX_PACKET + FRAME:
            raise BadStream
        return found

    def _take(self) -> bytes | Mark | None:
        while self._data:
            first = self._data[0]
            if first == ord("$"):
                return self._packet()
            del self._data[0]
            if first in MARKS:
                return MARKS[first]
        return None

    def _packet(self) -> bytes | Mark | None:
        end = self._data.find(b"#")
        if end < 0 or len(self._data) < end + 3:
            return None
        content, sum_ = bytes(self._data[1:end]), bytes(self._data[end + 1 : end + 3])
        del self._data[: end + 3]
        content = content.rpartition(b"$")[2]  # what came before was broken off
        if len(content) > MAX_PACKET:
            raise BadStream
        return _unescape(content) if sum_.lower() == _checksum(content) else Mark.DAMAGED


def frame(content: bytes) -> bytes:
    """A packet as it is sent."""
    escaped = ESCAPED.sub(lambda match: bytes((ESCAPE, match[0][0] ^ ESCAPE_XOR)), content)
    return b"$" + escaped + b"#" + _checksum(escaped)


def _checksum(content: bytes) -> bytes:
    return b"%02x" % (sum(content) & 0xFF)


def _unescape(content: bytes) -> bytes:
    first, *parts = content.split(bytes((ESCAPE,)))
    return first + b"".join(bytes((part[0] ^ ESCAPE_XOR,)) + part[1:] for part in parts if part)
