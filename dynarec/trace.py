"""From guest bytes to a trace: decodes and lifts along the likely way.

A trace follows jumps whose target is known, also into calls and back out of them, and goes on behind branches that are
expected not to be taken; those become side exits. It ends where the way is not known, where it meets itself, or when it is
long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from dynarec.ir.builder import Builder
from dynarec.ir.unit import Branch, Interpret, Jump, Terminal, Unit
from dynarec.ir.semantics import Value
from guest_isa.guest import Guest
from guest_isa.isa import Insn

TRACE_LIMIT = 64
"""Guest instructions of the longest trace."""
FETCH_SIZE = 256
"""Bytes of code read at a time."""

Fetch = Callable[[int, int], bytes]
"""(address, size) -> executable bytes from there on; fewer, or none, where guest memory ends or may not be executed."""


class TraceBuilder(Builder):
    """Traps and code changes end a trace before their instruction: the interpreter does them."""

    def trap_if(self, condition: Value, cause: int, value: Value) -> None:
        self.exit_if(condition, Interpret())

    def trap(self, cause: int, value: Value) -> None:
        self.interpret()

    def sync_code(self) -> None:
        self.interpret()


@dataclass(slots=True)
class Trace:
    """A unit, and the guest bytes it was made from as (address, size)."""

    unit: Unit
    ranges: list[tuple[int, int]] = field(default_factory=list)


class _Code:
    """Reads guest code in pieces."""

    def __init__(self, guest: Guest, fetch: Fetch) -> None:
        self.isa = guest.isa
        self.fetch = fetch
        self.start = self.end = 0
        self.bytes = b""

    def decode(self, pc: int) -> Insn | None:
        offset = pc - self.start
        if not 0 <= offset < len(self.bytes) - 8:
            self.start, self.bytes, offset = pc, self.fetch(pc, FETCH_SIZE), 0
        have = len(self.bytes) - offset
        if have < self.isa.parcel:
            return None
        insn = self.isa.decode(int.from_bytes(self.bytes[offset : offset + 8], "little"))
        return insn if insn is not None and insn.length <= have else None


def form_trace(guest: Guest, fetch: Fetch, key: int, stops: Collection[int] = (), limit: int = TRACE_LIMIT) -> Trace:
    """The trace from `key`; it ends before the addresses in `stops`, which have to be entered by a block of their own."""
    code = _Code(guest, fetch)
    builder = TraceBuilder(key)
    insns = builder.unit.insns
    trace = Trace(builder.unit)
    seen: set[int] = set()
    pc = start = key
    while True:
        if pc in seen or len(insns) >= limit or (pc in stops and pc != key):
            builder.unit.terminal = Jump(pc)
            break
        insn = code.decode(pc)
        seen.add(pc)
        builder.begin(pc, insn.length if insn is not None else 0)
        if insn is None or insn.spec.interpreted:
            builder.unit.terminal = Interpret()
            pc = builder.next_pc
            break
        insn.lift(builder)
        behind, target = builder.next_pc, _follow(builder, key)
        if target is None:
            pc = behind
            break
        if target != behind:
            trace.ranges.append((start, behind - start))
            start = target
        pc = target
    if pc > start:
        trace.ranges.append((start, pc - start))
    return trace


def _follow(builder: TraceBuilder, key: int) -> int | None:
    """Where the trace goes on behind the instruction just lifted; None: it ends, and its terminal is set."""
    terminal: Terminal | None = builder.terminal
    if terminal is None:
        return builder.next_pc
    if isinstance(terminal, Jump):
        return terminal.target
    if isinstance(terminal, Branch) and terminal.taken > builder.pc and terminal.taken != key:
        builder.exit_if(terminal.condition, Jump(terminal.taken))
        return terminal.fallthrough
    builder.unit.terminal = terminal
    return None
