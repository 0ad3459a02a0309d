"""The line where filters are typed: of units, or of events."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

FILTERS = {
    "units": ("filter", "hot, dead, live, 0x10074, main+0x10, file.c:12, reason:evicted, part of a symbol"),
    "events": ("events", "install, death, link, evict, a reason, #12, part of a symbol"),
}
"""What stands before the line and in it, by the pane that is filtered."""


class FilterLine(Horizontal):
    """Posts Typed with each letter, and Left when the user is done."""

    class Typed(Message):
        """The filter of a pane is another one."""

        def __init__(self, pane: str, text: str) -> None:
            super().__init__()
            self.pane, self.text = pane, text

    class Left(Message):
        """The user goes back to a pane."""

        def __init__(self, pane: str) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._pane = "units"

    def compose(self) -> ComposeResult:
        title, hint = FILTERS[self._pane]
        yield Label(title)
        yield Input(id="filter", placeholder=hint, select_on_focus=False, compact=True)

    def begin(self, pane: str, text: str) -> None:
        """Let the user change the filter of a pane."""
        self._pane = pane
        title, hint = FILTERS[pane]
        field = self.query_one(Input)
        with self.prevent(Input.Changed):
            field.value = text
        field.placeholder = hint
        self.query_one(Label).update(title)
        self.screen.set_focus(field)

    def leave(self) -> None:
        """Go back."""
        self.post_message(self.Left(self._pane))

    def on_input_changed(self, event: Input.Changed) -> None:
        self.post_message(self.Typed(self._pane, event.value))

    def on_input_submitted(self) -> None:
        self.leave()
