"""Requests about memory and the instructions in it."""

from __future__ import annotations

import base64
import binascii
import re

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.requests import Body, Request
from dynarec.debug.dap.session import Session
from dynarec.debug.dap.sources import shown_source
from dynarec.debug.debugger import Debugger
from dynarec.debug.view import CodeLine, View
from dynarec.errors import DynarecError, GuestMemoryError
from dynarec.guest_state import PAGE

ADDRESS_SPACE = 1 << 32
NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}")
MOST_READ = 1 << 20
"""Bytes that one request reads."""
MOST_INSTRUCTIONS = 10_000
"""That one request lists."""
NO_ADDRESS = "-1"
"""Of a line that stands for code where no address is."""


def address_of(reference: str) -> int:
    """The address that a memory reference names. Raises DynarecError."""
    if not NUMBER.fullmatch(reference):
        raise DynarecError(f"{reference!r} is no memory reference of this debugger: they are numbers such as 0x10074")
    return int(reference, 0 if reference[:2] in ("0x", "0X") else 10)


def read_memory(session: Session, arguments: Arguments) -> Body:
    """As many bytes as can be read; behind them, how many of the page cannot."""
    address = address_of(arguments.text("memoryReference")) + arguments.number("offset", 0)
    count = min(max(arguments.number("count"), 0), MOST_READ)
    data = _readable(session.debugger, address, count)
    body: dict[str, object] = {"address": hex(address) if address >= 0 else str(address)}
    if data:
        body["data"] = base64.b64encode(data).decode()
    return body | ({"unreadableBytes": count - len(data)} if len(data) < count else {})


def _readable(debugger: Debugger, address: int, count: int) -> bytes:
    """The bytes of a range, up to the first page that cannot be read."""
    found = b""
    while len(found) < count and 0 <= address < ADDRESS_SPACE:
        size = min(count - len(found), PAGE - address % PAGE)
        try:
            found += debugger.machine.memory.read(address, size)
        except GuestMemoryError:
            break
        address += size
    return found


def write_memory(session: Session, arguments: Arguments) -> Body:
    """All of it, or with `allowPartial` as much as can be written."""
    address = address_of(arguments.text("memoryReference")) + arguments.number("offset", 0)
    try:
        data = base64.b64decode(arguments.text("data"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DynarecError(f"writeMemory: data is not base64: {error}") from None
    if arguments.flag("allowPartial"):
        data = data[: len(_readable(session.debugger, address, len(data)))]
    session.debugger.write_memory(address, data)
    session.changed(address, len(data))
    return {"bytesWritten": len(data)}


def disassemble(session: Session, arguments: Arguments) -> Body:
    """As many instructions as were asked for; where there is no code, lines say so."""
    address = address_of(arguments.text("memoryReference")) + arguments.number("offset", 0)
    count, first = arguments.number("instructionCount"), arguments.number("instructionOffset", 0)
    if not 0 <= count <= MOST_INSTRUCTIONS or abs(first) > MOST_INSTRUCTIONS:
        raise DynarecError(f"disassemble: up to {MOST_INSTRUCTIONS} instructions can be listed at once")
    view, parcel = session.debugger.view, session.debugger.machine.guest.isa.parcel
    before = _before(view, address, -first)
    start = before[0].address if before else address
    behind = view.listing(address, max(0, first + count))
    end = behind[-1].address + len(behind[-1].data) if behind else address
    lines = [_blank(start - at * parcel) for at in range(max(0, -first) - len(before), 0, -1)]
    lines += before + behind
    lines += [_blank(end + at * parcel) for at in range(max(0, first + count) - len(behind))]
    return {"instructions": _shown_lines(session, lines[max(0, first) :][:count])}


def _blank(address: int) -> CodeLine:
    """A line for an address without memory."""
    return CodeLine(address=address, data=b"", text="(no memory)", symbol="", file="", line=0)


def _before(view: View, address: int, count: int) -> list[CodeLine]:
    """So many instructions before an address; fewer where no code is before them."""
    found: list[CodeLine] = []
    while len(found) < count and address > 0:
        more = view.before(address, count - len(found))
        if not more:
            break
        found = more + found
        address = more[0].address
    return found


def _shown_lines(session: Session, lines: list[CodeLine]) -> list[Body]:
    """As "DisassembledInstruction"s: with the place in the source where another line begins."""
    shown = []
    before = None
    for line in lines:
        shown.append(_shown_line(session, line, with_place=(line.file, line.line) != before))
        before = line.file, line.line
    return shown


def _shown_line(session: Session, line: CodeLine, with_place: bool) -> Body:
    inside = 0 <= line.address < ADDRESS_SPACE
    shown: dict[str, object] = {"address": hex(line.address) if inside else NO_ADDRESS, "instruction": line.text}
    if not line.data:
        return shown | {"presentationHint": "invalid"}
    shown["instructionBytes"] = line.data.hex(" ")
    if line.symbol:
        shown["symbol"] = line.symbol
    if line.line and with_place:
        source = shown_source(session.debugger.source, line.file)
        shown |= {"location": source, "line": session.client.shown_line(line.line)}
    return shown


REQUESTS = {
    "readMemory": Request(read_memory),
    "writeMemory": Request(write_memory),
    "disassemble": Request(disassemble),
}
