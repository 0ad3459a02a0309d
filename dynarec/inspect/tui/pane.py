"""The panes: listings whose lines may be marked, and may be made when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, overload

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from dynarec.core import DEATHS
from dynarec.inspect.tui.heat import HEAT, WARMTH
from dynarec.tui.listing import Listing
from dynarec.tui.rows import Row

DEATH_ROLES = {reason: f"death{number}" for number, reason in enumerate(DEATHS)}
NO_ROLE = "faint"
MORE_ROLES = (*HEAT, *WARMTH, *DEATH_ROLES.values(), "birth", "free", "corpse", "chosen", "linked", "head", "sorted")


class Rows(Sequence[Row]):
    """Rows that are made when they are asked for: there may be very many."""

    def __init__(self, count: int, row: Callable[[int], Row]) -> None:
        self._count = count
        self._row = row

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        if isinstance(at, slice):
            return [self._row(index) for index in range(self._count)[at]]
        return self._row(range(self._count)[at])


class Pane(Listing):
    """A listing with lines that are marked because of what is chosen elsewhere."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"listing--{name}" for name in MORE_ROLES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Choose", show=False),
        Binding("space", "app.freeze", "Freeze", key_display="Space"),
        Binding("tab", "app.next_pane(1)", "Next", show=False),
        Binding("shift+tab", "app.next_pane(-1)", "Before", show=False),
    ]

    class Resized(Message):
        """A pane has another size, or has come into sight."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, id: str, title: str, has_cursor: bool = True) -> None:
        super().__init__(id, title, has_cursor)
        self.add_class("pane")
        self.linked: Collection[int] = ()

    def on_resize(self) -> None:
        super().on_resize()
        self.post_message(self.Resized(self))

    def ground(self, at: int, row: Row) -> str:
        is_cursor = at == self.cursor and self.has_cursor
        return "cursor" if is_cursor and self.has_focus else "linked" if at in self.linked else super().ground(at, row)

    def link(self, rows: Collection[int]) -> None:
        """Mark these rows; the first of them is brought into sight, unless the user is in this pane."""
        self.linked = rows
        if rows and not self.has_focus:
            self._bring_into_sight(min(rows))
        self.refresh()

    def show_long(self, rows: Rows, width: int, cursor: int) -> None:
        """Show very many rows of at most a width; the cursor's row stays where it is on the screen."""
        moved = cursor - self.cursor
        self.rows = rows
        self.virtual_size = Size(width, len(rows) + self.HEADS)
        self.cursor = cursor
        if moved:
            self.scroll_to(y=max(0, self.scroll_offset.y + moved), animate=False, force=True)
        self.refresh()


class MapPane(Pane):
    """Cells that stand for units. Posts Pointed when one is clicked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "app.neighbour(1)", "Behind", show=False),
        Binding("left,h", "app.neighbour(-1)", "Before", show=False),
    ]

    class Pointed(Message):
        """A place of the pane was clicked."""

        def __init__(self, x: int, y: int) -> None:
            super().__init__()
            self.x, self.y = x, y

    def on_click(self, event: Click) -> None:
        where = event.get_content_offset_capture(self) + self.scroll_offset
        self.post_message(self.Pointed(where.x, where.y))
