"""The debugger: stops a machine where and when it is asked to, steps it, and goes back in its run.

    with Machine.load("program.elf") as machine:
        debugger = Debugger(machine)
        debugger.break_at("main", when="a0 > 3")
        stopped = debugger.resume()

One thread at a time may use it; `interrupt` may be called from any. Translated code runs at full speed: only what has a
breakpoint or watchpoint leaves it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dynarec.debug.backwards import Backwards, Noted
from dynarec.debug.history import History, RepeatInterruptedError, run, why_not
from dynarec.debug.language import Result, parse
from dynarec.debug.motion import Motion
from dynarec.debug.places import Places
from dynarec.debug.scope import Scope
from dynarec.debug.source import Source
from dynarec.debug.stoppers import Breakpoint, Catchpoint, Stopper, Watchpoint
from dynarec.debug.stops import Hits, Position, Reason, Stopped
from dynarec.debug.view import View
from dynarec.engine import Machine, Stop, StopReason
from dynarec.errors import DynarecError
from dynarec.hooks import MemoryAccess
from dynarec.observer import Catch, Caught

if TYPE_CHECKING:
    from dynarec.debug.source import Frame
    from dynarec.snapshot import Snapshot

T = TypeVar("T", bound=Stopper)
STEP_CATCHES = Catch.TRAP | Catch.INTERRUPT
"""An instruction that traps into the guest's own handler is one step, and so is an interrupt."""
WORD = 4
REASONS = {"breakpoint": Reason.BREAKPOINT, "watchpoint": Reason.WATCHPOINT, "catchpoint": Reason.CATCHPOINT}


