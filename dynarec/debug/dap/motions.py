"""Requests that let the program go on, or stop it."""

from __future__ import annotations

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.requests import Body, Request, When
from dynarec.debug.dap.running import Operation
from dynarec.debug.dap.session import THREAD, Session
from dynarec.debug.debugger import Debugger
from dynarec.errors import DynarecError

INSTRUCTION = "instruction"
"""A granularity; the others, `statement` and `line`, are one here."""


def threads(session: Session, arguments: Arguments) -> Body:
    """There is one, named after the program."""
    name = session.launch.name if session.launch else "guest"
    return {"threads": [{"id": THREAD, "name": name}]}


def continue_(session: Session, arguments: Arguments) -> Body:
    _go(session, Debugger.resume)
    return {"allThreadsContinued": True}


def next_(session: Session, arguments: Arguments) -> None:
    _go(session, Debugger.next_instruction if _by_instruction(arguments) else Debugger.next)


def step_in(session: Session, arguments: Arguments) -> None:
    _go(session, Debugger.step_instruction if _by_instruction(arguments) else Debugger.step)


def step_out(session: Session, arguments: Arguments) -> None:
    _go(session, Debugger.finish)


def step_back(session: Session, arguments: Arguments) -> None:
    by_instruction = _by_instruction(arguments)
    _go_back(session, Debugger.reverse_step_instruction if by_instruction else Debugger.reverse_next)


def reverse_continue(session: Session, arguments: Arguments) -> None:
    _go_back(session, Debugger.reverse_resume)


def pause(session: Session, arguments: Arguments) -> None:
    """A program that has stopped meanwhile has been reported already."""
    if session.busy:
        session.pausing = True
        session.later(session.interrupt)


def _by_instruction(arguments: Arguments) -> bool:
    return arguments.text("granularity", "statement") == INSTRUCTION


def _go(session: Session, operation: Operation) -> None:
    """Go on after the response; what has ended is left."""
    stopped = session.debugger.stopped
    if session.debugger.has_ended:
        session.later(lambda: session.end(stopped.status or 0))
    else:
        session.later(lambda: session.go(operation))


def _go_back(session: Session, operation: Operation) -> None:
    if not session.debugger.can_reverse:
        raise DynarecError(session.debugger.why_no_history)
    session.later(lambda: session.go(operation))


REQUESTS = {
    "threads": Request(threads, When.ANY),
    "continue": Request(continue_),
    "next": Request(next_),
    "stepIn": Request(step_in),
    "stepOut": Request(step_out),
    "stepBack": Request(step_back),
    "reverseContinue": Request(reverse_continue),
    "pause": Request(pause, When.ANY),
}
