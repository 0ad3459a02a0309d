"""System calls on names: opening, status, directories, links. All names are those of the sandbox."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from dynarec.machine.files import OpenFile
from dynarec.machine.linux_errno import EACCES, EINVAL, ERANGE, GuestError
from dynarec.machine.system import Args, CallTable, Result, System, signed

if TYPE_CHECKING:
    from collections.abc import Callable

PATH_CALLS = CallTable()
_call = PATH_CALLS.call

AT_FDCWD = -100
NEWLIB_AT_FDCWD = -2
AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_EMPTY_PATH = 0x100, 0x200, 0x1000

LINUX_FLAGS = {
    0o100: os.O_CREAT,
    0o200: os.O_EXCL,
    0o1000: os.O_TRUNC,
    0o2000: os.O_APPEND,
    0o200000: os.O_DIRECTORY,
    0o400000: os.O_NOFOLLOW,
}
"""asm-generic/fcntl.h"""
NEWLIB_FLAGS = {0x0008: os.O_APPEND, 0x0200: os.O_CREAT, 0x0400: os.O_TRUNC, 0x0800: os.O_EXCL}
"""newlib's sys/_default_fcntl.h; its C library passes them to the system call as they are."""
LINUX_ONLY = 0o300
"""O_CREAT and O_EXCL of Linux: bits that newlib programs do not pass to open."""
CLOSE_ON_EXEC = {True: 0x40000, False: 0o2000000}

STAT_LAYOUT = "<QQIIIIQQqiiqqqqqqqII"
"""struct stat of the 64-bit asm-generic table, 128 bytes.

It is struct kernel_stat of newlib's libgloss on 32 bits: times are 64-bit seconds and 32-bit nanoseconds, padded to 16
bytes. Linux itself has no fstat on new 32-bit guests (they use statx), so nothing else uses these numbers.
"""
STATX_LAYOUT = "<IIQIIIHHQQQQqIIqIIqIIqIIIIII"
STATX_SIZE = 256
STATX_BASIC_STATS = 0x7FF
NANOSECONDS = 10**9
SECTOR = 512
"""The unit of st_blocks."""
FILE_BLOCK = 4096
"""st_blksize: what a C library uses for its buffers."""


def _base(system: System, number: int) -> tuple[str, ...]:
    here = signed(number) in (AT_FDCWD, NEWLIB_AT_FDCWD)
    return system.files.directory(None if here else number)


def _open(system: System, base: tuple[str, ...], path: str, flags: int, mode: int, newlib: bool) -> int:
    table = NEWLIB_FLAGS if newlib else LINUX_FLAGS
    host = flags & os.O_ACCMODE
    for bit, value in table.items():
        host |= value if flags & bit else 0
    file = system.files.open(path, host, mode & 0o777, base)
    return system.files.add(file, close_on_exec=bool(flags & CLOSE_ON_EXEC[newlib]))


@_call(56, "openat")
def openat(system: System, args: Args) -> Result:
    """openat(directory, path, flags, mode): newlib's flags in a program linked with newlib, else those of Linux."""
    base = _base(system, args[0])
    return _open(system, base, system.string(args[1]), args[2], args[3], system.uses_newlib)


@_call(1024, "open")
def open_(system: System, args: Args) -> Result:
    """open(path, flags, mode): newlib's call; flags that newlib does not have are read as those of Linux."""
    newlib = system.uses_newlib or not args[1] & LINUX_ONLY
    return _open(system, system.files.cwd, system.string(args[0]), args[1], args[2], newlib)


def _status_of_path(system: System, base: tuple[str, ...], path: str, follow: bool) -> os.stat_result:
    with system.files.sandbox.place(path, base, follow) as place:
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)


def _status_at(system: System, number: int, address: int, flags: int) -> os.stat_result:
    path = system.string(address) if address else ""
    if not path and flags & AT_EMPTY_PATH:
        return system.files[number].status()
    return _status_of_path(system, _base(system, number), path, not flags & AT_SYMLINK_NOFOLLOW)


