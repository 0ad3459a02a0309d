"""The picture of the README is of the inspector as it is."""

from __future__ import annotations

import asyncio

import pytest

from dynarec.host import cpu_has_bmi2, native_host_name
from tests.debug.tui.test_picture import texts
from tests.inspect.tui.picture import PICTURE, picture

NATIVE = native_host_name()


@pytest.mark.skipif(NATIVE != "x86_64" or not cpu_has_bmi2(), reason="needs x86-64 with BMI2, whose code it shows")
def test_the_picture_shows_what_is_there() -> None:
    """By its text, not by the colours of a version of Textual. `python -m tests.inspect.tui.picture` mends it."""
    made, kept = texts(asyncio.run(picture())), texts(PICTURE.read_text())
    assert any("mulhu" in text for text in kept)
    assert set(made) == set(kept)
