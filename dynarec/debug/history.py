"""The past of a run: a ring of snapshots, and a journal by which what lies between two of them can be repeated.

While the program runs, a snapshot is taken every few milliseconds; it costs what was written since the last one.
A moment of the past is reached by going back to the snapshot before it and running, at full speed, from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynarec.debug.journal import Journal, Mark
from dynarec.debug.stops import Position
from dynarec.engine import UNLIMITED, Machine, Stop, StopReason
from dynarec.errors import DynarecError
from dynarec.guest_pages import PAGE
from dynarec.observer import Catch

if TYPE_CHECKING:
    from dynarec.snapshot import Snapshot

DEFAULT_SIZE = 512 << 20
SPACING = 0.015
"""Seconds of a run between two snapshots. To see a moment of the past takes about as long, and has to take less than
0.05 with what is to be done around it."""
FIRST_SLICE = 1_000_000
SHORTEST_SLICE = 10_000
CHECKPOINT_BYTES = 8192
"""About what one takes beside pages."""
NEAR = 50_000
"""Instructions: whoever looks at the past goes on to look at what came a bit before."""
NEITHER = -1
"""No instruction: its hooks are called."""


class RepeatInterruptedError(Exception):
    """The user has interrupted a way into the past."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment that can be gone back to.

    is_cut: what came right before it was not by the program alone: input, or a change by the user. size: bytes that it
    keeps beside the one before it.
    """

    position: Position
    snapshot: Snapshot
    mark: Mark
    is_cut: bool
    size: int


class History:
    """Of one machine, from now on."""

    def __init__(self, machine: Machine, size: int = DEFAULT_SIZE) -> None:
        """size: bytes that it may take; the oldest moments are forgotten first. Raises DynarecError."""
        reason = why_not(machine)
        if reason is not None:
            raise DynarecError(reason)
        self.machine = machine
        self.size = size
        self._journal = Journal(machine)
        self.is_moving = False
        """Whether it is on its way to a moment: what hooks report then is no news."""
        self.is_interrupted: Callable[[], bool] = lambda: False
        """Whether the user wants the program to stop."""
        self._slice = FIRST_SLICE
        self._unkept = 0.0
        """Seconds of the run since the last checkpoint."""
        self._checkpoints: list[Checkpoint] = []
        self._near: Checkpoint | None = None
        self._cuts = 0
        self._now: Checkpoint | None = None
        """The present, while the past is looked at."""
        self.begin()

    @property
    def journal(self) -> Journal:
        return self._journal

    @property
    def position(self) -> Position:
        """Where the machine is."""
        return Position(self.machine.instructions, self.machine.observer.delivered, self._cuts)

    @property
    def is_past(self) -> bool:
        """Whether the machine shows a moment of the past."""
        return self._now is not None

    @property
    def start(self) -> Position:
        """The oldest moment that is kept."""
        return self._checkpoints[0].position

    @property
    def end(self) -> Position:
        """The present."""
        return self.position if self._now is None else self._now.position

    def close(self) -> None:
        """Come back to the present, and keep no history any longer."""
        self.return_to_present()
        self._journal.detach()

    # -- keeping it ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """History begins here: the machine has become something else, by a snapshot for example."""
        self._now = self._near = None
        self._cuts = -1
        self._journal.record(Mark(*self._journal.mark))
        self._journal.forget(self._journal.mark)
        self._checkpoints = [self._checkpoint(is_cut=True)]

    def changed(self) -> None:
        """The user has changed the program: what came after this moment is no longer its future."""
        self.fork()
        self._near = None
        self._keep(is_cut=True)

    def fork(self) -> None:
        """A moment of the past becomes the present. Raises DynarecError when files cannot be as they were then."""
        if self._now is None:
            return
        here, mark = self.position, self._journal.mark
        kept = [each for each in self._checkpoints if each.position <= here]
        profile = self.machine.profile
        if not profile.repeats:
            profile.restore(self._journal.around(mark) or kept[-1].snapshot.profile)
        self._checkpoints, self._near, self._now = kept, None, None
        self._journal.record(mark)

    def _checkpoint(self, is_cut: bool = False) -> Checkpoint:
        self._cuts += is_cut
        snapshot = self.machine.snapshot()
        last = self._checkpoints[-1].snapshot if self._checkpoints else None
        size = CHECKPOINT_BYTES + (0 if last is None else PAGE * snapshot.pages.difference(last.pages))
        return Checkpoint(self.position, snapshot, self._journal.mark, is_cut, size)

    def _keep(self, is_cut: bool = False) -> None:
        """One more checkpoint; the oldest ones make room. What the first one holds alone is not counted."""
        self._checkpoints.append(self._checkpoint(is_cut))
        self._unkept = 0.0
        total = sum(each.size for each in self._checkpoints[1:]) + self._journal.size
        while total > self.size and len(self._checkpoints) > 1:
            total -= self._checkpoints[1].size
            del self._checkpoints[0]
            self._journal.forget(self._checkpoints[0].mark)

    # -- running forwards ---------------------------------------------------------------------------------------------

    def run(self, limit: int | None) -> Stop:
        """Run on, through what is known of the future of a past moment, and then into what is new."""
        first, limit = self.machine.instructions, UNLIMITED if limit is None else limit
        while True:
            left = limit - (self.machine.instructions - first)
            stop = self._run_again(left) if self._now is not None else self._run_on(left)
            if stop.reason is StopReason.INPUT:
                self._take_input()
            elif stop.reason is not StopReason.BUDGET or limit <= self.machine.instructions - first:
                return stop
            if self.is_interrupted():
                return stop._replace(reason=StopReason.REQUEST)

    def run_machine(self, limit: int) -> Stop:
        """One run of the machine, which ends at once if the user wants the program to stop."""
        return run(self.machine, limit, self.is_interrupted)

    def _take_input(self) -> None:
        """In the past, what comes now has to wait."""
        if self._now is None:
            self._journal.take_input()
            self._keep(is_cut=True)

    def _run_on(self, left: int) -> Stop:
        """A slice of the run, and a checkpoint behind it."""
        since = time.perf_counter()
        stop = self.run_machine(min(left, self._slice))
        seconds = time.perf_counter() - since
        self._unkept += seconds
        if stop.reason is StopReason.BUDGET and stop.instructions == self._slice:
            self._slice = max(SHORTEST_SLICE, int(self._slice * min(2.0, max(0.5, SPACING / max(seconds, 1e-6)))))
            self._keep()
        elif self._unkept > SPACING and stop.reason is not StopReason.EXITED:
            self._keep()
        return stop

    def _run_again(self, left: int) -> Stop:
        """Repeat the run up to the next moment that was not by the program alone, and be there."""
        target = self._next_cut()
        distance = target.position.instructions - self.machine.instructions
        if not distance and left and self.machine.observer.delivered < target.position.delivered:
            return self._deliver()
        stop = self.run_machine(min(left, distance))
        if stop.reason is StopReason.BUDGET and stop.instructions == distance:
            if left > distance and target.snapshot.moment.passed == self.machine.pc:
                stop = self.look()
            if stop.reason is StopReason.BUDGET:
                self._be_at(target)
        return stop

    def _deliver(self) -> Stop:
        """Repeat a trap or an interrupt that the program took itself, and no more."""
        observer = self.machine.observer
        wanted = observer.catches
        observer.catches = wanted | Catch.TRAP | Catch.INTERRUPT
        stop = self.run_machine(1)
        caught = observer.take_caught()
        observer.catches = wanted
        if caught is not None and caught.what & wanted:
            observer.put_back(caught)
            return stop
        return stop._replace(reason=StopReason.BUDGET)

    def look(self) -> Stop:
        """Have the hooks of the instruction at pc called, and no more."""
        with self.machine.observer.looking():
            return self.run_machine(0)

    def repeat_to(self, position: Position) -> None:
        """Up to a moment, through all that the run was cut by on the way."""
        while self._now is not None and (cut := self._next_cut()).position < position:
            self.repeat(cut.position.instructions - self.machine.instructions)
            self._be_at(cut)
        self.repeat(position.instructions - self.machine.instructions)

    def cross_cuts(self, position: Position) -> None:
        """Be behind what the run was cut by right here, if that comes before a moment."""
        while self._now is not None and (cut := self._next_cut()).position < position:
            if cut.position[:2] != self.position[:2]:
                return
            self._be_at(cut)

    def _next_cut(self) -> Checkpoint:
        assert self._now is not None
        here = self.position
        later = (each for each in self._checkpoints if each.is_cut and each.position > here)
        return next(later, self._now)

    # -- looking at the past ------------------------------------------------------------------------------------------

    def return_to_present(self) -> None:
        if self._now is not None:
            self._be_at(self._now)

    def go_to(self, position: Position) -> None:
        """Be at a moment of the past, or at the present. Raises DynarecError for one that is not kept."""
        if position < self.start:
            raise DynarecError(f"history begins after {self.start.instructions} instructions")
        self.is_moving = True
        try:
            self._go_to(position)
        finally:
            self.is_moving = False

    def _go_to(self, position: Position) -> None:
        self.leave_present()
        assert self._now is not None
        if position >= self._now.position:
            self.return_to_present()
            return
        self.be_before(position)
        self._approach(position)

    def leave_present(self) -> None:
        """From now on the machine shows the past; where it is now is the present."""
        if self._now is None:
            self._now = self._checkpoint()

    def be_before(self, position: Position) -> Checkpoint:
        """Be at the last moment that is kept and does not come after one."""
        checkpoint = self._before(position)
        self._be_at(checkpoint)
        return checkpoint

    def was_stopped_at(self, position: Position) -> bool:
        """Whether the run was cut at a moment where the program had been stopped by hooks."""
        found = next((each for each in self._checkpoints if each.position == position), self._now)
        return found is not None and found.snapshot.moment.passed == found.snapshot.pc

    def checkpoint_before(self, position: Position) -> Checkpoint | None:
        """The last one that comes before a moment."""
        return next((each for each in reversed(self._checkpoints) if each.position < position), None)

    def _before(self, position: Position) -> Checkpoint:
        found = next(each for each in reversed(self._checkpoints) if each.position <= position)
        near = self._near
        return near if near is not None and found.position < near.position <= position else found

    def _be_at(self, checkpoint: Checkpoint) -> None:
        self.machine.rewind(checkpoint.snapshot)
        self.machine.observer.delivered = checkpoint.position.delivered
        self._cuts = checkpoint.position.cuts
        if checkpoint is self._now:
            self._now = None
            self._journal.record()
        else:
            self._journal.replay(checkpoint.mark)

    def call_hooks_here(self) -> None:
        """Hooks of the instruction at pc have not been called, as far as the next run is concerned."""
        core = self.machine.core
        core.moment = core.moment._replace(passed=NEITHER)

    def _approach(self, position: Position) -> None:
        """Run up to a moment that lies between this one and the next checkpoint."""
        observer = self.machine.observer
        observer.catches = Catch(0)
        distance = position.instructions - self.machine.instructions
        if distance > 2 * NEAR:
            self.repeat(distance - NEAR)
            self._near = self._checkpoint()
        self.repeat(position.instructions - self.machine.instructions)
        while observer.delivered < position.delivered:
            observer.catches = Catch.TRAP | Catch.INTERRUPT
            self.repeat(1)

    def check_interrupted(self) -> None:
        """Raise RepeatInterruptedError if the user wants it."""
        if self.is_interrupted():
            raise RepeatInterruptedError

    def repeat(self, instructions: int) -> None:
        """So many instructions of the past, whatever hooks say."""
        end = self.machine.instructions + instructions
        while self.machine.instructions < end:
            self.check_interrupted()
            stop = self.run_machine(end - self.machine.instructions)
            if stop.reason is StopReason.CAUGHT:
                self.machine.observer.take_caught()
                return
            if stop.reason in (StopReason.EXITED, StopReason.TRAP) and self.machine.instructions < end:
                raise DynarecError(
                    f"{self.machine.program.name}: the run cannot be repeated: it ended {stop.reason.value}"
                )


def run(machine: Machine, limit: int | None, is_interrupted: Callable[[], bool]) -> Stop:
    """Run a machine; an interruption that came right before stops it as one that comes later does."""
    under_way = machine.start(limit)
    if is_interrupted():
        under_way.stop()
    return under_way.wait()


def why_not(machine: Machine) -> str | None:
    """Why no history can be kept of a machine; None if it can."""
    if machine.profile.parts.get("clock") == "host":
        return f"{machine.program.name}: no history is kept of a machine with the host's clock: use --clock virtual"
    return None
