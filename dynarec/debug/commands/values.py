"""Commands that show and change values: print, set, x, display."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from dynarec.debug.commands.evaluation import Result, evaluate
from dynarec.debug.commands.session import Command, Context, Display, Format
from dynarec.debug.commands.telling import address_text, code_text
from dynarec.errors import DynarecError, GuestMemoryError

FORMAT = re.compile(r"(?P<count>-?[0-9]*)(?P<letters>[a-z]*)")
UNITS = {"b": 1, "h": 2, "w": 4, "g": 8}
LETTERS = "xduotcazsif"
MEMORY_LETTERS = ("i", "s")
"""What stands in memory at the value of an expression, and not the value."""
WORD_BITS = 32
MOST = 10_000
"""Things that one command shows."""
LINE_BYTES = 16
CHARACTERS_OF_LINE = 8
LONGEST_STRING = 200
PRINTABLE = range(0x20, 0x7F)


def read_format(text: str, default: Format) -> Format:
    """A format as behind a slash: "8xw". Raises DynarecError."""
    match = FORMAT.fullmatch(text)
    letters = [each for each in match["letters"] if each not in UNITS] if match else []
    units = [each for each in match["letters"] if each in UNITS] if match else []
    if match is None or len(letters) > 1 or len(units) > 1 or any(each not in LETTERS for each in letters):
        raise DynarecError(f"/{text} is no format: a count, a letter of {LETTERS}, and a size (b, h, w, g), as in /8xw")
    count = int(match["count"]) if match["count"] not in ("", "-") else 1
    if not 0 < count <= MOST:
        raise DynarecError(f"/{text}: a count is from 1 to {MOST}")
    return Format(count, letters[0] if letters else default.letter, units[0] if units else default.unit)


def split_format(argument: str, default: Format) -> tuple[Format, str]:
    """What may stand before an expression: "/x a0". Raises DynarecError."""
    if not argument.startswith("/"):
        return replace(default, count=1), argument
    text, _, rest = argument[1:].partition(" ")
    return read_format(text, default), rest.strip()


def show(context: Context, expression: str, format_: Format) -> Iterator[str]:
    """An expression and its value: "total = 3"; with the letters i and s, what is in memory there."""
    if format_.letter in MEMORY_LETTERS:
        address = number(context, expression)
        yield from Memory(context, replace(format_, unit="")).lines(address)
        return
    result = evaluate(context, expression)
    yield f"{expression} = {formatted(context, result, format_)}"


def formatted(context: Context, result: Result, format_: Format) -> str:
    """The value of a result as a letter says."""
    if not format_.letter or result.number is None:
        return result.text
    bits = 64 if not -(1 << WORD_BITS - 1) <= result.number < 1 << WORD_BITS else WORD_BITS
    return written(context, result.number, bits, format_.letter)


def written(context: Context, value: int, bits: int, letter: str) -> str:
    """A number of so many bits as a letter of a format says."""
    unsigned = value & ((1 << bits) - 1)
    signed = unsigned - (1 << bits) if unsigned >> (bits - 1) else unsigned
    writers: dict[str, Callable[[], str]] = {
        "x": lambda: f"{unsigned:#x}",
        "z": lambda: f"{unsigned:#0{bits // 4 + 2}x}",
        "d": lambda: str(signed),
        "u": lambda: str(unsigned),
        "o": lambda: f"{unsigned:#o}",
        "t": lambda: f"{unsigned:#b}",
        "c": lambda: f"{signed} '{_character(unsigned & 0xFF)}'",
        "a": lambda: address_text(context.debugger, unsigned),
        "f": lambda: _real(unsigned, bits),
    }
    return writers[letter]()


def number(context: Context, expression: str) -> int:
    """The value of an expression as an address. Raises DynarecError when it is no number."""
    result = evaluate(context, expression)
    if result.number is not None:
        return result.number & 0xFFFF_FFFF
    address = result.variable.address if result.variable else None
    if address is None:
        raise DynarecError(f"{expression}: {result.text} is no address")
    return address


class Memory:
    """What memory holds, as a format says."""

    def __init__(self, context: Context, format_: Format) -> None:
        self.context = context
        self.format = format_
        self.end = 0
        """Behind what was shown last."""

    def lines(self, address: int) -> Iterator[str]:
        """Raises GuestMemoryError where nothing is mapped."""
        self.end = address
        if self.format.letter == "i":
            yield from self._instructions()
        elif self.format.letter == "s":
            yield from self._strings()
        else:
            yield from self._numbers()

    def _instructions(self) -> Iterator[str]:
        debugger = self.context.debugger
        for line in debugger.view.listing(self.end, self.format.count):
            self.end = line.address + len(line.data)
            yield f"{'=>' if line.address == debugger.machine.pc else '  '} {code_text(debugger, line)}"

    def _strings(self) -> Iterator[str]:
        for _ in range(self.format.count):
            start, data = self.end, self._string()
            yield f'{address_text(self.context.debugger, start)}:\t"{"".join(map(_character, data))}"'

    def _string(self) -> bytes:
        data = b""
        while len(data) < LONGEST_STRING:
            byte = self.context.debugger.machine.memory.read(self.end, 1)
            self.end += 1
            if byte == b"\0":
                break
            data += byte
        return data

    def _numbers(self) -> Iterator[str]:
        size = UNITS[self.format.unit or "w"]
        row = CHARACTERS_OF_LINE if self.format.letter == "c" else LINE_BYTES // size
        left = self.format.count
        while left:
            count = min(left, row)
            start = self.end
            values = [self._value(size) for _ in range(count)]
            yield f"{address_text(self.context.debugger, start)}:\t" + "\t".join(values)
            left -= count

    def _value(self, size: int) -> str:
        data = self.context.debugger.machine.memory.read(self.end, size)
        self.end += size
        letter = {"x": "z", "": "z"}.get(self.format.letter, self.format.letter)
        return written(self.context, int.from_bytes(data, "little"), 8 * size, letter)


def print_(context: Context, argument: str) -> Iterator[str]:
    format_, expression = split_format(argument, Format())
    if not expression:
        raise DynarecError("print needs an expression")
    result = evaluate(context, expression)
    if format_.letter in MEMORY_LETTERS:
        yield from show(context, expression, format_)
    else:
        yield formatted(context, result, format_)


def set_(context: Context, argument: str) -> Iterable[str]:
    expression = re.sub(r"^var(iable)?\s+", "", argument)
    if not re.search(r"[^=!<>]=[^=]", expression):
        raise DynarecError("set needs an assignment: set count = 3, set $a0 = 5")
    evaluate(context, expression)
    context.debugger.changed()
    return ()


def examine(context: Context, argument: str) -> Iterator[str]:
    format_, expression = split_format(argument, context.format)
    address = number(context, expression) if expression else context.examined
    if address is None:
        raise DynarecError("x needs an address: x/8xw $sp")
    context.format = format_
    memory = Memory(context, format_)
    try:
        yield from memory.lines(address)
    except GuestMemoryError as error:
        raise DynarecError(f"there is no memory at {error.address:#010x}") from None
    finally:
        context.examined = memory.end


def display(context: Context, argument: str) -> Iterator[str]:
    format_, expression = split_format(argument, Format())
    if expression:
        lines = list(show(context, expression, format_))
        fresh = max(context.displays, default=0) + 1
        context.displays[fresh] = Display(format_, expression)
        yield from (f"{fresh}: {line}" for line in lines)
        return
    for each, shown in context.displays.items():
        for line in show(context, shown.expression, shown.format):
            yield f"{each}: {line}"


def undisplay(context: Context, argument: str) -> Iterable[str]:
    for each in argument.split() or [str(number_) for number_ in context.displays]:
        if not each.isdecimal() or int(each) not in context.displays:
            raise DynarecError(f"there is no display {each}")
        del context.displays[int(each)]
    return ()


def _character(code: int) -> str:
    return chr(code) if code in PRINTABLE else f"\\{code:03o}"


def _real(value: int, bits: int) -> str:
    form = {16: "<e", 32: "<f", 64: "<d"}.get(bits)
    return f"{value:#x}" if form is None else f"{struct.unpack(form, value.to_bytes(bits // 8, 'little'))[0]:.9g}"


COMMANDS = (
    Command(print_, "print[/FMT] EXPR", "show a value, or assign one", ("p", "inspect", "call"), "expression"),
    Command(set_, "set [var] WHERE = EXPR", "change a variable, a register or memory", completes="expression"),
    Command(examine, "x/FMT [ADDRESS]", "show memory: x/8xw $sp, x/4i $pc, x/s text", (), "expression", "on"),
    Command(display, "display[/FMT] [EXPR]", "show a value at each stop", completes="expression", again="same"),
    Command(undisplay, "undisplay [NUMBER...]", "show it no more"),
)
