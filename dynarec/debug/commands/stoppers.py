"""Commands about breakpoints, watchpoints and catchpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dynarec.debug.commands.session import SIZED, Command, Context
from dynarec.debug.commands.telling import short
from dynarec.debug.stoppers import CAUGHT, Stopper
from dynarec.errors import DynarecError

CONDITION = re.compile(r"(?:^|\s)if\b\s*(?P<when>.*)$", re.DOTALL)


def split_condition(argument: str) -> tuple[str, str]:
    """ "main if a0 > 3" -> ("main", "a0 > 3")"""
    match = CONDITION.search(argument)
    return (argument[: match.start()].strip(), match["when"].strip()) if match else (argument.strip(), "")


def break_(context: Context, argument: str, temporary: bool = False) -> Iterator[str]:
    where, when = split_condition(argument)
    frame = context.frame
    point = context.debugger.break_at(where or frame.pc, when, temporary=temporary, file=frame.file)
    yield from (made(context, point, address) for address in point.addresses)


def tbreak(context: Context, argument: str) -> Iterable[str]:
    return break_(context, argument, temporary=True)


def made(context: Context, point: Stopper, address: int) -> str:
    """ "Breakpoint 1 at 0x00010074: main, program.c:20"."""
    debugger = context.debugger
    row = debugger.source.lines.at(address)
    parts = [debugger.view.place(address), f"{short(row.file)}:{row.line}" if row and row.line else ""]
    known = ", ".join(part for part in parts if part)
    return f"{point.kind.capitalize()} {point.number} at {address:#010x}{f': {known}' if known else ''}"


def _watch(context: Context, argument: str, kind: str) -> Iterator[str]:
    where, when = split_condition(argument)
    if not where:
        raise DynarecError("watch needs a place: watch total, watch 0x12000, 64")
    match = SIZED.fullmatch(where)
    size = int(match["size"], 0) if match else None
    point = context.debugger.watch(match["where"] if match else where, size, kind, when=when)
    yield f"Watchpoint {point.number}: {point.text}"


def watch(context: Context, argument: str) -> Iterable[str]:
    return _watch(context, argument, "change")


def rwatch(context: Context, argument: str) -> Iterable[str]:
    return _watch(context, argument, "read")


def awatch(context: Context, argument: str) -> Iterable[str]:
    return _watch(context, argument, "access")


def catch(context: Context, argument: str) -> Iterator[str]:
    words, when = split_condition(argument)
    what, _, selector = words.partition(" ")
    number = _number(selector) if selector else None
    point = context.debugger.catch(what, number, when=when)
    yield f"Catchpoint {point.number}: {point.text}"


def condition(context: Context, argument: str) -> Iterator[str]:
    number, _, when = argument.partition(" ")
    stopper = _find(context, number)
    stopper.set_condition(when.strip())
    yield f"{stopper.kind.capitalize()} {stopper.number} stops {f'if {stopper.when}' if stopper.when else 'always'}"


def ignore(context: Context, argument: str) -> Iterator[str]:
    number, _, count = argument.partition(" ")
    stopper = _find(context, number)
    stopper.ignore = _number(count)
    yield f"{stopper.kind.capitalize()} {stopper.number}: the next {stopper.ignore} hits are passed over"


def commands(context: Context, argument: str) -> Iterator[str]:
    number, _, rest = argument.partition(" ")
    stopper = _find(context, number) if number else _last(context)
    stopper.commands.clear()
    if rest:
        stopper.commands += [line.strip() for line in rest.split(";") if line.strip()]
        return
    context.collecting = stopper.commands
    yield f"Commands for {stopper.kind} {stopper.number}, one on a line; end ends them"


def delete(context: Context, argument: str) -> Iterable[str]:
    for stopper in _chosen(context, argument):
        context.debugger.delete(stopper.number)
    return ()


def enable(context: Context, argument: str) -> Iterable[str]:
    for stopper in _chosen(context, argument):
        stopper.enable()
    return ()


def disable(context: Context, argument: str) -> Iterable[str]:
    for stopper in _chosen(context, argument):
        stopper.disable()
    return ()


def listing(context: Context) -> Iterator[str]:
    """All of them, a line each, and what belongs to them."""
    if not context.debugger.stoppers:
        yield "no breakpoints, watchpoints or catchpoints"
    for stopper in context.debugger.stoppers.values():
        yield line(stopper)
        yield from (f"        {each}" for each in stopper.commands)


def line(stopper: Stopper) -> str:
    """ "  1 breakpoint main if a0 > 3, disabled, 2 hits"."""
    parts = [f"{stopper.number:3} {stopper.kind} {stopper.text}{f' if {stopper.when}' if stopper.when else ''}"]
    parts += ["once"] if stopper.temporary else []
    parts += [] if stopper.enabled else ["disabled"]
    parts += [f"{stopper.hits} hit{'s' if stopper.hits != 1 else ''}"] if stopper.hits else []
    parts += [f"ignores {stopper.ignore} more"] if stopper.ignore else []
    return ", ".join(parts)


def _chosen(context: Context, argument: str) -> list[Stopper]:
    """Those with the numbers; all when there are no numbers."""
    words = argument.replace(",", " ").split()
    return [_find(context, word) for word in words] if words else list(context.debugger.stoppers.values())


def _find(context: Context, number: str) -> Stopper:
    return context.debugger.find(_number(number))


def _last(context: Context) -> Stopper:
    stoppers = context.debugger.stoppers
    if not stoppers:
        raise DynarecError("there is no breakpoint to give commands to")
    return stoppers[max(stoppers)]


def _number(text: str) -> int:
    try:
        value = int(text.strip(), 0)
    except ValueError:
        value = -1
    if value < 0:
        raise DynarecError(f"{text.strip()!r} is no number: info breakpoints shows them")
    return value


COMMANDS = (
    Command(break_, "break [PLACE] [if EXPR]", "stop before a function, file:line, *address", ("b",), "place"),
    Command(tbreak, "tbreak [PLACE] [if EXPR]", "the same, once", ("tb",), "place"),
    Command(watch, "watch WHERE[, SIZE] [if EXPR]", "stop before another value is written", (), "expression"),
    Command(rwatch, "rwatch WHERE[, SIZE] [if EXPR]", "stop before it is read", (), "expression"),
    Command(awatch, "awatch WHERE[, SIZE] [if EXPR]", "stop before it is read or written", (), "expression"),
    Command(catch, "catch WHAT [NUMBER] [if EXPR]", f"stop for {', '.join(CAUGHT)}", (), "catch"),
    Command(condition, "condition NUMBER [EXPR]", "change or remove a condition", (), "number"),
    Command(ignore, "ignore NUMBER COUNT", "pass over so many hits", (), "number"),
    Command(commands, "commands [NUMBER] [COMMAND; ...]", "what to do at a stop; silent comes first", (), "number"),
    Command(delete, "delete [NUMBER...]", "remove some, or all", ("d", "del"), "number"),
    Command(enable, "enable [NUMBER...]", "let them stop the program", ("en",), "number"),
    Command(disable, "disable [NUMBER...]", "let them not stop it", ("dis",), "number"),
)
