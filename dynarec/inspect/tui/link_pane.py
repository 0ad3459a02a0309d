"""The links of the selected unit: a tree whose branches are opened and closed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.tui.links import link_rows, serial_of
from dynarec.inspect.tui.pane import Pane


class LinkPane(Pane):
    """Remembers which branches are open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "branch(True)", "Open", show=False),
        Binding("left,h", "branch(False)", "Close", show=False),
    ]

    def __init__(self, title: str) -> None:
        super().__init__("links", title)
        self._recording: Recording | None = None
        self._unit: Unit | None = None
        self._opened: set[str] = set()

    def show_links(self, recording: Recording, unit: Unit | None) -> None:
        """Show those of a unit; for another one than before, with its branches closed."""
        if unit is None or self._unit is None or unit.serial != self._unit.serial:
            self._opened.clear()
        self._recording, self._unit = recording, unit
        self.show(link_rows(recording, unit, self._opened))

    def action_branch(self, is_open: bool) -> None:
        key = self.rows[self.cursor].key if self.cursor < len(self.rows) else ""
        if self._recording is None or not serial_of(key):
            return
        if is_open:
            self._opened.add(key)
        else:
            self._opened.discard(key)
        self.show_links(self._recording, self._unit)
