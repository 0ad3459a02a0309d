"""From guest bytes to a trace: decodes and lifts along the likely way.

A trace follows jumps whose target is known, also into calls and back out of them, and the likely side of branches and
computed jumps, as far as a guide knows it; else forward branches are expected not to be taken, backward ones to be
taken. The other side becomes a side exit. A loop back to
its own head is unrolled while it stays short, so that what is done once a round (the budget, state that lives in
memory) is done less often. A trace ends where the way is not known, where it meets itself, or when it is long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from dynarec.features import TRACES, UNROLLING
from dynarec.ir.builder import Builder
from dynarec.ir.ops import AND, EQ, NE, NEGATED, STORE32_IF, STORES
from dynarec.ir.semantics import Value
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, Terminal, Unit
from guest_isa.guest import Guest
from guest_isa.isa import Insn

TRACE_LIMIT = 64
"""Guest instructions of the longest trace."""
CHECKED_LIMIT = 16
"""Guest instructions of the longest trace that compares its own bytes."""
UNROLLED_LIMIT = 64
"""Guest instructions that a loop is unrolled to."""
WORD = 4
STORING = frozenset((*STORES, STORE32_IF))
FETCH_SIZE = 256
"""Bytes of code read at a time."""
LONGEST = 8
"""Bytes of the longest instruction."""

Fetch = Callable[[int, int], bytes]
"""(address, size) -> executable bytes from there on; fewer, or none, where guest memory ends or may not be executed."""
IsHooked = Callable[[int, bool], bool]
"""(pc, begins) -> whether something looks at the guest before the instruction at pc; or, if it begins one, before the
basic block."""


class Choice(NamedTuple):
    """The way that a trace follows from the branch or computed jump at pc; ways: see `Guide`."""

    pc: int
    ways: tuple[int, ...]
    way: int


class Guide(Protocol):
    """Knows where control is likely to go."""

    def way(self, index: int, pc: int, ways: Sequence[int]) -> int | None:
        """Where it goes behind instruction number `index` of a trace, at pc; None if that is not known.

        ways: the two of a branch, taken first; none for a computed jump.
        """

    def repeats(self, choices: Sequence[Choice]) -> bool:
        """Whether a loop along this way mostly goes round at least once before it is left."""


class NoGuide:
    """Knows nothing; loops are expected to be loops."""

    def way(self, index: int, pc: int, ways: Sequence[int]) -> int | None:
        return None

    def repeats(self, choices: Sequence[Choice]) -> bool:
        return True


NO_GUIDE = NoGuide()


class Path:
    """The way of a trace that was formed before."""

    def __init__(self, pcs: Sequence[int], onward: int | None, repeats: bool = True) -> None:
        """pcs: of its instructions. onward: where it would have gone on behind them. repeats: as its unit does."""
        self._pcs = (*pcs, onward)
        self._repeats = repeats

    def way(self, index: int, pc: int, ways: Sequence[int]) -> int | None:
        return self._pcs[index + 1] if index + 1 < len(self._pcs) else None

    def repeats(self, choices: Sequence[Choice]) -> bool:
        return self._repeats


def unhooked(pc: int, begins: bool) -> bool:
    """Nothing looks at the guest."""
    return False


class TraceBuilder(Builder):
    """Traps and code changes end a trace before their instruction: the interpreter does them."""

    def trap_if(self, condition: Value, cause: int, value: Value) -> None:
        self.exit_if(condition, Interpret())

    def trap(self, cause: int, value: Value) -> None:
        self.interpret()

    def sync_code(self) -> None:
        self.interpret()

    def negated(self, condition: Operand) -> Operand:
        """The opposite of a comparison."""
        if isinstance(condition, int):
            return 1 - condition
        opposite = NEGATED.get(condition.kind)
        if opposite is not None:
            return self.op(opposite, *condition.args)
        return self.op(EQ, self.bit(condition), 0)


@dataclass(slots=True)
class Trace:
    """A unit, the guest bytes it was made from as (address, size), and the instructions in their order."""

    unit: Unit
    ranges: list[tuple[int, int]] = field(default_factory=list)
    source: bytes = b""
    """The bytes of the ranges, one after the other, as they were when they were decoded."""
    decoded: list[Insn] = field(default_factory=list)
    checked: bool = False
    """It compares its bytes with guest memory first."""
    onward: int | None = None
    """Where it would have gone on if it had not ended."""

    def pieces(self) -> list[tuple[int, bytes]]:
        """The ranges with their bytes."""
        found, place = [], 0
        for address, size in self.ranges:
            found.append((address, self.source[place : place + size]))
            place += size
        return found


class _Code:
    """Reads guest code in pieces."""

    def __init__(self, guest: Guest, fetch: Fetch) -> None:
        self.isa = guest.isa
        self.fetch = fetch
        self.start = self.whole = 0
        self.bytes = b""

    def decode(self, pc: int) -> Insn | None:
        offset = pc - self.start
        if not 0 <= offset < self.whole:
            return self._decode_first(pc)
        return self.isa.decode(int.from_bytes(self.bytes[offset : offset + LONGEST], "little"))

    def _decode_first(self, pc: int) -> Insn | None:
        """The first instruction of a piece, which may end within it; those before `whole` do not."""
        self.start, self.bytes = pc, self.fetch(pc, FETCH_SIZE)
        have = len(self.bytes)
        self.whole = have - LONGEST
        if have < self.isa.parcel:
            return None
        insn = self.isa.decode(int.from_bytes(self.bytes[:LONGEST], "little"))
        return insn if insn is not None and insn.length <= have else None


class Limits(NamedTuple):
    """Where traces end.

    is_hooked: what no trace runs across; it is entered by a unit of its own. left: addresses of instructions that are
    left to the interpreter. length: guest instructions of the longest trace. guide: what is known of the guest's ways.
    without: see `Unit`.
    """

    is_hooked: IsHooked = unhooked
    left: Collection[int] = ()
    length: int = TRACE_LIMIT
    guide: Guide = NO_GUIDE
    without: frozenset[str] = frozenset()


ORDINARY = Limits()


def form_trace(guest: Guest, fetch: Fetch, key: int, limits: Limits = ORDINARY) -> Trace:
    """The trace from `key`.

    One that comes into a loop that is too long for it ends where the loop begins: else there would be as many copies of
    the loop as ways into it, turned against each other.
    """
    former = _Former(guest, fetch, key, limits)
    trace = former.form()
    is_known = isinstance(limits.guide, Path)
    if len(former.backward) == 1 and len(trace.unit.insns) >= limits.length and not is_known:
        return _Former(guest, fetch, key, limits._replace(length=former.backward[0])).form()
    return trace


def form_checked_trace(guest: Guest, fetch: Fetch, key: int, limits: Limits = ORDINARY) -> Trace:
    """A trace from memory that is code and data alike, where stores go unnoticed.

    It compares its bytes with guest memory before anything else, and ends behind a store, which may have changed what
    follows. If the bytes differ, it leaves to the interpreter before its first instruction.
    """
    limits = limits._replace(length=min(limits.length, CHECKED_LIMIT))
    first = _Former(guest, fetch, key, limits, checked=True).form()
    former = _Former(guest, fetch, key, limits, checked=True)
    former.expected = first.pieces()
    return former.form()


def _unaligned(target: Operand) -> Operand:
    """What a target is aligned from, if it is: it is expected to be aligned already, and need not be computed then."""
    is_mask = isinstance(target, Op) and target.kind is AND and type(target.args[1]) is int
    return target.args[0] if is_mask else target  # type: ignore[union-attr]


class _Former:
    """Forms one trace."""

    def __init__(self, guest: Guest, fetch: Fetch, key: int, limits: Limits, checked: bool = False) -> None:
        self.code = _Code(guest, fetch)
        self.key = key
        self.limits = limits
        self.checked = checked
        self.expected: list[tuple[int, bytes]] = []
        self.builder = TraceBuilder(key)
        self.unit = self.builder.unit
        self.insns = self.unit.insns
        self.unit.hooked = limits.is_hooked(key, True)
        self.unit.without = limits.without
        self.seen: set[int] = set()
        self.ranges: list[tuple[int, int]] = []
        self.source = bytearray()
        self.piece = bytearray()
        self.decoded: list[Insn] = []
        self.onward: int | None = None
        self.choices: list[Choice] = []
        self.rounds = 0
        """How many times it has come to its head."""
        self.backward: list[int] = []
        """Behind how many instructions it has followed a branch back."""
        self.start = self.end = key
        """The piece of code that has been added last."""

    def form(self) -> Trace:
        """Follow the way from the head until it ends."""
        pc: int | None = self.key
        while pc is not None:
            pc = self._step(pc)
        self._end_range()
        if self.unit.is_loop:
            self.unit.repeats = self.limits.guide.repeats(self.choices)
        return Trace(self.unit, self.ranges, bytes(self.source), self.decoded, self.checked, self.onward)

    def _step(self, pc: int) -> int | None:
        """Add the instruction at pc; where the trace goes on, or None if it ends.

        What is no instruction has no bytes by which the unit is found when that is hooked, so it is a unit by itself.
        """
        if pc == self.key:
            self._begin_round()
        insn = self.code.decode(pc)
        if self.insns and (insn is None or self._ends_before(pc)):
            self.onward = pc
            self._cut(pc)
            return None
        self.seen.add(pc)
        self._begin(pc, insn.code if insn is not None else b"")
        if self.expected:
            self._compare()
        if insn is None or insn.spec.interpreted or pc in self.limits.left:
            self.unit.terminal = Interpret()
            return None
        self.decoded.append(insn)
        insn.lift(self.builder)
        if self.checked and self._has_stored():
            self._cut(self.builder.next_pc)  # what follows is compared anew
            return None
        return self._follow()

    def _begin_round(self) -> None:
        if self.rounds and self._unrolls():
            self.seen.clear()
        self.rounds += 1

    def _ends_before(self, pc: int) -> bool:
        limits = self.limits
        long = pc in self.seen or len(self.insns) >= limits.length
        return long or limits.is_hooked(pc, self._has_branched())

    def _has_branched(self) -> bool:
        """Whether the instruction before ends its basic block."""
        return self.builder.terminal is not None

    def _cut(self, pc: int) -> None:
        self.unit.terminal = Jump(pc)
        self.unit.cut = not self._has_branched()

    def _has_stored(self) -> bool:
        return any(op.kind in STORING for op in self.unit.ops)

    def _compare(self) -> None:
        """Leave if the bytes that are expected are not there."""
        expected, self.expected = self.expected, []
        for address, data in expected:
            whole = len(data) // WORD * WORD
            for at in range(0, whole, WORD):
                self._expect(self.builder.load32(address + at), data[at : at + WORD])
            for at in range(whole, len(data)):
                self._expect(self.builder.load8u(address + at), data[at : at + 1])

    def _expect(self, found: Value, wanted: bytes) -> None:
        self.builder.exit_if(self.builder.ne(found, int.from_bytes(wanted, "little")), Interpret())

    def _begin(self, pc: int, code: bytes) -> None:
        """An instruction is added, behind the one before it or elsewhere."""
        self.builder.begin(pc, len(code))
        if pc != self.end:
            self._end_range()
            self.start = pc
        self.piece += code
        self.end = pc + len(code)

    def _end_range(self) -> None:
        """Ranges are what was added and nothing else: the core reads them, and memory between them may be unmapped."""
        piece = (self.start, self.end - self.start)
        if self.end > self.start and piece not in self.ranges:
            self.ranges.append(piece)
            self.source += self.piece
        self.piece.clear()

    def _follow(self) -> int | None:
        """Where the trace goes on behind the instruction just lifted; None: it ends, and its terminal is set."""
        builder = self.builder
        terminal: Terminal | None = builder.terminal
        if terminal is not None and TRACES.name in self.limits.without:
            self.unit.terminal = terminal
            return None
        match terminal:
            case None:
                return builder.next_pc
            case Jump(target=target):
                return target
            case Branch(condition=condition, taken=taken, fallthrough=fallthrough):
                if self._way(taken, fallthrough) != taken:
                    builder.exit_if(condition, Jump(taken))
                    return fallthrough
                if self._closes(taken):
                    self.onward = taken
                    self.unit.terminal = terminal
                    return None
                if taken <= builder.pc and taken != self.key:
                    self.backward.append(len(self.insns))
                builder.exit_if(builder.negated(condition), Jump(fallthrough))
                return taken
            case JumpTo(target=value) if (expected := self._guided()) is not None:
                builder.exit_if(builder.op(NE, _unaligned(value), expected), JumpTo(value))
                self.choices.append(Choice(builder.pc, (), expected))
                return expected
        self.unit.terminal = terminal
        return None

    def _guided(self, *ways: int) -> int | None:
        """Where the instruction that has just been lifted goes, as far as that is known."""
        return self.limits.guide.way(len(self.insns) - 1, self.builder.pc, ways)

    def _way(self, taken: int, fallthrough: int) -> int:
        """Which side of a branch is expected: what is not known to be otherwise goes back, and not forward."""
        static = taken if taken <= self.builder.pc or taken == self.key else fallthrough
        guided = self._guided(taken, fallthrough)
        way = static if guided is None else guided
        self.choices.append(Choice(self.builder.pc, (taken, fallthrough), way))
        return way

    def _closes(self, target: int) -> bool:
        """Whether the trace ends where control goes back to what it has been through."""
        return not self._unrolls() if target == self.key else target in self.seen

    def _unrolls(self) -> bool:
        """Whether one more round of the loop that has just been closed fits."""
        if UNROLLING.name in self.limits.without:
            return False
        return len(self.insns) * (self.rounds + 1) <= UNROLLED_LIMIT * self.rounds
