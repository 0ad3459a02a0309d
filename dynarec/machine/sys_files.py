"""System calls on open files: reading, writing, positions, descriptors, terminals."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from enum import IntEnum

from dynarec.machine.base import Exited
from dynarec.machine.files import MAX_TRANSFER, OpenFile
from dynarec.machine.linux_errno import EINVAL, ENOTTY, ESPIPE, GuestError
from dynarec.machine.system import Args, CallTable, Result, System, died_of_signal, signed, signed64

FILE_CALLS = CallTable()
_call = FILE_CALLS.call

MAX_IOVECS = 1024
SEEK_END = 2
RESULT_SPAN = 1 << 16
"""A C library keeps the result of _llseek in a local variable: this close above the stack pointer."""
SIGPIPE = 13
SIG_IGN = 1
FD_CLOEXEC = 1
GUEST_O_APPEND = 0o2000
GUEST_O_CLOEXEC = 0o2000000
TCGETS, TIOCGWINSZ = 0x5401, 0x5413
TERMINAL_FLAGS = (0o2400, 0o5, 0o277, 0o105073)
"""c_iflag ICRNL IXON, c_oflag OPOST ONLCR, c_cflag B38400 CS8 CREAD, c_lflag: a terminal in its usual, cooked mode."""
CONTROL_CHARACTERS = bytes([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0])
DIRENT_HEADER = "<QqHB"
DIRENT_ALIGN = 8
TYPE_SHIFT = 12
"""DT_* of a directory entry are the file type bits of st_mode, shifted."""


class Fcntl(IntEnum):
    """The commands of fcntl that are answered."""

    DUPFD = 0
    GETFD = 1
    SETFD = 2
    GETFL = 3
    SETFL = 4
    DUPFD_CLOEXEC = 1030


@_call(63, "read")
def read(system: System, args: Args) -> Result:
    """read(fd, buffer, size)"""
    file = system.files[args[0]]
    data = file.read(system.buffer(args[1], args[2]))
    system.write(args[1], data)
    return len(data)


@_call(64, "write")
def write(system: System, args: Args) -> Result:
    """write(fd, buffer, size)"""
    file = system.files[args[0]]
    return _send(system, file, system.read(args[1], system.buffer(args[1], args[2])))


def _send(system: System, file: OpenFile, data: bytes) -> Result:
    """A closed pipe kills the writer, as it does on Linux, unless the guest ignores SIGPIPE."""
    try:
        return file.write(data)
    except BrokenPipeError:
        if _is_ignored(system, SIGPIPE):
            raise
        return died_of_signal(SIGPIPE)


def _is_ignored(system: System, number: int) -> bool:
    action = system.signal_actions.get(number)
    return action is not None and int.from_bytes(action[:4], "little") == SIG_IGN


def _iovecs(system: System, address: int, count: int) -> Iterator[tuple[int, int]]:
    if count > MAX_IOVECS:
        raise GuestError(EINVAL)
    yield from struct.iter_unpack("<II", system.read(address, count * struct.calcsize("<II")))


@_call(65, "readv")
def readv(system: System, args: Args) -> Result:
    """readv(fd, iovecs, count): stops at the first buffer that is not filled."""
    file, done = system.files[args[0]], 0
    for address, size in _iovecs(system, args[1], args[2]):
        if not size:
            continue
        data = file.read(system.buffer(address, size))
        system.write(address, data)
        done += len(data)
        if len(data) < size or file.is_terminal():
            break
    return done


@_call(66, "writev")
def writev(system: System, args: Args) -> Result:
    """writev(fd, iovecs, count): one write of the joined buffers."""
    file, pieces, room = system.files[args[0]], [], MAX_TRANSFER
    for address, size in _iovecs(system, args[1], args[2]):
        take = min(size, room)
        pieces.append(system.read(address, system.buffer(address, take)))
        room -= take
    return _send(system, file, b"".join(pieces))


@_call(67, "pread64")
def pread(system: System, args: Args) -> Result:
    """pread64(fd, buffer, size, offset low, offset high)"""
    offset = _offset(args[3], args[4])
    data = system.files[args[0]].pread(system.buffer(args[1], args[2]), offset)
    system.write(args[1], data)
    return len(data)


@_call(68, "pwrite64")
def pwrite(system: System, args: Args) -> Result:
    """pwrite64(fd, buffer, size, offset low, offset high)"""
    file = system.files[args[0]]
    return file.pwrite(system.read(args[1], system.buffer(args[1], args[2])), _offset(args[3], args[4]))


def _offset(low: int, high: int) -> int:
    offset = signed64(low, high)
    if offset < 0:
        raise GuestError(EINVAL)
    return offset


@_call(57, "close")
def close(system: System, args: Args) -> Result:
    """close(fd)"""
    system.files.remove(args[0])
    return 0


@_call(62, "lseek")
def lseek(system: System, args: Args) -> Result:
    """Two calls share this number on a 32-bit guest, and nothing in the registers says which one is meant.

    Linux has _llseek(fd, high, low, *result, whence), which returns 0. newlib has lseek(fd, offset, whence), which
    returns the position. A program with newlib's symbols makes the second; any other call is taken as the first when
    it can be one: a high word that is a sign extension, a valid whence, and a result just above the stack pointer.
    """
    if _is_linux_llseek(system, args):
        position = _seek(system.files[args[0]], signed64(args[2], args[1]), args[4])
        system.pack(args[3], "<q", position)
        return 0
    return _seek(system.files[args[0]], signed(args[1]), args[2])


def _is_linux_llseek(system: System, args: Args) -> bool:
    if system.uses_newlib:
        return False
    high, low, result, whence = args[1:5]
    if low > SEEK_END:
        return True
    abi = system.machine.guest.abi
    stack = system.machine.regs[abi.stack] if abi else 0
    return high in (0, 0xFFFFFFFF) and whence <= SEEK_END and 0 <= result - stack < RESULT_SPAN


def _seek(file: OpenFile, offset: int, whence: int) -> int:
    if whence > SEEK_END:
        raise GuestError(EINVAL)
    if file.is_terminal():
        raise GuestError(ESPIPE)
    return file.seek(offset, whence)


@_call(46, "ftruncate")
def ftruncate(system: System, args: Args) -> Result:
    """ftruncate64(fd, size low, size high)"""
    system.files[args[0]].truncate(_offset(args[1], args[2]))
    return 0


@_call(82, "fsync")
@_call(83, "fdatasync")
def fsync(system: System, args: Args) -> Result:
    """fsync(fd): a stream has nothing to flush."""
    file = system.files[args[0]]
    with contextlib.suppress(OSError):
        if file.fd >= 0:
            os.fsync(file.fd)
    return 0


@_call(23, "dup")
def dup(system: System, args: Args) -> Result:
    """dup(fd)"""
    return system.files.add(system.files[args[0]])


@_call(24, "dup3")
def dup3(system: System, args: Args) -> Result:
    """dup3(old, new, flags)"""
    if args[0] == args[1]:
        raise GuestError(EINVAL)
    system.files.replace(args[1], system.files[args[0]], bool(args[2] & GUEST_O_CLOEXEC))
    return args[1]


@_call(25, "fcntl")
def fcntl(system: System, args: Args) -> Result:
    """fcntl64(fd, command, argument): duplicates and flags; no locks."""
    slot = system.files.slot(args[0])
    match args[1]:
        case Fcntl.DUPFD | Fcntl.DUPFD_CLOEXEC:
            return system.files.add(slot.file, args[2], args[1] == Fcntl.DUPFD_CLOEXEC)
        case Fcntl.GETFD:
            return FD_CLOEXEC if slot.close_on_exec else 0
        case Fcntl.SETFD:
            system.files.mark(args[0], bool(args[2] & FD_CLOEXEC))
            return 0
        case Fcntl.GETFL:
            return slot.file.flags & os.O_ACCMODE | (GUEST_O_APPEND if slot.file.flags & os.O_APPEND else 0)
        case Fcntl.SETFL:
            return 0  # the guest cannot make a descriptor of the host non-blocking
    raise GuestError(EINVAL)


@_call(29, "ioctl")
def ioctl(system: System, args: Args) -> Result:
    """ioctl(fd, request, argument): what a C library asks to find out whether it has a terminal."""
    file = system.files[args[0]]
    if not file.is_terminal():
        raise GuestError(ENOTTY)
    if args[1] == TIOCGWINSZ:
        size = os.get_terminal_size(file.fd)
        system.pack(args[2], "<HHHH", size.lines, size.columns, 0, 0)
    elif args[1] == TCGETS:
        system.pack(args[2], "<IIIIB19s", *TERMINAL_FLAGS, 0, CONTROL_CHARACTERS)
    else:
        raise GuestError(ENOTTY)
    return 0


@_call(61, "getdents64")
def getdents(system: System, args: Args) -> Result:
    """getdents64(fd, buffer, size): entries in order of name; the position is kept in the open directory."""
    file = system.files[args[0]]
    entries = file.entries()
    room, data = system.buffer(args[1], args[2]), b""
    while file.next_entry < len(entries):
        record = _dirent(*entries[file.next_entry], file.next_entry + 1)
        if len(data) + len(record) > room:
            break
        data += record
        file.next_entry += 1
    if not data and file.next_entry < len(entries):
        raise GuestError(EINVAL)
    system.write(args[1], data)
    return len(data)


def _dirent(name: str, inode: int, kind: int, following: int) -> bytes:
    text = os.fsencode(name) + b"\0"
    size = struct.calcsize(DIRENT_HEADER) + len(text)
    size += -size % DIRENT_ALIGN
    return (struct.pack(DIRENT_HEADER, inode, following, size, kind >> TYPE_SHIFT) + text).ljust(size, b"\0")


@_call(93, "exit")
@_call(94, "exit_group")
def exit_(system: System, args: Args) -> Result:
    """exit(status): the low byte, as a shell sees it."""
    return Exited(args[0] & 0xFF)
