"""What is asked and told in front of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, SelectionList, Static
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

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "done", "Done", priority=True)]

    def __init__(self, title: str, names: Sequence[str], chosen: Sequence[str]) -> None:
        super().__init__()
        self._heading = title
        self._names, self._chosen = names, chosen

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._heading, id="title", markup=False)
            yield SelectionList[str](*((name, name, name in self._chosen) for name in self._names))
            yield Static("Space switches, Enter does it, Escape leaves", id="hint")

    def action_done(self) -> None:
        self.dismiss(list(self.query_one(SelectionList).selected))


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
