"""Backwards in the run of a program: to the instruction before, the line before, the call, the last stop.

Going backwards is repeating: a part of the past is run through again, while what would stop the program is only noted;
the last thing noted is where to go.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynarec.debug.stops import Position, Reason, Stopped
from dynarec.engine import StopReason
from dynarec.errors import DynarecError
from dynarec.hooks import Hook, MemoryAccess
from dynarec.observer import Catch

if TYPE_CHECKING:
    from dynarec.debug.debugger import Debugger
    from dynarec.debug.journal import Answer
    from dynarec.debug.stoppers import Stopper
    from dynarec.engine import Machine

FIRST_TRAIL = 2_000
LONGEST_TRAIL = 2_000_000
"""Instructions before this moment that are looked at one by one, to find the beginning of a line."""
STEPS = Catch.TRAP | Catch.INTERRUPT
BREAKPOINT = "breakpoint"


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that would have stopped the program, and when.

    stopper: None for what a motion looked for. together: all that was noted at that moment.
    """

    position: Position
    stopper: Stopper | None = None
    access: MemoryAccess | None = None
    detail: str = ""
    together: tuple[Noted, ...] = ()


class Backwards:
    """One motion of a debugger into the past."""

    def __init__(self, debugger: Debugger) -> None:
        if debugger.history is None:
            raise DynarecError(debugger.why_no_history)
        self.debugger = debugger
        self.machine = debugger.machine
        self.history = debugger.history
        self.history.leave_present()
        self.here = self.history.position

    # -- motions ------------------------------------------------------------------------------------------------------

    def resume(self) -> Stopped:
        """To the last moment at which something would have stopped the program."""
        return self._arrive(self._last())

    def instructions(self, count: int) -> Stopped:
        """So many instructions back."""
        for _ in range(count):
            if self.history.position <= self.history.start:
                return self._beginning()
            self._one_back()
        return self._step()

    def out(self) -> Stopped:
        """To the call of the function that it is in. Raises DynarecError without a caller."""
        calls = self.debugger.view.calls(2)
        if len(calls) < 2:
            raise DynarecError("the outermost function has no caller to go back to")
        return self._to_call(calls[1].pc, calls[0].activation.cfa)

    def to_write(self, where: range) -> Stopped:
        """To the last instruction that wrote to a range of memory, before that."""
        found: list[Noted] = []

        def written(machine: Machine, access: MemoryAccess) -> None:
            found.append(Noted(self.history.position, access=access, detail=_words(access)))

        def told(answer: Answer) -> None:
            if any(name == "write" and _overlap(where, arguments) for name, arguments in answer.changes):
                detail = f"a system call wrote to {where.start:#010x}"
                found.append(Noted(Position(answer.at, self.machine.observer.delivered), detail=detail))

        with self.machine.hook_memory(written, where.start, where.stop, "write"):
            return self._arrive(self._last(found, told))

    def line(self, into: bool) -> Stopped:
        """To the beginning of the line that was executed before; into: also in a function that has returned."""
        source = self.debugger.source
        if source.lines.at(self.machine.pc) is None:
            return self.instructions(1)
        if self.history.position <= self.history.start:
            return self._beginning()
        here, count = self.history.position, FIRST_TRAIL
        while True:
            trail = Trail(self.debugger, here, count)
            index = trail.line_before(into)
            if index is not None:
                return self._to_trail(trail, index)
            if trail.is_from_start:
                return self._beginning()
            if count >= LONGEST_TRAIL:
                return self._past_call(here, into)
            count *= 10

    def _past_call(self, here: Position, into: bool) -> Stopped:
        """What has returned to here took too long to be looked at one by one."""
        self.history.go_to(here)
        numbers = self.machine.guest.dwarf
        registers = self.debugger.view.registers
        assert numbers is not None
        assert registers is not None
        stopped = self._to_call(self.machine.pc, registers[numbers.stack])
        if stopped.reason is not Reason.STEP:
            return stopped
        return Backwards(self.debugger).line(into)

    def _to_trail(self, trail: Trail, index: int) -> Stopped:
        target = trail.position(index)
        if any(each.enabled for each in self.debugger.stoppers.values()):
            noted = self._last(since=target)
            if noted is not None:
                return self._arrive(noted)
        self.history.go_to(target)
        for _ in range(trail.repeats(index)):
            self.machine.observer.catches = STEPS
            self.history.repeat(1)
        return self._step()

    def _one_back(self) -> None:
        here = self.history.position
        before = max(Position(here.instructions - 1), self.history.start)
        self.history.go_to(before)
        self.history.cross_cuts(here)
        if self.history.position.delivered == here.delivered:
            return
        while (at := self.history.position) < here:  # traps and interrupts lie between the two
            before = at
            self.machine.observer.catches = STEPS
            self.machine.observer.pass_hooks()
            self.history.repeat(1)
        self.history.go_to(before)

    def _to_call(self, back: int, stack: int | None) -> Stopped:
        """To the last call that returns to an address, with the stack as it was then."""
        numbers = self.machine.guest.dwarf
        registers = self.debugger.view.registers
        assert numbers is not None
        assert registers is not None
        found: list[Noted] = []

        def reached(machine: Machine, pc: int) -> None:
            ends = pc + len(self.debugger.view.listing(pc, 1)[0].data)
            if ends == back and stack in (None, registers[numbers.stack]):
                found.append(Noted(self.history.position))

        parcel = self.machine.guest.isa.parcel
        starts = [back - length for length in range(parcel, LONGEST + 1, parcel)]
        with _all(self.machine.hook_code(reached, start, reason=BREAKPOINT) for start in starts):
            return self._arrive(self._last(found))

    # -- repeating ----------------------------------------------------------------------------------------------------

    def _last(
        self,
        found: list[Noted] | None = None,
        told: Callable[[Answer], None] | None = None,
        since: Position | None = None,
    ) -> Noted | None:
        """The last thing that is noted before here, and not before `since`.

        found: where hooks of the motion note what they find. told: called with what the world answers.
        """
        found = [] if found is None else found
        end = self.here
        self.history.journal.told = told
        try:
            while (checkpoint := self.history.checkpoint_before(end)) is not None:
                self.history.be_before(checkpoint.position)
                self.history.call_hooks_here()
                with self.debugger.noting(found):
                    self._repeat_noting(found, end)
                inside = [
                    each for each in found if each.position < self.here and (since is None or each.position >= since)
                ]
                if inside:
                    last = max(inside, key=lambda each: each.position)
                    return replace(last, together=tuple(each for each in inside if each.position == last.position))
                if since is not None and checkpoint.position <= since:
                    return None
                end = checkpoint.position
            return None
        finally:
            self.history.journal.told = None

    def _repeat_noting(self, found: list[Noted], end: Position) -> None:
        """Up to a moment; what is caught is noted as well."""
        observer = self.machine.observer
        while (at := self.history.position) < end:
            self.history.check_interrupted()
            left = end.instructions - at.instructions
            if not left and at.delivered == end.delivered:
                if self.history.was_stopped_at(end):
                    self.history.look()
                return
            observer.catches = self.debugger.catches(step=not left)
            stop = self.history.run_machine(left or 1)
            if stop.reason is StopReason.CAUGHT and (caught := observer.take_caught()):
                for stopper in self.debugger.stoppers.values():
                    text = stopper.is_caught(caught) if stopper.enabled else None
                    if text is not None:
                        found.append(Noted(self.history.position, stopper, detail=text))
            elif stop.reason in (StopReason.EXITED, StopReason.TRAP):
                return

    # -- being there --------------------------------------------------------------------------------------------------

    def _arrive(self, noted: Noted | None) -> Stopped:
        if noted is None:
            return self._beginning()
        self.history.go_to(noted.position)
        stopped = self._step()
        if noted.stopper is None:
            return replace(stopped, access=noted.access, detail=noted.detail)
        reason = REASONS[noted.stopper.kind]
        stoppers = tuple(each.stopper for each in noted.together if each.stopper is not None)
        return replace(stopped, reason=reason, stoppers=stoppers, access=noted.access, detail=noted.detail)

    def _beginning(self) -> Stopped:
        self.history.go_to(self.history.start)
        return Stopped(Reason.BEGINNING, self.machine.pc, self.history.position)

    def _step(self) -> Stopped:
        return Stopped(Reason.STEP, self.machine.pc, self.history.position)