def _seconds(nanoseconds: int) -> tuple[int, int]:
    return nanoseconds // NANOSECONDS, nanoseconds % NANOSECONDS


def _major_minor(device: int) -> tuple[int, int]:
    return os.major(device), os.minor(device)


def _store_status(system: System, address: int, found: os.stat_result) -> int:
    owner = (found.st_mode, found.st_nlink, 0, 0)
    times = (*_seconds(found.st_atime_ns), *_seconds(found.st_mtime_ns), *_seconds(found.st_ctime_ns))
    blocks = -(-found.st_size // SECTOR)
    values = (found.st_dev, found.st_ino, *owner, found.st_rdev, 0, found.st_size, FILE_BLOCK, 0, blocks, *times, 0, 0)
    system.pack(address, STAT_LAYOUT, *values)
    return 0


@_call(80, "fstat")
def fstat(system: System, args: Args) -> Result:
    """fstat(fd, result)"""
    return _store_status(system, args[1], system.files[args[0]].status())


@_call(79, "fstatat")
def fstatat(system: System, args: Args) -> Result:
    """fstatat(directory, path, result, flags)"""
    return _store_status(system, args[2], _status_at(system, args[0], args[1], args[3]))


@_call(1038, "stat")
def stat_(system: System, args: Args) -> Result:
    """stat(path, result)"""
    return _store_status(system, args[1], _status_of_path(system, system.files.cwd, system.string(args[0]), True))


@_call(1039, "lstat")
def lstat(system: System, args: Args) -> Result:
    """lstat(path, result)"""
    return _store_status(system, args[1], _status_of_path(system, system.files.cwd, system.string(args[0]), False))


@_call(291, "statx")
def statx(system: System, args: Args) -> Result:
    """statx(directory, path, flags, mask, result)"""
    found = _status_at(system, args[0], args[1], args[2])
    times = [(*_seconds(t), 0) for t in (found.st_atime_ns, 0, found.st_ctime_ns, found.st_mtime_ns)]
    head = (STATX_BASIC_STATS, FILE_BLOCK, 0, found.st_nlink, 0, 0, found.st_mode, 0, found.st_ino, found.st_size)
    devices = (*_major_minor(found.st_rdev), *_major_minor(found.st_dev))
    blocks = -(-found.st_size // SECTOR)
    data = struct.pack(STATX_LAYOUT, *head, blocks, 0, *(v for t in times for v in t), *devices)
    system.write(args[4], data.ljust(STATX_SIZE, b"\0"))
    return 0


@_call(48, "faccessat")
@_call(439, "faccessat2")
def faccessat(system: System, args: Args) -> Result:
    """faccessat(directory, path, mode, flags)"""
    return _access(system, _base(system, args[0]), system.string(args[1]), args[2])


@_call(1033, "access")
def access(system: System, args: Args) -> Result:
    """access(path, mode)"""
    return _access(system, system.files.cwd, system.string(args[0]), args[1])


def _access(system: System, base: tuple[str, ...], path: str, mode: int) -> int:
    if mode & ~(os.R_OK | os.W_OK | os.X_OK):
        raise GuestError(EINVAL)
    with system.files.sandbox.place(path, base) as place:
        os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        if not os.access(place.name, mode, dir_fd=place.directory):
            raise GuestError(EACCES)
    return 0


@_call(35, "unlinkat")
def unlinkat(system: System, args: Args) -> Result:
    """unlinkat(directory, path, flags)"""
    with system.files.sandbox.place(system.string(args[1]), _base(system, args[0]), follow=False) as place:
        remove = os.rmdir if args[2] & AT_REMOVEDIR else os.unlink
        remove(place.name, dir_fd=place.directory)
    return 0


@_call(1026, "unlink")
def unlink(system: System, args: Args) -> Result:
    """unlink(path)"""
    with system.files.sandbox.place(system.string(args[0]), system.files.cwd, follow=False) as place:
        os.unlink(place.name, dir_fd=place.directory)
    return 0


@_call(34, "mkdirat")
def mkdirat(system: System, args: Args) -> Result:
    """mkdirat(directory, path, mode)"""
    return _mkdir(system, _base(system, args[0]), system.string(args[1]), args[2])


@_call(1030, "mkdir")
def mkdir(system: System, args: Args) -> Result:
    """mkdir(path, mode)"""
    return _mkdir(system, system.files.cwd, system.string(args[0]), args[1])


def _mkdir(system: System, base: tuple[str, ...], path: str, mode: int) -> int:
    with system.files.sandbox.place(path, base, follow=False, create=True) as place:
        os.mkdir(place.name, mode & 0o777 & ~system.files.umask, dir_fd=place.directory)
    return 0


Ends = tuple[tuple[str, ...], str, tuple[str, ...], str]


def _two_places(system: System, ends: Ends, act: Callable[[str, str, int, int], None]) -> int:
    """Run a call on two names, neither of them followed when it is a link."""
    sandbox = system.files.sandbox
    old_base, old, new_base, new = ends
    with sandbox.place(old, old_base, False) as source, sandbox.place(new, new_base, False, True) as target:
        act(source.name, target.name, source.directory, target.directory)
    return 0


def _rename(source: str, target: str, source_fd: int, target_fd: int) -> None:
    os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)


def _link(source: str, target: str, source_fd: int, target_fd: int) -> None:
    os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)


