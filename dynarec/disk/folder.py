"""A folder of this user's alone, and the files in it: whatever somebody else may have changed is not read.

Everything is reached through the open folder, so that it cannot be exchanged meanwhile. Methods raise OSError, whose
text says what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
OTHERS_WRITE, OTHERS_READ = 0o022, 0o044
PARTIAL = ".partial-"
"""How the names of files begin that are being written."""
ABANDONED_SECONDS = 3600
"""So long after it was begun, nobody writes a file any more."""
OWN = os.O_CLOEXEC | os.O_NOFOLLOW


class Entry(NamedTuple):
    """A file of a folder. used: when it was written or touched last, in nanoseconds."""

    used: int
    size: int
    name: str


class PrivateFolder:
    """Open until `close`."""

    def __init__(self, path: Path, create: bool = True) -> None:
        """create: make it if there is none."""
        self.path = path
        if create:
            _make(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | OWN)
        try:
            _check(self._fd, "the folder", OTHERS_WRITE)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str, most: int, *, secret: bool = False, touch: bool = False) -> bytes:
        """A file of at most so many bytes. secret: nobody else can read it. touch: it has been of use."""
        number = os.open(name, os.O_RDONLY | os.O_NONBLOCK | OWN, dir_fd=self._fd)
        with open(number, "rb", buffering=0) as file:
            size = _check(number, "it", OTHERS_WRITE | (OTHERS_READ if secret else 0), folder=False)
            if size > most:
                raise OSError(f"it has {size} bytes")
            if touch:
                with contextlib.suppress(OSError):
                    os.utime(number)
            return file.read(size)

    def write(self, name: str, data: bytes, *, replace: bool = True) -> None:
        """Let a file appear that is complete. Without `replace`, one that is there stays: FileExistsError."""
        partial = PARTIAL + os.urandom(8).hex()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OWN
            with open(os.open(partial, flags, PRIVATE_FILE, dir_fd=self._fd), "wb") as file:
                file.write(data)
            if replace:
                os.replace(partial, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            else:
                os.link(partial, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        finally:
            self.remove(partial)

    def remove(self, name: str) -> None:
        """If it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def changed(self, name: str) -> tuple[int, int] | None:
        """What differs between a file and another one that takes its place; None: there is no such file."""
        try:
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size

    def entries(self, suffix: str) -> list[Entry]:
        """The files with such names, the one first that was used longest ago. What nobody finished is removed."""
        found = []
        for name, status in self._files():
            if name.startswith(PARTIAL) and time.time() - status.st_mtime > ABANDONED_SECONDS:
                self.remove(name)
            elif name.endswith(suffix):
                found.append(Entry(status.st_mtime_ns, status.st_size, name))
        return sorted(found)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self._fd) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        yield entry.name, status


def _make(path: Path) -> None:
    """With its parents."""
    for each in (*reversed(path.parents), path):
        with contextlib.suppress(FileExistsError):
            if not each.exists():
                each.mkdir(PRIVATE_FOLDER)


def _check(number: int, what: str, forbidden: int, folder: bool = True) -> int:
    """The size of an open file. Raises OSError if it is none, or somebody else's, or open to others."""
    status = os.fstat(number)
    if not folder and not stat.S_ISREG(status.st_mode):
        raise OSError(f"{what} is no file")
    if status.st_uid != os.geteuid():
        raise OSError(f"{what} belongs to somebody else")
    if status.st_mode & forbidden:
        raise OSError(f"others have access to {what} (mode {stat.S_IMODE(status.st_mode):o})")
    return status.st_size
