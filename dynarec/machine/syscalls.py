"""The system calls of Linux's asm-generic table (with newlib's old numbers above 1023), and how one is made."""

from __future__ import annotations

from dynarec.errors import GuestMemoryError
from dynarec.machine.linux_errno import ENOMEM, ENOSYS, GuestError, from_host
from dynarec.machine.sys_files import FILE_CALLS
from dynarec.machine.sys_memory import MEMORY_CALLS
from dynarec.machine.sys_paths import PATH_CALLS
from dynarec.machine.sys_process import PROCESS_CALLS
from dynarec.machine.sys_time import TIME_CALLS
from dynarec.machine.system import Args, CallTable, Result, System

ARGUMENTS = 6


def _all_calls() -> CallTable:
    table = CallTable()
    for part in (FILE_CALLS, PATH_CALLS, MEMORY_CALLS, PROCESS_CALLS, TIME_CALLS):
        table.include(part)
    return table


SYSCALLS = _all_calls().calls
"""number -> (name, function)"""


def name_of(number: int) -> str | None:
    """The name of a system call that is known here."""
    known = SYSCALLS.get(number)
    return known[0] if known else None


def perform(system: System, number: int, args: Args) -> Result:
    """Make one call: its result, or the negated errno, or the outcome when it ends the program.

    args: up to six unsigned 32-bit values; missing ones are 0. Raises Interrupted when a blocking call is given up.
    """
    known = SYSCALLS.get(number)
    if known is None:
        return -ENOSYS
    try:
        return known[1](system, (*args, *(0,) * (ARGUMENTS - len(args))))
    except GuestError as error:
        return -error.number
    except GuestMemoryError:
        return -ENOMEM  # the host has no room for the pages
    except OSError as error:
        return -from_host(error)
