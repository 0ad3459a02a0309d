"""An editor that follows a script: it sends requests, and looks at answers and events."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from dynarec.cli import make_parser
from dynarec.debug.dap.messages import encode
from dynarec.debug.dap.server import Server
from tests.debug.build import ELF, SOURCE
from tests.debug.stopped import MARKED

Body = dict[str, Any]


class RefusedError(Exception):
    """The server has answered that it does not do it."""


class Editor:
    """Speaks through two files: one for each direction."""

    def __init__(self, to_server: FileIO, from_server: FileIO) -> None:
        self.to_server = to_server
        self._from_server = from_server
        self._data = b""
        self._sequence = 0
        self.events: list[Body] = []

    def send(self, command: str, **arguments: object) -> int:
        """Send a request; its number."""
        self._sequence += 1
        request = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        self.to_server.write(encode(request))
        return self._sequence

    def __call__(self, command: str, **arguments: object) -> Body:
        """Send a request and wait; the body of the answer. Raises RefusedError with what the server says."""
        return self.answer(self.send(command, **arguments))

    def answer(self, number: int) -> Body:
        """The body of the answer to a request; events that come before it are kept."""
        while (message := self.receive())["type"] != "response":
            self.events.append(message)
        assert message["request_seq"] == number
        if not message["success"]:
            raise RefusedError(message["message"])
        body: Body = message.get("body", {})
        return body

    def wait(self, event: str) -> Body:
        """The body of the next event of a name; others that come before it are kept."""
        while not any(each["event"] == event for each in self.events):
            self.events.append(self.receive())
        found = next(each for each in self.events if each["event"] == event)
        self.events.remove(found)
        body: Body = found["body"]
        return body

    def receive(self) -> Body:
        """The next message. Raises EOFError."""
        header, _, rest = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        length = int(header.removeprefix(b"Content-Length: "))
        self._data = rest
        while len(self._data) < length:
            self._fetch()
        content, self._data = self._data[:length], self._data[length:]
        message: Body = json.loads(content)
        return message

    def _until(self, end: bytes) -> bytes:
        while end not in self._data:
            self._fetch()
        return self._data

    def _fetch(self) -> None:
        data = self._from_server.read(65536)
        if not data:
            raise EOFError
        self._data += data

    # -- what scripts have in common ----------------------------------------------------------------------------------

    def launch(self, program: Path = ELF, **configuration: object) -> None:
        """Up to where an editor sets breakpoints."""
        self("initialize", adapterID="dynarec", supportsInvalidatedEvent=True, supportsMemoryEvent=True)
        self("launch", program=str(program), source=[str(SOURCE.parent)], **configuration)
        self.wait("initialized")

    def breakpoints(self, *wanted: str | Mapping[str, object]) -> list[Body]:
        """Set those of `program.c`: names of marked lines, or more about them with the name as `line`."""
        breakpoints = []
        for each in wanted:
            about: Mapping[str, object] = {"line": each} if isinstance(each, str) else each
            breakpoints.append({**about, "line": MARKED[str(about["line"])]})
        answer: list[Body] = self("setBreakpoints", source={"path": str(SOURCE)}, breakpoints=breakpoints)[
            "breakpoints"
        ]
        return answer

    def go(self, command: str = "configurationDone", **arguments: object) -> Body:
        """Let the program go on, and wait until it stops."""
        self(command, threadId=1, **arguments)
        return self.wait("stopped")

    def frames(self, most: int = 20) -> list[Body]:
        """The stack."""
        frames: list[Body] = self("stackTrace", threadId=1, levels=most)["stackFrames"]
        return frames

    def where(self) -> tuple[str, int]:
        """The function and the line of the innermost frame."""
        frame = self.frames(1)[0]
        return frame["name"], frame["line"]

    def scope(self, name: str, level: int = 0) -> int:
        """The reference of a scope of a frame."""
        scopes = self("scopes", frameId=self.frames()[level]["id"])["scopes"]
        return next(int(each["variablesReference"]) for each in scopes if each["name"] == name)

    def variables(self, reference: int, **page: int) -> dict[str, Body]:
        """What a scope or a variable consists of."""
        found = self("variables", variablesReference=reference, **page)["variables"]
        return {each["name"]: each for each in found}

    def evaluate(self, expression: str, context: str = "watch") -> str:
        """The value of an expression in the innermost frame, as text."""
        return str(self("evaluate", expression=expression, context=context)["result"])


@contextmanager
def connected(*options: str) -> Iterator[Editor]:
    """An editor, and a server on a thread; options: of `dynarec debug`. What the server raises is raised at the end."""
    errors: list[BaseException] = []
    to_server, from_editor = _pipe()
    to_editor, from_server = _pipe()
    words = ["debug", "--dap", *options]
    defaults = make_parser(words).parse_args(words)
    defaults.guest_arguments = []

    def serve() -> None:
        try:
            Server(to_server, from_server, defaults).run()
        except BaseException as error:
            errors.append(error)
        from_server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Editor(from_editor, to_editor)
    finally:
        from_editor.close()
        thread.join()
        to_editor.close()
    for error in errors:
        raise error


def _pipe() -> tuple[FileIO, FileIO]:
    reader, writer = os.pipe()
    return FileIO(reader, "r"), FileIO(writer, "w")
