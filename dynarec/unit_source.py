"""Where units come from: earlier runs have kept them, or they are translated."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from dynarec.code_cache import NativeUnit
from dynarec.translate import Translator, go_on

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.disk.cache import DiskCache
    from dynarec.disk.record import KeptUnit

PARTS = tuple(f"dynarec.disk.{name}" for name in ("units_file", "identity", "folder", "store", "cache"))
"""What the persistent translation cache is made of: several milliseconds of the GIL together."""


class UnitSource:
    """Of one machine; one thread at a time may use it."""

    def __init__(
        self,
        core: Core,
        translator: Translator,
        open_disk: Callable[[], DiskCache] | None,
        is_looked_at: Callable[[], bool],
    ) -> None:
        """open_disk: gives the persistent translation cache; None: there is none.

        is_looked_at: whether somebody wants to know how units are made: then all are translated.
        """
        self._core = core
        self._translator = translator
        self._open_disk = open_disk
        self._is_looked_at = is_looked_at
        self._opened: DiskCache | None = None
        self._process = os.getpid()

    @property
    def disk(self) -> DiskCache | None:
        """Of use now. There is none before the first block is hot: a program that does little does not pay for it.

        In the child of a fork there is none either: the parent's threads, which may have had its locks, are not there.
        """
        if self._opened is None or self._is_looked_at() or self._process != os.getpid():
            return None
        return self._opened

    @property
    def is_waiting(self) -> bool:
        """Whether there may be units of earlier runs to install before anything else."""
        return self.disk is not None and self.disk.is_waiting

    def read_kept(self, breathe: Callable[[], None] = go_on) -> None:
        """Read, once, what earlier runs have kept. breathe: see Translator.translate."""
        if self._open_disk is None or self._opened is not None or self._is_looked_at():
            return
        for name in PARTS:
            import_module(name)
            breathe()
        disk = self._open_disk()
        disk.read(breathe)
        self._opened = disk

    def is_due(self, key: int) -> bool:
        """Whether a hot block is to have its unit."""
        return self.disk is None or self.disk.is_due(key)

    def make(self, key: int, breathe: Callable[[], None] = go_on) -> NativeUnit | KeptUnit:
        """The unit of a block, for the core as it is now. breathe: see Translator.translate."""
        epoch = self._core.epoch
        kept = self.disk.find(key, epoch) if self.disk is not None else None
        if kept is not None:
            return kept
        self._translator.left = self._core.left_alone()
        return NativeUnit(self._translator.translate(key, breathe), epoch)

    def close(self) -> None:
        """Save what is new."""
        if self._opened is not None and self._process == os.getpid():
            self._opened.close()
