"""What targets expect of everything that is given bytes from outside."""

from __future__ import annotations

import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager

from dynarec.errors import DynarecError

MEMORY_FLOOR = 16 << 20
"""Bytes that Python may take for anything at all: modules imported by the way, caches, messages."""
MEMORY_FACTOR = 64
"""Bytes that may be taken for one byte of input; a tuple of numbers takes about as much for what it was read from."""


class BadMessageError(AssertionError):
    """A message that is not one line for the user."""


@contextmanager
def may_refuse(kind: type[DynarecError] = DynarecError) -> Generator[None]:
    """The block may raise such an error, with one line of text; every other exception goes through."""
    try:
        yield
    except kind as error:
        check_line(str(error))


def check_line(text: str) -> None:
    """Raise BadMessageError unless the text is one line that a terminal shows as it is."""
    if not text or not text.isprintable():
        raise BadMessageError(f"not one printable line: {text!r}")


@contextmanager
def bounded_memory(size: int) -> Generator[None]:
    """The block, which works on an input of so many bytes, may take memory in proportion to it.

    Who calls it often starts `tracemalloc` before: each start and stop leaves some memory behind.
    """
    started_here = not tracemalloc.is_tracing()
    tracemalloc.start()  # does nothing the second time
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if started_here:
            tracemalloc.stop()
    if peak - before > MEMORY_FLOOR + MEMORY_FACTOR * size:
        raise MemoryError(f"an input of {size} bytes took {peak - before} bytes")
