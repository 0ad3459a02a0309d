"""System calls on the process: identity, signals, limits, threads (there is one), system facts."""

from __future__ import annotations

import os
import struct
from enum import IntEnum

from dynarec.machine.linux_errno import EAGAIN, EFAULT, EINVAL, ENOSYS, ESRCH, ETIMEDOUT, GuestError
from dynarec.machine.system import ACTION_SIZE, MASK_SIZE, Args, CallTable, Result, System, died_of_signal, signed

PROCESS_CALLS = CallTable()
_call = PROCESS_CALLS.call

PROCESS_ID = 1000
"""The guest is alone: its process and its thread have one number, and its parent is 1."""
PARENT_ID = 1
USER_ID = 1000
NAME_SIZE = 65
MAX_SIGNAL = 64
SIGKILL, SIGSTOP, SIGCHLD, SIGCONT, SIGURG, SIGWINCH = 9, 19, 17, 18, 23, 28
IGNORED_BY_DEFAULT = frozenset({SIGCHLD, SIGCONT, SIGURG, SIGWINCH})
SIG_DFL, SIG_IGN = 0, 1
SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2
UNLIMITED = (1 << 64) - 1
WORD_MASK = 0xFFFFFFFF
WORD_SIZE = 4
ENDS = 3
"""The words of argc and of the two null pointers that end argv and the environment."""
RLIMIT_STACK, RLIMIT_NOFILE = 3, 7
RLIMIT_COUNT = 16
LIMITS = {RLIMIT_STACK: 8 << 20, RLIMIT_NOFILE: 1024}
FUTEX_COMMAND = 0x7F
"""The operation without its flags (private, realtime clock)."""
SYSINFO_LAYOUT = "<i3I6IHHIII8x"
TOTAL_MEMORY = 1 << 31
LARGEST_RANDOM = 1 << 20


class FutexOperation(IntEnum):
    """The operations that make sense with one thread."""

    WAIT = 0
    WAKE = 1
    WAIT_BITSET = 9
    WAKE_BITSET = 10


@_call(172, "getpid")
@_call(178, "gettid")
@_call(96, "set_tid_address")
def process_id(system: System, args: Args) -> Result:
    """The number of the one process and its one thread."""
    return PROCESS_ID


@_call(173, "getppid")
def parent_id(system: System, args: Args) -> Result:
    """The parent's number."""
    return PARENT_ID


@_call(174, "getuid")
@_call(175, "geteuid")
@_call(176, "getgid")
@_call(177, "getegid")
def user_id(system: System, args: Args) -> Result:
    """An ordinary user, not the host's."""
    return USER_ID


@_call(99, "set_robust_list")
@_call(124, "sched_yield")
@_call(132, "sigaltstack")
@_call(259, "flush_icache")
def accept(system: System, args: Args) -> Result:
    """Calls that change nothing for a single thread."""
    return 0


@_call(160, "uname")
def uname(system: System, args: Args) -> Result:
    """uname(result): six fields of 65 bytes."""
    fields = ("Linux", "dynarec", "5.15.0", "#1", system.machine.guest.name, "(none)")
    system.write(args[0], b"".join(field.encode()[: NAME_SIZE - 1].ljust(NAME_SIZE, b"\0") for field in fields))
    return 0


