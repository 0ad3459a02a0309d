"""The picture of the README is of the interface as it is."""

from __future__ import annotations

import asyncio
import re
from html import unescape

from tests.debug.tui.picture import PICTURE, picture

TEXT = re.compile(r"<text[^>]*>(.*?)</text>")


def texts(svg: str) -> list[str]:
    return [unescape(text).replace("\xa0", " ").strip() for text in TEXT.findall(svg)]


def test_the_picture_shows_what_is_there() -> None:
    """By its text, not by the colours of a version of Textual. `python -m tests.debug.tui.picture` mends it."""
    made, kept = texts(asyncio.run(picture())), texts(PICTURE.read_text())
    assert any("add (a=2, b=2)" in text for text in kept)
    assert set(made) == set(kept)
