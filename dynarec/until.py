"""Running up to an address, exactly, whatever runs the guest."""

from __future__ import annotations

from collections.abc import Callable

from dynarec.core import Core, CoreStop
from dynarec.guest_state import PAGE, PageFlag
from dynarec.machine.base import Access
from guest_isa.guest import Guest


class UntilGuard:
    """Keeps the guest from running past an address unseen.

    While the guest runs elsewhere, the page of the address is not executable: coming there is a trap. On the page
    itself the guest goes step by step.
    """

    def __init__(self, core: Core, guest: Guest, until: int, translate: Callable[[], None]) -> None:
        """translate: makes the translation that the core asks for."""
        self._core = core
        self._fetch_cause = guest.access_causes.fetch
        self._page = until & -PAGE
        self._translate = translate
        self._stopped_at_page = False

    def run(self, limit: int) -> CoreStop | None:
        """As `Core.run`; None when the caller should compare the pc and call again."""
        if self._stopped_at_page or self._is_on_page():
            self._stopped_at_page = False
            stop = self._core.run(min(limit, 1))
            return None if stop is CoreStop.BUDGET and limit else stop
        memory = self._core.memory
        flags = memory.flags(self._page)
        if not flags & Access.EXECUTE:
            return self._core.run(limit)
        memory.set_flags(self._page, flags & ~Access.EXECUTE or PageFlag.KEPT)
        try:
            stop = self._run_translating(limit)
        finally:
            memory.set_flags(self._page, flags)
        self._stopped_at_page = self._is_at_page(stop)
        return None if self._stopped_at_page else stop

    def _run_translating(self, limit: int) -> CoreStop:
        """Translations are made while the page is guarded, so that no trace runs into it."""
        end = self._core.instructions + limit
        stop = self._core.run(limit)
        while stop is CoreStop.TRANSLATE and not self._is_on_page():
            self._translate()
            stop = self._core.run(end - self._core.instructions)
        return stop

    def _is_on_page(self) -> bool:
        return self._core.regs["pc"] & -PAGE == self._page

    def _is_at_page(self, stop: CoreStop) -> bool:
        """An instruction can begin in front of the page and reach into it, so the pc alone does not tell."""
        return (self._is_on_page() and stop is CoreStop.TRANSLATE) or (
            stop is CoreStop.TRAP and self._core.trap.cause == self._fetch_cause
        )
