"""Reads a page as a browser would, without one."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of those that hold raw text."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    title: str = ""
    inside: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag in ("script", "style"):
            self.raw.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style"):
            self.raw[-1] += data
        elif self.inside == "title":
            self.title += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def block(self, name: str) -> str:
        """The text of the script or style element of that id, or of that kind."""
        kinds = [(tag, attributes) for tag, attributes in self.elements if tag in ("script", "style")]
        return next(
            text
            for (tag, attributes), text in zip(kinds, self.raw, strict=True)
            if attributes.get("id", tag) == name and (name == attributes.get("id") or not attributes)
        )

    @property
    def data(self) -> Any:
        return unpacked(self.block("data"))

    @property
    def listings(self) -> dict[str, Any]:
        """The lines of all units, by serial."""
        text = self.block("listings")
        return {serial: lines for chunk in text.split() for serial, lines in unpacked(chunk).items()}


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))
