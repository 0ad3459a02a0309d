"""The machine: a guest CPU with a program, its memory and its surroundings, to be run and looked at from Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeVar

from dynarec import loading
from dynarec.core import Core, CoreStop
from dynarec.cpu_thread import CpuThread, Job, Requests
from dynarec.errors import DynarecError
from dynarec.guest_pages import Moment
from dynarec.guest_state import PAGE, GuestMemory, Registers
from dynarec.hooks import (
    ACCESS_KINDS,
    ADDRESS_SPACE,
    CodeCallback,
    Hook,
    HookKind,
    Hooks,
    MemoryCallback,
    SystemCallback,
)
from dynarec.machine.base import (
    Answers,
    ByteFile,
    Continue,
    Device,
    Died,
    Exited,
    Hardware,
    Options,
    Outcome,
    Profile,
    Trap,
    TrapKind,
)
from dynarec.machine.state import Fields, State
from dynarec.observer import Observer
from dynarec.snapshot import Origin, Snapshot
from dynarec.stats import Counters, Stats, collect
from dynarec.tuning import SAMPLE_INTERVAL, HomeTuner

if TYPE_CHECKING:
    from dynarec.conditions import Condition
    from dynarec.program import Program
    from dynarec.symbols import Symbols
    from dynarec.translate import Translator
    from dynarec.watcher import Watcher
    from guest_isa.guest import Guest

T = TypeVar("T")
PAUSE = 0.001
"""Seconds until somebody who wants something of a machine that is about to run looks again."""
ADDRESSES = range(1 << 32)
UNLIMITED = 1 << 63
"""A budget that no run uses up."""
SOURCES = range(1, 32)
MEBI = 1 << 20
DEFAULT_CACHE_SIZE = 16 * MEBI
DEFAULT_HOT = 64
"""Executions of a block in the interpreter before it is translated (the core counts to 255)."""


class StopReason(Enum):
    """Why a run ended."""

    BUDGET = "budget"
    TIMEOUT = "timeout"
    REQUEST = "request"
    UNTIL = "until"
    EXITED = "exited"
    TRAP = "trap"
    HOOK = "hook"
    CAUGHT = "caught"
    INPUT = "input"


class Stop(NamedTuple):
    """How a run ended.

    pc: of the next instruction; for a trap, of the instruction that trapped. instructions: retired by this run.
    status: exit status, of a program that exited (0 to 255) or died of a trap (128 + signal). trap: what it died of.
    """

    reason: StopReason
    pc: int
    instructions: int
    status: int | None = None
    trap: Trap | None = None


class Run:
    """A run that has been started; see `Machine.start`."""

    def __init__(self, machine: Machine, job: Job[Stop], timeout: float | None) -> None:
        self._machine = machine
        self._job = job
        self._timer: threading.Timer | None = None
        if timeout is not None:
            self._timer = threading.Timer(min(timeout, threading.TIMEOUT_MAX), machine._on_timeout, (job,))
            self._timer.daemon = True
            self._start_timer(self._timer)

    def _start_timer(self, timer: threading.Timer) -> None:
        try:
            timer.start()
        except BaseException:  # no more threads
            self._machine.stop()
            self._job.wait(self._machine.stop)
            raise

    @property
    def finished(self) -> bool:
        return self._job.finished

    def stop(self) -> None:
        """Make the run end soon."""
        if not self.finished:
            self._machine.stop()

    def wait(self) -> Stop:
        """How the run ended, when it has. Ctrl-C stops the run and raises KeyboardInterrupt."""
        try:
            return self._job.wait(self._machine.stop)
        finally:
            if self._timer is not None:
                self._timer.cancel()


class Machine:
    """A guest CPU with a program, memory and surroundings. One thread at a time may use it; any thread may `stop` it.

    Leave it with `close`, or use it as a context manager.
    """

    profile: Profile
    _answers: Answers
    _closed = True  # until load has succeeded

    def __init__(self, program: Program, guest: Guest, core: Core, translator: Translator | None) -> None:
        """For `load`, which makes machines."""
        self.program = program
        self.guest = guest
        self.convention = ""
        self.cache_size = core.cache_size
        self._core = core
        self._translator = translator
        self._tuner = HomeTuner(guest, core, translator) if translator is not None else None
        self._counters = Counters()
        self._answered = 0
        self._busy = threading.Lock()
        self._taking = threading.Lock()
        self._is_brief = False
        self._stop_reason: StopReason | None = None
        self._exited: Exited | None = None
        self._set_line: Callable[[int, bool], None] = core.set_source
        self._thread = CpuThread(core.bind_thread)
        self._hooks = Hooks(self, core, self._on_cpu_thread)
        self._requests = Requests()
        self._watchers: list[Watcher] = []

    @classmethod
    def load(
        cls,
        source: Path | str | bytes | Program,
        machine: str = "auto",
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        root: Path | str | None = None,
        *,
        guest: str | Guest | None = None,
        tier: str = "auto",
        wx: str = "auto",
        cache_size: int = DEFAULT_CACHE_SIZE,
        hot: int = DEFAULT_HOT,
        harden: Collection[str] = (),
        stdin: ByteFile | None = None,
        stdout: ByteFile | None = None,
        stderr: ByteFile | None = None,
        seed: int | None = None,
        hardware: Hardware | None = None,
    ) -> Self:
        """Load a program (an ELF file's path or bytes, or `loading.read_kernel`'s) into a new machine.

        machine: name of a machine profile; "auto" takes the one that recognises the program.
        args, env: the program's arguments after its name, and its environment. root: the only host directory it has.
        guest: name of a guest CPU; None takes the program's own.
        tier: "jit" translates everything, "interp" nothing, "auto" what is executed more than `hot` times.
        wx: policy for executable memory; with "auto" (and tier "auto") a host that allows none runs interpreted. The
        environment variable DYNAREC_WX says what "auto" means.
        cache_size: bytes of host code kept. harden: of "bti" (landing pads) and "pac" (signed code pointers), on arm64.
        stdin, stdout, stderr: unbuffered binary files; None: this process's.
        seed: makes random numbers and the like repeatable. hardware: what machine "virt" consists of.

        Raises DynarecError: the program cannot be loaded, or a name is unknown.
        """
        setup = loading.Setup(tier, loading.wanted_policy(wx), cache_size, hot, loading.hardening(harden))
        program, declaration = loading.read_program(source, guest)
        profile, convention = loading.choose_profile(program, declaration, machine)
        core, translator = loading.make_core(declaration, setup)
        made = cls(program, declaration, core, translator)
        made.convention = convention
        host_root = Path(root) if root is not None else None
        options = Options(list(args), dict(env or {}), host_root, stdin, stdout, stderr, seed, hardware or Hardware())
        made._attach(profile, options)
        return made

    def _attach(self, profile: type[Profile], options: Options) -> None:
        self.profile = self._answers = profile(self, options)
        self._closed = False
        try:
            self.profile.load()
            loading.connect_devices(self._core, self.profile)
        except BaseException:
            self.close()
            raise

    # -- looking at the guest -----------------------------------------------------------------------------------------

    @property
    def memory(self) -> GuestMemory:
        """Guest memory: `memory[address]` is a byte, `memory[start:end]` bytes."""
        return self._core.memory

    @property
    def regs(self) -> Registers:
        """The registers: `regs.sp` or `regs["sp"]`, to read and to set."""
        return self._core.regs

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return self._core.regs["pc"]

    @pc.setter
    def pc(self, value: int) -> None:
        self._core.regs["pc"] = value

    @property
    def has_own_traps(self) -> bool:
        """Whether traps go to handlers of the program, and not to the machine."""
        return self._core.has_own_traps

    @property
    def device_ranges(self) -> list[range]:
        """The guest addresses of all devices."""
        return self._core.device_ranges

    def code_at(self, address: int, most: int) -> bytes:
        """Up to so many bytes that the guest may execute, from an address on; none where there are none."""
        return self.memory.code(address, most)

    @property
    def observer(self) -> Observer:
        """What a debugger may ask of the core."""
        return self._core.observer

    @property
    def core(self) -> Core:
        """The core, for those who build on this class."""
        return self._core

    @property
    def translator(self) -> Translator | None:
        """What makes its translations; None if all is interpreted."""
        return self._translator

    def add_watcher(self, watcher: Watcher) -> None:
        """Tell it, on the CPU thread, what is installed and answered."""
        self._watchers.append(watcher)

    @property
    def watchers(self) -> Sequence[Watcher]:
        """Who is told."""
        return self._watchers

    def remove_watcher(self, watcher: Watcher) -> None:
        """Tell it no more."""
        self._watchers.remove(watcher)

    def perform(self, request: Callable[[], T]) -> T:
        """Do something on the CPU thread, between two instructions of a run or between runs; what it gives.

        From any thread, which waits for it. Raises what the request raises, and DynarecError when the machine is
        closed.
        """
        if self._thread.is_current:
            return request()
        job = Job(request)
        while not self._requests.post(job, self._attract):
            self._check_open()
            if self._take(briefly=True):
                try:
                    return self._post(request).wait(_nothing)
                finally:
                    self._busy.release()
            time.sleep(PAUSE)
        return job.wait(_nothing)

    def _post(self, request: Callable[[], T]) -> Job[T]:
        """For the owner. What is posted before the machine is closed is done. Raises DynarecError when it is closed."""
        with self._taking:
            self._check_open()
            return self._thread.post(request)

    def _check_open(self) -> None:
        if self._closed:
            raise DynarecError("the machine is closed: load the program again")

    def _attract(self) -> None:
        self._core.request_stop()
        self.profile.interrupt()

    @property
    def interrupts(self) -> Core:
        """The interrupt lines and the clock, for the machine profile."""
        return self._core

    def add_device(self, address: int, device: Device, size: int = PAGE) -> None:
        """Let a device answer the guest's accesses to whole pages. Raises DynarecError, also while the machine runs."""
        if self._busy.locked():
            raise DynarecError("devices are added while the machine does not run: stop it first")
        self._core.add_device(range(address, address + size), device, loading.REFUSALS)

    def set_interrupt(self, source: int, up: bool) -> None:
        """Raise or lower a line into the interrupt controller of the machine; from any thread.

        Sources are those of its PLIC, 1 to 31; the serial port has number 10. Raises ValueError for others.
        """
        if source not in SOURCES:
            raise ValueError(f"interrupt source {source}: choose one of {SOURCES[0]} to {SOURCES[-1]}")
        self._set_line(source, up)

    @property
    def symbols(self) -> Symbols:
        """The program's symbols."""
        return self.program.symbols

    @property
    def instructions(self) -> int:
        """Guest instructions retired so far, with the system calls that the machine answered.

        A restore sets it back to what it was: it says where in the program's run the machine is.
        """
        return self._core.instructions + self._answered

    @property
    def exit_status(self) -> int | None:
        """The status of a program that has ended; None before."""
        return None if self._exited is None else self._exited.status

    def address(self, where: int | str) -> int:
        """An address, or that of a symbol. Raises DynarecError for an unknown symbol."""
        return loading.address_of(self.program, where)

    def stats(self) -> Stats:
        """What the machine has done so far; may be called while it runs."""
        return collect(self._core, self._counters)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All that the machine is now, to go back to. It costs as much as was written since the last one.

        Raises DynarecError while the machine runs, or when it is closed.
        """
        with self._owned():
            status = None if self._exited is None else self._exited.status
            state = self.profile.save()
            return Snapshot(
                origin=self._origin,
                moment=self._core.moment,
                pages=self._core.save_pages(),
                answered=self._answered,
                exited=status,
                profile=state,
                devices=self._save_devices(),
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Become what a machine with the same program was when it took the snapshot, and go on from there.

        What the program has written to files and streams stays written; files that it had open are open again, at their
        positions. Translations live on, unless memory held other code then.

        Raises DynarecError while the machine runs, when it is closed, and when the snapshot does not fit it or a file
        cannot be opened again: the machine is then what it was.
        """
        with self._owned():
            snapshot.check(self.guest, self._origin, self._added_devices().keys())
            self._core.check_pages(snapshot.pages)
            before = self.profile.save(), self._core.moment, self._save_devices()
            try:
                self._restore_around(snapshot.profile, snapshot.moment, snapshot.devices)
                self._core.restore_pages(snapshot.pages)
            except BaseException:
                self._restore_around(*before)
                raise
            self._hooks.forget()
            self._answered = snapshot.answered
            self._exited = None if snapshot.exited is None else Exited(snapshot.exited)

    def rewind(self, snapshot: Snapshot) -> None:
        """Look at a moment of the past: registers, memory and devices that can be asked again are what they were.

        What the machine has of the host (files, positions in them) is left alone. Raises DynarecError while it runs.
        """
        with self._owned():
            self._core.moment = snapshot.moment
            self.profile.rewind(snapshot.profile)
            self._core.restore_pages(snapshot.pages)
            self._hooks.forget()
            self._answered = snapshot.answered
            self._exited = None if snapshot.exited is None else Exited(snapshot.exited)

    def answer_by(self, answers: Answers | None, set_line: Callable[[int, bool], None] | None = None) -> None:
        """Have somebody stand between the guest and the machine profile, and its interrupt lines; None: nobody."""
        self._answers = self.profile if answers is None else answers
        self._set_line = self._core.set_source if set_line is None else set_line

    def _restore_around(self, profile: State, moment: Moment, devices: State) -> None:
        """All but memory."""
        saved = Fields(devices, "devices")
        for name, device in self._added_devices().items():
            device.restore(saved.state(name))
        self._core.moment = moment
        self.profile.restore(profile)

    def _save_devices(self) -> State:
        return {name: device.save() for name, device in self._added_devices().items()}

    def _added_devices(self) -> dict[str, Device]:
        """Devices by their addresses, but the profile, which may be one itself."""
        profile: object = self.profile
        return {name: each for name, each in self._core.devices.items() if each is not profile}

    @cached_property
    def _origin(self) -> Origin:
        names = {field.index: field.name for field in self.guest.layout}
        return Origin(
            guest=self.guest.name,
            program=self.program.name,
            digest=self.program.digest(),
            machine=self.profile.name,
            parts=self.profile.parts,
            registers=tuple(names.get(index, "") for index in range(max(names) + 1)),
        )

    # -- hooks --------------------------------------------------------------------------------------------------------

    def hook_code(
        self,
        callback: CodeCallback,
        start: int | str,
        end: int | str | None = None,
        *,
        when: Condition | None = None,
        reason: str = "hook",
    ) -> Hook:
        """Call `callback(machine, pc)` before each instruction that begins in [start, end), or at `start` alone.

        Callbacks run on the CPU thread. They may read and change registers, the pc and memory, add and remove hooks,
        and stop the machine. One that returns True ends the run, before the instruction, with StopReason.HOOK; the next
        run executes the instruction without calling it again. An exception ends the run and comes through unchanged.
        Several hooks are called in the order in which they were added; those behind one that ended the run are called
        when the machine goes on. Addresses may be names of symbols.

        when: the callback is called only where this holds; where it does not, and nothing else is hooked, the guest
        goes on without Python. reason: "hook" or "breakpoint", why translations die when it comes or goes.

        A hook takes effect at once, also from a callback. Raises DynarecError for an unknown symbol, an empty range or
        a condition that is none, and when called from another thread while the machine runs.
        """
        first = self.address(start)
        last = first + 1 if end is None else self.address(end)
        return self._hooks.add(callback, (HookKind.CODE,), first, last, reason, when)

    def hook_block(
        self,
        callback: CodeCallback,
        start: int | str = 0,
        end: int | str = ADDRESS_SPACE,
        *,
        when: Condition | None = None,
    ) -> Hook:
        """Call `callback(machine, pc)` before the first instruction of each basic block that begins in [start, end).

        A block begins where control comes from elsewhere, and behind each branch, taken or not; and where the guest is
        when the hook is added. See `hook_code`.
        """
        return self._hooks.add(callback, (HookKind.BLOCK,), self.address(start), self.address(end), when=when)

    def hook_memory(
        self,
        callback: MemoryCallback,
        start: int | str,
        end: int | str | None = None,
        kind: str = "access",
        *,
        when: Condition | None = None,
    ) -> Hook:
        """Call `callback(machine, access)` before each access of the guest that overlaps [start, end), or byte `start`.

        kind: "read", "write" or "access". Only what the guest may access is reported; an instruction that reads and
        then writes is reported twice. Fetching instructions is no access, nor is what Python does. when: may ask for
        the access too. See `hook_code`.
        """
        if kind not in ACCESS_KINDS:
            raise DynarecError(f"unknown kind of access {kind!r}: choose one of {', '.join(ACCESS_KINDS)}")
        first = self.address(start)
        last = first + 1 if end is None else self.address(end)
        return self._hooks.add(callback, ACCESS_KINDS[kind], first, last, when=when)

    def hook_syscall(self, callback: SystemCallback, number: int | None = None) -> Hook:
        """Call `callback(machine, call)` before each system call that the machine is to answer, or those of a number.

        A callback that answers by itself sets the registers and returns Hook.HANDLED, or `Exited(status)` to end the
        program. Semihosting and HTIF are no system calls, nor is what a guest's own kernel answers. See `hook_code`.
        """
        return self._hooks.add_system_call(callback, number, self.guest.abi)

    def call_hooks_left(self) -> None:
        """Call now the hooks that are left to call since one has ended the run; what they return is ignored."""
        while self._hooks.resume():
            pass

    def pass_system_call(self) -> None:
        """The next run makes the system call at pc without calling its hooks again."""
        self._hooks.pass_call()

    def _on_cpu_thread(self, request: Callable[[], None]) -> None:
        """Between runs, on the CPU thread; or at once, if this is the CPU thread."""
        if self._thread.is_current:
            request()
            return
        with self._owned():
            self._thread.post(request).wait(_nothing)

    # -- running ------------------------------------------------------------------------------------------------------

    def run(
        self, instructions: int | None = None, *, until: int | str | None = None, timeout: float | None = None
    ) -> Stop:
        """Run until the program ends, or until a limit: so many instructions, an address or symbol, so many seconds.

        A run stops before the instruction at `until`; one that begins there ends at once. What the guest traps with is
        answered by the machine profile; a trap that it does not handle ends the run, with the pc at the instruction.
        Ctrl-C stops the run and raises KeyboardInterrupt. An exception of a device comes through unchanged.

        Raises DynarecError when the machine is running already, or closed.
        """
        return self.start(instructions, until=until, timeout=timeout).wait()

    def start(
        self, instructions: int | None = None, *, until: int | str | None = None, timeout: float | None = None
    ) -> Run:
        """As `run`, but without waiting for the end."""
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"a run of {timeout} seconds")
        limit = UNLIMITED if instructions is None else min(instructions, UNLIMITED)
        if limit < 0:
            raise ValueError(f"a run of {limit} instructions")
        target = None if until is None else self.address(until)
        if target is not None and target not in ADDRESSES:
            raise ValueError(f"a run until {target:#x}, which is no address")
        self._own()
        self._stop_reason = None
        self._core.clear_stop()
        try:
            job = self._post(lambda: self._do_run(limit, target))
        except BaseException:  # no more threads, in the child of a fork
            self._busy.release()
            raise
        return Run(self, job, timeout)

    def _own(self) -> None:
        """From now on nobody else may use the machine. Raises DynarecError if it runs, or is closed."""
        self._check_open()
        while not self._take(briefly=False):
            if not self._is_brief:
                raise DynarecError(self._why_busy())
            time.sleep(PAUSE)

    def _take(self, briefly: bool) -> bool:
        """Own the machine, if nobody does. briefly: whoever else wants it may wait."""
        with self._taking:
            if not self._busy.acquire(blocking=False):
                return False
            self._is_brief = briefly
            return True

    @contextmanager
    def _owned(self) -> Iterator[None]:
        self._own()
        try:
            yield
        finally:
            self._busy.release()

    def _why_busy(self) -> str:
        if self._thread.is_left_behind:
            return "the machine was running when this process was forked: load the program again"
        return "the machine is running already: wait for that run to end, or stop it"

    def stop(self) -> None:
        """Make the run that is under way end soon, with reason REQUEST; from any thread. Else nothing happens."""
        self._interrupt(StopReason.REQUEST)

    def close(self) -> None:
        """Stop, and free everything that the machine holds. May be called twice.

        Raises DynarecError when a device or a hook of the machine calls it during a run.
        """
        if self._closed:
            return
        if self._thread.is_current and self._busy.locked():
            raise DynarecError("a machine cannot be closed by what it calls while it runs: stop it instead")
        with self._taking:
            self._closed = True
        self.stop()
        self._thread.close()
        self._hooks.close()
        self.profile.close()
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _on_timeout(self, job: Job[Stop]) -> None:
        if not job.finished:
            self._interrupt(StopReason.TIMEOUT)

    def _interrupt(self, reason: StopReason) -> None:
        if not self._busy.locked():
            return
        if self._stop_reason is None:
            self._stop_reason = reason
        self._core.request_stop()  # after the reason: see _clear_stop
        self.profile.interrupt()

    # -- on the CPU thread --------------------------------------------------------------------------------------------

    def _do_run(self, limit: int, until: int | None) -> Stop:
        since = time.perf_counter()
        self._requests.open()
        self._core.set_busy(True)
        try:
            return self._run_loop(limit, until)
        finally:
            self._core.set_busy(False)
            self._requests.close()
            self._counters.run_seconds += time.perf_counter() - since
            self._busy.release()

    def _run_loop(self, limit: int, until: int | None) -> Stop:
        first = self.instructions
        self._core.set_until(until)
        ending: StopReason | Exited | Died | None = self._exited
        if ending is None and self._hooks.resume():
            ending = StopReason.HOOK
        while ending is None:
            left = limit - (self.instructions - first)
            ending = self._answer(self._core.run(left)) if self._tuner is None else self._run_sampled(left)
        return self._stop(ending, self.instructions - first)

    def _run_sampled(self, left: int) -> StopReason | Exited | Died | None:
        """Run for a moment, and look where the guest is."""
        assert self._tuner is not None
        stop = self._core.run(min(left, SAMPLE_INTERVAL))
        if stop is not CoreStop.BUDGET or left <= SAMPLE_INTERVAL:
            return self._answer(stop)
        self._tuner.sample(self.pc)
        if self._tuner.finished:
            self._tuner = None
        return None

    def _stop(self, ending: StopReason | Exited | Died, instructions: int) -> Stop:
        if isinstance(ending, Exited):
            self._exited = ending
            return Stop(StopReason.EXITED, self.pc, instructions, status=ending.status)
        if isinstance(ending, Died):
            return Stop(StopReason.TRAP, self.pc, instructions, status=ending.status, trap=ending.trap)
        return Stop(ending, self.pc, instructions)

    def _answer(self, stop: CoreStop | None) -> StopReason | Exited | Died | None:
        """React to a return of the native run loop; None when the guest goes on."""
        match stop:
            case None:
                return None
            case CoreStop.BUDGET:
                return StopReason.BUDGET
            case CoreStop.TRANSLATE:
                return self._translate()
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
                self._answers.wait()
                return None
            case CoreStop.OFF:
                return Exited(self._core.off_status)
            case CoreStop.STORED:
                info = self._core.trap
                return _ending(self._answers.stored(info.value, info.length))
            case _:
                raise DynarecError(f"{self.program.name}: the core cannot go on: {self._core.error}")

    def _on_request(self) -> StopReason | Exited | Died | None:
        did = self._requests.do(self._clear_stop)
        outcome = self._core.take_outcome()
        if outcome is None:
            return self._stop_reason or (None if did else StopReason.REQUEST)
        self._clear_stop()
        return _ending(outcome)

    def _clear_stop(self) -> None:
        """Undo a device's request to stop, but not one from outside."""
        self._core.clear_stop()
        if self._stop_reason is not None:
            self._core.request_stop()

    def _on_trap(self) -> StopReason | Exited | Died | None:
        self._core.take_outcome()
        info = self._core.trap
        cause = self.guest.causes[info.cause]
        trap = Trap(cause.kind, info.cause, cause.name, info.pc, info.value, info.length)
        answer: Outcome | Literal[True] | None = None
        if cause.kind is TrapKind.SYSCALL and self.guest.abi is not None:
            answer = self._hooks.call_for(trap, self.guest.abi)
        if answer is Hook.STOP:
            return StopReason.HOOK
        ending = _ending(answer or self._answers.trap(trap))
        if self.pc != trap.pc or isinstance(ending, Exited):
            self._counters.answered += 1
            self._answered += 1
            for watcher in self._watchers:
                watcher.answered(trap.pc)
        return ending

    def _translate(self) -> StopReason | None:
        assert self._translator is not None
        since = time.perf_counter()
        self._translator.left = self._core.left_alone()
        translation = self._translator.translate(self.pc)
        serial = self._core.install(translation)
        seconds = time.perf_counter() - since
        self._counters.count(translation, seconds)
        for watcher in self._watchers:
            watcher.installed(translation, serial, seconds - translation.seconds)
        return StopReason.CAUGHT if self._core.observer.note_translation(translation.unit.key) else None


def _nothing() -> None:
    """What stops a request that takes no time."""


def _ending(outcome: Outcome) -> Exited | Died | None:
    return None if isinstance(outcome, Continue) else outcome
