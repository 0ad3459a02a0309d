"""Requests about where the program is: its stack, its source files, its end by a trap."""

from __future__ import annotations

from pathlib import Path

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.containers import Container, Globals, Locals, Registers, SystemRegisters
from dynarec.debug.dap.requests import Body, Request, When
from dynarec.debug.dap.session import THREAD, Session
from dynarec.debug.dap.sources import known_file, shown_source
from dynarec.debug.dap.stop_events import describe
from dynarec.debug.source import Frame
from dynarec.debug.stops import Reason
from dynarec.debug.unwind import MAX_FRAMES
from dynarec.errors import DynarecError

MODULE = 1
"""The number of the only module: the program."""


def stack_trace(session: Session, arguments: Arguments) -> Body:
    """A part of the backtrace; of the whole, only as much is looked at as was asked for."""
    first, levels = max(arguments.number("startFrame", 0), 0), arguments.number("levels", 0)
    end = min(first + levels, MAX_FRAMES) if levels > 0 else MAX_FRAMES
    frames = session.look.frames(session.debugger, end + 1)
    shown = [_shown(session, frame, first + index) for index, frame in enumerate(frames[first:end])]
    return {"stackFrames": shown, "totalFrames": len(frames)}


def _shown(session: Session, frame: Frame, index: int) -> Body:
    shown: dict[str, object] = {
        "id": session.look.frame_id(index),
        "name": _name(frame),
        "line": session.client.shown_line(frame.line),
        "column": session.client.shown_column(frame.column) if frame.line else 0,
        "instructionPointerReference": hex(frame.pc),
        "moduleId": MODULE,
    }
    if not frame.line:
        return shown | {"presentationHint": "subtle"}
    return shown | {"source": shown_source(session.debugger.source, frame.file)}


def _name(frame: Frame) -> str:
    name = frame.name or f"{frame.pc:#010x}"
    return f"{name} (inlined)" if frame.is_inlined else name


def scopes(session: Session, arguments: Arguments) -> Body:
    """What a frame has."""
    number = arguments.number("frameId")
    frame = session.look.frame(session.debugger, number)
    found = []
    if frame.scopes:
        found.append(_scope(session, "Locals", Locals(session, number), hint="locals"))
    if session.debugger.source.functions.global_names():
        found.append(_scope(session, "Globals", Globals(session), expensive=True))
    found.append(_scope(session, "Registers", Registers(session, number), hint="registers"))
    found.append(_scope(session, "System registers", SystemRegisters(session), hint="registers", expensive=True))
    return {"scopes": found}


def _scope(session: Session, name: str, container: Container, hint: str = "", expensive: bool = False) -> Body:
    shown: dict[str, object] = {
        "name": name,
        "variablesReference": session.look.keep(container),
        "namedVariables": container.count,
        "expensive": expensive,
    }
    return shown | ({"presentationHint": hint} if hint else {})


def source(session: Session, arguments: Arguments) -> Body:
    """The text of a file that the program is made of, or that is read beside it."""
    file = known_file(session.debugger.source, arguments.inner("source").text("path", ""))
    path = session.debugger.source.text.find(file)
    if path is None:
        raise DynarecError(f"{file} is not here: name its folder as `source` of the launch configuration")
    return {"content": _text(path)}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise DynarecError(f"{path}: cannot be read: {error.strerror}") from None


def loaded_sources(session: Session, arguments: Arguments) -> Body:
    known = session.debugger.source
    return {"sources": [shown_source(known, file) for file in known.lines.files]}


def modules(session: Session, arguments: Arguments) -> Body:
    """The program is the only one."""
    debugger = session.debugger
    program = debugger.machine.program
    module: dict[str, object] = {
        "id": MODULE,
        "name": Path(program.name).name,
        "symbolStatus": "with lines" if debugger.source.lines.files else "without lines",
        "isUserCode": True,
    }
    if program.path is not None:
        module["path"] = str(program.path.absolute())
    return {"modules": [module], "totalModules": 1}


def exception_info(session: Session, arguments: Arguments) -> Body:
    """What was caught, or what the program dies of."""
    stopped = session.debugger.stopped
    if stopped.reason is Reason.TRAPPED and stopped.trap is not None:
        return {"exceptionId": stopped.trap.name, "description": describe(stopped), "breakMode": "unhandled"}
    if stopped.reason is not Reason.CATCHPOINT:
        raise DynarecError("the program has not stopped for an exception")
    return {"exceptionId": stopped.stoppers[0].text, "description": describe(stopped), "breakMode": "always"}


def goto_targets(session: Session, arguments: Arguments) -> Body:
    """Where the program could go on in a line; the number of a target is its address."""
    known = session.debugger.source
    file = known_file(known, arguments.inner("source").text("path", ""))
    line = session.client.own_line(arguments.number("line"))
    return {"targets": [_target(session, address) for address in known.breakpoints(file, line)]}


def _target(session: Session, address: int) -> Body:
    row = session.debugger.source.lines.at(address)
    return {
        "id": address,
        "label": session.debugger.view.place(address) or hex(address),
        "line": session.client.shown_line(row.line if row else 0),
        "instructionPointerReference": hex(address),
    }


def goto(session: Session, arguments: Arguments) -> None:
    """Go on elsewhere, without executing anything."""
    session.debugger.write_register("pc", arguments.number("targetId"))
    session.look.end()
    session.later(
        lambda: session.outbox.event("stopped", reason="goto", threadId=THREAD, allThreadsStopped=True),
    )


REQUESTS = {
    "stackTrace": Request(stack_trace),
    "scopes": Request(scopes),
    "source": Request(source, When.HELD),
    "loadedSources": Request(loaded_sources, When.HELD),
    "modules": Request(modules, When.HELD),
    "exceptionInfo": Request(exception_info),
    "gotoTargets": Request(goto_targets),
    "goto": Request(goto),
}
