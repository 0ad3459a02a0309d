"""Where translations are kept, and the key that authenticates them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from dynarec.disk.folder import PrivateFolder

VARIABLE = "DYNAREC_CACHE_DIR"
"""Of the environment: names the folder of the translations; empty: there is none."""
NAME = "dynarec"
KEY_NAME = "cache.key"
KEY_SIZE = 32
CACHE = ("XDG_CACHE_HOME", ".cache", "Library/Caches")
STATE = ("XDG_STATE_HOME", ".local/state", "Library/Application Support")
"""A variable of the XDG Base Directory Specification 0.8; below the home directory, the place it names, and macOS's."""


def cache_folder() -> Path | None:
    """Where translations are kept; None: nowhere. Raises OSError without a home directory."""
    named = os.environ.get(VARIABLE)
    if named is None:
        return _place(*CACHE)
    return Path(named).absolute() if named else None


def own_key() -> bytes:
    """The user's key, which is made if there is none. Raises OSError."""
    path = _place(*STATE)
    try:
        with PrivateFolder(path) as folder:
            key = _read_key(folder)
    except OSError as error:
        raise OSError(f"the key {path / KEY_NAME}: {error.strerror or error}") from error
    if len(key) != KEY_SIZE:
        raise OSError(f"the key {path / KEY_NAME} is none")
    return key


def _read_key(folder: PrivateFolder) -> bytes:
    try:
        return folder.read(KEY_NAME, KEY_SIZE, secret=True)
    except FileNotFoundError:
        return _make_key(folder)


def _make_key(folder: PrivateFolder) -> bytes:
    """Of two processes that make one at the same time, both get the first one's."""
    with suppress(FileExistsError):
        folder.write(KEY_NAME, os.urandom(KEY_SIZE), replace=False)
    return folder.read(KEY_NAME, KEY_SIZE, secret=True)


def _place(variable: str, place: str, mac_place: str) -> Path:
    named = os.environ.get(variable, "")
    if os.path.isabs(named):  # the specification: others are to be ignored
        return Path(named) / NAME
    try:
        return Path.home() / (mac_place if sys.platform == "darwin" else place) / NAME
    except RuntimeError as error:
        raise OSError("there is no home directory") from error
