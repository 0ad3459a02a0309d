"""The picture of the README: `python -m tests.debug.tui.picture` makes it anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.debug.tui.driving import driven

PICTURE = Path(__file__).with_suffix(".svg")
SIZE = (132, 42)
LINES = ("break add", "watch total", "run", "c", "c", "display matrix[1]", "view block", "up", "down")


async def picture() -> str:
    """An SVG of a session."""
    async with driven(size=SIZE) as driver:
        await driver.type(*LINES)
        await driver.press("escape")
        driver.app.action_pane("code")
        await driver.idle()
        return driver.app.export_screenshot(title="dynarec debug program.elf", simplify=True)


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(picture()))
