"""How far an input has been read, for inputs that can be read again: files, and Python objects that can be sought."""

from __future__ import annotations

import io
import os
import stat

from dynarec.machine.base import ByteFile


def input_position(file: ByteFile | None, descriptor: int | None) -> int | None:
    """Bytes from the start; None for an input that comes when it comes. The descriptor counts if there is one."""
    try:
        if descriptor is not None:
            return os.lseek(descriptor, 0, os.SEEK_CUR) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        return file.tell() if isinstance(file, io.IOBase) and file.seekable() else None
    except (OSError, ValueError):
        return None


def set_input_position(file: ByteFile | None, descriptor: int | None, position: int) -> bool:
    """Read on from there; False if the input cannot be sought: it goes on where it is."""
    if input_position(file, descriptor) is None:
        return False
    try:
        if descriptor is not None:
            os.lseek(descriptor, position, os.SEEK_SET)
        elif isinstance(file, io.IOBase):
            file.seek(min(position, file.seek(0, os.SEEK_END)))
    except (OSError, ValueError, OverflowError):
        return False
    return True
