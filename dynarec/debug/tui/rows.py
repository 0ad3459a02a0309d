"""What the panes show, as rows of text with roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dynarec.debug.commands import registers, stoppers
from dynarec.debug.commands.block import block
from dynarec.debug.commands.session import Context
from dynarec.debug.commands.telling import frame_text
from dynarec.debug.commands.values import show
from dynarec.debug.debugger import Debugger
from dynarec.debug.source import Frame
from dynarec.debug.stoppers import Breakpoint, Stopper
from dynarec.debug.view import CodeLine
from dynarec.errors import DynarecError
from dynarec.tui.rows import Row, Span, plain

BEFORE, BEHIND = 60, 200
"""Instructions of the listing around the pc."""
LINES_AROUND = 300
"""Lines of the source around the one of the frame."""
MEMORY_ROWS = 256
STACK_WORDS = 64
SHORT_NAME = 4
"""Letters of a register's name; those with longer ones are a group of their own."""
WORD = 4
ADDRESS = re.compile("[0-9a-f]{8}")
HERE, FRAME = "▶", "▷"
ENABLED, DISABLED = "●", "○"


# -- code -------------------------------------------------------------------------------------------------------------


class Gutter:
    """The marks in front of code: breakpoints, and where the program and the selected frame stand."""

    def __init__(self, context: Context, selected: int) -> None:
        self._pc = context.debugger.machine.pc
        self._selected = selected
        self._at: dict[int, Stopper] = {}
        for stopper in context.debugger.stoppers.values():
            if isinstance(stopper, Breakpoint):
                self._at |= dict.fromkeys(stopper.addresses, stopper)

    def spans(self, addresses: Iterable[int]) -> tuple[Span, Span]:
        """The marks for what stands at some addresses."""
        wanted = set(addresses)
        points = [self._at[address] for address in wanted if address in self._at]
        dot = " " if not points else ENABLED if any(each.enabled for each in points) else DISABLED
        arrow = HERE if self._pc in wanted else FRAME if self._selected in wanted else " "
        return (dot, "mark"), (arrow, "changed" if arrow == HERE else "name")


def code(context: Context, style: str, place: int | None) -> list[Row]:
    """The code around a place; None: around the selected frame.

    style: "mixed", "source" or "assembly"; what is not there is not shown.
    """
    debugger, frame = context.debugger, context.frame
    gutter = Gutter(context, frame.pc)
    at, file, line = frame.pc, frame.file, frame.line
    if place is not None:
        row = debugger.source.lines.at(place)
        at, file, line = place, row.file if row else "", row.line if row else 0
    if style == "source" and line and debugger.source.text.line(file, line):
        return list(_source_rows(debugger, gutter, file, line, frame))
    return list(_code_rows(debugger, gutter, at, style != "assembly"))


def _source_rows(debugger: Debugger, gutter: Gutter, file: str, here: int, frame: Frame) -> Iterator[Row]:
    first = max(1, here - LINES_AROUND)
    lines = debugger.source.text.lines(file, first, 2 * LINES_AROUND)
    for number, text in enumerate(lines, first):
        addresses = debugger.source.lines.addresses(file, number)
        is_frame = (file, number) == (frame.file, frame.line)
        marks = gutter.spans([*addresses, *([frame.pc] if is_frame else [])])
        role = "address" if addresses else "faint"
        yield Row((*marks, (f"{number:5}  ", role), (text, "source")), f"{file}:{number}", number == here)


def _code_rows(debugger: Debugger, gutter: Gutter, pc: int, with_source: bool) -> Iterator[Row]:
    lines = [*debugger.view.before(pc, BEFORE), *debugger.view.listing(pc, BEHIND)]
    shown: tuple[str, int] | None = None
    for line in lines:
        if line.symbol:
            yield Row(((f"{line.symbol}:", "heading"),))
        if with_source and line.line and (line.file, line.line) != shown:
            shown = line.file, line.line
            text = debugger.source.text.line(*shown)
            yield Row((("  ", ""), (f"{line.line:5}  ", "faint"), (text, "source")), f"*{line.address:#x}")
        yield _instruction(gutter, line, line.address == pc)


def _instruction(gutter: Gutter, line: CodeLine, here: bool) -> Row:
    name, _, operands = line.text.partition(" ")
    data = f"{int.from_bytes(line.data, 'little'):0{2 * len(line.data)}x}"
    spans = (f"{line.address:08x} ", "address"), (f"{data:<9}", "faint"), (f"{name:<8} ", "name"), (operands, "")
    return Row((*gutter.spans([line.address]), *spans), f"*{line.address:#x}", here)


# -- registers, memory, stack -----------------------------------------------------------------------------------------


def read_registers(debugger: Debugger) -> dict[str, int]:
    """The registers that are shown, with their values."""
    return {name: debugger.machine.regs[name] for name in registers.shown(debugger.machine)}


def register_rows(values: dict[str, int], before: dict[str, int], width: int) -> list[Row]:
    """Registers in as many columns as fit; those that have another value than before are marked."""
    short = {name: value for name, value in values.items() if len(name) <= SHORT_NAME}
    long = {name: value for name, value in values.items() if len(name) > SHORT_NAME}
    return [row for group in (short, long) if group for row in _columns(group, before, width)]


