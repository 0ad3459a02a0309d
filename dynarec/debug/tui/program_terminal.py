"""The terminal of the program that is debugged: a pseudo-terminal, and what is on it as lines."""

from __future__ import annotations

import codecs
import os
import pty
import re
import threading
import tty
from collections.abc import Callable
from io import FileIO

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
PARTIAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*)?$")
CLEAR = "\x1b[2J"
MOST_LINES = 5000
PIECE = 65536
MOST_BYTES = 1 << 20
"""Of output that nobody has taken yet: more than the lines that are kept."""
TAB = 8


class Screen:
    """Lines of a terminal that understands the ends of lines, backspace, tabs and clearing; no other escapes."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self._column = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes) -> None:
        """The program has written this."""
        text = self._held + self._decoder.decode(data)
        match = PARTIAL.search(text)
        self._held = text[match.start() :] if match else ""
        text = text[: match.start()] if match else text
        if CLEAR in text:
            self.lines, self._column = [""], 0
            text = text.rpartition(CLEAR)[2]
        for piece in re.split(r"([\n\r\b\t])", ESCAPES.sub("", text)):
            self._piece(piece)
        del self.lines[:-MOST_LINES]

    def _piece(self, piece: str) -> None:
        if piece == "\n":
            self.lines.append("")
            self._column = 0
        elif piece == "\r":
            self._column = 0
        elif piece == "\b":
            self._column = max(0, self._column - 1)
        elif piece == "\t":
            self._write(" " * (TAB - self._column % TAB))
        else:
            self._write("".join(each for each in piece if each.isprintable()))

    def _write(self, text: str) -> None:
        line = self.lines[-1].ljust(self._column)
        self.lines[-1] = line[: self._column] + text + line[self._column + len(text) :]
        self._column += len(text)


class ProgramTerminal:
    """A pseudo-terminal; a thread reads what the program writes.

    program: the end of the program, an unbuffered file to read and to write.
    """

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.program = FileIO(slave, "r+")
        self._is_raw = False
        self._lock = threading.Lock()
        self._written = bytearray()
        self._thread: threading.Thread | None = None

    def start(self, arrived: Callable[[], None]) -> None:
        """Read from now on. arrived: called on the thread when there is something to take."""
        self._thread = threading.Thread(target=self._read, args=(arrived,), name="dynarec-console", daemon=True)
        self._thread.start()

    def take(self) -> bytes:
        """What the program has written since it was asked last; of very much, the end."""
        with self._lock:
            data = bytes(self._written)
            self._written.clear()
        return data

    def make_raw(self) -> None:
        """The program echoes, and edits lines, itself."""
        tty.setraw(self.program.fileno())
        self._is_raw = True

    def type_line(self, text: str) -> None:
        """As if somebody had typed it, with Enter."""
        self.type(text + ("\r" if self._is_raw else "\n"))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def close(self) -> None:
        """Nothing is read from now on."""
        self.program.close()
        if self._thread is not None:
            self._thread.join()
        os.close(self._master)

    def _read(self, arrived: Callable[[], None]) -> None:
        while True:
            try:
                data = os.read(self._master, PIECE)
            except OSError:  # the other end was closed
                return
            if not data:
                return
            with self._lock:
                was_empty = not self._written
                self._written += data
                del self._written[:-MOST_BYTES]
            if was_empty:
                arrived()