@_call(179, "sysinfo")
def sysinfo(system: System, args: Args) -> Result:
    """sysinfo(result)"""
    uptime = system.age // 10**9
    memory = (TOTAL_MEMORY, TOTAL_MEMORY // 2, 0, 0, 0, 0)
    system.pack(args[0], SYSINFO_LAYOUT, uptime, 0, 0, 0, *memory, 1, 0, 0, 0, 1)
    return 0


@_call(278, "getrandom")
def getrandom(system: System, args: Args) -> Result:
    """getrandom(buffer, size, flags)"""
    size = system.buffer(args[0], min(args[1], LARGEST_RANDOM))
    system.write(args[0], system.random_bytes(size))
    return size


@_call(134, "rt_sigaction")
def rt_sigaction(system: System, args: Args) -> Result:
    """rt_sigaction(signal, new, old, set size): kept and returned; handlers are never run."""
    number, new, old = args[:3]
    if not 0 < number <= MAX_SIGNAL or (new and number in (SIGKILL, SIGSTOP)):
        raise GuestError(EINVAL)
    action = system.read(new, ACTION_SIZE) if new else None
    if old:
        system.write(old, system.signal_actions.get(number, bytes(ACTION_SIZE)))
    if action is not None:
        system.signal_actions[number] = action
    return 0


@_call(135, "rt_sigprocmask")
def rt_sigprocmask(system: System, args: Args) -> Result:
    """rt_sigprocmask(how, new, old, set size)"""
    how, new, old = args[:3]
    change = int.from_bytes(system.read(new, MASK_SIZE), "little") if new else None
    if old:
        system.write(old, system.signal_mask)
    if change is not None:
        held = int.from_bytes(system.signal_mask, "little")
        choices = {SIG_BLOCK: held | change, SIG_UNBLOCK: held & ~change, SIG_SETMASK: change}
        if how not in choices:
            raise GuestError(EINVAL)
        system.signal_mask = choices[how].to_bytes(MASK_SIZE, "little")
    return 0


@_call(129, "kill")
@_call(130, "tkill")
def kill(system: System, args: Args) -> Result:
    """kill(process, signal): to itself only."""
    return _send_signal(system, args[0], args[1])


@_call(131, "tgkill")
def tgkill(system: System, args: Args) -> Result:
    """tgkill(process, thread, signal)"""
    return _send_signal(system, args[1], args[2])


def _send_signal(system: System, target: int, number: int) -> Result:
    """The default action of the signal; ENOSYS when the guest has a handler for it, which cannot be run."""
    if signed(target) not in (PROCESS_ID, 0, -1, -PROCESS_ID):
        raise GuestError(ESRCH)
    if number > MAX_SIGNAL:
        raise GuestError(EINVAL)
    handler = int.from_bytes(system.signal_actions.get(number, bytes(ACTION_SIZE))[:4], "little")
    if number == 0 or handler == SIG_IGN or (handler == SIG_DFL and number in IGNORED_BY_DEFAULT):
        return 0
    if handler != SIG_DFL:
        raise GuestError(ENOSYS)
    return died_of_signal(number)


@_call(163, "getrlimit")
def getrlimit(system: System, args: Args) -> Result:
    """getrlimit(resource, result): 32-bit values."""
    if args[0] >= RLIMIT_COUNT:
        raise GuestError(EINVAL)
    limit = LIMITS.get(args[0], UNLIMITED) & WORD_MASK
    system.pack(args[1], "<II", limit, limit)
    return 0


@_call(261, "prlimit64")
def prlimit64(system: System, args: Args) -> Result:
    """prlimit64(process, resource, new, old): limits are reported; new ones are accepted and have no effect."""
    if args[1] >= RLIMIT_COUNT:
        raise GuestError(EINVAL)
    if args[2]:
        system.unpack(args[2], "<QQ")
    if args[3]:
        limit = LIMITS.get(args[1], UNLIMITED)
        system.pack(args[3], "<QQ", limit, limit)
    return 0


@_call(98, "futex")
def futex(system: System, args: Args) -> Result:
    """futex(address, operation, value, timeout): 32-bit timeout."""
    return _futex(system, args, "<ii")


@_call(422, "futex64")
def futex64(system: System, args: Args) -> Result:
    """futex_time64(address, operation, value, timeout): 64-bit timeout."""
    return _futex(system, args, "<qq")


def _futex(system: System, args: Args, layout: str) -> Result:
    """No other thread can wake this one: waiting returns at once, as if another value had been seen."""
    match args[1] & FUTEX_COMMAND:
        case FutexOperation.WAIT | FutexOperation.WAIT_BITSET:
            (value,) = system.unpack(args[0], "<I")
            if value == args[2] and args[3]:
                system.unpack(args[3], layout)
                raise GuestError(ETIMEDOUT)
            raise GuestError(EAGAIN)
        case FutexOperation.WAKE | FutexOperation.WAKE_BITSET:
            return 0
    raise GuestError(ENOSYS)


@_call(2011, "getmainvars")
def getmainvars(system: System, args: Args) -> Result:
    """getmainvars(buffer, size): argc, argv and an empty environment, for newlib programs that ask."""
    buffer, room = args[0], args[1]
    texts = [os.fsencode(t) + b"\0" for t in (system.machine.program.name, *system.options.args)]
    pointers_size = WORD_SIZE * (len(texts) + ENDS)
    total = pointers_size + sum(map(len, texts))
    if total > room:
        raise GuestError(EINVAL)
    if not system.is_mapped(buffer, total):
        raise GuestError(EFAULT)
    addresses, at = [], buffer + pointers_size
    for text in texts:
        addresses.append(at)
        at += len(text)
    words = [len(texts), *addresses, 0, 0]
    system.write(buffer, struct.pack(f"<{len(words)}I", *words) + b"".join(texts))
    return 0
