"""The inspector in a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.inspect.source import Source


def run(source: Source) -> int:
    """Show what a source has, in this terminal, until the user leaves; the exit status. The source is closed.

    Raises DynarecError when there is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        source.close()
        raise DynarecError("the inspector needs a terminal; --top, --json and --html do without")
    from dynarec.inspect.tui.app import InspectorApp

    app = InspectorApp(source)
    try:
        return app.run() or 0
    finally:
        app.watcher.close()
