"""Types of command line arguments."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

ADDRESS_SPACE = 1 << 32
SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def count(text: str) -> int:
    """A number of things, 0 or more: decimal, 0x..., with _ where one likes."""
    number = _integer(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def size(text: str) -> int:
    """A number of bytes; K, M and G are powers of 1024."""
    unit = SUFFIXES.get(text[-1:].upper(), 1)
    return count(text[:-1] if unit > 1 else text) * unit


def seconds(text: str) -> float:
    """A time in seconds, more than 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")
    return number


def names(text: str) -> tuple[str, ...]:
    """Names with commas in between."""
    return tuple(text.split(","))


def path(text: str) -> Path:
    """The name of a file or directory; an empty one, which Path takes for the current directory, is a mistake."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def place(text: str) -> int | str:
    """An address (decimal or 0x...), or else the name of a symbol."""
    try:
        address = int(text, 0)
    except ValueError:
        return text
    if not 0 <= address < ADDRESS_SPACE:
        raise argparse.ArgumentTypeError(f"{text} is no 32-bit address")
    return address


def add_without(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Declare --without. more: what else it does."""
    text = f"leave out optimisation passes, or other features{more}"
    parser.add_argument("--without", action="extend", nargs="+", default=[], metavar="PASS", help=text)


def _integer(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
