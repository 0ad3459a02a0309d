"""Stops, frames and code in words."""

from __future__ import annotations

from collections.abc import Iterator

from dynarec.debug.commands.session import Context
from dynarec.debug.debugger import Debugger
from dynarec.debug.source import Frame
from dynarec.debug.stops import Reason, Stopped
from dynarec.debug.view import CodeLine
from dynarec.errors import DynarecError

PLAIN = frozenset({Reason.STEP, Reason.START})


def tell(context: Context, stopped: Stopped, before: int | None = None) -> Iterator[str]:
    """Why the program has stopped, and where. before: where it was; a step within a function tells the line alone."""
    debugger = context.debugger
    if stopped.reason not in PLAIN or stopped.detail:
        yield reason(debugger, stopped)
    if stopped.reason is Reason.EXITED:
        return
    start = debugger.source.function_start
    is_near = before is not None and stopped.reason is Reason.STEP and start(before) == start(stopped.pc)
    yield from where(context, with_frame=not is_near)
    yield from _displays(context)


def reason(debugger: Debugger, stopped: Stopped) -> str:
    """ "Breakpoint 1", "Watchpoint 2: total: 0x4 to 0x1200c", "Exited with status 3"."""
    if stopped.reason is Reason.EXITED:
        return f"Exited with status {stopped.status}"
    if stopped.reason is Reason.TRAPPED and stopped.trap is not None:
        return f"Trapped: {stopped.trap.name}, value {stopped.trap.value:#x}"
    named = ", ".join(f"{each.kind} {each.number}" for each in stopped.stoppers) or stopped.reason.value
    text = named[:1].upper() + named[1:]
    access = stopped.access
    if access is not None:
        what = "reads" if access.value is None else f"writes {access.value:#x} to"
        text += f": {what} {access.address:#010x} ({access.size} bytes){_old(debugger, stopped)}"
    return f"{text}: {stopped.detail}" if stopped.detail else text


def _old(debugger: Debugger, stopped: Stopped) -> str:
    """What memory holds where the instruction is about to write."""
    access = stopped.access
    if access is None or access.value is None:
        return ""
    try:
        data = debugger.machine.memory.read(access.address, access.size)
    except DynarecError:
        return ""
    return f", was {int.from_bytes(data, 'little'):#x}"


def where(context: Context, with_frame: bool = True) -> Iterator[str]:
    """The selected frame, and its line of the source or its instruction."""
    debugger, frame = context.debugger, context.frame
    place = frame_text(debugger, frame)
    if with_frame:
        yield f"#{context.level} {place}" if context.level else place
    text = debugger.source.text.line(frame.file, frame.line) if frame.line else ""
    if text:
        yield f"{frame.line}\t{text}"
        return
    for line in debugger.view.listing(frame.pc, 1):
        yield code_text(debugger, line)


def frame_text(debugger: Debugger, frame: Frame) -> str:
    """ "add (a=1, b=2) at program.c:20", or "0x00010074 in ?? ()"."""
    place = f" at {short(frame.file)}:{frame.line}" if frame.line else ""
    address = "" if place else f"{frame.pc:#010x} in "
    return f"{address}{frame.name or '??'} ({', '.join(arguments(debugger, frame))}){place}"


def arguments(debugger: Debugger, frame: Frame) -> list[str]:
    """The arguments of a frame: "a=1"."""
    if not frame.scopes:
        return []
    names = [die.name for die in frame.scopes[0].parameters]
    found = {each.name: each for each in debugger.view.variables(frame)}
    return [f"{name}={found[name].text}" for name in names if name in found]


def code_text(debugger: Debugger, line: CodeLine) -> str:
    """ "0x00010074 <main+4>: sw ra, 12(sp)"."""
    return f"{address_text(debugger, line.address)}:\t{line.text}"


def address_text(debugger: Debugger, address: int) -> str:
    """ "0x00010074 <main+4>"; outside of the program there are no names."""
    is_inside = any(each.address <= address < each.end for each in debugger.machine.program.segments)
    place = debugger.view.place(address) if is_inside else ""
    return f"{address:#010x}{f' <{place}>' if place else ''}"


def short(file: str) -> str:
    """A file's name without its folders."""
    return file.replace("\\", "/").rpartition("/")[2]


def _displays(context: Context) -> Iterator[str]:
    """What the user wants to see at each stop."""
    from dynarec.debug.commands.values import show

    for number, display in context.displays.items():
        try:
            for line in show(context, display.expression, display.format):
                yield f"{number}: {line}"
        except DynarecError as error:
            yield f"{number}: {display.expression}: {error}"
