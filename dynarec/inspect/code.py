"""The code of one unit in its three forms, and which line came from which: guest instructions, IR, host code.

A recording holds the guest's bytes and the host's. The IR is made again from the former, under the circumstances that
were recorded; whether the host code that follows from it is the recorded one is checked, and told.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dynarec.core import verify
from dynarec.errors import DynarecError
from dynarec.host import make_host
from dynarec.host.base import Host, HostCode
from dynarec.host.recoveries import recovery_texts
from dynarec.inspect.model import HEAD, Circumstances, Unit
from dynarec.ir import unit as ir
from dynarec.ir.text import format_ops
from dynarec.loading import HARDENING_BITS, find_guest, hardening
from dynarec.stages import NO_NOTES, with_note
from dynarec.trace import Path
from dynarec.translate import Translator
from guest_isa.guest import Guest


@dataclass(frozen=True, slots=True)
class GuestLine:
    """A guest instruction of a unit. index: its place in the trace."""

    index: int
    pc: int
    data: bytes
    text: str


@dataclass(frozen=True, slots=True)
class IrLine:
    """An op. insn: index of the guest instruction that it came from."""

    text: str
    insn: int


@dataclass(frozen=True, slots=True)
class Stage:
    """The IR at one time. name: "lifted", or that of the pass that made it."""

    name: str
    lines: tuple[IrLine, ...]


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host instruction. op: index of the line of the last stage that it came from; HEAD or EXITS."""

    offset: int
    data: bytes
    text: str
    op: int


class UnitCode:
    """The code of one unit. Raises DynarecError when no such guest is installed."""

    def __init__(self, unit: Unit, guest: Guest | str) -> None:
        self.unit = unit
        self.guest = find_guest(guest) if isinstance(guest, str) else guest

    @cached_property
    def guest_lines(self) -> list[GuestLine]:
        """The trace; an address comes again where a loop was unrolled."""
        return [self._guest_line(index, pc) for index, pc in enumerate(self.unit.pcs)]

    def _guest_line(self, index: int, pc: int) -> GuestLine:
        data = self.fetch(pc, 8)
        insn = self.guest.isa.decode(int.from_bytes(data, "little"))
        if insn is None or insn.length > len(data):
            return GuestLine(index, pc, data[: self.guest.isa.parcel], "(no instruction)")
        return GuestLine(index, pc, data[: insn.length], insn.text(pc))

    def fetch(self, address: int, size: int) -> bytes:
        """Guest bytes that the unit was made from, from an address on; fewer, or none, where there are no more."""
        place, found = 0, b""
        for start, length in self.unit.ranges:
            if start <= address < start + length:
                at = place + address - start
                found = max(found, self.unit.source[at : place + length], key=len)
            place += length
        return found[:size]

    @cached_property
    def host_lines(self) -> list[HostLine]:
        """The recorded bytes."""
        host = self._host(self.unit.circumstances)
        notes = self._notes(host, self._again) if self.is_reproduced else NO_NOTES
        return list(_host_lines(host, self.unit.code, self.unit.marks, notes))

    def _notes(self, host: Host, code: HostCode) -> Mapping[int, str]:
        """What accesses write to the state if they fault."""
        return recovery_texts(code, host.register_names, self.guest.layout.fields)

    @cached_property
    def stages(self) -> list[Stage]:
        """The IR as lifted, and behind each pass."""
        translator = self.translator()
        stages = translator.stages(self.unit.key)
        return [Stage(name, tuple(_ir_lines(unit))) for name, unit in stages]

    @cached_property
    def is_reproduced(self) -> bool:
        """Whether translating it again gives the recorded host code."""
        again = self._again
        unpatched = self._host(self.unit.circumstances).unpatched
        return unpatched(again.code, again) == unpatched(self.unit.code, again)

    @cached_property
    def _again(self) -> HostCode:
        return self.translate()

    @cached_property
    def is_verified(self) -> bool:
        """Whether the verifier of the host accepts the recorded code: as it was before it was linked to other units."""
        made = self._again
        host = self._host(self.unit.circumstances)
        harden = sum(HARDENING_BITS[each.value] for each in host.harden)
        return self.is_reproduced and verify(host.name, made.code, made.links, harden) is None

    def translate(self, *, without: Collection[str] | None = None, host: str | None = None) -> HostCode:
        """Translate it again; with other passes left out, or for another host."""
        return self.translator(without=without, host=host).translate(self.unit.key).code

    def listing(self, code: HostCode, host: str | None = None) -> list[HostLine]:
        """The lines of such code."""
        marks = [(mark.offset, mark.op) for mark in code.marks]
        target = self._host(self._circumstances(None, host))
        return list(_host_lines(target, code.code, marks, self._notes(target, code)))

    def translator(self, *, without: Collection[str] | None = None, host: str | None = None) -> Translator:
        """What translates it as it was translated, but for what is asked for."""
        circumstances = self._circumstances(without, host)
        hooked = frozenset(circumstances.hooked)
        translator = Translator(
            self.guest,
            self._host(circumstances),
            self.fetch,
            without=circumstances.without,
            limit=len(self.unit.pcs),
            is_mixed=(lambda address, size: True) if circumstances.checked else None,
            is_hooked=lambda pc, begins: (pc, begins) in hooked,
            guide=Path(self.unit.pcs, self.unit.onward, circumstances.repeats),
        )
        translator.left = circumstances.left
        return translator

    def _circumstances(self, without: Collection[str] | None, host: str | None) -> Circumstances:
        found = self.unit.circumstances
        if without is not None:
            found = replace(found, without=tuple(without))
        if host is not None and host != found.host:
            homes = make_host(host, self.guest).home_fields
            found = replace(found, host=host, features=(), harden=(), homes=tuple(field.name for field in homes))
        return found

    def _host(self, circumstances: Circumstances) -> Host:
        harden = hardening(circumstances.harden)
        host = make_host(circumstances.host, self.guest, bmi2="bmi2" in circumstances.features, harden=harden)
        fields = {field.name: field for field in self.guest.layout.fields}
        if unknown := set(circumstances.homes) - set(fields):
            raise DynarecError(f"guest {self.guest.name} has no register {', '.join(sorted(unknown))}")
        host.set_homes([fields[name] for name in circumstances.homes])
        host.counting = circumstances.counted
        return host


def _ir_lines(unit: ir.Unit) -> Iterator[IrLine]:
    last = len(unit.insns) - 1
    for index, text in enumerate(format_ops(unit)):
        yield IrLine(text, unit.ops[index].at if index < len(unit.ops) else last)


def _host_lines(
    host: Host, code: bytes, marks: Sequence[tuple[int, int]], notes: Mapping[int, str]
) -> Iterator[HostLine]:
    for offset, data, text in host.disassemble(code):
        mark = bisect.bisect_right(marks, offset, key=lambda mark: mark[0]) - 1
        yield HostLine(offset, data, with_note(text, notes.get(offset)), marks[mark][1] if mark >= 0 else HEAD)
