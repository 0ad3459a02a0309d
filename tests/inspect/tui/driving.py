"""The inspector, driven without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Static

from dynarec.inspect.model import Recording
from dynarec.inspect.source import FixedSource, Source
from dynarec.inspect.tui.app import InspectorApp
from dynarec.inspect.tui.unit_table import UnitTable

SMALL, LARGE = (80, 24), (140, 45)
SECONDS = 120
PERIOD = 0.01


class Driver:
    """A running inspector, and somebody in front of it."""

    def __init__(self, app: InspectorApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Let the interface work until something holds. Raises AssertionError when it does not come to that."""
        async with asyncio.timeout(SECONDS):
            try:
                while not condition():
                    await self.pilot.pause(PERIOD)
            except TimeoutError:
                raise AssertionError(f"in {SECONDS} s: not {what}") from None
        await self.pilot.pause(0)

    async def settled(self) -> None:
        """Wait until all that was asked for is shown."""
        await self.pilot.pause(0)
        await self.wait_for(lambda: self.app.is_settled, "settled")
        await self.pilot.pause(0)
        await self.wait_for(lambda: self.app.is_settled, "settled")

    async def press(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            await self.pilot.press(key)
            await self.settled()

    async def filter(self, text: str) -> None:
        """Type a filter of what the chosen pane filters."""
        await self.press("slash")
        await self.pilot.press(*("ctrl+u", *map(_key, text)))
        await self.press("enter")

    async def click(self, selector: str, x: int, y: int) -> None:
        await self.pilot.click(selector, offset=(x, y))
        await self.settled()

    def text(self, name: str) -> str:
        """What a pane shows, all of it."""
        return "\n".join(row.text for row in self.app.pane(name).rows)

    def marked(self, name: str) -> list[str]:
        """The rows of a pane that are marked because of the chosen line."""
        pane = self.app.pane(name)
        return [pane.rows[at].key for at in sorted(pane.linked)]

    @property
    def heading(self) -> str:
        """That of the table."""
        return self.app.query_one(UnitTable).head(0).text

    @property
    def serials(self) -> list[int]:
        """Of the units in the table."""
        return [int(row.key) for row in self.app.pane("units").rows]

    @property
    def status(self) -> str:
        return str(self.app.query_one("#status", Static).content)

    @property
    def facts(self) -> str:
        return str(self.app.query_one("#facts", Static).content)

    @property
    def shown(self) -> set[str]:
        """The panes in sight."""
        return {str(pane.id) for pane in self.app.query(".pane") if pane.display}


def _key(letter: str) -> str:
    """What the key is called that types a letter."""
    names = {" ": "space", ":": "colon", "+": "plus", "#": "number_sign", ".": "full_stop", "-": "minus"}
    return names.get(letter, letter)


@asynccontextmanager
async def driven(source: Source | Recording, size: tuple[int, int] = LARGE) -> AsyncIterator[Driver]:
    """An inspector of so many columns and rows."""
    given = FixedSource("program.elf", source) if isinstance(source, Recording) else source
    app = InspectorApp(given)
    try:
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot)
            await driver.settled()
            yield driver
    finally:
        app.watcher.close()


def drive(test: Callable[[Driver], Awaitable[None]], source: Source | Recording, size: tuple[int, int] = LARGE) -> None:
    """Run a test with an inspector."""

    async def run() -> None:
        async with driven(source, size) as driver:
            await test(driver)

    asyncio.run(run())
