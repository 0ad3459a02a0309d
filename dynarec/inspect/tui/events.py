"""The log of what happened to the cache, as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dynarec.core import DEATHS
from dynarec.inspect.model import Event, Recording
from dynarec.inspect.tui.heat import seconds, size
from dynarec.inspect.tui.pane import DEATH_ROLES
from dynarec.tui.rows import Row, Span

WIDTH = 100
KINDS = ("install", "death", "link", "unlink", "evict", "flush", "batch", "mixed")
MICRO = 1000


def events(recording: Recording, text: str) -> Iterator[Event]:
    """The events for which all words hold: a kind, "#12", a reason of death, or part of the symbol of a unit."""
    tests = [_test(recording, word) for word in text.split()]
    return (event for event in recording.events if all(test(event) for test in tests))


def _test(recording: Recording, word: str) -> Callable[[Event], bool]:
    if word in KINDS:
        return lambda event: event.kind == word
    if word.startswith("#"):
        return lambda event: word[1:] in _serials(event)
    if word.removeprefix("reason:") in DEATHS:
        number = DEATHS.index(word.removeprefix("reason:"))
        return lambda event: event.kind == "death" and event.other == number
    return lambda event: word.lower() in _name(recording, event.serial).lower()


def _serials(event: Event) -> tuple[str, ...]:
    others = (event.other,) if event.kind in ("link", "unlink") else ()
    return tuple(str(serial) for serial in (event.serial, *others) if serial)


def _name(recording: Recording, serial: int) -> str:
    unit = recording.by_serial.get(serial)
    return recording.name(unit.key) if unit else ""


def event_row(recording: Recording, event: Event) -> Row:
    """When it happened, what, and to which unit."""
    spans = ((f"{seconds(event.when.time):>10} ", "address"), *_told(recording, event))
    return Row(spans, str(event.serial or ""))


def _told(recording: Recording, event: Event) -> tuple[Span, ...]:
    who: tuple[Span, ...] = ((f"#{event.serial} ", "faint"), (_name(recording, event.serial), "name"))
    match event.kind:
        case "install":
            return (("install ", "birth"), *who, (f"  {size(event.value)}, batch {event.other}", "faint"))
        case "death":
            reason = DEATHS[event.other] if 0 <= event.other < len(DEATHS) else "?"
            place = f" at {recording.name(event.value)}" if event.value else ""
            return (("death   ", DEATH_ROLES.get(reason, "faint")), *who, (f"  {reason}{place}", "faint"))
        case "link" | "unlink":
            to = f" exit {event.value} to #{event.other} {_name(recording, event.other)}"
            return ((f"{event.kind:<8}", ""), *who, (to, "faint"))
        case "evict":
            return (("evict   ", "changed"), (f"generation {event.other}, {size(event.value)}", ""))
        case "flush":
            return (("flush   ", "changed"), (f"{event.value} units died", ""))
        case "batch":
            return (("batch   ", "faint"), (f"{event.other} patches, open for {event.value // MICRO:,} us", "faint"))
        case "mixed":
            return (("mixed   ", "changed"), (f"page {event.value:#010x} is code and data", ""))
    return ((event.kind, ""),)
