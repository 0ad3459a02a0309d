"""The server: takes requests from an editor, and answers them one by one, in their order."""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading
from dataclasses import dataclass
from io import FileIO

from dynarec.debug.dap import breakpoints, lifecycle, memory, motions, stack, variables
from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.messages import BadMessage, ByteSource, Message, Reader
from dynarec.debug.dap.outbox import ByteSink, Outbox
from dynarec.debug.dap.requests import PENDING, When
from dynarec.debug.dap.running import Finished
from dynarec.debug.dap.session import Session
from dynarec.errors import DynarecError

REQUESTS = {
    **lifecycle.REQUESTS,
    **motions.REQUESTS,
    **breakpoints.REQUESTS,
    **stack.REQUESTS,
    **variables.REQUESTS,
    **memory.REQUESTS,
}
"""All that is answered, by command."""
PATIENCE = 0.05
"""Seconds after which a program that is to stop is told so again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing more will come from the editor. error: why, if it did not just leave."""

    error: DynarecError | None = None


class Server:
    """Of one session. `run` is its thread; it alone touches the debugger, unless an operation of it is under way."""

    def __init__(self, source: ByteSource, sink: ByteSink, defaults: argparse.Namespace) -> None:
        """defaults: what the command line says of the program."""
        self._reader = Reader(source)
        self._outbox = Outbox(sink)
        self._coming: queue.SimpleQueue[Message | Finished | Gone] = queue.SimpleQueue()
        self._session = Session(defaults, self._outbox, self._coming.put)
        self._held: list[Message] = []
        self._pending: dict[str, object] | None = None
        self._put_off: list[Message] = []

    def run(self) -> None:
        """Until the editor disconnects or is gone. Raises BadMessage when it does not speak the protocol."""
        threading.Thread(target=self._read, name="dynarec-dap-in", daemon=True).start()
        error = None
        while not self._session.ended:
            coming = self._next()
            if isinstance(coming, Gone):
                error = coming.error
                self._outbox.abandon()
                break
            if isinstance(coming, Finished):
                self._finished(coming)
            else:
                self._take(coming)
        self._end()
        if error is not None:
            raise error

    def _read(self) -> None:
        try:
            while (message := self._reader.read()) is not None:
                self._coming.put(message)
            self._coming.put(Gone())
        except OSError:
            self._coming.put(Gone())
        except BadMessage as error:
            self._coming.put(Gone(error))

    def _next(self) -> Message | Finished | Gone:
        """What comes next; a program that is to stop is reminded of it meanwhile."""
        while self._held or self._session.pausing or self._session.executing:
            try:
                return self._coming.get(timeout=PATIENCE)
            except queue.Empty:
                self._remind()
        return self._coming.get()

    def _remind(self) -> None:
        if self._session.executing:
            self._session.tell_running()
            self._answer_pending()
        else:
            self._session.interrupt()

    def _answer_pending(self) -> None:
        """A command of the console has ended, or lets the program run; what came meanwhile is answered behind it."""
        self._session.executing = False
        if self._pending is not None:
            self._outbox.send(self._pending | {"body": {"result": "", "variablesReference": 0}})
            self._pending = None
        put_off, self._put_off = self._put_off, []
        for message in put_off:
            self._take(message)

    def _finished(self, finished: Finished) -> None:
        self._session.take_end()
        held, self._held = self._held, []
        for message in held:
            self._answer(message)
        self._session.finished(finished, held=bool(held))
        self._answer_pending()

    def _end(self) -> None:
        """Stop the program, and send what is left."""
        while self._session.busy:
            self._session.interrupt()
            try:
                if isinstance(self._coming.get(timeout=PATIENCE), Finished):
                    self._session.take_end()
            except queue.Empty:
                continue
        self._session.close()
        self._outbox.close()

    def _take(self, message: Message) -> None:
        """Answer a request at once, or when the program has stopped for it."""
        if message.get("type") in ("response", "event"):
            return
        if self._session.executing:
            self._put_off.append(message)
            return
        entry = REQUESTS.get(str(message.get("command")))
        if self._session.busy and entry is not None and entry.when is When.HELD:
            self._held.append(message)
            self._session.interrupt()
            return
        self._answer(message)

    def _answer(self, message: Message) -> None:
        command, number = message.get("command"), message.get("seq")
        response: dict[str, object] = {
            "type": "response",
            "request_seq": number if isinstance(number, int) else 0,
            "command": command if isinstance(command, str) else "",
            "success": True,
        }
        try:
            body = self._body(command, message.get("arguments"))
            if body is PENDING:
                self._pending = response
            elif body is not None:
                response["body"] = body
        except Exception as error:
            self._session.take_later()
            response |= _failure(error)
        if self._pending is not response:
            self._outbox.send(response)
        for action in self._session.take_later():
            action()

    def _body(self, command: object, arguments: object) -> object:
        entry = REQUESTS.get(command) if isinstance(command, str) else None
        if entry is None:
            raise DynarecError(f"dynarec does not know the request {str(command)[:80]!r}")
        if self._session.busy and entry.when is not When.ANY:
            raise DynarecError("the program is running: pause it first")
        return entry.answer(self._session, Arguments(str(command), arguments))


def _failure(error: Exception) -> dict[str, object]:
    text = str(error) if isinstance(error, DynarecError) else f"internal error: {type(error).__name__}: {error}"
    line = " ".join(text.split())
    return {
        "success": False,
        "message": line,
        "body": {"error": {"id": 1, "format": line.replace("{", "(").replace("}", ")")}},
    }


def serve_standard_streams(defaults: argparse.Namespace) -> int:
    """Speak with an editor on stdin and stdout; the exit status.

    Nothing else can reach these streams: what this process prints goes to stderr, and it reads nothing.
    """
    sys.stdout.flush()
    source, sink = FileIO(os.dup(0), "r"), FileIO(os.dup(1), "w")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    Server(source, sink, defaults).run()
    return 0
