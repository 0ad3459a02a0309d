"""System calls on time.

On a 32-bit guest the old numbers (101, 113, 114, 115) carry 32-bit times and the new ones (403, 406, 407) 64-bit times,
as in asm-generic/unistd.h. gettimeofday is newlib's, whose seconds have 64 bits.
"""

from __future__ import annotations

import time

from dynarec.machine.linux_errno import EINVAL, GuestError
from dynarec.machine.system import Args, CallTable, Result, System

TIME_CALLS = CallTable()
_call = TIME_CALLS.call

NANOSECONDS = 10**9
MICROSECOND = 1000
TICKS_PER_SECOND = 100
"""The unit of times(): CLK_TCK."""
NARROW, WIDE = "<ii", "<qq"
TIMER_ABSTIME = 1
CLOCK_REALTIME, CLOCK_PROCESS, CLOCK_THREAD = 0, 2, 3
REALTIME_CLOCKS = frozenset({0, 5, 8, 11})
MONOTONIC_CLOCKS = frozenset({1, 4, 6, 7, 9})
RESOLUTION = 1
LONGEST_SLEEP = 1e8
"""Seconds (three years); select refuses much longer ones."""
SIGN_MASK = 0xFFFFFFFF


def _now(system: System, clock: int) -> int:
    """Nanoseconds of a Linux clock id."""
    if clock in REALTIME_CLOCKS:
        return time.time_ns()
    if clock in MONOTONIC_CLOCKS:
        return system.monotonic.now()
    if clock in (CLOCK_PROCESS, CLOCK_THREAD):
        return system.cpu_time.now()
    raise GuestError(EINVAL)


def _store(system: System, address: int, layout: str, nanoseconds: int) -> int:
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    if layout == NARROW:
        seconds = (seconds & SIGN_MASK) - ((seconds & (SIGN_MASK + 1 >> 1)) << 1)
    system.pack(address, layout, seconds, rest)
    return 0


@_call(113, "clock_gettime")
def clock_gettime(system: System, args: Args) -> Result:
    """clock_gettime(clock, result): 32-bit seconds and nanoseconds."""
    return _store(system, args[1], NARROW, _now(system, args[0]))


@_call(403, "clock_gettime64")
def clock_gettime64(system: System, args: Args) -> Result:
    """clock_gettime64(clock, result): 64-bit seconds and nanoseconds."""
    return _store(system, args[1], WIDE, _now(system, args[0]))


@_call(114, "clock_getres")
def clock_getres(system: System, args: Args) -> Result:
    """clock_getres(clock, result)"""
    _now(system, args[0])
    return _store(system, args[1], NARROW, RESOLUTION) if args[1] else 0


@_call(406, "clock_getres64")
def clock_getres64(system: System, args: Args) -> Result:
    """clock_getres_time64(clock, result)"""
    _now(system, args[0])
    return _store(system, args[1], WIDE, RESOLUTION) if args[1] else 0


@_call(169, "gettimeofday")
def gettimeofday(system: System, args: Args) -> Result:
    """gettimeofday(result, zone): newlib's struct timeval, 64-bit seconds, then microseconds."""
    seconds, rest = divmod(time.time_ns(), NANOSECONDS)
    if args[0]:
        system.pack(args[0], WIDE, seconds, rest // MICROSECOND)
    return 0


@_call(1062, "time")
def time_(system: System, args: Args) -> Result:
    """time(result): newlib's call; 64-bit seconds in memory, the low word as the result."""
    seconds = time.time_ns() // NANOSECONDS
    if args[0]:
        system.pack(args[0], "<q", seconds)
    return seconds


@_call(153, "times")
def times(system: System, args: Args) -> Result:
    """times(result): user time is the time of this process; the result counts from the program's start."""
    ticks = system.cpu_time.now() * TICKS_PER_SECOND // NANOSECONDS
    if args[0]:
        system.pack(args[0], "<iiii", ticks, 0, 0, 0)
    return system.age * TICKS_PER_SECOND // NANOSECONDS & (SIGN_MASK >> 1)


def _sleep(system: System, clock: int, flags: int, address: int, layout: str) -> int:
    seconds, rest = system.unpack(address, layout)
    if seconds < 0 or not 0 <= rest < NANOSECONDS:
        raise GuestError(EINVAL)
    duration = seconds * NANOSECONDS + rest
    if flags & TIMER_ABSTIME:
        duration -= _now(system, clock)
    system.waiter.sleep(min(max(duration, 0) / NANOSECONDS, LONGEST_SLEEP))
    return 0


@_call(101, "nanosleep")
def nanosleep(system: System, args: Args) -> Result:
    """nanosleep(duration, rest): 32-bit times."""
    return _sleep(system, CLOCK_REALTIME, 0, args[0], NARROW)


@_call(115, "clock_nanosleep")
def clock_nanosleep(system: System, args: Args) -> Result:
    """clock_nanosleep(clock, flags, time, rest): 32-bit times."""
    return _sleep(system, args[0], args[1], args[2], NARROW)


@_call(407, "clock_nanosleep64")
def clock_nanosleep64(system: System, args: Args) -> Result:
    """clock_nanosleep_time64(clock, flags, time, rest): 64-bit times."""
    return _sleep(system, args[0], args[1], args[2], WIDE)
