"""What the page knows of a recording, as a value of JSON: in columns, which compress well; text once, by number.

Addresses and keys are hexadecimal text, as no number of JavaScript holds 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from dynarec.inspect.graph import graph
from dynarec.inspect.hints import Hint, hints
from dynarec.inspect.model import Death, Event, Exit, Label, Recording, Unit

MOST_EVENTS = 20_000
"""The latest ones are on the page."""
EMPTIED = ("evicted", "flush")
"""Reasons of deaths whose bytes are room for others at once; those of other dead units stay until then."""


def contents(recording: Recording) -> dict[str, Any]:
    """All but the units' code."""
    texts = _Texts(recording)
    events = recording.events[-MOST_EVENTS:]
    return {
        "subject": {**asdict(recording.subject), "entry": texts.address(recording.subject.entry)},
        "taken": asdict(recording.taken),
        "counted": recording.counted,
        "totals": _totals(recording),
        "cache": _cache(recording),
        "units": _units(recording, texts),
        "edges": _edges(recording),
        "events": {**_events(events), "lost": recording.lost, "left_out": len(recording.events) - len(events)},
        "hints": [_hint(hint, texts) for hint in hints(recording)],
        "texts": texts.all,
        "names": texts.names,
        "symbols": {label.name: f"{label.address:#x}" for label in _begun(recording)},
    }


