"""Running up to an address, exactly, whatever runs the guest."""

from __future__ import annotations

from dynarec.core import PAGE, Core, CoreStop, PageFlag
from dynarec.machine.base import Access
from guest_isa.guest import Guest


class UntilGuard:
    """Keeps the guest from running past an address unseen.

    While the guest runs elsewhere, the page of the address is not executable: coming there is a trap. On the page itself
    the guest goes step by step.
    """

    def __init__(self, core: Core, guest: Guest, until: int) -> None:
        self._core = core
        self._fetch_cause = guest.access_causes.fetch
        self._page = until & -PAGE
        self._stopped_at_page = False

    def run(self, limit: int) -> CoreStop | None:
        """As `Core.run`; None when the caller should compare the pc and call again."""
        if self._stopped_at_page or self._core.regs["pc"] & -PAGE == self._page:
            self._stopped_at_page = False
            stop = self._core.run(min(limit, 1))
            return None if stop is CoreStop.BUDGET and limit else stop
        return self._run_elsewhere(limit)

    def _run_elsewhere(self, limit: int) -> CoreStop | None:
        memory = self._core.memory
        flags = memory.flags(self._page)
        if not flags & Access.EXECUTE:
            return self._core.run(limit)
        memory.set_flags(self._page, flags & ~Access.EXECUTE or PageFlag.KEPT)
        try:
            stop = self._core.run(limit)
        finally:
            memory.set_flags(self._page, flags)
        # An instruction can begin in front of the page and reach into it, so the pc does not tell.
        self._stopped_at_page = stop is CoreStop.TRAP and self._core.trap.cause == self._fetch_cause
        return None if self._stopped_at_page else stop
