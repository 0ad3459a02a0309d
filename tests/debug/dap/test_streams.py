"""The protocol on real streams, and what is no protocol."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from dynarec.debug.dap.messages import MAX_CONTENT, BadMessage, Reader, encode
from dynarec.debug.dap.outbox import MAX_WAITING, Outbox
from tests.debug.build import ELF
from tests.debug.dap.editor import Body, Editor, connected

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

ROMS = Path(__file__).parents[3] / "roms"
COMMAND = [sys.executable, "-m", "dynarec", "debug", "--dap"]
FAILED = 125


@contextmanager
def process(*options: str) -> Iterator[tuple[Editor, subprocess.Popen[bytes]]]:
    """An editor, and the server in a process of its own."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *options], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as child:
        yield Editor(cast(FileIO, child.stdin), cast(FileIO, child.stdout)), child


def test_a_whole_session_in_a_process() -> None:
    with process() as (editor, child):
        editor.launch()
        editor.breakpoints("in add")
        assert editor.go()["reason"] == "breakpoint"
        assert editor.evaluate("sum") == "3"
        editor.breakpoints()
        editor("continue", threadId=1)
        assert editor.wait("exited")["exitCode"] == 14
        editor("disconnect")
        assert child.wait() == 0
        assert child.communicate() == (b"", b"")


def test_the_program_has_streams_of_its_own() -> None:
    """What it writes comes as events, and it cannot read what the editor sends."""
    with process() as (editor, child):
        editor.launch(ROMS / "words.elf")
        editor("configurationDone")
        assert "exitCode" in editor.wait("exited")
        editor("disconnect")
        assert child.wait() == 0
        assert child.communicate() == (b"", b"")


@pytest.mark.parametrize("running", [False, True])
def test_an_editor_that_is_gone(running: bool) -> None:
    with process() as (editor, child):
        editor.launch(ROMS / "bench" / "sha256.elf", args=["100000000"])
        if running:
            editor("configurationDone")
        editor.to_server.close()
        assert child.wait() == 0


def test_an_editor_that_does_not_read_any_more() -> None:
    with process() as (editor, child):
        editor.launch(stopOnEntry=True)
        assert child.stdout is not None
        child.stdout.close()
        editor.send("threads")
        editor.to_server.close()
        assert child.wait() == 0


def test_an_editor_that_leaves_while_the_program_writes() -> None:
    with process() as (editor, child):
        editor.launch(ROMS / "hello.elf", args=["x" * 1000] * 1900)
        editor("configurationDone")
        editor.wait("output")
        editor.to_server.close()
        assert child.wait() == 0


class Stuck(io.RawIOBase):
    """An editor that reads nothing until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.data = b""

    def write(self, data: Buffer, /) -> int:
        self.released.wait()
        self.data += bytes(data)
        return len(bytes(data))


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_program_waits_for_an_editor_to_read_but_not_for_one_that_is_gone(is_gone: bool) -> None:
    sink = Stuck()
    outbox = Outbox(sink)
    written: list[str] = []

    def write() -> None:
        for text in ("a", "b" * (MAX_WAITING + 1), "c" * (MAX_WAITING + 1), "d"):
            outbox.output("stdout", text)
            written.append(text)

    program = threading.Thread(target=write)
    program.start()
    assert "d" not in written
    if is_gone:
        outbox.abandon()
    else:
        sink.released.set()
    program.join()
    sink.released.set()
    outbox.close()
    text = "".join(message["body"]["output"] for message in cast(list[Body], read(sink.data)))
    assert text == "".join(written)


def test_no_protocol_ends_with_one_line() -> None:
    done = subprocess.run(COMMAND, input=b"GET / HTTP/1.1\r\n\r\n", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (FAILED, b"")
    assert done.stderr.decode().splitlines() == ["dynarec: no message: its header has no Content-Length"]


def test_a_program_is_needed_without_an_editor() -> None:
    done = subprocess.run([*COMMAND[:-1]], capture_output=True, text=True, check=False)
    assert done.returncode == FAILED
    assert "name a program" in done.stderr


def read(data: bytes) -> list[object]:
    """All messages."""
    reader = Reader(io.BytesIO(data))
    return list(iter(reader.read, None))


class Drops(io.BytesIO):
    """Gives one byte at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


def test_messages_come_in_pieces() -> None:
    messages = [{"seq": 1, "text": "ä\ud800"}, {"seq": 2}]
    data = b"".join(map(encode, messages))
    assert read(data) == messages
    assert list(iter(Reader(Drops(data)).read, None)) == messages


def test_headers_may_say_more() -> None:
    assert read(b"X: y\r\ncontent-length:  2 \r\nContent-Type: json\r\n\r\n{}") == [{}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"Content-Length: 5\r\n\r\n{}", "left in the middle of a message"),
        (b"Content-Length: 2\r\n", "left in the middle of a header"),
        (b"x" * 5000, "no end of a header"),
        (b"Content-Length: -1\r\n\r\n", "up to"),
        (b"Content-Length: two\r\n\r\n", "up to"),
        (b"Content-Length: %d\r\n\r\n" % (MAX_CONTENT + 1), "up to"),
        (b"Content-Length: %s\r\n\r\n" % (b"9" * 3000), "up to"),
        (b"Length: 2\r\n\r\n{}", "no Content-Length"),
        (b"Content-Length: 2\r\n\r\n[]", "no object"),
        (b"Content-Length: 2\r\n\r\n{\xff", "not JSON"),
        (b"Content-Length: 9\r\n\r\n{'a': 12}", "not JSON"),
        (b'Content-Length: 9\r\n\r\n{"a":NaN}', "not JSON"),
        (b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_message(data: bytes, message: str) -> None:
    with pytest.raises(BadMessage, match=message):
        read(data)


@pytest.mark.parametrize(
    "request_", [{}, {"seq": "one"}, {"seq": 1, "type": "request"}, {"seq": 1, "type": "request", "command": []}]
)
def test_a_request_without_what_it_needs(request_: dict[str, object]) -> None:
    with connected() as editor:
        editor.to_server.write(encode(request_))
        answer = editor.receive()
        assert (answer["type"], answer["success"]) == ("response", False)
        assert answer["message"]
        editor("initialize", adapterID="dynarec")


def test_answers_of_the_editor_are_not_answered() -> None:
    with connected(str(ELF)) as editor:
        for kind in ("response", "event"):
            editor.to_server.write(encode({"seq": 5, "type": kind, "request_seq": 1}))
        editor("initialize", adapterID="dynarec")
