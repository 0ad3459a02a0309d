"""A recording as JSON, for other people's programs.

The object has the fields of `Recording` by name, and of the values in it (dynarec/inspect/model.py). Addresses, offsets
and counts are numbers, bytes are hexadecimal, what was not counted is null. Beside that:

    "format"        1; another number if a field comes to mean something else
    "interpreted", "answered"
                    [[address, count], ...]
    "places"        [[address, file, line], ...]
    of each unit    "name" ("main+0x10"), "place" ({"file", "line"} or null), "share" (0 to 1), "body" (bytes of host
                    code before the exits), "seconds" (of its translation), "links_in" ([[serial, exit], ...])
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields

from dynarec.inspect.model import Recording, Unit

FORMAT = 1
APART = ("units", "interpreted", "answered", "places")


def to_json(recording: Recording, units: Iterable[Unit] | None = None) -> str:
    """The recording, or the recording with some of its units, on one line."""
    content: dict[str, object] = {"format": FORMAT}
    for field in fields(recording):
        if field.name not in APART:
            content[field.name] = getattr(recording, field.name)
    content["interpreted"] = list(recording.interpreted.items())
    content["answered"] = list(recording.answered.items())
    content["places"] = [(address, place.file, place.line) for address, place in recording.places.items()]
    content["units"] = [_unit(recording, unit) for unit in (recording.units if units is None else units)]
    return json.dumps(content, default=_plain)


def _unit(recording: Recording, unit: Unit) -> dict[str, object]:
    place = recording.places.get(unit.key)
    more = {
        "name": recording.name(unit.key),
        "place": None if place is None else asdict(place),
        "share": recording.share(unit),
        "body": unit.body,
        "seconds": unit.seconds,
        "links_in": recording.links_in.get(unit.serial, ()),
    }
    return {field.name: getattr(unit, field.name) for field in fields(unit)} | more


def _plain(value: object) -> object:
    """What JSON has in place of it; fields of fields are asked for one by one."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
