"""The memory of a bare program (semihosting or HTIF): its segments, and the RAM that its linker script expects.

A bare program has no operating system that gives it memory, and no protection: everything can be read, written and
executed. Its startup code sets the stack pointer and copies initial data from where the file stores it.
"""

from __future__ import annotations

from dynarec.machine.address_space import page_down, page_up, place_segments
from dynarec.machine.base import PAGE_SIZE, Access
from dynarec.machine.system import System
from dynarec.program import ADDRESS_SPACE, Segment

ALL = Access.READ | Access.WRITE | Access.EXECUTE
TOP_SYMBOLS = ("__stack", "__stack_top", "_stack_top", "_sp", "_estack", "__heap_end", "_heap_end")
"""Linker scripts put these at or near the end of RAM."""
RAM_BEYOND = 16 << 20
"""Memory after the last segment, whatever the symbols say."""
LARGEST_RAM = 512 << 20
"""A symbol farther from the segment below it says where a stack is, not how much RAM there is in between."""
STACK_ROOM = 1 << 20
STACK_ALIGN = 16


def set_up_memory(system: System) -> int:
    """Map and fill memory; the top of RAM, for programs that do not set their stack pointer."""
    program = system.machine.program
    place_segments(system.machine.memory, system.space, program.segments, ALL)
    for segment in program.segments:
        _store_initial_data(system, segment)
    for name in TOP_SYMBOLS:
        address = program.symbols.lookup(name)
        if address is not None:
            _extend_to(system, address)
    top = _extend_beyond(system, page_up(program.end))
    room = min(STACK_ROOM, (top - program.end) // 2)
    system.heap_start, system.heap_end = page_up(program.end), page_up(program.end)
    system.heap_limit = max(system.heap_start, page_down(top - room))
    system.stack_top = top & -STACK_ALIGN
    return system.stack_top


def _store_initial_data(system: System, segment: Segment) -> None:
    """Data whose load address differs (a PHDR's p_paddr) is there too: startup code copies it from there."""
    end = segment.physical + len(segment.data)
    if not segment.data or not segment.physical or end > ADDRESS_SPACE:
        return
    if any(s.address < end and segment.physical < s.end for s in system.machine.program.segments):
        return  # its own address, or that of another segment: what is loaded there stays
    map_missing(system, page_down(segment.physical), page_up(end))
    system.machine.memory.write(segment.physical, segment.data)


def map_missing(system: System, start: int, end: int) -> None:
    """Map what is not mapped yet of a page-aligned range."""
    for page in range(start, end, PAGE_SIZE):
        if not system.machine.memory.is_mapped(page, PAGE_SIZE):
            system.map_anonymous(page, PAGE_SIZE, ALL)


def _extend_to(system: System, address: int) -> None:
    """Map from the last taken address below a symbol up to it; nothing when no segment lies below."""
    below = [span for span in system.space.spans() if span.start < address]
    if not below or address <= below[-1].end:
        return
    start = below[-1].end
    if address - start > LARGEST_RAM:
        start = max(start, page_down(address - RAM_BEYOND))
    system.map_anonymous(start, page_up(address) - start, ALL)


def _extend_beyond(system: System, end: int) -> int:
    """At least RAM_BEYOND from the end of the program, where that is free; the end of the RAM there."""
    ram_end = next((span.end for span in system.space.spans() if span.start < end <= span.end), end)
    limit = min(end + RAM_BEYOND, system.space.free_above(ram_end))
    if limit > ram_end:
        system.map_anonymous(ram_end, limit - ram_end, ALL)
    return max(ram_end, limit)
