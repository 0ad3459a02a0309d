"""The base protocol: messages of JSON, each behind a header with its length, as bytes on a stream.

Source: Debug Adapter Protocol, "Overview", "Base protocol".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import NoReturn, Protocol

from dynarec.errors import DynarecError

Message = Mapping[str, object]
MAX_HEADER = 4096
MAX_CONTENT = 16 << 20
"""Bytes of a message: far more than any request has."""
PIECE = 1 << 16
LINE_END = b"\r\n"
HEADER_END = LINE_END + LINE_END
LENGTH = b"content-length"


class BadMessage(DynarecError):  # noqa: N818
    """What came is no message of the protocol, so nobody can tell where the next one would begin."""


class ByteSource(Protocol):
    """Where bytes come from: a raw, unbuffered file."""

    def read(self, size: int, /) -> bytes | None:
        """At least one byte; none at the end."""


class Reader:
    """Takes messages from a stream of bytes."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = bytearray()

    def read(self) -> Message | None:
        """The next message; None at the end of the stream. Raises BadMessage."""
        length = self._read_header()
        if length is None:
            return None
        while len(self._held) < length:
            if not self._fetch():
                raise BadMessage(f"the editor left in the middle of a message of {length} bytes")
        content = bytes(self._held[:length])
        del self._held[:length]
        return _decode(content)

    def _read_header(self) -> int | None:
        """The length of the content that follows; None at the end of the stream."""
        searched = 0
        while (end := self._held.find(HEADER_END, searched)) < 0:
            if len(self._held) > MAX_HEADER:
                raise BadMessage(f"no message: there is no end of a header in {len(self._held)} bytes")
            searched = max(0, len(self._held) - len(HEADER_END) + 1)
            if not self._fetch():
                if self._held:
                    raise BadMessage("the editor left in the middle of a header")
                return None
        header = bytes(self._held[:end])
        del self._held[: end + len(HEADER_END)]
        return _length(header)

    def _fetch(self) -> bool:
        """Wait for more bytes; whether there were any."""
        data = self._source.read(PIECE)
        self._held += data or b""
        return bool(data)


def encode(message: Message) -> bytes:
    """A message as bytes."""
    content = json.dumps(message, separators=(",", ":")).encode("ascii")
    return b"Content-Length: %d\r\n\r\n" % len(content) + content


def _length(header: bytes) -> int:
    """The length that a header gives. Raises BadMessage."""
    for line in header.split(LINE_END):
        name, _, value = line.partition(b":")
        digits = value.strip()
        if name.strip().lower() != LENGTH:
            continue
        if not digits.isdigit() or len(digits) > len(str(MAX_CONTENT)) or int(digits) > MAX_CONTENT:
            raise BadMessage(f"a message may have up to {MAX_CONTENT} bytes, not {digits[:40].decode('latin-1')!a}")
        return int(digits)
    raise BadMessage("no message: its header has no Content-Length")


def _decode(content: bytes) -> Message:
    try:
        message = json.loads(content, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"no message: its content is not JSON: {' '.join(str(error).split())[:200]!a}") from None
    if not isinstance(message, dict):
        raise BadMessage("no message: its content is no object of JSON")
    return message


def _finite(text: str) -> float:
    """A number that can be written again."""
    number = float(text)
    return number if math.isfinite(number) else _refuse(text[:40])


def _refuse(constant: str) -> NoReturn:
    """Python reads NaN and Infinity, which are not JSON, and takes 1e999 for the latter."""
    raise ValueError(f"{constant} is no number")
