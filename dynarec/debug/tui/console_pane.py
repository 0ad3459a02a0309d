"""The console of the program: what it prints, and a line to type into it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from dynarec.tui.listing import Listing
from dynarec.tui.rows import plain


class ProgramInput(Input):
    """The line for the program."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+d", "end_input", "End of input")]

    def action_end_input(self) -> None:
        self.post_message(ConsolePane.Typed(None))


class ConsolePane(Vertical):
    """Posts Typed with each line that is typed into it."""

    class Typed(Message):
        """A line for the program; None: the end of its input."""

        def __init__(self, line: str | None) -> None:
            super().__init__()
            self.line = line

    def __init__(self, title: str) -> None:
        super().__init__(id="console")
        self.border_title = title

    def compose(self) -> ComposeResult:
        yield Listing("printed", "")
        yield ProgramInput(placeholder="what is typed here goes to the program", id="typed", compact=True)

    def show(self, lines: list[str]) -> None:
        """What the program has printed, the end in sight."""
        self.query_one(Listing).show_end(plain(lines))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.value = ""
        self.post_message(self.Typed(event.value))
