"""A recording as one self-contained page for a browser: `write` makes it."""

from dynarec.inspect.report.page import write

__all__ = ["write"]
