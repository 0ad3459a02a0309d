"""What the CPU thread does in a run: the native run loop, and the answers to what it returns with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dynarec.background import Background, Finished
from dynarec.code_cache import NativeUnit
from dynarec.core import Core, CoreStop, Tier
from dynarec.cpu_thread import Requests
from dynarec.disk.record import KeptUnit
from dynarec.errors import DynarecError
from dynarec.hooks import Hook, Hooks
from dynarec.machine.base import Answers, Continue, Died, Exited, Outcome, Trap, TrapKind
from dynarec.observer import Catch
from dynarec.runs import Stop, StopReason
from dynarec.stats import Counters
from dynarec.tuning import SAMPLE_INTERVAL, HomeTuner

MAKES_UNITS = (CoreStop.TRANSLATE, CoreStop.READY)

if TYPE_CHECKING:
    from dynarec.disk.cache import DiskCache
    from dynarec.program import Program
    from dynarec.translate import Translator
    from dynarec.unit_source import UnitSource
    from dynarec.watcher import Watcher
    from guest_isa.guest import Guest


class RunLoop:
    """Of one machine. All of it but `requests` belongs to the CPU thread, or to whoever owns the machine."""

    answers: Answers
    """Who answers what the guest traps with."""

    def __init__(
        self,
        program: Program,
        guest: Guest,
        core: Core,
        translator: Translator | None,
        hooks: Hooks,
        sync: bool,
        disk: Path | None,
    ) -> None:
        """translator: None when everything is interpreted. sync: the guest waits for translations.

        disk: the folder of the persistent translation cache; None: there is none.
        """
        self._program = program
        self._guest = guest
        self._core = core
        self._hooks = hooks
        self.tuner: HomeTuner | None = None
        self._source: UnitSource | None = None
        self._background: Background | None = None
        self.counters = Counters()
        self.requests = Requests()
        self.watchers: list[Watcher] = []
        self.answered = 0
        self.exited: Exited | None = None
        self.stop_reason: StopReason | None = None
        if translator is not None:
            self._prepare(translator, sync, disk)

    def _prepare(self, translator: Translator, sync: bool, disk: Path | None) -> None:
        """For translations."""
        from dynarec.unit_source import UnitSource

        self.tuner = tuner = HomeTuner(self._guest, self._core, translator)

        def open_disk() -> DiskCache:
            from dynarec.disk.cache import DiskCache

            assert disk is not None
            return DiskCache(disk, self._program, self._core, translator, tuner)

        self._source = UnitSource(self._core, translator, open_disk if disk is not None else None, self._is_looked_at)
        if self._core.tier is Tier.AUTO and not sync:
            self._background = Background(self._core, self._source)

    @property
    def instructions(self) -> int:
        """See `Machine.instructions`."""
        return self._core.instructions + self.answered

    def run(self, limit: int, until: int | None) -> Stop:
        """Run so many instructions at most, up to an address; see `Machine.run`."""
        since = time.perf_counter()
        if self._background is not None:
            self._background.start()
        self.requests.open()
        self._core.set_busy(True)
        try:
            return self._run_loop(limit, until)
        finally:
            self._core.set_busy(False)
            self.requests.close()
            self.counters.run_seconds += time.perf_counter() - since

    def close(self) -> None:
        """The machine is closed."""
        if self._background is not None:
            self._background.close()
        if self._source is not None:
            self._source.close()

    def _run_loop(self, limit: int, until: int | None) -> Stop:
        first = self.instructions
        self._core.set_until(until)
        ending: StopReason | Exited | Died | None = self.exited
        if ending is None and self._hooks.resume():
            ending = StopReason.HOOK
        while ending is None:
            left = limit - (self.instructions - first)
            ending = self._answer(self._run_core(left)) if self.tuner is None else self._run_sampled(left)
        return self._stop(ending, self.instructions - first)

    def _run_sampled(self, left: int) -> StopReason | Exited | Died | None:
        """Run for a moment, and look where the guest is: after so many instructions, whatever it stops for before."""
        assert self.tuner is not None
        moment = SAMPLE_INTERVAL - self._core.instructions % SAMPLE_INTERVAL
        stop = self._run_core(min(left, moment))
        if stop is not CoreStop.BUDGET or left <= moment:
            return self._answer(stop)
        with self._pause():
            self.tuner.sample(self._core.regs["pc"])
        if self.tuner.finished:
            self.tuner = None
        return None

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """What is done here, and what has been since the native run loop returned, is one pause of the guest."""
        since = time.thread_time_ns()
        try:
            yield
        finally:
            self.counters.pauses.work.note(time.thread_time_ns() - since)
            self.counters.pauses.note(self._core.nanoseconds_out)

    def _stop(self, ending: StopReason | Exited | Died, instructions: int) -> Stop:
        if isinstance(ending, Exited):
            self.exited = ending
            return Stop(StopReason.EXITED, self._core.regs["pc"], instructions, status=ending.status)
        if isinstance(ending, Died):
            return Stop(StopReason.TRAP, self._core.regs["pc"], instructions, status=ending.status, trap=ending.trap)
        return Stop(ending, self._core.regs["pc"], instructions)

    def _answer(self, stop: CoreStop | None) -> StopReason | Exited | Died | None:
        """React to a return of the native run loop; None when the guest goes on."""
        match stop:
            case None:
                return None
            case CoreStop.BUDGET:
                return StopReason.BUDGET
            case CoreStop.TRANSLATE:
                return self._translate()
            case CoreStop.READY:
                return self._take_finished()
            case CoreStop.CAUGHT:
                return StopReason.CAUGHT
            case CoreStop.INPUT:
                return StopReason.INPUT
            case CoreStop.REQUEST:
                return self._on_request()
            case CoreStop.UNTIL:
                return StopReason.UNTIL
            case CoreStop.HOOK:
                return StopReason.HOOK if self._hooks.call() else None
            case CoreStop.TRAP:
                return self._on_trap()
            case CoreStop.WAIT:
                self.answers.wait()
                return None
            case CoreStop.OFF:
                return Exited(self._core.off_status)
            case CoreStop.STORED:
                info = self._core.trap
                return _ending(self.answers.stored(info.value, info.length))
            case _:
                raise DynarecError(f"{self._program.name}: the core cannot go on: {self._core.error}")

    def _on_request(self) -> StopReason | Exited | Died | None:
        did = self.requests.do(self._clear_stop)
        outcome = self._core.take_outcome()
        if outcome is None:
            return self.stop_reason or (None if did else StopReason.REQUEST)
        self._clear_stop()
        return _ending(outcome)

    def _clear_stop(self) -> None:
        """Undo a device's request to stop, but not one from outside."""
        self._core.clear_stop()
        if self.stop_reason is not None:
            self._core.request_stop()

    def _on_trap(self) -> StopReason | Exited | Died | None:
        self._core.take_outcome()
        info = self._core.trap
        cause = self._guest.causes[info.cause]
        trap = Trap(cause.kind, info.cause, cause.name, info.pc, info.value, info.length)
        answer: Outcome | Literal[True] | None = None
        if cause.kind is TrapKind.SYSCALL and self._guest.abi is not None:
            answer = self._hooks.call_for(trap, self._guest.abi)
        if answer is Hook.STOP:
            return StopReason.HOOK
        ending = _ending(answer or self.answers.trap(trap))
        if self._core.regs["pc"] != trap.pc or isinstance(ending, Exited):
            self.counters.answered += 1
            self.answered += 1
            for watcher in self.watchers:
                watcher.answered(trap.pc)
        return ending

    # -- translations -------------------------------------------------------------------------------------------------

    def _run_core(self, limit: int) -> CoreStop:
        """The native run loop; then somebody else may have held the GIL for longer than the guest likes."""
        stop = self._core.run(limit)
        if stop in MAKES_UNITS:
            return stop  # the pause is not over
        if self._background is not None and self._background.working:
            self.counters.pauses.note(self._core.nanoseconds_out)
        return stop

    def _translate(self) -> StopReason | None:
        """The guest waits for the block at pc."""
        assert self._source is not None
        with self._pause():
            self._source.read_kept()
            if not self._source.is_waiting:
                return self._translate_block(self._core.regs["pc"])
            self._install_waiting()  # perhaps it is there
            return None

    def _translate_block(self, key: int) -> StopReason | None:
        assert self._source is not None
        return self._install_all([self._source.make(key)])

    def _take_finished(self) -> StopReason | None:
        """Install what has been translated in the background; one by one, if somebody looks at each."""
        assert self._background is not None
        finished = self._background.take(1 if self._is_looked_at() else None)
        try:
            with self._pause():
                self._install_batch()
                return self._install_finished(finished)
        finally:
            self._background.settle(finished)

    def _install_finished(self, finished: Sequence[Finished]) -> StopReason | None:
        ending = self._install_all([each.unit for each in finished if each.unit is not None])
        for each in finished:
            if each.unit is None and each.epoch == self._core.epoch:
                ending = self._translate_block(each.key)  # it fails again, unless it was for what another thread did
        return ending

    def _is_looked_at(self) -> bool:
        """Whether somebody wants to know of each translation. Any thread."""
        return bool(self.watchers) or Catch.TRANSLATION in self._core.observer.catches

    def _install_waiting(self) -> None:
        """All units of earlier runs that are for the machine as it is."""
        assert self._source is not None
        while self._source.is_waiting:
            self._install_batch()

    def _install_batch(self) -> None:
        """Some of them."""
        disk = self._disk
        if disk is not None and disk.is_waiting:
            self._install_kept(disk, disk.next_batch())

    @property
    def _disk(self) -> DiskCache | None:
        return self._source.disk if self._source is not None else None

    def _install_all(self, units: Sequence[NativeUnit | KeptUnit]) -> StopReason | None:
        """Put them into the code cache; whether the run is to stop for it."""
        kept = [unit for unit in units if isinstance(unit, KeptUnit)]
        if kept and self._disk is not None:
            self._install_found(self._disk, kept)
        translated = [unit for unit in units if isinstance(unit, NativeUnit)]
        return self._install(translated) if translated else None

    def _install_found(self, disk: DiskCache, units: Sequence[KeptUnit]) -> None:
        """Those that are not what would be made now are to be translated."""
        epoch = self._core.epoch
        for unit, serial in zip(units, self._install_kept(disk, units), strict=True):
            if not serial and unit.epoch == epoch:
                disk.refuse(unit.key)

    def _install_kept(self, disk: DiskCache, units: Sequence[KeptUnit]) -> list[int]:
        """The serials of units of earlier runs; 0 for those that are not installed."""
        since = time.thread_time()
        try:
            serials = self._core.install_all(units)
        except DynarecError as error:
            disk.distrust(error)
            serials = [0] * len(units)
        self.counters.count_kept(serials, time.thread_time() - since)
        return serials

    def _install(self, units: Sequence[NativeUnit]) -> StopReason | None:
        """Put them into the code cache; whether the run is to stop for it."""
        since = time.thread_time()
        serials = self._core.install_all(units)
        seconds = (time.thread_time() - since) / max(1, len(units))
        ending = None
        for unit, serial in zip(units, serials, strict=True):
            self.counters.count(unit.translation, serial, seconds)
            for watcher in self.watchers:
                watcher.installed(unit.translation, serial, seconds)
            if serial and self._disk is not None:
                self._disk.keep(unit)
            if self._core.observer.note_translation(unit.translation.unit.key):
                ending = StopReason.CAUGHT
        return ending


def _ending(outcome: Outcome) -> Exited | Died | None:
    return None if isinstance(outcome, Continue) else outcome
