"""The terminal of machine virt: keys go to the guest, Ctrl-A x leaves, and the terminal is as it was before."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.machine.terminal import EscapeFilter
from tests.pseudo_terminal import Session, on_terminal

KERNEL = Path(__file__).parents[2] / "roms" / "kernel.elf"


def test_the_escape_key() -> None:
    left: list[bool] = []
    shown: list[bytes] = []
    keys = EscapeFilter(lambda: left.append(True), shown.append)
    assert keys(b"ab\x01") == b"ab"
    assert keys(b"h\x01\x01c") == b"\x01c"
    assert (len(shown), left) == (1, [])
    assert keys(b"\x01xyz") == b"yz"
    assert left == [True]


@pytest.fixture
def session() -> Iterator[Session]:
    with on_terminal([sys.executable, "-m", "dynarec", "run", KERNEL]) as made:
        yield made


def test_typed_commands_and_leaving(session: Session) -> None:
    session.expect(b"> ")
    session.type(b"echo typed\r")
    session.expect(b"\ntyped\r\n> ")
    session.type(b"\x01h")
    session.expect(b"Ctrl-A x")
    session.type(b"\x01x")
    assert session.ended() == 0


def test_ctrl_c_is_for_the_guest(session: Session) -> None:
    session.expect(b"> ")
    session.type(b"echo a\x03b\r")
    session.expect(b"\na\x03b\r\n> ")
    session.type(b"halt 4\r")
    assert session.ended() == 4


def test_a_signal_that_ends_the_process(session: Session) -> None:
    session.expect(b"> ")
    session.process.send_signal(signal.SIGTERM)
    assert session.ended() == 128 + signal.SIGTERM
