"""One program that is debugged from an editor: what the requests share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from dynarec.debug.dap.arguments import Arguments
from dynarec.debug.dap.client import Client
from dynarec.debug.dap.console import Console
from dynarec.debug.dap.launching import make_launch
from dynarec.debug.dap.look import Look
from dynarec.debug.dap.outbox import Outbox
from dynarec.debug.dap.points import Points, shown_point
from dynarec.debug.dap.running import Finished, Operation, Runner
from dynarec.debug.dap.stop_events import stop_event
from dynarec.debug.debugger import Debugger
from dynarec.debug.launch import Launch
from dynarec.debug.source import Frame
from dynarec.debug.stops import Reason, Stopped
from dynarec.errors import DynarecError

THREAD = 1
"""The number of the guest's only thread."""


class Session:
    """Belongs to the thread that answers requests, but for its outbox."""

    def __init__(self, defaults: argparse.Namespace, outbox: Outbox, report: Callable[[Finished], None]) -> None:
        """defaults: what the command line says. report: is called, on another thread, when an operation has ended."""
        self.defaults = defaults
        self.outbox = outbox
        self.client = Client()
        self.look = Look()
        self.points = Points(self)
        self.console = Console(self)
        self.launch: Launch | None = None
        self.configuration = Arguments("launch", None)
        self.pausing = False
        self.executing = False
        self.ended = False
        self._before: Stopped
        self._known: set[int] = set()
        self._debugger: Debugger | None = None
        self._runner = Runner(report)
        self._operation: Operation | None = None
        self._later: list[Callable[[], None]] = []

    # -- the program --------------------------------------------------------------------------------------------------

    @property
    def debugger(self) -> Debugger:
        """Raises DynarecError without a program."""
        if self._debugger is None:
            raise DynarecError("there is no program yet: launch one first")
        return self._debugger

    @property
    def is_launched(self) -> bool:
        return self._debugger is not None

    def adopt(self, launch: Launch, debugger: Debugger, configuration: Arguments) -> None:
        """Debug this program from now on."""
        self.launch, self._debugger, self.configuration = launch, debugger, configuration
        self._before = debugger.stopped
        self.look.end()

    def restart(self, configuration: Arguments | None = None) -> None:
        """The program from its beginning, of this configuration or of the one that it has. Raises DynarecError."""
        wanted = configuration or self.configuration
        made = make_launch(self.defaults, wanted, self.outbox)
        self.adopt(made, made.restart(self.debugger), wanted)
        self.points.forget_hits()

    def frame(self, arguments: Arguments) -> Frame | None:
        """The frame that a request is about; the innermost one if it names none. Raises DynarecError."""
        if "frameId" not in arguments:
            return self.debugger.selected_frame
        return self.look.frame(self.debugger, arguments.number("frameId"))

    def changed(self, address: int | None = None, size: int = 0) -> None:
        """Registers, or memory at an address, are not what the editor was told."""
        self.debugger.changed()
        self.look.refresh()
        if address is not None and self.client.takes_memory:
            self.later(lambda: self.outbox.event("memory", memoryReference=hex(address), offset=0, count=size))
        if self.client.takes_invalidated:
            self.later(lambda: self.outbox.event("invalidated", areas=["stacks", "variables"]))

    def close(self) -> None:
        """Let go of the program."""
        if self._debugger is not None:
            self._debugger.close()
            self._debugger.machine.close()
            self._debugger = None

    # -- running ------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether the program runs: nobody may use the debugger."""
        return self._runner.busy

    def later(self, action: Callable[[], None]) -> None:
        """Do it when the request that is being answered has been answered."""
        self._later.append(action)

    def take_later(self) -> list[Callable[[], None]]:
        """What was put off."""
        actions, self._later = self._later, []
        return actions

    def begin(self) -> None:
        """The first stop, or run on."""
        if self.configuration.flag("stopOnEntry"):
            self.report(self.debugger.stopped)
        else:
            self.go(Debugger.resume)

    def go(self, operation: Operation) -> None:
        """Let the program go on; the stop is reported when it comes."""
        self.look.end()
        self._operation, self._before = operation, self.debugger.stopped
        self._runner.start(self.debugger, operation)

    def execute(self, line: str) -> None:
        """Execute a command of the console; whether the program moves shows when it has ended."""
        self.executing = True
        self._operation, self._before = None, self.debugger.stopped
        self._known = set(self.debugger.stoppers)
        self._runner.start(self.debugger, lambda _: self.console.execute(line))

    def tell_running(self) -> None:
        """A command of the console lets the program run for a while."""
        self.look.end()
        self.outbox.event("continued", threadId=THREAD, allThreadsContinued=True)

    def interrupt(self) -> None:
        """Stop the program soon; to be repeated until it has stopped."""
        if self.busy:
            self.console.interrupt()

    def take_end(self) -> None:
        """The operation that went on has ended."""
        self._runner.finish()

    def finished(self, finished: Finished, held: bool) -> None:
        """Report how an operation has ended, or go on if it was only held."""
        if self.busy or self.ended or self._debugger is None:
            return
        stopped, pausing, self.pausing = finished.stopped, self.pausing, False
        if held and not pausing and stopped.reason is Reason.INTERRUPTED and self._operation is Debugger.resume:
            self.go(Debugger.resume)
            return
        if finished.error:
            self.outbox.output("console", f"{finished.error}\n")
        if self._operation is None:
            self._executed(self._debugger.stopped)
        elif self._dies_again(stopped) and stopped.status is not None:
            self.end(stopped.status)
        else:
            self.report(stopped)

    def _executed(self, stopped: Stopped) -> None:
        """A command of the console has ended: tell what it has changed."""
        stoppers = self.debugger.stoppers
        for number in stoppers.keys() - self._known:
            self.outbox.event("breakpoint", reason="new", breakpoint=shown_point(self, stoppers[number]))
        for number in self._known - stoppers.keys():
            self.outbox.event("breakpoint", reason="removed", breakpoint={"id": number, "verified": False})
        if self.console.ended:
            self.close()
            self.outbox.event("terminated")
        elif stopped is self._before:
            self.changed()
        else:
            self.look.end()
            self.report(stopped)

    def _dies_again(self, stopped: Stopped) -> bool:
        """Whether the program has been reported to die of this already."""
        before = self._before
        return stopped.reason is Reason.TRAPPED and (stopped.trap, stopped.position) == (before.trap, before.position)

    def report(self, stopped: Stopped) -> None:
        """Tell the editor that the program has stopped. Its end is the session's, unless the user wants to stop."""
        if stopped.reason is Reason.EXITED and not self.configuration.flag("stopOnExit"):
            self.end(stopped.status or 0)
        else:
            self.outbox.event("stopped", **stop_event(stopped, self.points), threadId=THREAD, allThreadsStopped=True)

    def end(self, status: int) -> None:
        """Tell the editor that there is nothing more to come."""
        self.outbox.event("exited", exitCode=status)
        self.outbox.event("terminated")
