"""System calls on the address space: brk and the mmap family."""

from __future__ import annotations

from dynarec.errors import GuestMemoryError
from dynarec.machine.address_space import page_down, page_up
from dynarec.machine.base import PAGE_SIZE, Access
from dynarec.machine.linux_errno import EEXIST, EINVAL, ENODEV, ENOMEM, GuestError
from dynarec.machine.system import Args, CallTable, Result, System, signed
from dynarec.program import ADDRESS_SPACE

MEMORY_CALLS = CallTable()
_call = MEMORY_CALLS.call

MAP_SHARED, MAP_TYPE, MAP_FIXED, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 1, 0xF, 0x10, 0x20, 0x100000
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MREMAP_MAYMOVE = 1
MADV_DONTNEED = 4
FILE_CHUNK = 1 << 20


def protection(bits: int) -> Access:
    """The permissions of PROT_* bits."""
    access = Access.READ if bits & PROT_READ else Access.NONE
    access |= Access.WRITE if bits & PROT_WRITE else Access.NONE
    return access | (Access.EXECUTE if bits & PROT_EXEC else Access.NONE)


@_call(214, "brk")
def brk(system: System, args: Args) -> Result:
    """brk(end): the new end of the heap, or the old one when it cannot be moved there."""
    wanted = args[0]
    if not system.heap_start <= wanted <= system.heap_limit:
        return system.heap_end
    old, new = page_up(system.heap_end), page_up(wanted)
    if new > old:
        system.machine.memory.map(old, new - old, Access.READ | Access.WRITE)
    elif new < old:
        system.machine.memory.unmap(new, old - new)
    system.heap_end = wanted
    return wanted


@_call(222, "mmap")
def mmap(system: System, args: Args) -> Result:
    """mmap2(address, size, protection, flags, fd, offset in pages): a file is copied, so it cannot be shared."""
    address, size, bits, flags, number, page = args[:6]
    length = _length(size)
    data_source = None if flags & MAP_ANONYMOUS else system.files[number]
    if data_source and flags & MAP_TYPE == MAP_SHARED and bits & PROT_WRITE:
        raise GuestError(ENODEV)
    start = _fixed(system, address, length, flags) if _is_fixed(flags) else _place(system, address, length)
    system.map_anonymous(start, length, protection(bits))
    if data_source:
        _copy_file(system, number, page * PAGE_SIZE, start, size)
    return start


def _length(size: int) -> int:
    if not size:
        raise GuestError(EINVAL)
    if page_up(size) >= ADDRESS_SPACE:
        raise GuestError(ENOMEM)
    return page_up(size)


def _is_fixed(flags: int) -> bool:
    return bool(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))


def _fixed(system: System, address: int, length: int, flags: int) -> int:
    if address % PAGE_SIZE:
        raise GuestError(EINVAL)
    if address + length > ADDRESS_SPACE:
        raise GuestError(ENOMEM)
    if flags & MAP_FIXED_NOREPLACE and not system.space.is_free(address, address + length):
        raise GuestError(EEXIST)
    return address


def _place(system: System, hint: int, length: int) -> int:
    wanted = page_down(hint)
    if wanted and wanted + length <= ADDRESS_SPACE and system.space.is_free(wanted, wanted + length):
        return wanted
    start = system.space.find_below(system.mmap_top, length)
    if start is None:
        start = system.space.find_below(ADDRESS_SPACE - PAGE_SIZE, length)
    if start is None:
        raise GuestError(ENOMEM)
    return start


def _copy_file(system: System, number: int, offset: int, start: int, size: int) -> None:
    file = system.files[number]
    done = 0
    while done < size:
        data = file.pread(min(FILE_CHUNK, size - done), offset + done)
        if not data:
            return
        system.machine.memory.write(start + done, data)
        done += len(data)


@_call(215, "munmap")
def munmap(system: System, args: Args) -> Result:
    """munmap(address, size)"""
    start, length = _range(args)
    system.machine.memory.unmap(start, length)
    system.space.release(start, start + length)
    _keep_heap(system)
    return 0


def _keep_heap(system: System) -> None:
    """The heap's addresses stay its own, whatever the guest unmaps."""
    if system.heap_limit > system.heap_start:
        system.space.take(system.heap_start, system.heap_limit)


def _range(args: Args) -> tuple[int, int]:
    address, length = args[0], _length(args[1])
    if address % PAGE_SIZE or address + length > ADDRESS_SPACE:
        raise GuestError(EINVAL)
    return address, length


@_call(226, "mprotect")
def mprotect(system: System, args: Args) -> Result:
    """mprotect(address, size, protection)"""
    if not args[1]:
        return 0
    start, length = _range(args)
    try:
        system.machine.memory.protect(start, length, protection(args[2]))
    except GuestMemoryError as error:
        raise GuestError(ENOMEM) from error
    return 0


@_call(216, "mremap")
def mremap(system: System, args: Args) -> Result:
    """mremap(address, old size, new size, flags): shrinks in place; grows in place or, when allowed, by a move.

    The new part, and a moved mapping, can be read and written (what an allocator asks for).
    """
    address, old = _range(args)
    new = _length(args[2])
    if signed(args[3]) & ~MREMAP_MAYMOVE:
        raise GuestError(EINVAL)
    if new <= old:
        return _shrink(system, address, old, new)
    data_access = Access.READ | Access.WRITE
    if address + new <= ADDRESS_SPACE and system.space.is_free(address + old, address + new):
        system.map_anonymous(address + old, new - old, data_access)
        return address
    if not args[3] & MREMAP_MAYMOVE:
        raise GuestError(ENOMEM)
    target = _place(system, 0, new)
    data = system.read(address, old)
    system.map_anonymous(target, new, data_access)
    system.machine.memory.write(target, data)
    munmap(system, (address, old))
    return target


def _shrink(system: System, address: int, old: int, new: int) -> int:
    if new < old:
        munmap(system, (address + new, old - new))
    return address


@_call(233, "madvise")
def madvise(system: System, args: Args) -> Result:
    """madvise(address, size, advice): MADV_DONTNEED makes the pages zero, other advice changes nothing."""
    if args[2] != MADV_DONTNEED or not args[1]:
        return 0
    start, length = _range(args)
    if not system.is_mapped(start, length):
        raise GuestError(ENOMEM)
    for at in range(start, start + length, FILE_CHUNK):
        system.machine.memory.write(at, bytes(min(FILE_CHUNK, start + length - at)))
    return 0


@_call(227, "msync")
@_call(228, "mlock")
@_call(229, "munlock")
def no_effect(system: System, args: Args) -> Result:
    """Memory is never paged out, and files are copies: nothing to do."""
    return 0
