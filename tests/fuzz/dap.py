"""The Debug Adapter Protocol: any bytes are messages or refused, however they arrive, and are read again as written."""

from __future__ import annotations

import io
from collections.abc import Mapping

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.client import Client
from dynarec.debug.dap.messages import BadMessage, Reader, encode
from dynarec.errors import DynarecError
from tests.fuzz.oracle import bounded_memory, check_line, may_refuse

MAX_SIZE = 4096


class Pieces(io.BytesIO):
    """Gives a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1 + self.tell() % 7)


def check(data: bytes) -> None:
    """Read all messages, at once and in pieces, and read them as requests."""
    with bounded_memory(len(data)):
        whole, pieces = _read(io.BytesIO(data)), _read(Pieces(data))
        assert whole == pieces
        messages, _ = whole
        assert _read(io.BytesIO(b"".join(map(encode, messages)))) == (messages, "")
        for message in messages:
            with may_refuse(DynarecError):
                Client.of(Arguments("initialize", message.get("arguments")))


def _read(source: io.BytesIO) -> tuple[list[Mapping[str, object]], str]:
    """All messages, and why there were no more."""
    reader = Reader(source)
    messages: list[Mapping[str, object]] = []
    try:
        while (message := reader.read()) is not None:
            messages.append(message)
    except BadMessage as error:
        check_line(str(error))
        return messages, str(error)
    return messages, ""
