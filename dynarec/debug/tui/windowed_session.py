"""A session with the window of its program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dynarec.debug.commands import Session
from dynarec.debug.tui.beside import Beside, beside
from dynarec.machine.console import Console

if TYPE_CHECKING:
    from dynarec.debug.launch import Launch


class WindowedSession(Session):
    """A session whose console programs are shown in a window, if there is one."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self.window: Beside | None = None
        self._replacing = threading.Lock()

    @property
    def instructions(self) -> int | None:
        """Executed so far, from any thread; None while the machine is replaced by another one."""
        if not self._replacing.acquire(blocking=False):
            return None
        try:
            return self.debugger.machine.instructions
        finally:
            self._replacing.release()

    @property
    def console(self) -> Console | None:
        """What a window would show."""
        profile = self.debugger.machine.profile
        return profile if isinstance(profile, Console) else None

    def open_window(self, broken_in: Callable[[], None], told: Callable[[str], None]) -> None:
        """Show a console program in a window from now on."""
        if self.console is not None:
            self._open = partial(beside, self.debugger.machine.program.name, broken_in, told)
            self.window = self._open()
            self._show(self.console)

    def restart(self) -> None:
        """A window that was closed is opened again."""
        self._show(None)
        with self._replacing:
            super().restart()
        if self.window is not None and self.window.is_closed:
            self.window.close()
            self.window = self._open()
        self._show(self.console)

    def close(self) -> None:
        if self.window is not None:
            self.window.close()
        super().close()

    def _show(self, console: Console | None) -> None:
        if self.window is not None:
            self.window.attach(console)
