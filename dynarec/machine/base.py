"""The contract between the core and a machine profile: what a profile sees, and what it must answer.

A profile gives a program the world it expects: memory, a start state, and an answer to each trap. It runs on the CPU
thread, between two entries of the run loop, and every register it reads is exact (the state at the trapping
instruction).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from dynarec.machine.state import State
from guest_isa.guest import TrapKind as TrapKind
from guest_isa.privileged import Privileged
from guest_isa.profile import Abi

if TYPE_CHECKING:
    from dynarec.program import Program

SIGNAL_STATUS_BASE = 128
"""A shell reports a death by signal n as status 128 + n."""


class Access(IntFlag):
    """What the guest may do with a range of its memory."""

    NONE = 0
    READ = 1
    WRITE = 2
    EXECUTE = 4


class Memory(Protocol):
    """Guest memory: a 32-bit address space, mapped in pages of the guest (`PAGE_SIZE` bytes)."""

    def map(self, address: int, size: int, access: Access) -> None:
        """Map zeroed pages over [address, address + size); what was mapped there is replaced. Both page aligned."""

    def unmap(self, address: int, size: int) -> None:
        """Unmap the range; parts that are not mapped are ignored."""

    def protect(self, address: int, size: int, access: Access) -> None:
        """Change the permissions; raises GuestMemoryError when part of the range is not mapped."""

    def read(self, address: int, size: int, checked: bool = False) -> bytes:
        """The bytes at address; raises GuestMemoryError when not mapped, or (checked) not readable by the guest."""

    def write(self, address: int, data: bytes, checked: bool = False) -> None:
        """Store data; raises GuestMemoryError, before any byte is stored, when not mapped or (checked) not writable."""

    def is_mapped(self, address: int, size: int) -> bool:
        """Whether every byte of the range is mapped."""

    def watch(self, address: int, size: int) -> None:
        """Report the guest's stores to the range to `Profile.stored`."""


PAGE_SIZE = 4096
"""Bytes of a guest page: the unit of mapping and protection."""


class Registers(Protocol):
    """The guest's registers by name or alias; values are unsigned."""

    def __getitem__(self, name: str) -> int: ...

    def __setitem__(self, name: str, value: int) -> None: ...


class GuestFacts(Protocol):
    """The part of a guest declaration that a profile reads."""

    @property
    def name(self) -> str:
        """The guest's name, as in messages and in `uname -m`."""

    @property
    def abi(self) -> Abi | None:
        """The registers of its conventions; None when programs of the guest have no system calls."""

    @property
    def privileged(self) -> Privileged | None:
        """Its machine mode; None when every trap is for the host."""


class Interrupts(Protocol):
    """The guest's interrupt lines and its clock.

    Virtual time counts guest instructions: those retired, and those that were skipped while the guest waited.
    """

    def own_traps(self) -> None:
        """Deliver traps and interrupts to the guest's own handlers, from now on."""

    def set_lines(self, lines: int, up: bool) -> None:
        """Raise or lower interrupt lines (bits of the guest's); from any thread."""

    def set_clock(self, ticks_per_second: int, instructions_per_tick: int) -> None:
        """How the guest's time passes, from 0; with 0 instructions a tick, as the host's clock does."""

    @property
    def ticks(self) -> int:
        """The guest's time."""

    @property
    def virtual_time(self) -> int:
        """Instructions retired and skipped."""

    def request_stop(self) -> None:
        """End the run soon; from any thread."""

    @property
    def elapsed(self) -> int:
        """Nanoseconds of the host's clock since its time was 0; may be set."""

    @elapsed.setter
    def elapsed(self, elapsed: int) -> None: ...

    def set_deadline(self, ticks: int | None, lines: int) -> None:
        """Raise these lines at that time exactly, and not at a time that was set before; None: never."""

    def wait(self, instructions_per_second: int) -> None:
        """Until an interrupt may be there, or a stop is requested.

        Virtual time skips ahead to the deadline, or passes as fast as is said, if that is not 0.
        """

    def add_clint(self, address: int, software: int, timer: int) -> None:
        """A core-local interruptor, with its two interrupt lines."""

    def add_plic(self, address: int, external: int) -> None:
        """An interrupt controller, with its interrupt line."""

    def add_finisher(self, address: int) -> None:
        """A device that switches the machine off."""

    def add_uart(self, address: int, source: int, port: SerialPort, always_ready: bool) -> None:
        """A serial port, its number at the interrupt controller (0: none), and what is at its other end.

        always_ready: it has all its input already, and is asked for it; else input comes by `feed_uart`.
        """

    def set_source(self, number: int, up: bool) -> None:
        """Raise or lower a line into the interrupt controller; from any thread."""

    def feed_uart(self, data: bytes) -> int:
        """Input for the serial port; how many bytes there was room for. From any thread."""

    def flush_uart(self) -> None:
        """Hand on what the guest has sent."""

    def save_devices(self) -> State:
        """The state of these devices, for a snapshot; what the guest has sent is handed on first."""

    def restore_devices(self, state: State) -> None:
        """Make them what they were. Raises BadState."""

    @property
    def uart_hears(self) -> bool:
        """Whether input wakes the guest, as far as is known."""


