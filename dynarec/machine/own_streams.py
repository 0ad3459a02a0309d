"""This process's own standard streams, for programs that are given no others."""

from __future__ import annotations

import errno
import os
import sys


def own_stream(number: int) -> int:
    """The descriptor of the standard stream 0, 1 or 2. Raises OSError (EBADF) if this process was started without it.

    The descriptor may exist all the same: the system gives its number to whatever dynarec itself opens next.
    """
    if (sys.__stdin__, sys.__stdout__, sys.__stderr__)[number] is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return number