def _ends_at(system: System, args: Args) -> Ends:
    return _base(system, args[0]), system.string(args[1]), _base(system, args[2]), system.string(args[3])


@_call(38, "renameat")
def renameat(system: System, args: Args) -> Result:
    """renameat(old directory, old, new directory, new)"""
    return _two_places(system, _ends_at(system, args), _rename)


@_call(276, "renameat2")
def renameat2(system: System, args: Args) -> Result:
    """renameat2(old directory, old, new directory, new, flags): without flags only."""
    if args[4]:
        raise GuestError(EINVAL)
    return _two_places(system, _ends_at(system, args), _rename)


@_call(37, "linkat")
def linkat(system: System, args: Args) -> Result:
    """linkat(old directory, old, new directory, new, flags)"""
    return _two_places(system, _ends_at(system, args), _link)


@_call(1025, "link")
def link(system: System, args: Args) -> Result:
    """link(old, new)"""
    here = system.files.cwd
    return _two_places(system, (here, system.string(args[0]), here, system.string(args[1])), _link)


@_call(78, "readlinkat")
def readlinkat(system: System, args: Args) -> Result:
    """readlinkat(directory, path, buffer, size)"""
    with system.files.sandbox.place(system.string(args[1]), _base(system, args[0]), follow=False) as place:
        text = os.fsencode(os.readlink(place.name, dir_fd=place.directory))[: args[3]]
    system.write(args[2], text)
    return len(text)


@_call(17, "getcwd")
def getcwd(system: System, args: Args) -> Result:
    """getcwd(buffer, size): the guest's own path, from its root; the length with the final zero."""
    text = os.fsencode("/" + "/".join(system.files.cwd)) + b"\0"
    if len(text) > args[1]:
        raise GuestError(ERANGE)
    system.write(args[0], text)
    return len(text)


@_call(49, "chdir")
def chdir(system: System, args: Args) -> Result:
    """chdir(path)"""
    file = system.files.open(system.string(args[0]), os.O_RDONLY | os.O_DIRECTORY)
    system.files.cwd = _closed(file)
    return 0


def _closed(file: OpenFile) -> tuple[str, ...]:
    file.close()
    return file.parts


@_call(50, "fchdir")
def fchdir(system: System, args: Args) -> Result:
    """fchdir(fd)"""
    system.files.cwd = system.files.directory(args[0])
    return 0


@_call(166, "umask")
def umask(system: System, args: Args) -> Result:
    """umask(mask)"""
    previous, system.files.umask = system.files.umask, args[0] & 0o777
    return previous