class _Texts:
    """Text by number, and the names of the addresses that were asked for."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._numbers: dict[str, int] = {}
        self.names: dict[str, int] = {}

    @property
    def all(self) -> list[str]:
        return list(self._numbers)

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def address(self, address: int) -> str:
        text = f"{address:#010x}"
        if text not in self.names:
            self.names[text] = self.number(self._recording.name(address))
        return text


def _totals(recording: Recording) -> dict[str, Any]:
    return {
        "instructions": recording.instructions,
        "samples": recording.samples,
        "interpreted": sum(recording.interpreted.values()),
        "answered": sum(recording.answered.values()),
        "first": recording.first,
        "forgotten": asdict(recording.forgotten),
        "elsewhere": dict(recording.elsewhere),
    }


def _cache(recording: Recording) -> dict[str, Any]:
    cache = recording.cache
    return {
        "size": cache.size,
        "policy": cache.policy,
        "generations": [(each.start, each.end, each.fill) for each in cache.generations],
        "current": cache.current,
        "stats": {name: _finite(value) for name, value in cache.stats.items()},
        "deaths": dict(cache.deaths),
        "exits": dict(cache.exits),
    }


def _units(recording: Recording, texts: _Texts) -> dict[str, list[Any]]:
    """The columns of the table of units, in the order of their serials."""
    units, there = recording.units, _still_there(recording)
    circumstances = dict.fromkeys(unit.circumstances for unit in units)
    numbers = {each: number for number, each in enumerate(circumstances)}
    columns: dict[str, list[Any]] = {
        "serial": [unit.serial for unit in units],
        "key": [texts.address(unit.key) for unit in units],
        "symbol": [texts.number(_symbol(recording, unit)) for unit in units],
        "place": [texts.number(_place(recording, unit)) for unit in units],
        "lines": [[texts.number(line) for line in _lines(recording, unit)] for unit in units],
        "tier": [texts.number(unit.tier) for unit in units],
        "ranges": [[(f"{start:#010x}", size) for start, size in unit.ranges] for unit in units],
        "insns": [len(unit.pcs) for unit in units],
        "guest_bytes": [unit.guest_bytes for unit in units],
        "charged": [unit.charged for unit in units],
        "ops": [len(unit.op_insns) for unit in units],
        "host_insns": [unit.host_insns for unit in units],
        "bytes": [len(unit.code) for unit in units],
        "body": [unit.body for unit in units],
        "offset": [unit.offset for unit in units],
        "there": [int(unit.serial in there) for unit in units],
        "rounds": [unit.rounds for unit in units],
        "instructions": [unit.instructions for unit in units],
        "samples": [unit.samples for unit in units],
        "executed": [unit.executed() for unit in units],
        "batch": [unit.batch for unit in units],
        "born": [unit.born.time for unit in units],
        "born_at": [unit.born.instructions for unit in units],
        "died": [unit.died and _death(unit.died, texts) for unit in units],
        "phases": [{name: round(_finite(value) * 1e9) for name, value in unit.phases.items()} for unit in units],
        "exits": [[_exit(each, texts) for each in unit.exits] for unit in units],
        "circumstances": [numbers[unit.circumstances] for unit in units],
    }
    return {**columns, "all_circumstances": [_circumstances(each) for each in circumstances]}


def _still_there(recording: Recording) -> set[int]:
    """Serials of the units whose bytes lie in the region, those of dead ones included."""
    found = {unit.serial for unit in recording.live}
    for generation in recording.cache.generations:
        inside = [unit for unit in recording.units if generation.start <= unit.offset < generation.end]
        emptied = max((unit.died.when.time for unit in inside if unit.died and _went(unit)), default=-1)
        found |= {unit.serial for unit in inside if unit.born.time >= emptied and not _went(unit)}
    return found


def _went(unit: Unit) -> bool:
    return unit.died is not None and unit.died.reason in EMPTIED


def _symbol(recording: Recording, unit: Unit) -> str:
    label = recording.label_at(unit.key)
    return label.name if label is not None else ""


def _begun(recording: Recording) -> Iterator[Label]:
    """The symbols in which units begin."""
    labels = dict.fromkeys(recording.label_at(unit.key) for unit in recording.units)
    return (label for label in labels if label is not None)


def _place(recording: Recording, unit: Unit) -> str:
    place = recording.places.get(unit.pcs[0]) if unit.pcs else None
    return f"{place.file}:{place.line}" if place is not None else ""


def _lines(recording: Recording, unit: Unit) -> Iterator[str]:
    """The lines of the source that it was made from, each once."""
    places = dict.fromkeys(recording.places.get(pc) for pc in unit.pcs)
    return (f"{place.file}:{place.line}" for place in places if place is not None)


def _death(death: Death, texts: _Texts) -> tuple[Any, ...]:
    return (
        death.when.time,
        death.when.instructions,
        texts.number(death.reason),
        texts.address(death.address) if death.address else None,
        texts.address(death.pc) if death.pc else None,
    )


def _exit(each: Exit, texts: _Texts) -> tuple[Any, ...]:
    target = None if each.kind == "indirect" else texts.address(each.target)
    return (texts.number(each.kind), target, each.executed, each.offset, each.taken, each.missed, each.linked)


def _circumstances(each: Any) -> dict[str, Any]:
    return {
        "host": each.host,
        "limit": each.limit,
        "checked": each.checked,
        "features": list(each.features),
        "without": list(each.without),
        "harden": list(each.harden),
        "left": [f"{address:#010x}" for address in each.left],
        "hooked": [f"{pc:#010x}" for pc, _ in each.hooked],
    }


def _edges(recording: Recording) -> list[tuple[Any, ...]]:
    """From, to, kind, count, whether it is linked: of the ways between units that are known."""
    edges = graph(recording, recording.units).edges
    return [
        (edge.source, edge.target, edge.kind, edge.count, int(edge.is_linked))
        for edge in edges
        if edge.target is not None
    ]


def _events(events: Iterable[Event]) -> dict[str, list[Any]]:
    rows = [(e.when.time, e.when.instructions, e.kind, e.serial, e.other, e.value) for e in events]
    names = ("time", "instructions", "kind", "serial", "other", "value")
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return dict(zip(names, (list(column) for column in columns), strict=True))


def _hint(hint: Hint, texts: _Texts) -> dict[str, Any]:
    return {
        "severity": hint.severity,
        "text": hint.text,
        "advice": hint.advice,
        "serials": list(hint.serials),
        "addresses": [texts.address(address) for address in hint.addresses],
    }


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
