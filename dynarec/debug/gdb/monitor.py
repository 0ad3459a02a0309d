"""The commands that users of GDB type behind `monitor` (LLDB: `process plugin packet monitor`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.debug.gdb.target import Target


class Monitor:
    """Of one client."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def run(self, line: str) -> str:
        """The output of a command."""
        return f"{line}?\n"
