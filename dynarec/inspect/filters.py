"""Which units are meant: the language of filters, and places in the guest.

A filter is words, all of which must hold for a unit:

    hot, live, dead         1 % of the time or more; alive or not
    #12                     the unit of that number
    0x10074, 65652          made from the instruction at that address
    main+0x10               the same, counted from a symbol
    ledger.c:12             made from an instruction of that line; the end of the file's path is enough
    reason:evicted          died of that
    span                    begins in a symbol whose name holds that text, in capitals or not
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from dynarec.core import DEATHS
from dynarec.errors import DynarecError
from dynarec.inspect.model import Place, Recording, Unit

Test = Callable[[Unit], bool]
HOT = 0.01
"""Share of the time."""
REASON = "reason:"
NUMBER = "#"


def select(recording: Recording, expression: str) -> list[Unit]:
    """The units that a filter lets through, by serial. Raises DynarecError for one that makes no sense."""
    tests = [_test(recording, word) for word in expression.split()]
    return [unit for unit in recording.units if all(test(unit) for test in tests)]


def addresses(recording: Recording, place: str) -> set[int]:
    """The addresses that an address, a symbol, symbol+offset, or file:line stands for. Raises DynarecError."""
    found = _addresses(recording, place)
    if found is None:
        raise DynarecError(f"{recording.subject.program}: nothing is known of {place!r}: give an address or a symbol")
    return found


def at(recording: Recording, place: str) -> list[Unit]:
    """The units at a place or of a number (#12): those that begin there, or else those that hold it.

    The living come first, then the youngest. Raises DynarecError if there are none.
    """
    if place.startswith(NUMBER):
        found = select(recording, place)
    else:
        there = addresses(recording, place)
        begin = [unit for unit in recording.units if unit.key in there]
        found = begin or [unit for unit in recording.units if _holds(unit, there)]
    if not found:
        raise DynarecError(
            f"{recording.subject.program}: no unit was made from {place}: it was interpreted, or not run"
        )
    return sorted(found, key=lambda unit: (not unit.alive, -unit.serial))


def _test(recording: Recording, word: str) -> Test:
    match word:
        case "hot":
            return lambda unit: recording.share(unit) >= HOT
        case "live":
            return lambda unit: unit.alive
        case "dead":
            return lambda unit: not unit.alive
    if word.startswith(REASON):
        return _died_of(word.removeprefix(REASON))
    if word.startswith(NUMBER):
        serial = _integer(word.removeprefix(NUMBER))
        if serial is None:
            raise DynarecError(f"{word!r} is no number of a unit: write {NUMBER}12")
        return lambda unit: unit.serial == serial
    if _is_place(word):
        there = addresses(recording, word)
        return lambda unit: _holds(unit, there)
    part = word.casefold()
    return lambda unit: part in _symbol(recording, unit).casefold()


def _died_of(reason: str) -> Test:
    if reason not in DEATHS:
        raise DynarecError(f"units do not die of {reason!r}: choose one of {', '.join(DEATHS)}")
    return lambda unit: unit.died is not None and unit.died.reason == reason


def _is_place(word: str) -> bool:
    """Whether it is more than a part of a name."""
    base, _, offset = word.rpartition("+")
    file, _, line = word.rpartition(":")
    is_number = _integer(word) is not None
    return is_number or bool(base and _integer(offset) is not None) or bool(file and line.isdecimal())


def _addresses(recording: Recording, place: str) -> set[int] | None:
    number = _integer(place)
    if number is not None:
        return {number}
    labelled = {label.address for label in recording.labels if label.name == place}
    if labelled:
        return labelled
    file, _, line = place.rpartition(":")
    if file and line.isdecimal():
        return {address for address, each in recording.places.items() if _is_of(each, file, int(line))} or None
    base, _, offset = place.rpartition("+")
    distance = _integer(offset)
    if not base or distance is None:
        return None
    begin = _addresses(recording, base)
    return begin and {address + distance for address in begin}


def _is_of(place: Place, file: str, line: int) -> bool:
    """Whether it is that line; of a file whose path ends so."""
    if place.line != line:
        return False
    wanted = PurePosixPath(file).parts
    return PurePosixPath(place.file).parts[-len(wanted) :] == wanted


def _holds(unit: Unit, there: set[int]) -> bool:
    return not there.isdisjoint(unit.pcs) or any(unit.holds(address) for address in there)


def _symbol(recording: Recording, unit: Unit) -> str:
    label = recording.label_at(unit.key)
    return label.name if label else ""


def _integer(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None
