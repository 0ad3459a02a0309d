"""Rows of text with roles; how a role looks is for the panes to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Span = tuple[str, str]
"""Text, and the role of it: a name of ROLES, or ""."""
ROLES = ("address", "name", "source", "faint", "changed", "mark", "error", "input", "heading")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a pane. key: what it is about, when it is chosen. here: the program stands there."""

    spans: tuple[Span, ...]
    key: str = ""
    here: bool = False

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.spans)


def plain(lines: Iterable[str], role: str = "") -> list[Row]:
    """Rows of text that is all of one role."""
    return [Row(((line.expandtabs(), role),)) for line in lines]