class SerialPort(Protocol):
    """The other end of the serial port. Both are called on the CPU thread."""

    def send(self, data: bytes) -> None:
        """The guest has sent something."""

    def fetch(self, size: int) -> bytes:
        """Up to so many bytes of input; none when there is no more."""


class Machine(Protocol):
    """The machine as a profile sees it."""

    pc: int

    @property
    def memory(self) -> Memory: ...

    @property
    def regs(self) -> Registers: ...

    @property
    def program(self) -> Program: ...

    @property
    def guest(self) -> GuestFacts: ...

    @property
    def instructions(self) -> int:
        """Guest instructions retired so far."""

    @property
    def interrupts(self) -> Interrupts:
        """The interrupt lines and the clock, for profiles whose guest has a machine mode."""


SIGNALS: Mapping[TrapKind, int] = {
    TrapKind.SYSCALL: 31,
    TrapKind.BREAKPOINT: 5,
    TrapKind.ILLEGAL: 4,
    TrapKind.MISALIGNED: 7,
    TrapKind.ACCESS: 11,
}
"""The Linux signal of each trap that a profile does not handle."""


class Trap(NamedTuple):
    """One trap: the guest's registers and pc are those before the instruction at `pc`.

    cause, name: the guest's own number and name of the cause.
    value: what the guest's manual gives with it (a faulting address, the instruction's bits).
    length: bytes of the trapping instruction, so that pc + length is the next one.
    """

    kind: TrapKind
    cause: int
    name: str
    pc: int
    value: int
    length: int


@dataclass(frozen=True, slots=True)
class Continue:
    """Resume at `machine.pc`, which the profile has set (normally trap.pc + trap.length)."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The program ended by itself; status is 0 to 255, or 128 + n when it sent itself signal n."""

    status: int


@dataclass(frozen=True, slots=True)
class Died:
    """The program cannot continue after this trap; the command line tells the user and exits with `status`."""

    trap: Trap

    @property
    def status(self) -> int:
        return SIGNAL_STATUS_BASE + SIGNALS[self.trap.kind]


Outcome = Continue | Exited | Died


class AccessFault(Exception):  # noqa: N818 - the manual's name of what the guest gets
    """A device refuses an access: the guest gets an access fault."""


class ByteFile(Protocol):
    """The part of an unbuffered binary file that a profile uses; `fileno` may raise OSError (no descriptor)."""

    def read(self, size: int = -1, /) -> bytes | None: ...

    def write(self, data: bytes, /) -> int | None: ...

    def fileno(self) -> int: ...


@dataclass(slots=True)
class Options:
    """What the user asked for.

    args: the program's arguments after its name.
    env: its environment.
    root: the only directory of the host whose files it may reach; None: no files.
    stdin, stdout, stderr: binary file objects; None means the descriptors 0, 1, 2 of this process, unbuffered.
    hardware: of a machine that can be put together in more than one way.
    seed: makes everything random that the profile hands out reproducible; None: from the host's entropy.
    """

    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    root: Path | None = None
    stdin: ByteFile | None = None
    stdout: ByteFile | None = None
    stderr: ByteFile | None = None
    seed: int | None = None
    hardware: Hardware = field(default_factory=lambda: Hardware())


