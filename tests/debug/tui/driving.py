"""The interface, driven without a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input, Static

from dynarec.debug.launch import Launch
from dynarec.debug.tui.app import DebuggerApp
from dynarec.debug.tui.command_line import CommandLine
from dynarec.debug.tui.program_terminal import ProgramTerminal
from dynarec.debug.tui.windowed_session import WindowedSession
from dynarec.engine import Machine
from dynarec.tui.listing import Listing
from tests.debug.build import ELF, FOLDER

ROMS = Path(__file__).parents[3] / "roms"
SMALL, LARGE = (80, 24), (140, 45)
HISTORY = 64 << 20
SECONDS = 120


class Driver:
    """A running interface, and somebody in front of it."""

    def __init__(self, app: DebuggerApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Let the interface work until something holds. Raises AssertionError when it does not come to that."""
        async with asyncio.timeout(SECONDS):
            try:
                while not condition():
                    await self.pilot.pause(0.01)
            except TimeoutError:
                raise AssertionError(f"in {SECONDS} s: not {what}") from None
        await self.pilot.pause(0)

    async def idle(self) -> None:
        """Wait until the last command has been executed and shown."""
        await self.pilot.pause(0)
        await self.wait_for(lambda: not self.app.runner.is_busy and self.app.is_settled, "idle")

    async def type(self, *lines: str) -> None:
        """Enter lines into the command line."""
        for line in lines:
            self.app.action_prompt()
            self.app.query_one(CommandLine).value = line
            await self.press("enter")

    async def answer(self, line: str) -> None:
        """Enter a line into the console of the program, which runs: a pilot's keys would wait for it to be idle."""
        typed = self.app.query_one("#typed", Input)
        typed.value = line
        await typed.action_submit()

    async def press(self, *keys: str) -> None:
        """Press keys one after another."""
        for key in keys:
            await self.pilot.press(key)
            await self.idle()

    def text(self, name: str) -> str:
        """What a pane shows, all of it."""
        return "\n".join(row.text for row in self.app.query_one(f"#{name}", Listing).rows)

    def here(self, name: str) -> str:
        """The row of a pane where the program stands."""
        return next((row.text for row in self.app.query_one(f"#{name}", Listing).rows if row.here), "")

    def changed(self, name: str) -> list[str]:
        """The texts that a pane marks as changed."""
        rows = self.app.query_one(f"#{name}", Listing).rows
        return [text.strip() for row in rows for text, role in row.spans if role == "changed" and text.strip(" *▶")]

    @property
    def status(self) -> str:
        return str(self.app.query_one("#status", Static).content)

    @property
    def shown(self) -> set[str]:
        """The panes in sight."""
        return {str(pane.id) for pane in self.app.query(".pane") if pane.display}

    def find(self, name: str, text: str) -> int:
        """The row of a pane with a text, on the screen."""
        listing = self.app.query_one(f"#{name}", Listing)
        at = next(at for at, row in enumerate(listing.rows) if text in row.text)
        return at - listing.scroll_offset.y + listing.gutter.top


@asynccontextmanager
async def driven(
    elf: Path = ELF,
    size: tuple[int, int] = LARGE,
    state: Path | None = None,
    args: Sequence[str] = (),
    history: int = HISTORY,
) -> AsyncIterator[Driver]:
    """An interface for a program, of so many columns and rows."""
    terminal = ProgramTerminal()
    program = terminal.program
    load = lambda: Machine.load(elf, args=args, stdin=program, stdout=program, stderr=program)  # noqa: E731
    session = WindowedSession(Launch(load, elf.name, [FOLDER], history))
    if session.debugger.machine.profile.name == "virt":
        terminal.make_raw()
    app = DebuggerApp(session, terminal, state)
    try:
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot)
            await driver.idle()
            yield driver
    finally:
        app.close()


def drive(test: Callable[[Driver], Awaitable[None]], **options: Any) -> None:
    """Run a test with an interface."""

    async def run() -> None:
        async with driven(**options) as driver:
            await test(driver)

    asyncio.run(run())


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test that makes its interfaces itself."""
    asyncio.run(test)
