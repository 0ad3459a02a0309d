"""What is asked and told in front of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """Closed with Escape, with no answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Leave", show=False)]

    def action_leave(self) -> None:
        self.dismiss(None)


class Choice(Dialog[int]):
    """One of some lines; the answer is its number."""

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._heading = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._heading, id="title", markup=False)
            yield OptionList(*(Option(line) for line in self._lines), markup=False)
            yield Static("Enter chooses, Escape leaves", id="hint")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class Several(Dialog[list[str]]):
    """Any of some names; the answer is those that are chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "done", "Done", priority=True),
        Binding("space", "switch", "Switch", priority=True),
    ]

    def __init__(self, title: str, names: Sequence[str], chosen: Sequence[str]) -> None:
        super().__init__()
        self._heading = title
        self._names = names
        self._chosen = set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._heading, id="title", markup=False)
            yield OptionList(*map(self._line, self._names), markup=False)
            yield Static("Space switches, Enter does it, Escape leaves", id="hint")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Keys do not come to that, a click does."""
        self._switch(event.option_index)

    def action_switch(self) -> None:
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None:
            self._switch(highlighted)

    def action_done(self) -> None:
        self.dismiss([name for name in self._names if name in self._chosen])

    def _switch(self, at: int) -> None:
        name = self._names[at]
        self._chosen ^= {name}
        self.query_one(OptionList).replace_option_prompt_at_index(at, self._line(name))

    def _line(self, name: str) -> str:
        return f"{'[x]' if name in self._chosen else '[ ]'} {name}"


class Help(Dialog[None]):
    """A text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,enter,f1", "leave", show=False)]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._heading = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._heading, id="title", markup=False)
            with VerticalScroll():
                yield Static(self._text)
