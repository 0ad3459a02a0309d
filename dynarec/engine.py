"""The machine: a guest CPU with a program, its memory and its surroundings, to be run and looked at from Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from dynarec import loading
from dynarec.core import Core
from dynarec.cpu_thread import CpuThread, Job
from dynarec.errors import DynarecError
from dynarec.guest_state import PAGE, GuestMemory, Registers
from dynarec.hook_api import Hookable
from dynarec.hooks import Hooks
from dynarec.machine.base import Answers, ByteFile, Device, Hardware, Options, Profile
from dynarec.observer import Observer
from dynarec.run_loop import RunLoop
from dynarec.runs import Run, Stop, StopReason
from dynarec.snapshot_api import Restorable
from dynarec.stats import Stats, collect

if TYPE_CHECKING:
    from dynarec.program import Program
    from dynarec.symbols import Symbols
    from dynarec.translate import Translator
    from dynarec.watcher import Watcher
    from guest_isa.guest import Guest

__all__ = ["Machine", "Run", "Stop", "StopReason"]
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


class Machine(Hookable, Restorable):
    """A guest CPU with a program, memory and surroundings. One thread at a time may use it; any thread may `stop` it.

    Leave it with `close`, or use it as a context manager.
    """

    profile: Profile
    _closed = True  # until load has succeeded

    def __init__(
        self,
        program: Program,
        guest: Guest,
        core: Core,
        translator: Translator | None,
        sync: bool,
        disk: Path | None = None,
    ) -> None:
        """For `load`, which makes machines."""
        self.program = program
        self.guest = guest
        self.convention = ""
        self.cache_size = core.cache_size
        self._core = core
        self._translator = translator
        self._busy = threading.Lock()
        self._taking = threading.Lock()
        self._is_brief = False
        self._set_line: Callable[[int, bool], None] = core.set_source
        self._thread = CpuThread(core.bind_thread)
        self._hooks = Hooks(self, core, self._on_cpu_thread)
        self._loop = RunLoop(program, guest, core, translator, self._hooks, sync, disk)

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
        sync: bool = False,
        disk_cache: bool = False,
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
        sync: the guest waits for each translation, so that every run is the same down to its statistics; else, in tier
        "auto", another thread translates while the guest goes on in the interpreter. What the guest does is the same.
        disk_cache: begin with the translations of earlier runs of the program, and keep those of this one for later
        runs, in a folder of the user. Off unless asked for: programs that embed a guest leave no files by themselves.
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
        disk = loading.disk_folder() if disk_cache else None
        made = cls(program, declaration, core, translator, sync, disk)
        made.convention = convention
        host_root = Path(root) if root is not None else None
        options = Options(list(args), dict(env or {}), host_root, stdin, stdout, stderr, seed, hardware or Hardware())
        made._attach(profile, options)
        return made

    def _attach(self, profile: type[Profile], options: Options) -> None:
        self.profile = self._loop.answers = profile(self, options)
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
        self._loop.watchers.append(watcher)

    @property
    def watchers(self) -> Sequence[Watcher]:
        """Who is told."""
        return self._loop.watchers

    def remove_watcher(self, watcher: Watcher) -> None:
        """Tell it no more."""
        self._loop.watchers.remove(watcher)

    def perform(self, request: Callable[[], T]) -> T:
        """Do something on the CPU thread, between two instructions of a run or between runs; what it gives.

        From any thread, which waits for it. Raises what the request raises, and DynarecError when the machine is
        closed.
        """
        if self._thread.is_current:
            return request()
        job = Job(request)
        while not self._loop.requests.post(job, self._attract):
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
        return self._loop.instructions

    @property
    def exit_status(self) -> int | None:
        """The status of a program that has ended; None before."""
        return None if self._loop.exited is None else self._loop.exited.status

    def address(self, where: int | str) -> int:
        """An address, or that of a symbol. Raises DynarecError for an unknown symbol."""
        return loading.address_of(self.program, where)

    def stats(self) -> Stats:
        """What the machine has done so far; may be called while it runs."""
        return collect(self._core, self._loop.counters)

    def answer_by(self, answers: Answers | None, set_line: Callable[[int, bool], None] | None = None) -> None:
        """Have somebody stand between the guest and the machine profile, and its interrupt lines; None: nobody."""
        self._loop.answers = self.profile if answers is None else answers
        self._set_line = self._core.set_source if set_line is None else set_line

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
        self._loop.stop_reason = None
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
        self._loop.close()
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
        if self._loop.stop_reason is None:
            self._loop.stop_reason = reason
        self._core.request_stop()  # after the reason: see _clear_stop
        self.profile.interrupt()

    def _do_run(self, limit: int, until: int | None) -> Stop:
        try:
            return self._loop.run(limit, until)
        finally:
            self._busy.release()


def _nothing() -> None:
    """What stops a request that takes no time."""
