"""Guest state as the IR sees it: named fields at fixed places in an array of 32-bit words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

STATE_WORDS = 48
"""Words of guest state in `struct dr_cpu` (native/abi.h)."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One register: `index` is its word in the state array; a value always fits in `bits`, zero-extended."""

    name: str
    index: int
    bits: int = 32

    def __repr__(self) -> str:
        return self.name


class StateLayout:
    """The fields of a guest, in the order of their words, with the other names people know them by."""

    def __init__(self, fields: list[Field], aliases: dict[str, str] | None = None) -> None:
        self.fields = tuple(fields)
        self._by_name = {field.name: field for field in fields}
        self._check()
        for alias, name in (aliases or {}).items():
            if alias in self._by_name:
                raise ValueError(f"alias {alias} names a field already")
            self._by_name[alias] = self._by_name[name]

    def _check(self) -> None:
        if len(self._by_name) != len(self.fields):
            raise ValueError("two fields share a name")
        if len({field.index for field in self.fields}) != len(self.fields):
            raise ValueError("two fields share a word")
        if any(not 0 <= field.index < STATE_WORDS for field in self.fields):
            raise ValueError(f"a field lies outside the {STATE_WORDS} words of state")

    def __getitem__(self, name: str) -> Field:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name and alias."""
        return tuple(self._by_name)
