"""What the server sends: in order, from any thread, by a thread of its own."""

from __future__ import annotations

import codecs
import io
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dynarec.debug.dap.messages import Message, encode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

MAX_WAITING = 1 << 20
"""Characters of output that wait for the editor; a program that writes more waits, too."""
LAST_SECONDS = 2.0
"""How long an editor may take to read the last of it."""


class ByteSink(Protocol):
    """Where bytes go to: a raw, unbuffered file."""

    def write(self, data: memoryview, /) -> int | None:
        """How many bytes it has taken. Raises OSError when nobody reads any more."""


@dataclass(slots=True)
class Output:
    """Text for the console of the editor. category: as in the protocol."""

    category: str
    pieces: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    def message(self) -> Message:
        return event("output", category=self.category, output="".join(self.pieces))


def event(name: str, /, **body: object) -> Message:
    """An event, without its number."""
    return {"type": "event", "event": name, "body": body}


class Outbox:
    """Messages on their way to the editor. Output that comes faster than it is sent travels together."""

    def __init__(self, sink: ByteSink) -> None:
        self._sink = sink
        self._waiting: deque[Message | Output] = deque()
        self._size = 0
        self._sequence = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="dynarec-dap-out", daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        """Send a message; its `seq` is added."""
        with self._changed:
            self._waiting.append(message)
            self._changed.notify_all()

    def event(self, name: str, /, **body: object) -> None:
        """Send an event."""
        self.send(event(name, **body))

    def output(self, category: str, text: str) -> None:
        """Send text for the console. Waits while too much of it is on its way."""
        with self._changed:
            self._changed.wait_for(lambda: self._size <= MAX_WAITING or self._closed)
            last = self._waiting[-1] if self._waiting else None
            if not isinstance(last, Output) or last.category != category:
                last = Output(category)
                self._waiting.append(last)
            last.pieces.append(text)
            self._size += len(text)
            self._changed.notify_all()

    def abandon(self) -> None:
        """The editor is gone: nobody waits for it to read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Send what is left, if the editor reads it, and end."""
        self.abandon()
        self._thread.join(LAST_SECONDS)

    def _work(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._write(encode(message))
        except OSError:  # what comes from the editor will end, too
            self.abandon()

    def _next(self) -> Message | None:
        """The next message with its number; None: there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            first = self._waiting.popleft()
            if isinstance(first, Output):
                self._size -= first.size
                first = first.message()
                self._changed.notify_all()
            self._sequence += 1
            return {"seq": self._sequence, **first}

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._sink.write(left) or 0 :]


class ProgramOutput(io.RawIOBase):
    """A stream that the program writes to."""

    def __init__(self, outbox: Outbox, category: str) -> None:
        """category: "stdout" or "stderr"."""
        self._outbox = outbox
        self._category = category
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, data: Buffer, /) -> int:
        """Bytes that are not UTF-8 are shown as such."""
        written = bytes(data)
        text = self._decoder.decode(written)
        if text:
            self._outbox.output(self._category, text)
        return len(written)
