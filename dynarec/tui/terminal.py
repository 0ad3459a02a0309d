"""What every interface does the same: large terminals, light and dark, the end by a signal."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from textual.app import App
from textual.geometry import Size

WIDE, HIGH = 110, 34
"""Columns and rows of a terminal that is large."""
DARK, LIGHT = "textual-dark", "textual-light"
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
SIGNAL_STATUS_BASE = 128


def is_large(room: Size) -> bool:
    """Whether panes have room side by side."""
    return room.width >= WIDE and room.height >= HIGH


def end_on_signals(app: App[Any]) -> None:
    """The terminal is restored however the process is ended, as far as it is asked."""
    loop = asyncio.get_running_loop()
    for number in ENDINGS:
        loop.add_signal_handler(number, app.exit, SIGNAL_STATUS_BASE + number)


def switch_theme(app: App[Any]) -> None:
    """From light to dark, or back."""
    app.theme = LIGHT if app.theme == DARK else DARK
