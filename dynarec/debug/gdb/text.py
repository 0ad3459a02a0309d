"""Numbers, bytes and errors as packets hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynarec.errors import DynarecError

ENCODING = "latin-1"
"""A character for each byte: packets are text with some binary data."""
HEX = re.compile(r"[0-9a-fA-F]{1,16}")


class BadPacket(DynarecError):  # noqa: N818
    """A packet that says nothing that can be done."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a client has said that it understands.

    breaks: that a stop is one at a breakpoint. messages: errors as text (GDB 16); messages_behind: text behind the
    number of an error (LLDB). threads: all threads in a stop reply (LLDB).
    """

    breaks: bool = False
    messages: bool = False
    messages_behind: bool = False
    threads: bool = False


def number(text: str) -> int:
    """A hexadecimal number. Raises BadPacket."""
    if not HEX.fullmatch(text):
        raise BadPacket(f"{text[:20]!r} is no hexadecimal number")
    return int(text, 16)


def numbers(text: str, count: int, between: str = ",") -> list[int]:
    """So many numbers. Raises BadPacket."""
    parts = text.split(between)
    if len(parts) != count:
        raise BadPacket(f"{count} numbers are needed, not {text[:40]!r}")
    return [number(part) for part in parts]


def data(text: str) -> bytes:
    """Bytes of two hexadecimal digits each. Raises BadPacket."""
    if not re.fullmatch(r"([0-9a-fA-F]{2})*", text):
        raise BadPacket("data are two hexadecimal digits for each byte")
    return bytes.fromhex(text)


def error_text(error: DynarecError, features: Features) -> str:
    """How a client is told of an error. Others than those who ask for text understand only a number."""
    message = " ".join(str(error).split())
    if features.messages_behind:
        return f"E01;{message.encode().hex()}"
    return f"E.{message}" if features.messages else "E01"
