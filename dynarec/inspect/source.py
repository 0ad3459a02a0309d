"""Where recordings come from: a machine of this process, one of another process, a file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from dynarec.errors import DynarecError
from dynarec.inspect.model import Recording


class Source(Protocol):
    """Gives recordings. All of it may be called from any thread.

    name: what people call it. live: whether another recording may say more than the last one.
    """

    name: str
    live: bool

    def record(self) -> Recording:
        """Everything that is known now. Raises DynarecError when the other side is gone."""

    def erase(self, serial: int) -> None:
        """Let a unit die, soon. Raises DynarecError where that cannot be."""

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        """Let a unit die, and leave out passes when its block is translated next. Raises DynarecError."""

    def close(self) -> None:
        """Give up what it holds. May be called twice."""


class FixedSource:
    """A recording that was made before."""

    live = False

    def __init__(self, name: str, recording: Recording) -> None:
        self.name = name
        self._recording = recording

    def record(self) -> Recording:
        return self._recording

    def erase(self, serial: int) -> None:
        raise DynarecError(f"{self.name}: a recording cannot be changed: inspect the program while it runs")

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        self.erase(serial)

    def close(self) -> None:
        """Nothing is held."""
