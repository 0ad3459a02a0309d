"""The picture of the page for the README: `python -m tests.inspect.report.picture` makes it anew."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from dynarec.engine import Machine
from dynarec.inspect.model import Recording
from dynarec.inspect.recorder import Recorder
from dynarec.inspect.report import write
from tests.inspect.report.browser import chromium, seen
from tests.test_machine import ROMS

PICTURE = Path(__file__).with_suffix(".png")
SIZE = (1280, 860)
INSTRUCTIONS = 300_000_000
LINE = 5
"""Of the guest code; what it became is marked."""


def recording() -> Recording:
    """A run of the Mandelbrot set."""
    with Machine.load(ROMS / "mandelbrot.elf", tier="jit", stdout=io.BytesIO()) as machine:
        recorder = Recorder(machine)
        machine.run(INSTRUCTIONS)
        return recorder.record()


def picture() -> bytes:
    """A PNG of the hottest unit, seen in the page."""
    shown = recording()
    hottest = max(shown.units, key=lambda unit: unit.instructions or 0)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, seen(browser, SIZE) as window:
        path = Path(folder) / "page.html"
        write(shown, path)
        page = window.open(path, f"unit={hottest.serial}&by=instructions")
        page.click(f".guest [data-index='{LINE}']")
        page.mouse.move(0, 0)
        return page.screenshot()


if __name__ == "__main__":
    PICTURE.write_bytes(picture())
