"""The start of a Linux process: where its stack and heap are, and what lies on the stack."""

from __future__ import annotations

import os
import struct
from enum import IntEnum

from dynarec.errors import DynarecError
from dynarec.machine.address_space import AddressSpace, page_up
from dynarec.machine.base import PAGE_SIZE, Access
from dynarec.machine.sys_process import USER_ID
from dynarec.machine.system import System
from dynarec.program import ADDRESS_SPACE, PROGRAM_HEADER_SIZE, Program

STACK_SIZE = 8 << 20
STACK_TOP = 0x7FFF_F000
STACK_GUARD = 1 << 20
"""Addresses below the stack that are never given to a mapping."""
STACK_ALIGN = 16
HEAP_SIZE = 512 << 20
ARGUMENT_ROOM = STACK_SIZE // 4
"""Arguments and environment may fill this much of the stack, as in Linux."""
RANDOM_SIZE = 16
CLOCK_TICKS = 100
WORD = 4


class Aux(IntEnum):
    """The auxiliary vector's keys (Linux, uapi/linux/auxvec.h)."""

    NULL = 0
    PHDR = 3
    PHENT = 4
    PHNUM = 5
    PAGESZ = 6
    BASE = 7
    FLAGS = 8
    ENTRY = 9
    UID = 11
    EUID = 12
    GID = 13
    EGID = 14
    HWCAP = 16
    CLKTCK = 17
    SECURE = 23
    RANDOM = 25
    EXECFN = 31


def place_stack(space: AddressSpace) -> int | None:
    """The top of the stack: below 2 GiB as usual, or the highest place that the program leaves free; None: no room."""
    size = STACK_SIZE + STACK_GUARD
    if space.is_free(STACK_TOP - size, STACK_TOP):
        return STACK_TOP
    start = space.find_below(ADDRESS_SPACE - PAGE_SIZE, size)
    return None if start is None else start + size


def set_up_memory(system: System) -> int:
    """Map the stack, and place the heap and the area of mmap; the top of the stack."""
    program, space = system.machine.program, system.space
    heap = page_up(program.end)
    top = place_stack(space)
    if top is None:
        raise DynarecError(f"{program.name}: its segments leave no room for a stack of {STACK_SIZE >> 20} MiB")
    space.take(top - STACK_SIZE - STACK_GUARD, top)
    system.map_anonymous(top - STACK_SIZE, STACK_SIZE, Access.READ | Access.WRITE)
    system.set_up_heap(heap, min(heap + HEAP_SIZE, space.free_above(heap)))
    system.mmap_top = top - STACK_SIZE - STACK_GUARD
    return top


def fill_stack(system: System, top: int) -> int:
    """Store argc, argv, envp and the auxiliary vector; the stack pointer the program starts with."""
    program, options = system.machine.program, system.options
    strings = _Strings(top)
    name = strings.add(os.fsencode(program.name))
    arguments = [name, *(strings.add(os.fsencode(a)) for a in options.args)]
    environment = [strings.add(os.fsencode(f"{key}={value}")) for key, value in options.env.items()]
    random = strings.add(system.random_bytes(RANDOM_SIZE))
    vector = [v for pair in _auxiliary(program, random, name).items() for v in pair]
    words = [len(arguments), *arguments, 0, *environment, 0, *vector, int(Aux.NULL), 0]
    if top - strings.start + len(words) * WORD > ARGUMENT_ROOM:
        raise DynarecError(f"{program.name}: its arguments and environment need more than {ARGUMENT_ROOM >> 20} MiB")
    stack = (strings.start - len(words) * WORD) & -STACK_ALIGN
    system.machine.memory.write(stack, struct.pack(f"<{len(words)}I", *words))
    system.machine.memory.write(strings.start, strings.data)
    return stack


class _Strings:
    """Zero-terminated texts that grow down from an address."""

    def __init__(self, top: int) -> None:
        self._parts: list[bytes] = []
        self.start = top

    def add(self, text: bytes) -> int:
        self._parts.append(text + b"\0")
        self.start -= len(text) + 1
        return self.start

    @property
    def data(self) -> bytes:
        return b"".join(reversed(self._parts))


def _auxiliary(program: Program, random: int, name: int) -> dict[int, int]:
    return {
        Aux.PHDR: program.headers_address,
        Aux.PHENT: PROGRAM_HEADER_SIZE,
        Aux.PHNUM: program.headers_count if program.headers_address else 0,
        Aux.PAGESZ: PAGE_SIZE,
        Aux.BASE: 0,
        Aux.FLAGS: 0,
        Aux.ENTRY: program.entry,
        Aux.UID: USER_ID,
        Aux.EUID: USER_ID,
        Aux.GID: USER_ID,
        Aux.EGID: USER_ID,
        Aux.HWCAP: 0,
        Aux.CLKTCK: CLOCK_TICKS,
        Aux.SECURE: 0,
        Aux.RANDOM: random,
        Aux.EXECFN: name,
    }
