"""The program that is debugged: through several clients, and several starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.gdb.points import Points
from dynarec.debug.gdb.registers import RegisterFile
from dynarec.debug.gdb.trace import Trace
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.debug.launch import Launch
    from dynarec.snapshot import Snapshot
    from guest_isa.profile import GdbTarget


class Target:
    """Of one thread, but for `interrupt`."""

    def __init__(self, launch: Launch) -> None:
        """Starts the program. Raises DynarecError, also for a guest that GDB does not know."""
        self.launch = launch
        self.killed_by: int | None = None
        """The number of the signal that the program was given, and has died of."""
        self._take(launch.start())

    def _take(self, debugger: Debugger) -> None:
        self.debugger = debugger
        self.registers = RegisterFile(debugger, self.description)
        self.points = Points(debugger)
        self.trace = Trace(debugger)

    @property
    def description(self) -> GdbTarget:
        """What the guest declares. Raises DynarecError when that is nothing."""
        guest = self.debugger.machine.guest
        if guest.gdb is None:
            raise DynarecError(f"{guest.title}: neither GDB nor LLDB knows this guest")
        return guest.gdb

    @property
    def is_alive(self) -> bool:
        """Whether there is a program: it has not ended, and was not killed."""
        return self.killed_by is None and not self.debugger.has_ended

    def restart(self) -> None:
        """Begin again. Raises DynarecError; then the program is what it was."""
        self.points.clear()
        self._take(self.launch.restart(self.debugger))
        self.killed_by = None

    def go_back_to(self, snapshot: Snapshot) -> None:
        """Become what a snapshot is of. Raises DynarecError; then the program is what it was."""
        self.debugger.restore(snapshot)
        self.killed_by = None

    def release(self) -> None:
        """Take away what a client has set."""
        self.trace.stop()
        self.points.clear()
        for number in list(self.debugger.stoppers):
            self.debugger.delete(number)

    def interrupt(self) -> None:
        """Stop the program if it runs; from any thread."""
        self.debugger.interrupt()

    def close(self) -> None:
        """The end."""
        self.debugger.close()
        self.debugger.machine.close()
