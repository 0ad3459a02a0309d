"""The table of units: only what is in sight is made."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message

from dynarec.inspect.tui.columns import COLUMNS, Column
from dynarec.inspect.tui.heat import heat
from dynarec.inspect.tui.pane import Pane, Rows
from dynarec.inspect.tui.view import View, Wish
from dynarec.tui.rows import Row, Span

UP, DOWN = "▲", "▼"
WIDTH = sum(column.width + 1 for column in COLUMNS)


class UnitTable(Pane):
    """Posts Sorted when a heading is clicked."""

    HEADS = 1
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "app.pane('guest')", "Code", show=False)]

    class Sorted(Message):
        """Somebody wants to sort by a column."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, title: str) -> None:
        super().__init__("units", title)
        self._view: View | None = None
        self.selected = 0

    def show_view(self, view: View, selected: int) -> None:
        """Show the units of a view; the cursor is on the selected one where it is among them."""
        self._view, self.selected = view, selected
        cursor = view.table.rank.get(selected, min(self.cursor, max(0, len(view.table.units) - 1)))
        self.show_long(Rows(len(view.table.units), self._row), WIDTH, cursor)

    def head(self, y: int) -> Row:
        assert y == 0
        wish = self._view.wish if self._view else Wish()
        return Row(tuple(_heading(column, wish.sort, wish.is_reversed) for column in COLUMNS))

    def _row(self, at: int) -> Row:
        assert self._view is not None
        view, unit = self._view, self._view.table.units[at]
        spans = [_cell(column, view, at) for column in COLUMNS]
        return Row(tuple(spans), str(unit.serial))

    def ground(self, at: int, row: Row) -> str:
        found = super().ground(at, row)
        return "here" if not found and row.key == str(self.selected) else found

    def on_click(self, event: Click) -> None:
        where = event.get_content_offset_capture(self)
        if where.y >= self.HEADS:
            super().on_click(event)
            return
        x = where.x + self.scroll_offset.x
        for column in COLUMNS:
            x -= column.width + 1
            if x < 0:
                self.post_message(self.Sorted(column.name))
                return


def _fit(column: Column, text: str) -> str:
    fitted = text if len(text) <= column.width else text[: column.width - 1] + "…"
    return f"{fitted:<{column.width}} " if column.is_text else f"{fitted:>{column.width}} "


def _heading(column: Column, sort: str, is_reversed: bool) -> Span:
    if column.name != sort:
        return _fit(column, column.title), "head"
    arrow = DOWN if column.falls != is_reversed else UP
    text = column.title[: column.width - 1]
    return _fit(column, text + arrow if column.is_text else arrow + text), "sorted"


def _cell(column: Column, view: View, at: int) -> Span:
    unit = view.table.units[at]
    role = column.role
    if column.name == "share":
        role = heat(view.recording.share(unit), view.most)
    elif column.name == "reason" and unit.died is not None:
        role = "error"
    return _fit(column, column.text(view.recording, unit)), role
