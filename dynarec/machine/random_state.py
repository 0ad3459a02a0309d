"""The state of a random number generator as a State: of Python's Mersenne Twister, which every Python has alike."""

from __future__ import annotations

import random
import struct

from dynarec.machine.state import Fields, State

WORDS = struct.Struct("<624I")
PLACES = 625
"""The next word to be used, or none."""


def save_random(generator: random.Random) -> State:
    """What it needs to give the same numbers again."""
    _, words, _ = generator.getstate()
    return {"words": WORDS.pack(*words[:-1]), "place": words[-1]}


def restore_random(generator: random.Random, fields: Fields) -> None:
    """Give the numbers that followed then. Raises BadState."""
    words = WORDS.unpack(fields.data("words", WORDS.size))
    version, _, rest = generator.getstate()
    generator.setstate((version, (*words, fields.number("place", PLACES)), rest))
