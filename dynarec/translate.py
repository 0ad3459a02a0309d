"""The way of one block: guest bytes, trace, passes, host code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from time import thread_time

from dynarec.features import PROFILE
from dynarec.host.base import Host, HostCode
from dynarec.host.moves import OutOfRegisters
from dynarec.ir.unit import Unit
from dynarec.opt import PASSES, Pass
from dynarec.trace import (
    NO_GUIDE,
    TRACE_LIMIT,
    Fetch,
    Guide,
    IsHooked,
    Limits,
    Trace,
    form_checked_trace,
    form_trace,
    unhooked,
)
from guest_isa.guest import Guest


@dataclass(slots=True)
class Translation:
    """A unit with its host code, and the guest bytes that it was made from: where as (address, size), and which.

    checked: the code compares these bytes with guest memory whenever it is entered. limit: guest instructions that the
    trace could have had. onward: where it would have gone on. phases: seconds of processor time that it took, by phase:
    "form", the names of the passes, "emit", and "pack" for the core.
    """

    unit: Unit
    code: HostCode
    ranges: list[tuple[int, int]]
    source: bytes
    checked: bool = False
    limit: int = TRACE_LIMIT
    onward: int | None = None
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(self.phases.values())


def go_on() -> None:
    """Nobody else wants to do anything between two phases."""


class _Phases:
    """Where the time goes."""

    def __init__(self, breathe: Callable[[], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._breathe = breathe
        self._since = thread_time()

    def end(self, name: str) -> None:
        """What was done since the last end was that phase."""
        now = thread_time()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now
        self._breathe()


class Translator:
    """Translates blocks of one guest for one host. It reads guest memory through `fetch` and changes nothing."""

    def __init__(
        self,
        guest: Guest,
        host: Host,
        fetch: Fetch,
        *,
        without: Collection[str] = (),
        limit: int = TRACE_LIMIT,
        is_mixed: Callable[[int, int], bool] | None = None,
        is_hooked: IsHooked = unhooked,
        guide: Guide = NO_GUIDE,
    ) -> None:
        """without: names of `dynarec.features` to leave out. limit: guest instructions of the longest trace.

        is_mixed: (address, size) -> whether the range is code and data alike; stores to it are not noticed.
        is_hooked: what no trace runs across. guide: what is known of the ways of the guest.
        """
        self.guest = guest
        self.host = host
        self.fetch = fetch
        self.limit = limit
        self.is_mixed = is_mixed
        self.is_hooked = is_hooked
        self.guide = guide
        self.left: Collection[int] = ()
        """Addresses of instructions that are left to the interpreter."""
        self.without = tuple(without)
        self.overrides: dict[int, tuple[str, ...]] = {}
        """Passes that are left out for single keys."""
        lowering = Pass("lower", host.lower, "what the host lacks becomes something that it has")
        self.passes = [each for each in (*PASSES, lowering) if each.name not in without]

    def left_out(self, key: int) -> tuple[str, ...]:
        """Names of the passes that are left out for a key."""
        return self.without + self.overrides.get(key, ())

    def leave_out(self, key: int, names: Collection[str]) -> None:
        """Leave out these passes, beside those that are always left out, when the block is translated next."""
        if names:
            self.overrides[key] = tuple(names)
        else:
            self.overrides.pop(key, None)

    def _passes(self, key: int) -> list[Pass]:
        left_out = self.overrides.get(key, ())
        return [each for each in self.passes if each.name not in left_out]

    def form(self, key: int, limit: int | None = None) -> Trace:
        """The trace from `key`, not yet optimised."""
        without = frozenset(self.left_out(key))
        guide = NO_GUIDE if PROFILE.name in without else self.guide
        limits = Limits(self.is_hooked, self.left, limit or self.limit, guide, without)
        trace = form_trace(self.guest, self.fetch, key, limits)
        if self.is_mixed is not None and any(self.is_mixed(*piece) for piece in trace.ranges):
            return form_checked_trace(self.guest, self.fetch, key, limits)
        return trace

    def translate(self, key: int, breathe: Callable[[], None] = go_on) -> Translation:
        """The host code of the trace from `key`; a shorter trace if that one needs too many values at a time.

        breathe: is called between two phases, and may raise.
        """
        phases = _Phases(breathe)
        limit = self.limit
        while True:
            trace = self.form(key, limit)
            phases.end("form")
            for each in self._passes(key):
                each.run(trace.unit)
                phases.end(each.name)
            try:
                code = self.host.emit(trace.unit)
            except OutOfRegisters:
                if limit == 1:
                    raise
                limit //= 2
            else:
                phases.end("emit")
                return Translation(
                    trace.unit, code, trace.ranges, trace.source, trace.checked, limit, trace.onward, phases.seconds
                )

    def stages(self, key: int) -> Iterator[tuple[str, Unit]]:
        """The unit as lifted and after each pass, with the text of its instructions, for people to look at.

        It is one unit, which the next pass changes.
        """
        unit = self.form(key).unit
        self._name(unit)
        yield "lifted", unit
        for each in self._passes(key):
            each.run(unit)
            yield each.name, unit

    def _name(self, unit: Unit) -> None:
        for insn in unit.insns:
            decoded = self.guest.isa.decode(int.from_bytes(self.fetch(insn.pc, 8), "little"))
            insn.text = decoded.text(insn.pc) if decoded is not None else "(no instruction)"
