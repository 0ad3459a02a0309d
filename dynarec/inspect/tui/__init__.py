"""The inspector in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.inspect.source import Source


def run(source: Source) -> int:
    """Show what a source has, in this terminal, until the user leaves; the exit status. The source is closed.

    Raises DynarecError when there is no terminal.
    """
    from dynarec.inspect.tui.app import run_app

    return run_app(source)
