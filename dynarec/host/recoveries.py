"""What a fault has to write to the state: the writes that are deferred to each access, with where their values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynarec.host import layout
from dynarec.host.base import HostCode, Recovery, Source
from dynarec.host.moves import Move
from dynarec.ir.ops import signed
from dynarec.ir.state import Field


class Recoveries:
    """Collects the records of a unit; what stays as it is from site to site has one."""

    def __init__(self, records: list[Recovery], numbers: Mapping[int, int], words: Mapping[int, int]) -> None:
        """numbers: of host registers. words: of the state, by the host registers that hold them."""
        self._records = records
        self._numbers = numbers
        self._words = words
        self._open: dict[Move, int] = {}

    def site(self, number: int, moves: Sequence[Move]) -> None:
        """The next site has this number, and these deferred writes."""
        if not moves and not self._open:
            return
        last = self._open
        self._open = {move: last.pop(move, number) for move in moves}
        self._close(last, number - 1)

    def close(self, last: int) -> None:
        """There are no sites behind number `last`."""
        self._close(self._open, last)

    def _close(self, moves: Mapping[Move, int], last: int) -> None:
        for (to, (source, number), plus), first in moves.items():
            word = self._words[to.number] if to.source is Source.REGISTER else to.number // layout.WORD
            if source is Source.REGISTER:
                number = self._numbers[number]
            elif source is Source.WORD:
                number //= layout.WORD
            self._records.append(Recovery(first, last, word, source, number, plus))


def recovery_texts(code: HostCode, registers: Sequence[str], fields: Sequence[Field]) -> dict[int, str]:
    """What the accesses of a unit write if they fault, for people: `x10 = r9d, x11 = 0x10`; by their offsets.

    registers: `Host.register_names`. fields: of the guest.
    """
    names = {field.index: field.name for field in fields}
    texts: dict[int, list[str]] = {}
    for each in code.recoveries:
        text = f"{names.get(each.word, each.word)} = {_value(each, registers)}"
        for site in code.sites[each.first : each.last + 1]:
            texts.setdefault(site.offset, []).append(text)
    return {offset: ", ".join(each) for offset, each in texts.items()}


def _value(recovery: Recovery, registers: Sequence[str]) -> str:
    if recovery.source is Source.NOTHING:
        return f"{recovery.plus:#x}"
    is_word = recovery.source is Source.WORD
    place = f"word {recovery.number}" if is_word else registers[recovery.number]
    plus = signed(recovery.plus)
    return f"{place} {'-' if plus < 0 else '+'} {abs(plus):#x}" if plus else place