def _columns(values: dict[str, int], before: dict[str, int], width: int) -> Iterator[Row]:
    names = max(map(len, values))
    cell = names + 1 + 2 * WORD + 2
    columns = max(1, (width + 1) // cell)
    height = -(-len(values) // columns)
    items = list(values.items())
    for row in range(height):
        yield Row(tuple(span for item in items[row::height] for span in _register(*item, names, before)))


def _register(name: str, value: int, width: int, before: dict[str, int]) -> tuple[Span, ...]:
    changed = before.get(name, value) != value
    return (
        (f"{name:<{width}} ", "name"),
        (f"{value:08x}", "changed" if changed else ""),
        ("* " if changed else "  ", "changed"),
    )


def memory_rows(
    debugger: Debugger, address: int, width: int, before: dict[int, int]
) -> tuple[list[Row], dict[int, int]]:
    """A dump from an address on, with what it showed: bytes that are not what they were before are marked."""
    size = 16 if width >= 9 + 16 * 3 + 1 + 16 else 8
    seen: dict[int, int] = {}
    rows = []
    for start in range(address, min(address + MEMORY_ROWS * size, 1 << 32), size):
        data = [_byte(debugger, at) for at in range(start, start + size)]
        seen |= {start + at: byte for at, byte in enumerate(data) if byte is not None}
        rows.append(Row(tuple(_dumped(start, data, before)), f"{start:#x}"))
    return rows, seen


def _byte(debugger: Debugger, address: int) -> int | None:
    try:
        return debugger.machine.memory.read(address, 1)[0]
    except DynarecError:
        return None


def _dumped(start: int, data: list[int | None], before: dict[int, int]) -> Iterator[Span]:
    yield f"{start:08x} ", "address"
    for at, byte in enumerate(data):
        changed = byte is not None and before.get(start + at, byte) != byte
        gap = "  " if at == 8 else " "
        yield gap + ("--" if byte is None else f"{byte:02x}"), "changed" if changed else "" if byte else "faint"
    yield "  " + "".join(chr(byte) if byte and 32 <= byte < 127 else "." for byte in data), "source"


def stack_rows(context: Context) -> list[Row]:
    """The backtrace, and the words above the stack pointer."""
    debugger = context.debugger
    rows = []
    for level, frame in enumerate(debugger.view.frames()):
        mark = FRAME if level == context.level else " "
        text = frame_text(debugger, frame)
        rows.append(Row(((mark, "name"), (f"#{level:<2} ", "address"), (text, "")), f"{level}", level == context.level))
    return [*rows, Row((("", ""),)), *_stack_words(debugger)]


def _stack_words(debugger: Debugger) -> Iterator[Row]:
    abi = debugger.machine.guest.abi
    if abi is None:
        return
    start = debugger.machine.regs[abi.stack] & -WORD
    for address in range(start, min(start + WORD * STACK_WORDS, 1 << 32), WORD):
        try:
            value = int.from_bytes(debugger.machine.memory.read(address, WORD), "little")
        except DynarecError:
            return
        place = debugger.view.place(value) if debugger.source.is_code(value) else ""
        offset = f"sp+{address - start:<#5x} "
        yield Row(((f" {address:08x} ", "address"), (offset, "faint"), (f"{value:08x}  ", ""), (place, "name")))


# -- variables, breakpoints, the block --------------------------------------------------------------------------------


def variable_rows(context: Context, before: dict[str, str]) -> tuple[list[Row], dict[str, str]]:
    """The variables of the selected frame and the displays, with their values as text."""
    seen: dict[str, str] = {}
    rows = []
    for variable in context.debugger.view.variables(context.frame):
        rows.append(_value(variable.name, variable.text, seen, before))
    if context.displays:
        rows.append(Row((("displayed", "heading"),)))
    for number, display in context.displays.items():
        try:
            for line in show(context, display.expression, display.format):
                name, _, value = line.partition(" = ")
                rows.append(_value(f"{number}: {name}", value, seen, before))
        except DynarecError as error:
            rows.append(Row(((f"{number}: {display.expression}: ", "name"), (str(error), "error"))))
    return rows or plain(["no variables are known here", "display EXPR adds one"], "faint"), seen


def _value(name: str, text: str, seen: dict[str, str], before: dict[str, str]) -> Row:
    seen[name] = text
    role = "changed" if before.get(name, text) != text else ""
    return Row(((f"{name} ", "name"), ("= " if text else "", "faint"), (text, role)), name)


def stopper_rows(debugger: Debugger) -> list[Row]:
    """Breakpoints, watchpoints and catchpoints."""
    rows = []
    for stopper in debugger.stoppers.values():
        mark = ENABLED if stopper.enabled else DISABLED
        hit = stopper in debugger.stopped.stoppers
        rows.append(Row(((f"{mark} ", "mark"), (stoppers.line(stopper).strip(), "")), str(stopper.number), hit))
    return rows or plain(["no breakpoints: Space in the code sets one"], "faint")


def block_rows(debugger: Debugger) -> list[Row]:
    """The block of the pc."""
    rows: list[Row] = []
    try:
        for section in block(debugger, debugger.machine.pc):
            rows.append(Row(((section.title, "heading"),)))
            rows += [_block_line(line, debugger.machine.pc) for line in section.lines]
    except DynarecError as error:
        return plain([str(error)], "error")
    return rows


def _block_line(line: str, pc: int) -> Row:
    address, _, text = line.partition("  ")
    if not line.startswith(f"{address}  ") or not ADDRESS.fullmatch(address):
        return Row((("  ", ""), (line, "")))
    here = int(address, 16) == pc and len(address) == 2 * WORD
    return Row(((HERE if here else " ", "changed"), (f" {address}  ", "address"), (text, "")), here=here)
