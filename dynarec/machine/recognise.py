"""Which machine a program is for, from the program alone: the machines themselves are not imported for that.

Each function gives the program's convention in words, or None when its machine does not run the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynarec.machine.base import GuestFacts
    from dynarec.program import Program
    from guest_isa.profile import SemihostingMarker

NOTE, NOTE_VALUE = ("dynarec", 1), b"console"
"""The ELF note of console ROMs."""
RAM_START = 0x8000_0000
"""Where machine `virt` has its RAM."""
SOON = 1 << 20
"""Bytes from the entry on in which machine code sets up its trap handler."""
TOHOST = "tohost"
"""The symbol of HTIF."""


def console(program: Program, guest: GuestFacts) -> str | None:
    """A ROM says by an ELF note that it is one."""
    return "console ROM" if program.notes.get(NOTE, b"").rstrip(b"\0") == NOTE_VALUE else None


def virt(program: Program, guest: GuestFacts) -> str | None:
    """A program for the RAM of this machine with code that only machine mode may execute."""
    if guest.privileged is None or not all(segment.address >= RAM_START for segment in program.segments):
        return None
    code = next((s for s in program.segments if s.address <= program.entry < s.end), None)
    if code is None or not re.search(guest.privileged.marker, code.data[:SOON], re.DOTALL):
        return None
    tohost = program.symbols.lookup(TOHOST)
    return "machine mode" if tohost is None else f"machine mode, HTIF tohost at {tohost:#010x}"


def user(program: Program, guest: GuestFacts) -> str | None:
    """Any other program, if its guest makes system calls."""
    if guest.abi is None:
        return None
    tohost = program.symbols.lookup(TOHOST)
    if tohost is not None:
        return f"bare ELF, HTIF tohost at {tohost:#010x}"
    if has_marker(program, guest.abi.semihosting):
        return "bare ELF, semihosting"
    return "static ELF, Linux system calls"


def has_marker(program: Program, marker: SemihostingMarker | None) -> bool:
    """Whether the code has a semihosting call in it; a breakpoint without marker instructions says nothing."""
    if marker is None or not (marker.before or marker.after):
        return False
    whole = marker.before + marker.trap + marker.after
    return any(segment.executable and whole in segment.data for segment in program.segments)


CONVENTIONS: Mapping[str, Callable[[Program, GuestFacts], str | None]] = {
    "console": console,
    "virt": virt,
    "user": user,
}
"""By machine, in the order in which they are asked: those that are sure of themselves first."""
