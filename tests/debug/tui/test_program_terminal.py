"""The terminal of the program: what it shows, and what is typed into it."""

from __future__ import annotations

import os
import threading

import pytest

from dynarec.debug.tui.program_terminal import MOST_BYTES, MOST_LINES, ProgramTerminal, Screen

SECONDS = 20
SHOWN = {
    b"one\r\ntwo\n": ["one", "two", ""],
    b"abc\rX": ["Xbc"],
    b"abc\b\bX": ["aXc"],
    b"a\tb": ["a       b"],
    b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x": ["red x"],
    b"before\n\x1b[2Jafter": ["after"],
    "grün ☃".encode(): ["grün ☃"],
    b"\xff\x00\x07!": ["\ufffd!"],
}


@pytest.mark.parametrize(("data", "lines"), SHOWN.items(), ids=repr)
def test_what_is_shown(data: bytes, lines: list[str]) -> None:
    whole, pieces = Screen(), Screen()
    whole.feed(data)
    for at in range(len(data)):
        pieces.feed(data[at : at + 1])
    assert whole.lines == lines
    assert pieces.lines == lines


def test_the_oldest_lines_are_forgotten() -> None:
    screen = Screen()
    screen.feed(b"".join(b"%d\n" % number for number in range(2 * MOST_LINES)))
    assert len(screen.lines) == MOST_LINES
    assert screen.lines[-2] == str(2 * MOST_LINES - 1)


def test_it_is_a_terminal() -> None:
    terminal, arrived = ProgramTerminal(), threading.Semaphore(0)
    terminal.start(arrived.release)
    assert os.isatty(terminal.program.fileno())
    terminal.program.write(b"prompt")
    assert arrived.acquire(timeout=SECONDS)
    assert terminal.take() == b"prompt"
    terminal.type_line("typed")
    assert terminal.program.read(100) == b"typed\n"
    assert arrived.acquire(timeout=SECONDS)
    assert terminal.take().startswith(b"typed")
    terminal.close()
    assert "dynarec-console" not in {thread.name for thread in threading.enumerate()}


def test_a_program_that_echoes_itself() -> None:
    terminal = ProgramTerminal()
    terminal.make_raw()
    terminal.start(lambda: None)
    terminal.type_line("typed")
    data = b""
    while len(data) < 6:
        data += terminal.program.read(100)
    assert data == b"typed\r"
    terminal.close()
    assert terminal.take() == b""


def test_output_that_nobody_reads_is_bounded() -> None:
    terminal = ProgramTerminal()
    terminal.start(lambda: None)
    for number in range(400):
        terminal.program.write(b"%03d" % number + b"x" * 4093)
    terminal.program.write(b"end")
    terminal.close()
    data = terminal.take()
    assert len(data) == MOST_BYTES
    assert data.endswith(b"end")
