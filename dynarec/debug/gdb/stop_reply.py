"""What a client is told of a stop (GDB manual, "Stop Reply Packets")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynarec.debug.gdb.description import THREAD
from dynarec.debug.gdb.points import WATCH_WORDS
from dynarec.debug.stoppers import Watchpoint
from dynarec.debug.stops import Reason, Stopped
from guest_isa.guest import TrapKind

if TYPE_CHECKING:
    from dynarec.debug.gdb.target import Target
    from dynarec.debug.gdb.text import Features

SIGINT, SIGILL, SIGTRAP, SIGKILL, SIGBUS, SIGSEGV, SIGSYS = 2, 4, 5, 9, 10, 11, 12
"""As the protocol numbers them (GDB's include/gdb/signals.def)."""
SIGNALS = {
    TrapKind.SYSCALL: SIGSYS,
    TrapKind.BREAKPOINT: SIGTRAP,
    TrapKind.ILLEGAL: SIGILL,
    TrapKind.MISALIGNED: SIGBUS,
    TrapKind.ACCESS: SIGSEGV,
}
KINDS = {
    Reason.STEP: "trace",
    Reason.BREAKPOINT: "breakpoint",
    Reason.WATCHPOINT: "watchpoint",
}
"""LLDB's names of reasons; others are signals to it."""


def stop_reply(target: Target, features: Features) -> str:
    """Why the program is where it is."""
    stopped = target.debugger.stopped
    if target.killed_by is not None:
        return f"X{target.killed_by:02x}"
    if stopped.reason is Reason.EXITED:
        return f"W{stopped.status or 0:02x}"
    parts = [f"T{signal_of(stopped):02x}{_registers(target)}", f"thread:{THREAD:x}", *_why(stopped, features)]
    if features.threads:
        parts += [f"threads:{THREAD:x}", f"thread-pcs:{stopped.pc:x}"]
        parts += [f"reason:{KINDS[stopped.reason]}"] if stopped.reason in KINDS else []
    return ";".join(parts) + ";"


def signal_of(stopped: Stopped) -> int:
    """The signal that a stop looks like."""
    if stopped.reason is Reason.INTERRUPTED:
        return SIGINT
    return SIGNALS[stopped.trap.kind] if stopped.trap else SIGTRAP


def what_happened(stopped: Stopped) -> str:
    """What a client's user should know beyond that, in words; "" for nothing."""
    if stopped.trap is not None:
        return f"{stopped.trap.name} at {stopped.trap.pc:#010x}, value {stopped.trap.value:#x}"
    access = stopped.access
    if stopped.reason is Reason.CATCHPOINT and access is not None:
        return f"{access.kind} of {access.size} bytes at {access.address:#010x}"
    return stopped.detail


def _registers(target: Target) -> str:
    """What clients ask for first."""
    number = target.registers.pc
    return f"{number:02x}:{target.registers.read(number).hex()}"


def _why(stopped: Stopped, features: Features) -> list[str]:
    if stopped.reason is Reason.BEGINNING:
        return ["replaylog:begin"]
    if stopped.reason is Reason.BREAKPOINT and features.breaks:
        return ["swbreak:"]
    if stopped.reason is not Reason.WATCHPOINT:
        return []
    point = next(each for each in stopped.stoppers if isinstance(each, Watchpoint))
    return [f"{WATCH_WORDS[point.watched]}:{watched_address(stopped, point):x}"]


def watched_address(stopped: Stopped, point: Watchpoint) -> int:
    """The first byte that is watched and accessed: clients look for the watchpoint by it."""
    accessed = stopped.access.address if stopped.access else 0
    return max(point.addresses.start, accessed)
