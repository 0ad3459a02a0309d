"""What the editor looks at while the program is stopped, by the numbers that it was given for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.debugger import Debugger
from dynarec.debug.source import Frame
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.dap.containers import Container

STRIDE = 1 << 16
"""More than a backtrace has frames."""
LARGEST = 1 << 31
"""References stay below (Debug Adapter Protocol, "Variable")."""


class Look:
    """Frames and containers of variables. Numbers of an earlier stop are known to be that."""

    def __init__(self) -> None:
        self._generation = 0
        self._frames: list[Frame] = []
        self._containers: dict[int, Container] = {}
        self._next = 1

    def end(self) -> None:
        """The program goes on: no number is valid any more."""
        self._generation += 1
        self._containers.clear()
        self.refresh()

    def refresh(self) -> None:
        """Registers or memory have changed; numbers stay valid."""
        self._frames = []

    def frames(self, debugger: Debugger, most: int) -> list[Frame]:
        """The innermost frames, at most so many."""
        if len(self._frames) < most:
            self._frames = debugger.view.frames(most)
        return self._frames[:most]

    def frame_id(self, index: int) -> int:
        """The number of a frame, counted from the innermost one."""
        return (self._generation % (LARGEST // STRIDE) * STRIDE) + index + 1

    def frame(self, debugger: Debugger, number: int) -> Frame:
        """Raises DynarecError for one of an earlier stop."""
        index = self.index(number)
        frames = self.frames(debugger, index + 1)
        if index >= len(frames):
            raise DynarecError(f"there is no frame {number}: ask for the stack again")
        return frames[index]

    def index(self, number: int) -> int:
        """Which frame it is, counted from the innermost one. Raises DynarecError for one of an earlier stop."""
        index = number - self.frame_id(0)
        if not 0 <= index < STRIDE - 1:
            raise DynarecError(f"frame {number} is of an earlier stop: ask for the stack again")
        return index

    def keep(self, container: Container) -> int:
        """A reference to it, until the program goes on."""
        reference = self._next
        self._next = reference % (LARGEST - 1) + 1
        self._containers[reference] = container
        return reference

    def container(self, reference: int) -> Container:
        """Raises DynarecError for one of an earlier stop."""
        if reference not in self._containers:
            raise DynarecError(f"variables {reference} are of an earlier stop: ask for the scopes again")
        return self._containers[reference]
