"""Numbers of system calls, and the ones that the tests make most."""

from __future__ import annotations

from dynarec.machine.linux_errno import NUMBERS
from tests.machine.fake import Process

BAD = 0x0000_0008
FDCWD = -100
PAGE = 4096
READ, WRITE, CLOSE, LSEEK, OPENAT, OPEN = 63, 64, 57, 62, 56, 1024
BRK, MMAP, MUNMAP, MPROTECT, MREMAP = 214, 222, 215, 226, 216
ANONYMOUS = 0x22
CREATE, EXCLUSIVE, TRUNCATE, APPEND, DIRECTORY, NOFOLLOW = 0o100, 0o200, 0o1000, 0o2000, 0o200000, 0o400000


def failure(name: str) -> int:
    return -NUMBERS[name]


def open_(process: Process, path: str, flags: int = 0, mode: int = 0o644) -> int:
    return process.call(OPENAT, FDCWD, process.put(path), flags, mode)


def read(process: Process, fd: int, size: int = 100) -> bytes:
    at = process.room(size)
    return process.memory.read(at, process.call(READ, fd, at, size))


def write(process: Process, fd: int, data: bytes) -> int:
    return process.call(WRITE, fd, process.put(data), len(data))
