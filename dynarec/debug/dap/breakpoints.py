"""Requests about breakpoints of every kind."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.evaluation import evaluate
from dynarec.debug.dap.memory import address_of
from dynarec.debug.dap.points import Make, Wish, shown_point
from dynarec.debug.dap.requests import Body, Request, When
from dynarec.debug.dap.session import Session
from dynarec.debug.dap.sources import known_file
from dynarec.debug.stoppers import Stopper
from dynarec.errors import DynarecError

WATCHED = {"write": "change", "read": "read", "readWrite": "access"}
"""Access types of the protocol, and kinds of watchpoints: editors call the first one "value change"."""
FILTERS = {
    "trap": ("Traps", "stop when the guest takes an exception"),
    "interrupt": ("Interrupts", "stop when the guest takes an interrupt"),
    "syscall": ("System calls", "stop before a system call"),
    "mmio": ("Devices", "stop before an access to a device"),
}
"""Catchpoints that an editor offers, with their labels and what they do."""
MOST_BYTES = 1 << 20
"""Of a range that is watched."""


def filters() -> list[Body]:
    """The "exceptionBreakpointFilters" of the capabilities."""
    return [
        {
            "filter": name,
            "label": label,
            "description": text,
            "supportsCondition": True,
            "conditionDescription": "a number (of the cause, or of the system call), or an expression",
        }
        for name, (label, text) in FILTERS.items()
    ]


def set_breakpoints(session: Session, arguments: Arguments) -> Body:
    """Those of one file."""
    source, path = session.debugger.source, arguments.inner("source").text("path", "")
    wanted = arguments.inners("breakpoints")
    lines = [session.client.own_line(each.number("line")) for each in wanted]
    try:
        file = known_file(source, path)
    except DynarecError as error:
        session.points.replace(("source", path), [])
        return {"breakpoints": [shown_point(session, error)] * len(wanted)}
    wishes = [(_wish(line, each), _at_line(file, line)) for line, each in zip(lines, wanted, strict=True)]
    return _answer(session, session.points.replace(("source", file), wishes))


def _at_line(file: str, line: int) -> Make:
    return lambda debugger, when: debugger.break_at(str(line), when, file=file)


def set_function_breakpoints(session: Session, arguments: Arguments) -> Body:
    wanted = [(each.text("name"), each) for each in arguments.inners("breakpoints")]
    wishes = [(_wish(name, each), _at(name)) for name, each in wanted]
    return _answer(session, session.points.replace("function", wishes, "function breakpoint"))


def set_instruction_breakpoints(session: Session, arguments: Arguments) -> Body:
    wanted = [
        (address_of(each.text("instructionReference")) + each.number("offset", 0), each)
        for each in arguments.inners("breakpoints")
    ]
    wishes = [(_wish(address, each), _at(address)) for address, each in wanted]
    return _answer(session, session.points.replace("instruction", wishes, "instruction breakpoint"))


def _at(where: int | str) -> Make:
    return lambda debugger, when: debugger.break_at(where, when)


def data_breakpoint_info(session: Session, arguments: Arguments) -> Body:
    """Whether something can be watched, and under which name."""
    name = arguments.text("name")
    try:
        address, size = _place_of(session, arguments, name)
    except DynarecError as error:
        return {"dataId": None, "description": str(error)}
    return {
        "dataId": f"{address:#x}:{size}",
        "description": f"{name} ({size} bytes at {address:#x})",
        "accessTypes": list(WATCHED),
        "canPersist": False,
    }


def _place_of(session: Session, arguments: Arguments, name: str) -> tuple[int, int]:
    """The memory of what is asked about. Raises DynarecError."""
    if arguments.flag("asAddress"):
        return address_of(name), arguments.number("bytes", 4)
    reference = arguments.number("variablesReference", 0)
    if reference:
        variable = session.look.container(reference).variable(name)
    else:
        frame = session.frame(arguments)
        variable = evaluate(session.debugger, name, frame).variable
    if variable is None or variable.address is None:
        raise DynarecError(f"{name} is not in memory: only memory can be watched")
    return variable.address, variable.size or 1


def set_data_breakpoints(session: Session, arguments: Arguments) -> Body:
    wishes = [_data_wish(each) for each in arguments.inners("breakpoints")]
    return _answer(session, session.points.replace("data", wishes))


def _data_wish(wanted: Arguments) -> tuple[Wish, Make]:
    data, access = wanted.text("dataId"), wanted.text("accessType", "write")
    start, _, size = data.partition(":")
    address = address_of(start)
    if not size.isdecimal() or not 0 < int(size[:9]) <= MOST_BYTES or len(size) > 9:
        raise DynarecError(f"{wanted.owner}: {data!r} is no dataId of this debugger")
    kind = WATCHED.get(access, access)
    return _wish((data, access), wanted), lambda debugger, when: debugger.watch(address, int(size), kind, when=when)


def set_exception_breakpoints(session: Session, arguments: Arguments) -> Body:
    """Catchpoints, by the filters that the capabilities name."""
    wanted = [(name, "") for name in arguments.texts("filters")]
    wanted += [(each.text("filterId"), each.text("condition", "")) for each in arguments.inners("filterOptions")]
    wishes = [(Wish(each), _catch(*each)) for each in wanted]
    return _answer(session, session.points.replace("exception", wishes, "exception"))


def _catch(what: str, condition: str) -> Make:
    """The condition is the editor's: a number, or an expression."""
    text = condition.strip()
    if text.isdecimal():
        return lambda debugger, _: debugger.catch(what, int(text))
    return lambda debugger, _: debugger.catch(what, when=text)


def breakpoint_locations(session: Session, arguments: Arguments) -> Body:
    """The lines of a stretch of a file that have code."""
    source = session.debugger.source
    file = known_file(source, arguments.inner("source").text("path", ""))
    first = session.client.own_line(arguments.number("line"))
    last = session.client.own_line(arguments.number("endLine", session.client.shown_line(first)))
    lines = [each for each in source.lines.lines_with_code(file) if first <= each <= last]
    return {"breakpoints": [{"line": session.client.shown_line(each)} for each in lines]}


def _wish(what: Hashable, wanted: Arguments) -> Wish:
    return Wish(what, wanted.text("condition", ""), wanted.text("hitCondition", ""), wanted.text("logMessage", ""))


def _answer(session: Session, answers: Sequence[Stopper | DynarecError]) -> Body:
    return {"breakpoints": [shown_point(session, each) for each in answers]}


REQUESTS = {
    "setBreakpoints": Request(set_breakpoints, When.HELD),
    "setFunctionBreakpoints": Request(set_function_breakpoints, When.HELD),
    "setInstructionBreakpoints": Request(set_instruction_breakpoints, When.HELD),
    "setDataBreakpoints": Request(set_data_breakpoints, When.HELD),
    "setExceptionBreakpoints": Request(set_exception_breakpoints, When.HELD),
    "dataBreakpointInfo": Request(data_breakpoint_info),
    "breakpointLocations": Request(breakpoint_locations, When.HELD),
}
