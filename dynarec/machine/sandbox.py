"""Guest paths inside one host directory: no name a guest can make reaches outside of it.

Every component is opened relative to the directory before it, without following symbolic links; links are read and
their text is resolved by the same walk, where `/` and `..` stop at the root. So there is no moment at which another
process could exchange a checked name for a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dynarec.errors import DynarecError
from dynarec.machine.linux_errno import EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, GuestError

MAX_LINKS = 40
"""Symbolic links followed in one path, as in Linux."""
MAX_PATH = 4096
MAX_NAME = 255
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place(NamedTuple):
    """A name in an open directory. name is "." for the directory itself; parts is the guest's absolute path."""

    directory: int
    name: str
    parts: tuple[str, ...]


class Sandbox:
    """The guest's file tree. Without a root it is empty, and nothing can be created in it."""

    def __init__(self, root: Path | None) -> None:
        self._root = _open_root(root) if root is not None else None

    @property
    def has_root(self) -> bool:
        """Whether the guest has any files."""
        return self._root is not None

    def close(self) -> None:
        """Release the root directory."""
        if self._root is not None:
            os.close(self._root)
            self._root = None

    @contextmanager
    def place(
        self, path: str, base: tuple[str, ...] = (), follow: bool = True, create: bool = False
    ) -> Iterator[Place]:
        """Resolve a path, relative to the guest directory `base`, to a name that is no link (follow) or may be one.

        Raises GuestError (ENOENT, ENOTDIR, ELOOP, ...); OSError from the host. create only chooses the error when
        there are no files at all.
        """
        if self._root is None:
            raise GuestError(EACCES if create else ENOENT)
        walk = _Walk(self._root)
        try:
            yield walk.run(path, base, follow)
        finally:
            walk.close()


class _Walk:
    """One resolution: a stack of open directories from the root down."""

    def __init__(self, root: int) -> None:
        self._fds = [root]
        self._parts: list[str] = []
        self._links = 0

    def close(self) -> None:
        for fd in self._fds[1:]:
            os.close(fd)
        del self._fds[1:]

    def run(self, path: str, base: tuple[str, ...], follow: bool) -> Place:
        _check_path(path)
        pending = _components(path)
        if not path.startswith("/"):
            pending = list(base) + pending
        must_be_directory = path.endswith("/")
        while pending:
            name = pending.pop(0)
            last = not pending
            if name == "..":
                self._up()
            elif (link := self._link(name)) is not None and (follow or must_be_directory or not last):
                pending = self._expand(link) + pending
            elif last:
                return self._place(name, must_be_directory)
            else:
                self._down(name)
        return Place(self._fds[-1], ".", tuple(self._parts))

    def _place(self, name: str, must_be_directory: bool) -> Place:
        if must_be_directory and not self._may_be_directory(name):
            raise GuestError(ENOTDIR)
        return Place(self._fds[-1], name, (*self._parts, name))

    def _may_be_directory(self, name: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=self._fds[-1], follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return True  # the last call (mkdir, rename) decides

    def _up(self) -> None:
        if len(self._fds) > 1:
            os.close(self._fds.pop())
            self._parts.pop()

    def _down(self, name: str) -> None:
        self._fds.append(os.open(name, DIRECTORY_FLAGS, dir_fd=self._fds[-1]))
        self._parts.append(name)

    def _link(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self._fds[-1])
        except OSError:
            return None  # not a link, or not there: the next step finds out

    def _expand(self, link: str) -> list[str]:
        self._links += 1
        if self._links > MAX_LINKS:
            raise GuestError(ELOOP)
        if link.startswith("/"):
            self.close()
            self._parts.clear()
        return _components(link)


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _check_path(path: str) -> None:
    if not path or "\0" in path:
        raise GuestError(ENOENT)
    if len(path) >= MAX_PATH or any(len(os.fsencode(part)) > MAX_NAME for part in path.split("/")):
        raise GuestError(ENAMETOOLONG)


def _open_root(root: Path) -> int:
    try:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DynarecError(f"--root {root}: cannot be used: {error.strerror}; name an existing directory") from error
