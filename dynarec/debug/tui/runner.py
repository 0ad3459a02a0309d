"""A thread that executes commands, so that the interface stays alive while the program runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from dynarec.debug.commands import Commands
from dynarec.errors import DynarecError

PERIOD = 0.02
"""Seconds until an interrupt that found the program between two runs is tried again."""


class Runner:
    """Executes lines, one after another. Its methods are for one thread, that of the interface."""

    def __init__(
        self, commands: Commands, told: Callable[[str], None], failed: Callable[[str], None], done: Callable[[], None]
    ) -> None:
        """told: gets each line that is printed; failed: mistakes; done: after each line. All on the runner's thread."""
        self._commands = commands
        self._told, self._failed, self._done = told, failed, done
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._count = 0
        self._thread = threading.Thread(target=self._work, name="dynarec-debugger", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether a line is being executed: the debugger is not to be touched."""
        return not self._idle.is_set()

    def submit(self, line: str) -> bool:
        """Execute a line; False while another one is executed."""
        if self.is_busy:
            return False
        self._count += 1
        self._idle.clear()
        self._lines.put(line)
        return True

    def interrupt(self) -> None:
        """End what is executed, soon."""
        if self.is_busy:
            threading.Thread(target=self._interrupt, name="dynarec-interrupt", daemon=True).start()

    def close(self) -> None:
        """End the thread, and the program's run."""
        self._interrupt()
        self._lines.put(None)
        self._thread.join()

    def _interrupt(self) -> None:
        executed = self._count
        while self.is_busy and self._count == executed:
            self._commands.interrupt()
            self._idle.wait(PERIOD)

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                for text in self._commands.execute(line):
                    self._told(text)
            except DynarecError as error:
                self._failed(str(error))
            except Exception as error:
                self._failed(f"internal error: {type(error).__name__}: {error}")
            finally:
                self._idle.set()
            self._done()
