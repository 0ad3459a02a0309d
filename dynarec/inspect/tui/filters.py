"""The words of a filter: which units they leave."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.inspect.model import Recording, Unit

Test = Callable[[Unit], bool]
HOT = 0.01
"""Share of the time of a unit that is hot."""


def chosen(recording: Recording, text: str) -> list[Unit]:
    """The units for which all words hold."""
    tests = [_test(recording, word) for word in text.split()]
    return [unit for unit in recording.units if all(test(unit) for test in tests)]


def _test(recording: Recording, word: str) -> Test:
    if word in ("live", "dead"):
        return lambda unit: unit.alive == (word == "live")
    if word == "hot":
        return lambda unit: recording.share(unit) >= HOT
    if word.startswith("reason:"):
        return lambda unit: unit.died is not None and unit.died.reason == word.removeprefix("reason:")
    addresses = _addresses(recording, word)
    if addresses:
        return lambda unit: any(unit.holds(address) for address in addresses)
    return lambda unit: word.lower() in recording.name(unit.key).lower()


def _addresses(recording: Recording, word: str) -> set[int]:
    """What a word that names a place stands for."""
    symbol, plus, offset = word.rpartition("+")
    file, colon, line = word.rpartition(":")
    try:
        if word.startswith("0x"):
            return {int(word, 16)}
        if plus:
            return {label.address + int(offset, 0) for label in recording.labels if label.name == symbol}
        if colon:
            return {pc for pc, at in recording.places.items() if at.line == int(line) and at.file.endswith(file)}
    except ValueError:
        pass
    return set()
