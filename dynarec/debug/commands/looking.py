"""Commands that look at the program: frames, source, code, and what translation makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dynarec.debug.commands import registers, stoppers
from dynarec.debug.commands.block import block
from dynarec.debug.commands.session import Command, Context
from dynarec.debug.commands.telling import arguments, code_text, frame_text, reason, short, where
from dynarec.debug.commands.values import number
from dynarec.debug.unwind import MAX_FRAMES
from dynarec.errors import DynarecError
from dynarec.snapshot import Snapshot

LISTED = 10
"""Lines that list shows."""
DISASSEMBLED = 16
"""Instructions of code that belongs to no function."""
LARGEST_FUNCTION = 4000
"""Instructions of a function that are shown."""


def backtrace(context: Context, argument: str) -> Iterator[str]:
    most = _whole(argument) if argument else MAX_FRAMES
    for level, frame in enumerate(context.debugger.view.frames(most)):
        mark = "*" if level == context.level else " "
        yield f"{mark}#{level:<3}{frame_text(context.debugger, frame)}"


def frame(context: Context, argument: str) -> Iterable[str]:
    if argument:
        context.select(_whole(argument))
    return where(context)


def up(context: Context, argument: str) -> Iterable[str]:
    context.select(context.level + (_whole(argument) if argument else 1))
    return where(context)


def down(context: Context, argument: str) -> Iterable[str]:
    if not context.level:
        raise DynarecError("this is the innermost frame")
    context.select(max(0, context.level - (_whole(argument) if argument else 1)))
    return where(context)


def list_(context: Context, argument: str) -> Iterator[str]:
    file, first = _listed(context, argument)
    lines = context.debugger.source.text.lines(file, first, LISTED)
    if not lines:
        known = context.debugger.source.text.find(file)
        raise DynarecError(
            f"{short(file)} has no line {first}" if known else f"the source {file} is not here: --source DIR finds it"
        )
    context.listed = file, first + len(lines)
    yield from (f"{line}\t{text}" for line, text in enumerate(lines, first))


def _listed(context: Context, argument: str) -> tuple[str, int]:
    """The file, and the first line to show."""
    here = context.frame
    if not argument and context.listed is not None:
        return context.listed
    if argument.isdecimal():
        file = context.listed[0] if context.listed else here.file
        return _of_source(file), max(1, int(argument) - LISTED // 2)
    if not argument:
        return _of_source(here.file), max(1, here.line - LISTED // 2)
    row = context.debugger.source.lines.at(context.debugger.places.find(argument, here.file)[0])
    return _of_source(row.file if row else ""), max(1, (row.line if row else 0) - LISTED // 2)


def _of_source(file: str) -> str:
    if not file:
        raise DynarecError("there are no source lines here (compile with -g); disassemble shows the code")
    return file


def disassemble(context: Context, argument: str) -> Iterator[str]:
    debugger = context.debugger
    address = number(context, argument) if argument else context.frame.pc
    start = debugger.source.function_start(address)
    function = debugger.source.functions.at(address)
    first = address if start is None else start
    shown: tuple[str, int] | None = None
    for line in debugger.view.listing(first, LARGEST_FUNCTION if start is not None else DISASSEMBLED):
        if start is not None and debugger.source.function_start(line.address) != start:
            break
        if function is not None and line.address >= function.high:
            break
        if line.line and (line.file, line.line) != shown:
            shown = line.file, line.line
            yield f"{line.line}\t{debugger.source.text.line(*shown)}".rstrip()
        yield f"{'=>' if line.address == debugger.machine.pc else '  '} {code_text(debugger, line)}"


def translate(context: Context, argument: str) -> Iterator[str]:
    address = number(context, argument) if argument else context.debugger.machine.pc
    for section in block(context.debugger, address):
        yield section.title
        yield from (f"  {line}" for line in section.lines)


def info(context: Context, argument: str) -> Iterable[str]:
    topic, _, rest = argument.partition(" ")
    names = [name for name in TOPICS if name.startswith(topic)] if topic else []
    if topic in TOPICS:
        names = [topic]
    if not names:
        raise DynarecError(f"info tells of {', '.join(TOPICS)}")
    return TOPICS[names[0]](context, rest.strip())


def _breakpoints(context: Context, argument: str) -> Iterable[str]:
    return stoppers.listing(context)


def _registers(context: Context, argument: str) -> Iterator[str]:
    machine = context.debugger.machine
    names = argument.replace("$", "").split() or registers.shown(machine)
    for name in names:
        if name != "pc" and name not in machine.guest.layout:
            raise DynarecError(f"{machine.guest.name} has no register {name!r}")
        value = machine.regs[name]
        yield f"{name:<8}{value:#010x}  {value - (1 << 32) if value >> 31 else value}"


def _locals(context: Context, argument: str) -> Iterator[str]:
    given = {text.partition("=")[0] for text in arguments(context.debugger, context.frame)}
    found = [each for each in context.debugger.view.variables(context.frame) if each.name not in given]
    yield from (str(each) for each in found)
    if not found:
        yield "no variables of this frame are known"


def _args(context: Context, argument: str) -> Iterator[str]:
    found = arguments(context.debugger, context.frame)
    yield from (text.replace("=", " = ", 1) for text in found)
    if not found:
        yield "no arguments of this frame are known"


def _line(context: Context, argument: str) -> Iterator[str]:
    debugger = context.debugger
    for address in debugger.places.find(argument, context.frame.file) if argument else [context.frame.pc]:
        row = debugger.source.lines.at(address)
        known = f"{row.file}:{row.line}, {row.low:#010x} to {row.high:#010x}" if row and row.line else "no line"
        yield f"{address:#010x} ({debugger.view.place(address) or 'no symbol'}): {known}"


def _symbol(context: Context, argument: str) -> Iterator[str]:
    address = number(context, argument) if argument else context.frame.pc
    yield f"{address:#010x}: {context.debugger.view.place(address) or 'no symbol'}"


def _frame(context: Context, argument: str) -> Iterator[str]:
    here = context.frame
    cfa = here.activation.cfa
    yield frame_text(context.debugger, here)
    yield f"pc {here.pc:#010x}, stack pointer of the caller {'not known' if cfa is None else f'{cfa:#010x}'}"


def _display(context: Context, argument: str) -> Iterator[str]:
    yield from (f"{each}: {shown.expression}" for each, shown in context.displays.items())


def _program(context: Context, argument: str) -> Iterator[str]:
    debugger = context.debugger
    yield f"{debugger.machine.program.name}: {reason(debugger, debugger.stopped)} at {debugger.machine.pc:#010x}"
    yield f"{debugger.position.instructions:,} instructions since the beginning"


TOPICS: dict[str, Callable[[Context, str], Iterable[str]]] = {
    "breakpoints": _breakpoints,
    "registers": _registers,
    "locals": _locals,
    "args": _args,
    "line": _line,
    "symbol": _symbol,
    "frame": _frame,
    "display": _display,
    "program": _program,
    "watchpoints": _breakpoints,
}
"""What info tells of. The first one whose name begins with what was typed is meant."""


def snapshot(context: Context, argument: str) -> Iterator[str]:
    what, _, name = argument.partition(" ")
    if what not in ("save", "restore") or not name.strip():
        raise DynarecError("snapshot save FILE, or snapshot restore FILE")
    path = Path(name.strip()).expanduser()
    if what == "save":
        context.debugger.snapshot().save(path)
        yield f"Saved {path}"
        return
    context.debugger.restore(Snapshot.load(path))
    context.forget()
    yield from where(context)


def _whole(argument: str) -> int:
    if not argument.isdecimal():
        raise DynarecError(f"{argument!r} is no number")
    return int(argument)


COMMANDS = (
    Command(backtrace, "backtrace [COUNT]", "the calls that led here", ("bt", "where")),
    Command(frame, "frame [LEVEL]", "select a frame of the backtrace", ("f",)),
    Command(up, "up [COUNT]", "select the frame of the caller", again="same"),
    Command(down, "down [COUNT]", "select the frame of what it has called", again="same"),
    Command(list_, "list [PLACE]", "the source here, or there; then on", ("l",), "place", "on"),
    Command(disassemble, "disassemble [ADDRESS]", "the code of a function", (), "place"),
    Command(translate, "translate [ADDRESS]", "the block: guest code, IR, host code", ("block",), "place"),
    Command(info, "info TOPIC", "breakpoints, registers, locals, args, ...", ("i",), tuple(TOPICS)),
    Command(snapshot, "snapshot save|restore FILE", "the machine to a file, or from it", (), "file"),
)
