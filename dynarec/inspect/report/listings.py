"""The code of units in its three forms, for the page: the hottest first, as much of it as fits.

Units whose guest code and circumstances are the same share these lines; the host code of each is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynarec.errors import DynarecError
from dynarec.inspect.code import GuestLine, HostLine, Stage, UnitCode
from dynarec.inspect.model import Place, Recording, Unit
from dynarec.inspect.report.packing import packed
from dynarec.loading import find_guest

MOST_BYTES = 5 << 20
"""Of all listings in the page."""
MOST_IR = 1000
"""Units whose IR is shown: making it again takes milliseconds each."""
CHUNK = 32
"""Units that are compressed together, and read together when one of them is looked at."""


class Listings:
    """chunks: packed values, with the lines of some units each, by serial. index: number of the chunk by serial.

    absent: how many units have no lines, or no IR, because they would not fit.
    """

    def __init__(self, recording: Recording, most_bytes: int = MOST_BYTES, most_ir: int = MOST_IR) -> None:
        """Raises DynarecError when the guest is not installed."""
        self._recording = recording
        self._guest = find_guest(recording.subject.guest) if recording.units else None
        self._most_ir = most_ir
        self._shared: dict[Any, dict[str, Any]] = {}
        self.chunks: list[str] = []
        self._without_ir = 0
        self.index: dict[int, int] = {}
        self._fill(most_bytes)
        self.absent = {
            "lines": len(recording.units) - len(self.index),
            "ir": self._without_ir,
        }

    def _fill(self, room: int) -> None:
        recording = self._recording
        units = sorted(recording.units, key=lambda unit: (-recording.share(unit), not unit.alive, unit.serial))
        for start in range(0, len(units), CHUNK):
            lines = {str(unit.serial): self._lines(unit) for unit in units[start : start + CHUNK]}
            chunk = packed(lines)
            room -= len(chunk)
            if room < 0:
                return
            self.index.update((int(serial), len(self.chunks)) for serial in lines)
            self._without_ir += sum("no_ir" in each for each in lines.values())
            self.chunks.append(chunk)

    def _lines(self, unit: Unit) -> dict[str, Any]:
        assert self._guest is not None
        code = UnitCode(unit, self._guest)
        try:
            lines = {**self._same(unit, code), "host": _host(code.host_lines)}
            return lines if "no_ir" in lines else {**lines, "again": code.is_reproduced, "verified": code.is_verified}
        except DynarecError as error:
            return {"error": str(error)}

    def _same(self, unit: Unit, code: UnitCode) -> dict[str, Any]:
        """Guest code and IR."""
        key = (unit.key, unit.source, unit.pcs, unit.circumstances)
        if (lines := self._shared.get(key)) is None:
            lines = {"guest": _guest(code.guest_lines), "source": list(self._source(unit))}
            lines |= {"ir": _ir(code.stages)} if len(self._shared) < self._most_ir else {"ir": [], "no_ir": True}
            self._shared[key] = lines
        return lines

    def _source(self, unit: Unit) -> Iterator[tuple[int, str, int, str]]:
        """Where another source line begins: index of the instruction, file, line, its text."""
        before: Place | None = None
        for index, pc in enumerate(unit.pcs):
            place = self._recording.places.get(pc)
            if place is not None and place != before:
                texts = self._recording.texts.get(place.file, ())
                yield index, place.file, place.line, texts[place.line - 1] if 0 < place.line <= len(texts) else ""
            before = place


def _guest(lines: list[GuestLine]) -> dict[str, Any]:
    return {
        "pc": [line.pc for line in lines],
        "data": [f"{int.from_bytes(line.data, 'little'):0{2 * len(line.data)}x}" for line in lines],
        "text": [line.text for line in lines],
    }


def _ir(stages: list[Stage]) -> list[dict[str, Any]]:
    return [
        {
            "name": stage.name,
            "text": [line.text for line in stage.lines],
            "insn": [line.insn for line in stage.lines],
        }
        for stage in stages
    ]


def _host(lines: list[HostLine]) -> dict[str, Any]:
    return {
        "offset": [line.offset for line in lines],
        "data": [line.data.hex() for line in lines],
        "text": [line.text for line in lines],
        "op": [line.op for line in lines],
    }
