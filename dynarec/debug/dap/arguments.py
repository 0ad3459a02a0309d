"""What a request brings, checked as it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from dynarec.errors import DynarecError

T = TypeVar("T")
LARGEST = 1 << 53
"""As far as every reader of JSON counts."""
NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


class Arguments:
    """An object of JSON. Every method raises DynarecError for a value of another kind, or one that has to be there."""

    def __init__(self, owner: str, values: object) -> None:
        """owner: the command, for messages; values: an object of JSON, or None for an empty one."""
        self.owner = owner
        self._values: Mapping[str, object] = {} if values is None else _checked(owner, values, dict)

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def is_number(self, name: str) -> bool:
        return isinstance(self._values.get(name), int)

    def text(self, name: str, default: str | None = None) -> str:
        """default: None: it has to be there."""
        return self._get(name, str, default)

    def number(self, name: str, default: int | None = None) -> int:
        """As `text`, of whole numbers."""
        found = self._get(name, int, default)
        if not -LARGEST <= found <= LARGEST:
            raise DynarecError(f"{self.owner}: {name} is too large a number")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        return self._get(name, bool, default)

    def texts(self, name: str) -> list[str]:
        """The texts of a list; none when it is not there."""
        return [_checked(f"{self.owner}: {name}", each, str) for each in self._list(name)]

    def inner(self, name: str) -> Arguments:
        """An object; an empty one when it is not there."""
        return Arguments(f"{self.owner}: {name}", self._values.get(name))

    def inners(self, name: str) -> list[Arguments]:
        """The objects of a list; none when it is not there."""
        return [Arguments(f"{self.owner}: {name}", each) for each in self._list(name)]

    def _list(self, name: str) -> list[object]:
        empty: list[object] = []
        return self._get(name, list, empty)

    def _get(self, name: str, kind: type[T], default: T | None) -> T:
        found = self._values.get(name)
        if found is not None:
            return _checked(f"{self.owner}: {name}", found, kind)
        if default is None:
            raise DynarecError(f"{self.owner}: {name} is missing")
        return default


def _checked(what: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DynarecError(f"{what}: must be {NAMES[kind]}")
    return value
