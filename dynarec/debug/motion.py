"""Steps by lines and calls: over one, into one, out of one.

A line is left when the pc is where another line begins. A call that a line makes is run through as a whole, as is an
interrupt that comes meanwhile; both are recognised by the frame that they return to.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from dynarec.debug.lines import Row
from dynarec.debug.stops import Reason, Stopped
from dynarec.errors import DynarecError
from dynarec.observer import Catch

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.debug.source import Frame


class Motion:
    """One step of a debugger."""

    def __init__(self, debugger: Debugger) -> None:
        self.debugger = debugger
        self.machine = debugger.machine
        self.source = debugger.source
        self.view = debugger.view

    def line(self, into: bool) -> Stopped:
        """To the beginning of another line; into: also of a function that is called."""
        start = self.source.lines.at(self.machine.pc)
        if start is None or not start.line:
            return self._without_line()
        frame, inlined = self._frame(), self._inlined()
        while True:
            row = self.source.lines.at(self.machine.pc)
            assert row is not None
            stopped = self.debugger.stay(range(row.low, row.high))
            stopped = self._past_handlers(stopped)
            if stopped.reason is not Reason.STEP:
                return stopped
            if self._is_called_from(frame):
                entered = self._entered(into)
                if entered is not None:
                    return entered
            if self._is_elsewhere(start, frame) and (into or self._inlined() <= inlined):
                return self._here()
            if self.source.lines.at(self.machine.pc) is None:
                return self._without_line()

    def _entered(self, into: bool) -> Stopped | None:
        """The line has called a function. None: it has come back, or has not left the line."""
        function = self.source.functions.at(self.machine.pc)
        if into and function is not None and self.source.lines.at(function.low) is not None:
            return self.debugger.run_to([self.source.after_prologue(function)])
        stopped = self.out()
        return None if stopped.reason is Reason.STEP else stopped

    def _is_elsewhere(self, start: Row, frame: Frame | None) -> bool:
        """Whether the pc is where a step from `start` ends."""
        row = self.source.lines.at(self.machine.pc)
        if row is None or not row.line:
            return False
        now = self._frame()
        returned = frame is not None and now is not None and _stack(now) > _stack(frame)
        if (row.file, row.line) == (start.file, start.line) and not returned:
            return False
        return (row.is_stmt and row.low == self.machine.pc) or returned

    def _without_line(self) -> Stopped:
        """In code without lines, a step goes to the end of the function; without a caller, it is one instruction."""
        if len(self.view.calls(2)) < 2:
            return self.debugger.one_instruction()
        return self.out()

    def over_instruction(self) -> Stopped:
        """One instruction; if it is a call, until that has returned."""
        frame = self._frame()
        stopped = self.debugger.one_instruction()
        while self._is_interrupted(stopped):
            stopped = self._past_handlers(stopped)
            if stopped.reason is Reason.STEP:
                stopped = self.debugger.one_instruction()
        if stopped.reason is Reason.STEP and self._is_called_from(frame):
            return self.out()
        return stopped

    def _is_interrupted(self, stopped: Stopped) -> bool:
        caught = self.debugger.caught
        return stopped.reason is Reason.STEP and caught is not None and caught.what is Catch.INTERRUPT

    def _past_handlers(self, stopped: Stopped) -> Stopped:
        """What the program handles itself, an interrupt for example, is run through as a whole."""
        while stopped.reason is Reason.STEP and (caught := self.debugger.caught) is not None:
            stack = self._stack_pointer()
            back = caught.pc
            if caught.what is Catch.TRAP:
                back += len(self.view.listing(caught.pc, 1)[0].data)
            stopped = self.debugger.run_to([back], functools.partial(self._has_stack, stack))
        return stopped

    def _has_stack(self, stack: int) -> bool:
        return self._stack_pointer() == stack

    def out(self) -> Stopped:
        """Until the function has returned. Raises DynarecError without a caller."""
        calls = self.view.calls(2)
        if len(calls) < 2:
            raise DynarecError("the outermost function has no caller to return to")
        stack = _stack(calls[0])
        return self.debugger.run_to([calls[1].pc], lambda: self._stack_pointer() >= stack)

    def _is_called_from(self, frame: Frame | None) -> bool:
        """Whether the pc is the beginning of a function that the frame has called."""
        if frame is None or self.source.function_start(self.machine.pc) != self.machine.pc:
            return False
        calls = self.view.calls(2)
        return len(calls) == 2 and _stack(calls[1]) == _stack(frame) and calls[1].function is frame.function

    def _inlined(self) -> int:
        """How many inlined functions the pc is in."""
        return len(self.source.functions.inlined(self.machine.pc))

    def _frame(self) -> Frame | None:
        calls = self.view.calls(1)
        return calls[0] if calls else None

    def _here(self) -> Stopped:
        return Stopped(Reason.STEP, self.machine.pc, self.debugger.position)

    def _stack_pointer(self) -> int:
        numbers = self.machine.guest.dwarf
        assert numbers is not None
        assert self.view.registers is not None
        return self.view.registers[numbers.stack]


def _stack(frame: Frame) -> int:
    """The caller's stack pointer, which stays the same as long as the frame lives; 0 when unknown."""
    return frame.activation.cfa or 0
