"""The errno numbers of Linux's asm-generic table, and the translation from the host's (which may be another system)."""

from __future__ import annotations

import errno

_FIRST_NAMES = (
    "EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST"
    " EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM"
    " ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP"
)
"""asm-generic/errno-base.h from 1, then the first of asm-generic/errno.h."""

_LATER_NAMES = {"EOVERFLOW": 75, "EILSEQ": 84, "ENOTSUP": 95, "EOPNOTSUPP": 95, "ETIMEDOUT": 110, "ESTALE": 116}

NUMBERS: dict[str, int] = {name: n for n, name in enumerate(_FIRST_NAMES.split(), 1)} | _LATER_NAMES

EPERM = NUMBERS["EPERM"]
ENOENT = NUMBERS["ENOENT"]
ESRCH = NUMBERS["ESRCH"]
EIO = NUMBERS["EIO"]
EBADF = NUMBERS["EBADF"]
EAGAIN = NUMBERS["EAGAIN"]
ENOMEM = NUMBERS["ENOMEM"]
EACCES = NUMBERS["EACCES"]
EFAULT = NUMBERS["EFAULT"]
EEXIST = NUMBERS["EEXIST"]
ENODEV = NUMBERS["ENODEV"]
ENOTDIR = NUMBERS["ENOTDIR"]
EISDIR = NUMBERS["EISDIR"]
EINVAL = NUMBERS["EINVAL"]
EMFILE = NUMBERS["EMFILE"]
ENOTTY = NUMBERS["ENOTTY"]
ESPIPE = NUMBERS["ESPIPE"]
EPIPE = NUMBERS["EPIPE"]
ERANGE = NUMBERS["ERANGE"]
ENAMETOOLONG = NUMBERS["ENAMETOOLONG"]
ENOSYS = NUMBERS["ENOSYS"]
ELOOP = NUMBERS["ELOOP"]
ETIMEDOUT = NUMBERS["ETIMEDOUT"]


class GuestError(Exception):
    """A system call that fails; `number` is the guest's errno."""

    def __init__(self, number: int) -> None:
        super().__init__(f"guest errno {number}")
        self.number = number


def from_host(error: OSError) -> int:
    """The guest's number of a host error; EIO for what Linux does not know."""
    return NUMBERS.get(errno.errorcode.get(error.errno or 0, ""), EIO)
