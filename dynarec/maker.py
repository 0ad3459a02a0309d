"""Where units come from: earlier runs have kept them, or they are translated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dynarec.code_cache import NativeUnit
from dynarec.translate import Translator, go_on

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.disk.cache import DiskCache
    from dynarec.disk.record import KeptUnit


class UnitMaker:
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
        self.disk: DiskCache | None = None
        """There is none before the first block is hot: a program that does little does not pay for it."""

    def read_kept(self, breathe: Callable[[], None] = go_on) -> bool:
        """Read, once, what earlier runs have kept; whether there is something for the CPU thread to adopt.

        breathe: see Translator.translate.
        """
        if self._open_disk is None or self.disk is not None or self._is_looked_at():
            return False
        disk = self._open_disk()
        breathe()
        disk.read(breathe)
        self.disk = disk
        return disk.is_to_be_adopted

    def next_idle(self) -> int | None:
        """A block to translate while none is asked for, so that a later run finds it; None: there is none."""
        return self.disk.next_outdated() if self.disk is not None and not self._is_looked_at() else None

    def make(self, key: int, breathe: Callable[[], None] = go_on) -> NativeUnit | KeptUnit:
        """The unit of a block, for the core as it is now. breathe: see Translator.translate."""
        epoch = self._core.epoch
        if self.disk is not None and not self._is_looked_at():
            kept = self.disk.find(key, epoch)
            if kept is not None:
                return kept
        self._translator.left = self._core.left_alone()
        return NativeUnit(self._translator.translate(key, breathe), epoch)