class Hardware(NamedTuple):
    """What machine `virt` consists of.

    board: "virt" (QEMU's) or "mini" (mini-rv32ima's). memory: bytes of RAM. clock: "virtual" or "host".
    dtb: a device tree; None: one that fits. initrd, append: what a kernel finds in the tree.
    """

    board: str = "virt"
    memory: int = 128 << 20
    clock: str = "virtual"
    dtb: Path | None = None
    initrd: Path | None = None
    append: str = ""


class Device:
    """Registers behind a range of guest addresses, whole pages. Offsets and widths (1, 2 or 4) are in bytes.

    The CPU thread calls it. An exception ends the run and comes out of it unchanged, except AccessFault, by which the
    device refuses an access; in either case nothing of the guest's instruction has happened.

    repeats: whether writes may be made again to see the past of a run; else the device hears nothing of that.
    """

    repeats: ClassVar[bool] = False

    def read(self, offset: int, width: int, /) -> int:
        """What the guest loads; its lowest `width` bytes."""
        raise AccessFault(f"read at {offset:#x}")

    def write(self, offset: int, width: int, value: int, /) -> Outcome | None:
        """The guest stores. An Outcome ends the run."""
        raise AccessFault(f"write at {offset:#x}")

    def save(self) -> State:
        """What it needs to be what it is now, for a snapshot: plain values that share nothing that changes."""
        return {}

    def restore(self, state: State) -> None:
        """Become what `save` gave. Raises BadState for what it cannot have given (`dynarec.machine.state.Fields`)."""
        return

    def peek(self, offset: int, width: int, /) -> int | None:
        """What `read` would give, for somebody who looks on: nothing may change. None: that cannot be told."""
        return None


class Answers(Protocol):
    """What answers the guest, on the CPU thread: the machine profile, or somebody who stands between the two."""

    def trap(self, trap: Trap) -> Outcome:
        """Answer one trap."""

    def stored(self, address: int, size: int) -> Outcome:
        """The guest has stored to watched memory; the store is done and machine.pc is the next instruction."""

    def wait(self) -> None:
        """The guest waits for an interrupt: return when there may be one, or when a stop is requested."""


class Profile(ABC):
    """A machine profile. The order of calls: the constructor, `load`, any number of traps, `close`.

    repeats: whether its state at a moment of the past can be had by repeating the run from a state before.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    repeats: ClassVar[bool] = False

    def __init__(self, machine: Machine, options: Options) -> None:
        self.machine = machine
        self.options = options

    @abstractmethod
    def load(self) -> None:
        """Map memory, copy the program's segments, set up the stack, the registers and the pc."""

    @abstractmethod
    def trap(self, trap: Trap) -> Outcome:
        """Answer one trap."""

    def devices(self) -> Sequence[tuple[range, Device]]:
        """Devices and their addresses, whole pages each; asked once, after `load`."""
        return ()

    @property
    def parts(self) -> State:
        """What the machine is made of, as far as the user chooses: a snapshot fits one that is made of the same."""
        return {}

    def save(self) -> State:
        """What the machine is around its CPU and memory, for a snapshot; output that is held back goes out first."""
        return {}

    def restore(self, state: State) -> None:
        """Become what `save` gave; registers and time of the CPU are those of then already, and memory follows.

        Raises BadState for a state that cannot have been saved, and DynarecError for one that cannot be had here; what
        is half done then is undone by a `restore` of what was before.
        """
        return

    def wait(self) -> None:
        """The guest waits for an interrupt: return when there may be one, or when `interrupt` is called."""
        return

    def stored(self, address: int, size: int) -> Outcome:
        """The guest has stored to watched memory; the store is done and machine.pc is the next instruction."""
        return Continue()

    def stand_still(self) -> None:  # noqa: B027
        """The clocks of the guest stand still from now on: somebody looks at it."""

    def go_on(self) -> None:  # noqa: B027
        """They go on from there."""

    def mute(self, muted: bool) -> None:  # noqa: B027
        """A part of the run is repeated: nothing goes out, and nothing waits, until it is over."""

    def rewind(self, state: State) -> None:
        """Become what `save` gave as far as the guest can see it without asking the host: its past is looked at."""
        return

    def interrupt(self) -> None:  # noqa: B027
        """Make a trap that blocks (a read, a sleep) return Continue at the same pc; from any thread.

        The system call is made again when the guest is resumed.
        """

    def close(self) -> None:  # noqa: B027
        """Release what the profile holds (host files). May be called twice."""