REASONS = {"breakpoint": Reason.BREAKPOINT, "watchpoint": Reason.WATCHPOINT, "catchpoint": Reason.CATCHPOINT}
LONGEST = 8
"""Bytes of the longest instruction."""


class Trail:
    """The last instructions before a moment, one by one: where they were, and the stack pointer."""

    def __init__(self, debugger: Debugger, here: Position, count: int) -> None:
        history, machine = debugger.history, debugger.machine
        assert history is not None
        assert machine.guest.dwarf is not None
        self._view = debugger.view
        self._source = debugger.source
        stack = machine.guest.dwarf.names[machine.guest.dwarf.stack]
        assert stack is not None
        start = max(Position(here.instructions - count), history.start)
        self.is_from_start = start <= history.start
        history.go_to(start)
        with machine.observer.trail(stack, count + EXTRA) as trail, debugger.noting([]):
            history.repeat_to(here)
        self.pcs, self.stacks, self.times = trail.pcs, trail.words, trail.times
        history.go_to(here)
        self.pcs.append(machine.pc)
        self.stacks.append(machine.regs[stack])
        self.times.append(here.instructions & TIME_MASK)
        self._here = here
        self._lengths: dict[int, int] = {}

    def position(self, index: int) -> Position:
        """When an instruction was executed."""
        return Position(self._here.instructions - ((self.times[-1] - self.times[index]) & TIME_MASK))

    def repeats(self, index: int) -> int:
        """How many instructions before this one trapped, so that none was retired between them and it."""
        return index - bisect.bisect_left(range(index), True, key=lambda at: self.times[at] == self.times[index])

    def line_before(self, into: bool) -> int | None:
        """Where the line that was executed before the last instruction began; None: further back."""
        index = self._before(len(self.pcs) - 1, into)
        if index is None:
            return None
        line = self._line(index)
        while (before := self._before(index, into)) is not None:
            if self._line(before) != line or self._function(before) != self._function(index):
                return index
            index = before
        return index if self.is_from_start else None

    def _before(self, index: int, into: bool) -> int | None:
        """The instruction before one, or the call that has returned to it; into: unless what it called has lines."""
        before = index - 1
        if before < 0:
            return None
        if self.pcs[before] + self._length(self.pcs[before]) == self.pcs[index]:
            return before
        if into and self._source.lines.at(self.pcs[before]) is not None:
            return before
        call = self._call_returning_to(index)
        if call is not None:
            return call
        came_back = self._function(before) != self._function(index) and self._function(index) != self.pcs[index]
        return None if came_back else before

    def _call_returning_to(self, index: int) -> int | None:
        pc, stack = self.pcs[index], self.stacks[index]
        for at in range(index - 1, -1, -1):
            if self.stacks[at] != stack:
                continue
            if self.pcs[at] == pc:
                return None
            if self.pcs[at] + self._length(self.pcs[at]) == pc and self._function(at + 1) == self.pcs[at + 1]:
                return at
        return None

    def _line(self, index: int) -> tuple[str, int]:
        row = self._source.lines.at(self.pcs[index])
        return (row.file, row.line) if row else ("", 0)

    def _function(self, index: int) -> int | None:
        return self._source.function_start(self.pcs[index])

    def _length(self, pc: int) -> int:
        if pc not in self._lengths:
            lines = self._view.listing(pc, 1)
            self._lengths[pc] = len(lines[0].data) if lines else 0
        return self._lengths[pc]


EXTRA = 1000
"""Instructions that trapped, beside those that were retired."""
TIME_MASK = 0xFFFF_FFFF


@contextmanager
def _all(hooks: Iterator[Hook]) -> Iterator[None]:
    """While hooks are there."""
    made: list[Hook] = []
    try:
        made.extend(hooks)
        yield
    finally:
        for hook in made:
            hook.remove()


def _overlap(where: range, write: Sequence[object]) -> bool:
    address, data = write[0], write[1]
    assert isinstance(address, int)
    assert isinstance(data, bytes)
    return address < where.stop and where.start < address + len(data)


def _words(access: MemoryAccess) -> str:
    return f"writes {access.value:#x} to {access.address:#010x}"
