"""The program runs on a thread of its own, so that the editor is listened to meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Stopped
from dynarec.errors import DynarecError

Operation = Callable[[Debugger], Stopped]
"""A way to go on: `Debugger.step`."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An operation has ended. error: why it could not be done; "" otherwise."""

    stopped: Stopped
    error: str = ""


class Runner:
    """Executes one operation at a time."""

    def __init__(self, report: Callable[[Finished], None]) -> None:
        """report: is called when an operation has ended, on its thread."""
        self._report = report
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether an operation goes on, or its end has not been taken."""
        return self._thread is not None

    def start(self, debugger: Debugger, operation: Operation) -> None:
        """Begin; nobody else may use the debugger until `finish`."""
        self._thread = threading.Thread(
            target=lambda: self._report(_execute(debugger, operation)), name="dynarec-dap-run", daemon=True
        )
        self._thread.start()

    def finish(self) -> None:
        """Take note of the end that was reported."""
        if self._thread is not None:
            self._thread.join()
        self._thread = None


def _execute(debugger: Debugger, operation: Operation) -> Finished:
    try:
        return Finished(operation(debugger))
    except DynarecError as error:
        return Finished(debugger.stopped, str(error))
    except Exception as error:
        return Finished(debugger.stopped, f"internal error: {type(error).__name__}: {error}")