class Debugger:
    """Of one machine, which it owns from now on until it is closed."""

    def __init__(self, machine: Machine, substitutes: Sequence[Path] = (), history: int = 0) -> None:
        """substitutes: folders where source files are looked for that are not where they were compiled.

        history: bytes that may be taken to be able to go backwards; 0: it cannot.
        """
        self.machine = machine
        self.source = Source(machine.program, machine.guest.dwarf, substitutes)
        self.places = Places(self.source)
        self.view = View(machine, self.source)
        self.stoppers: dict[int, Stopper] = {}
        machine.profile.stand_still()
        self.level = 0
        self._numbers = itertools.count(1)
        self._hits = Hits()
        self._interrupted = False
        self.caught: Caught | None = None
        """What ended the last run behind a trap, an interrupt or the like."""
        self._noted: list[Noted] | None = None
        self.why_no_history = why_not(machine) if history else "no history is kept: --history says how much"
        self.history = None if self.why_no_history else History(machine, history)
        if self.history is not None:
            self.history.is_interrupted = lambda: self._interrupted
        self.stopped = Stopped(Reason.START, machine.pc, self.position)

    # -- where it is --------------------------------------------------------------------------------------------------

    @property
    def position(self) -> Position:
        """Where in the run the program is."""
        if self.history is not None:
            return self.history.position
        return Position(self.machine.instructions, self.machine.observer.delivered)

    @property
    def has_ended(self) -> bool:
        """Whether the program has ended: it cannot go on."""
        return self.machine.exit_status is not None

    # -- breakpoints, watchpoints, catchpoints ------------------------------------------------------------------------

    def break_at(
        self,
        where: int | str,
        when: str = "",
        *,
        ignore: int = 0,
        commands: Sequence[str] = (),
        temporary: bool = False,
        file: str = "",
    ) -> Breakpoint:
        """Stop before the instruction at an address, a function, a symbol or a line (`file.c:12`).

        when: a condition (dynarec.debug.language). ignore: hits to pass over first. temporary: stop there once.
        file: of a line without one. Raises DynarecError.
        """
        addresses = self.places.find(where, file)
        text = where if isinstance(where, str) else f"{where:#x}"
        point = Breakpoint(
            self, next(self._numbers), text, addresses, when=when, ignore=ignore, commands=commands, temporary=temporary
        )
        return self._add(point)

    def watch(
        self,
        where: int | str,
        size: int | None = None,
        kind: str = "change",
        *,
        when: str = "",
        ignore: int = 0,
        commands: Sequence[str] = (),
        temporary: bool = False,
    ) -> Watchpoint:
        """Stop before an instruction that accesses memory: an address, a symbol, or a variable of the selected frame.

        size: bytes; None: as large as the variable or symbol is, else a word. kind: "write", "read", "access", or
        "change": a write of another value. Raises DynarecError.
        """
        addresses = self._range(where, size)
        text = where if isinstance(where, str) else f"{where:#x}"
        number = next(self._numbers)
        point = Watchpoint(
            self, number, text, addresses, kind, when=when, ignore=ignore, commands=commands, temporary=temporary
        )
        return self._add(point)

    def catch(
        self,
        what: str,
        selector: int | None = None,
        *,
        when: str = "",
        ignore: int = 0,
        commands: Sequence[str] = (),
        temporary: bool = False,
    ) -> Catchpoint:
        """Stop for what happens: "trap", "syscall", "interrupt", "mmio", "translate" or "invalidate".

        System calls and accesses to devices are stopped at before them, all else right behind it. selector: a number of
        system call, or a cause. Raises DynarecError.
        """
        number = next(self._numbers)
        point = Catchpoint(
            self, number, what, selector, when=when, ignore=ignore, commands=commands, temporary=temporary
        )
        return self._add(point)

    def _add(self, stopper: T) -> T:
        stopper.enable()
        self.stoppers[stopper.number] = stopper
        return stopper

    def adopt(self, stopper: Stopper) -> None:
        """Have what another debugger of the same program had, with its number and counts."""
        enabled = stopper.enabled
        stopper.disable()
        stopper.owner = self
        self.stoppers[stopper.number] = stopper
        self._numbers = itertools.count(max(self.stoppers) + 1)
        if enabled:
            stopper.enable()

    def find(self, number: int) -> Stopper:
        """The one of a number. Raises DynarecError."""
        if number not in self.stoppers:
            raise DynarecError(f"there is no breakpoint {number}")
        return self.stoppers[number]

    def delete(self, number: int) -> None:
        """Raises DynarecError for a number that there is not."""
        self.find(number).disable()
        del self.stoppers[number]

    def _range(self, where: int | str, size: int | None) -> range:
        """The memory that a watchpoint is to be about."""
        if isinstance(where, int):
            return range(where, where + (size or WORD))
        scope = Scope(self.machine, self.source, self.selected_frame)
        symbol = self.machine.symbols.find(where)
        if symbol is not None and scope.variable(where) is None:
            return range(symbol.address, symbol.address + (size or symbol.size or WORD))
        if where.isalnum() and where[0].isdigit():
            start = self.places.address(where)
            return range(start, start + (size or WORD))
        start, own_size = parse(where).address(scope)
        return range(start, start + (size or own_size))

    # -- frames and expressions ---------------------------------------------------------------------------------------

    @property
    def selected_frame(self) -> Frame | None:
        """The frame that names of variables are looked up in; the innermost one, until another one is selected."""
        frames = self.view.frames(self.level + 1)
        return frames[self.level] if self.level < len(frames) else None

    def select(self, level: int) -> Frame:
        """Select a frame by its place in the backtrace, until the program goes on. Raises DynarecError."""
        frames = self.view.frames(level + 1)
        if not 0 <= level < len(frames):
            raise DynarecError(f"there is no frame {level}")
        self.level = level
        return frames[level]

    def evaluate(self, text: str) -> Result:
        """The value of an expression in the selected frame (dynarec.debug.language); an assignment changes the program.

        Raises DynarecError.
        """
        expression = parse(text)
        if expression.is_assignment:
            self._fork()
        result = expression.evaluate(Scope(self.machine, self.source, self.selected_frame))
        if expression.is_assignment:
            self.changed()
        return result

    def _innermost(self) -> Frame | None:
        frames = self.view.frames(1)
        return frames[0] if frames else None

    # -- changing the program -----------------------------------------------------------------------------------------

    def write_memory(self, address: int, data: bytes) -> None:
        """Raises GuestMemoryError, before any byte is stored, where nothing is mapped.

        A change at a moment of the past makes that the present: what came after it is forgotten.
        """
        self._fork()
        self.machine.memory.write(address, data)
        self.changed()

    def write_register(self, name: str, value: int) -> None:
        """Set a register, also "pc". Raises DynarecError for a name or a pc that there cannot be."""
        if name == "pc" and value % self.machine.guest.isa.parcel:
            raise DynarecError(f"pc {value:#x}: instructions begin at multiples of {self.machine.guest.isa.parcel}")
        self._fork()
        try:
            self.machine.regs[name] = value
        except KeyError as error:
            raise DynarecError(f"{self.machine.guest.name} has no register {name!r}") from error
        self.changed()

    def snapshot(self) -> Snapshot:
        """A snapshot of the machine. Raises DynarecError while it shows a moment of the past."""
        if self.history is not None and self.history.is_past:
            raise DynarecError("there is no snapshot of the past: go on to the present, or change something here")
        return self.machine.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Be what the machine was when it took a snapshot: history begins there. Raises DynarecError."""
        if self.history is not None:
            self.history.return_to_present()
        self.machine.restore(snapshot)
        self.machine.profile.stand_still()
        if self.history is not None:
            self.history.begin()
        self._finish(self._stopped(Reason.START))

    def _fork(self) -> None:
        """The moment that is looked at becomes the present, for it is to be changed. Raises DynarecError."""
        if self.history is not None:
            self.history.fork()

    def changed(self) -> None:
        """The program was changed by other ways than those of this class, `machine.regs` for example."""
        if self.history is not None:
            self.history.changed()

    # -- going on -----------------------------------------------------------------------------------------------------

    def resume(self) -> Stopped:
        """Go on until something stops the program."""
        return self._operate(lambda: self._go(None))

    def step_instruction(self, count: int = 1) -> Stopped:
        """Execute so many instructions; less if something else stops the program.

        One that traps into the program's own handler stops there, before the first instruction of that.
        """
        return self._operate(lambda: self._go(count))

    def step_range(self, where: range) -> Stopped:
        """Go on while the pc is in a range of addresses, where it is now."""
        return self._operate(lambda: self.stay(where))

    def step(self) -> Stopped:
        """Go on to the beginning of another line, also in a function that is called and has lines."""
        return self._operate(lambda: Motion(self).line(into=True))

    def next(self) -> Stopped:
        """Go on to the beginning of another line of this function, or of its caller."""
        return self._operate(lambda: Motion(self).line(into=False))

    def next_instruction(self) -> Stopped:
        """Execute one instruction; a call together with what it calls."""
        return self._operate(lambda: Motion(self).over_instruction())

    def finish(self) -> Stopped:
        """Go on until the function returns. Raises DynarecError without a caller."""
        return self._operate(lambda: Motion(self).out())

    def until(self, where: int | str) -> Stopped:
        """Go on to a place. Raises DynarecError for a place that there is not."""
        return self._operate(lambda: self.run_to(self.places.find(where)))

    # -- going back ---------------------------------------------------------------------------------------------------

    @property
    def can_reverse(self) -> bool:
        """Whether a history is kept; `why_no_history` says why not."""
        return self.history is not None

    def reverse_resume(self) -> Stopped:
        """Go back to what would have stopped the program last, or to the beginning of history. Raises DynarecError."""
        return self._operate(lambda: Backwards(self).resume(), back=True)

    def reverse_step_instruction(self, count: int = 1) -> Stopped:
        """Go back so many instructions."""
        return self._operate(lambda: Backwards(self).instructions(count), back=True)

    def reverse_step(self) -> Stopped:
        """Go back to the beginning of the line that was executed before, also in a function that has returned."""
        return self._operate(lambda: Backwards(self).line(into=True), back=True)

    def reverse_next(self) -> Stopped:
        """Go back to the beginning of the line of this function, or of its caller, that was executed before."""
        return self._operate(lambda: Backwards(self).line(into=False), back=True)

    def reverse_finish(self) -> Stopped:
        """Go back to the call of this function. Raises DynarecError without a caller."""
        return self._operate(lambda: Backwards(self).out(), back=True)

    def reverse_to_write(self, where: int | str, size: int | None = None) -> Stopped:
        """Go back to the last write to memory: an address, a symbol or a variable, as `watch` takes them.

        It stops before the instruction that wrote. Raises DynarecError.
        """
        return self._operate(lambda: Backwards(self).to_write(self._range(where, size)), back=True)

    @contextmanager
    def noting(self, found: list[Noted]) -> Iterator[None]:
        """Hits only note where they are, meanwhile."""
        self._noted = found
        try:
            yield
        finally:
            self._noted = None

    def interrupt(self) -> None:
        """Stop the operation that is under way, which comes back with reason INTERRUPTED; from any thread."""
        self._interrupted = True
        self.machine.stop()

    def close(self) -> None:
        """Take everything back from the machine, which lives on."""
        for number in list(self.stoppers):
            self.delete(number)
        self.machine.observer.catches = Catch(0)
        if self.history is not None:
            self.history.close()
            self.history = None
        self.machine.profile.go_on()

    # -- for motions --------------------------------------------------------------------------------------------------

    def run_to(self, addresses: Sequence[int], condition: Callable[[], bool] | None = None) -> Stopped:
        """Go on to one of these addresses, where a condition holds, with reason STEP, or to another stop."""
        arrived = False

        def reached(machine: Machine, pc: int) -> bool:
            nonlocal arrived
            arrived = condition is None or condition()
            return arrived

        hooks = [self.machine.hook_code(reached, address, reason="breakpoint") for address in addresses]
        try:
            return self._go(None, lambda: arrived)
        finally:
            for hook in hooks:
                hook.remove()

    def stay(self, where: range) -> Stopped:
        """Go on while the pc is in a range: then with reason STEP, or to another stop."""
        self.machine.observer.stay(where)
        try:
            return self._go(None, step=True)
        finally:
            self.machine.observer.stay(None)

    def one_instruction(self) -> Stopped:
        return self._go(1)

    def _operate(self, motion: Callable[[], Stopped], back: bool = False) -> Stopped:
        """One operation, which may be made of many runs. back: if it is interrupted or fails, nothing has changed."""
        self._interrupted = False
        here = self.position
        try:
            return self._finish(motion())
        except RepeatInterruptedError:
            self._return_to(here)
            return self._finish(self._stopped(Reason.INTERRUPTED))
        except BaseException:
            if back and self.history is not None:
                self._return_to(here)
            if (self.stopped.pc, self.stopped.position) != (self.machine.pc, self.position):
                self._finish(self._stopped(Reason.INTERRUPTED))
            raise

    def _return_to(self, here: Position) -> None:
        """To where an operation began, whatever the user wants meanwhile."""
        assert self.history is not None
        is_interrupted = self.history.is_interrupted
        self.history.is_interrupted = lambda: False
        try:
            self.history.go_to(here)
        finally:
            self.history.is_interrupted = is_interrupted

    # -- the run ------------------------------------------------------------------------------------------------------

    def _go(self, limit: int | None, arrived: Callable[[], bool] = lambda: False, step: bool | None = None) -> Stopped:
        """Run until something is worth a stop. arrived: whether a hook that ended a run was the caller's.

        step: whether traps and interrupts that the program takes itself end it; None: if it is one instruction.
        """
        step = limit == 1 if step is None else step
        if self.has_ended:
            raise DynarecError(f"{self.machine.program.name}: the program has ended: it cannot go on")
        first = self.machine.instructions
        self.caught = None
        self.machine.observer.catches = self.catches(step)
        self._pass_hooks()
        while True:
            self._hits = Hits()
            if self._interrupted:
                return self._stopped(Reason.INTERRUPTED)
            left = None if limit is None else limit - (self.machine.instructions - first)
            stop = self._run(left)
            stopped = self._judge(stop, arrived(), step)
            if stopped is not None:
                return stopped

    def _run(self, limit: int | None) -> Stop:
        """The time of the machine stands still between two runs."""
        self.machine.profile.go_on()
        try:
            if self.history is None:
                return run(self.machine, limit, lambda: self._interrupted)
            return self.history.run(limit)
        finally:
            self.machine.profile.stand_still()

    def _pass_hooks(self) -> None:
        """What it has stopped at does not stop it again."""
        is_there = (self.stopped.pc, self.stopped.position.instructions) == (self.machine.pc, self.machine.instructions)
        if is_there and any(isinstance(each, Catchpoint) and each.is_call for each in self.stopped.stoppers):
            self.machine.pass_system_call()
        at_access = self.stopped.access is not None and self.stopped.pc == self.machine.pc
        self.machine.observer.pass_hooks(at_access)

    def catches(self, step: bool) -> Catch:
        """What the observer has to catch for the stoppers, and for a step of one instruction."""
        catches = STEP_CATCHES if step else Catch(0)
        for each in self.stoppers.values():
            if each.enabled:
                catches |= each.catches
        return catches

    def hit(self, stopper: Stopper, access: MemoryAccess | None = None, detail: str = "") -> bool:
        """See `dynarec.debug.stoppers.Owner`."""
        if (self.history is not None and self.history.is_moving) or not self._holds(stopper, access):
            return False
        if self._noted is not None:
            if stopper.on_hit is None:
                self._noted.append(Noted(self.position, stopper, access, detail))
            return False
        stopper.hits += 1
        if stopper.ignore:
            stopper.ignore -= 1
            return False
        if stopper.on_hit is not None and not stopper.on_hit():
            return False
        self._hits.stoppers.append(stopper)
        self._hits.access = access or self._hits.access
        self._hits.detail = detail or self._hits.detail
        return True

    def _is_reached(self, stopper: Stopper) -> bool:
        """At the end of a step, where the core has not evaluated its condition."""
        return self._holds(stopper, None, is_told=False) and self.hit(stopper)

    def _holds(self, stopper: Stopper, access: MemoryAccess | None, is_told: bool = True) -> bool:
        """Whether its condition is true; one that cannot be told stops the program, and says why.

        is_told: the core has found it true, if it could.
        """
        is_told = is_told and stopper.is_compiled
        if stopper.expression is None or (is_told and stopper.ignore):
            return True
        try:
            holds = bool(stopper.expression.evaluate(Scope(self.machine, self.source, self._innermost(), access)))
        except DynarecError as error:
            self._hits.detail = f"the condition of {stopper.number} cannot be told: {error}"
            return True
        return holds or is_told

    def _judge(self, stop: Stop, arrived: bool, step: bool) -> Stopped | None:
        """What a run ended with; None: it goes on."""
        if self._hits.stoppers:
            self.machine.call_hooks_left()
            return self._at_stoppers(self._hits.stoppers)
        match stop.reason:
            case StopReason.CAUGHT:
                return self._caught(step)
            case StopReason.REQUEST | StopReason.TIMEOUT:
                return self._stopped(Reason.INTERRUPTED)
            case StopReason.EXITED:
                return replace(self._stopped(Reason.EXITED), status=stop.status)
            case StopReason.TRAP:
                return replace(self._stopped(Reason.TRAPPED), trap=stop.trap, status=stop.status)
            case StopReason.HOOK if not arrived:
                return self._stopped(Reason.INTERRUPTED)  # a hook of somebody else ended the run
        return self._arrival()

    def _arrival(self) -> Stopped:
        """The end of a step: at a breakpoint, it counts as one."""
        pc = self.machine.pc
        at = [
            each
            for each in self.stoppers.values()
            if isinstance(each, Breakpoint) and each.enabled and pc in each.addresses and self._is_reached(each)
        ]
        return self._at_stoppers(at) if at else self._stopped(Reason.STEP)

    def _caught(self, step: bool) -> Stopped | None:
        self.caught = caught = self.machine.observer.take_caught()
        if caught is None:
            return None
        for stopper in list(self.stoppers.values()):
            text = stopper.is_caught(caught) if stopper.enabled else None
            if text is not None:
                self.hit(stopper, detail=text)
        if self._hits.stoppers:
            return self._at_stoppers(self._hits.stoppers)
        return self._arrival() if step and caught.what & STEP_CATCHES else None

    def _at_stoppers(self, stoppers: Sequence[Stopper]) -> Stopped:
        reason = REASONS[stoppers[0].kind]
        stopped = self._stopped(reason)
        return replace(stopped, stoppers=tuple(stoppers), access=self._hits.access, detail=self._hits.detail)

    def _stopped(self, reason: Reason) -> Stopped:
        return Stopped(reason, self.machine.pc, self.position)

    def _finish(self, stopped: Stopped) -> Stopped:
        self.stopped = stopped
        self.level = 0
        for stopper in stopped.stoppers:
            if stopper.temporary and stopper.number in self.stoppers:
                self.delete(stopper.number)
        return stopped
