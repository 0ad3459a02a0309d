"""Lines about the whole and about one unit."""

from __future__ import annotations

from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.tui.heat import percent, seconds, short, size
from dynarec.inspect.tui.view import View

MICRO = 1e6


def status(name: str, view: View, mode: str) -> str:
    """What is looked at, and how much of it there is."""
    recording = view.recording
    subject = recording.subject
    shown = len(view.table.units)
    found = f"{shown:,} of {len(recording.units):,} units" if view.wish.filter else f"{shown:,} units"
    lost = f", {recording.forgotten.units:,} forgotten" if recording.forgotten.units else ""
    counted = "" if recording.counted else "  not counted"
    retired = f"{recording.taken.instructions:,} instructions in {seconds(recording.taken.time)}"
    return (
        f"{name}  {mode}  {found}, {len(recording.dead):,} dead{lost}  {retired}{counted}  "
        f"{subject.guest} on {subject.host or 'an interpreter'}"
    )


def facts(recording: Recording, unit: Unit | None, judgement: str) -> str:
    """One unit."""
    if unit is None:
        return "no unit: nothing has been translated" if not recording.units else "no unit is chosen"
    place = recording.places.get(unit.key)
    where = f" {place.file.rpartition('/')[2]}:{place.line}" if place else ""
    words = [
        f"#{unit.serial} {recording.name(unit.key)}{where}",
        _life(recording, unit),
        f"{percent(recording.share(unit))} of the time",
        f"{len(unit.pcs)} guest, {unit.host_insns} host insns",
        *([judgement] if judgement else []),
        f"{size(unit.body)} + {size(len(unit.code) - unit.body)} exits",
        f"{short(unit.rounds)} rounds",
        _translated(unit),
        f"batch {unit.batch}",
        *_circumstances(unit),
    ]
    return "  ".join(words)


def _life(recording: Recording, unit: Unit) -> str:
    born = seconds(unit.born.time)
    if unit.died is None:
        return f"{unit.tier}, lives since {born}"
    by = f" by {recording.name(unit.died.pc)}" if unit.died.pc else ""
    at = f" at {recording.name(unit.died.address)}" if unit.died.address else ""
    return f"{unit.tier}, died of {unit.died.reason}{at}{by} after {seconds(unit.died.when.time - unit.born.time)}"


def _translated(unit: Unit) -> str:
    slowest = sorted(unit.phases.items(), key=lambda item: (-item[1], item[0]))[:2]
    parts = ", ".join(f"{name} {seconds * MICRO:.0f}" for name, seconds in slowest)
    return f"{unit.seconds * MICRO:.0f} us ({parts})" if parts else f"{unit.seconds * MICRO:.0f} us"


def _circumstances(unit: Unit) -> list[str]:
    found = unit.circumstances
    words = [f"without {' '.join(found.without)}"] if found.without else []
    words += ["compares its bytes"] if found.checked else []
    return words + ([f"hardened: {' '.join(found.harden)}"] if found.harden else [])
