"""Those who want to know what a machine does to its code cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.translate import Translation


class Watcher:
    """Is told on the CPU thread; must not raise. Derive from it, and add it with `Machine.add_watcher`."""

    def installed(self, translation: Translation, serial: int, seconds: float) -> None:
        """A unit was installed; the core took so many seconds. serial: 0 if it was not, for memory had changed."""

    def answered(self, pc: int) -> None:
        """The machine has done what the instruction at pc trapped for, and it counts as retired."""
