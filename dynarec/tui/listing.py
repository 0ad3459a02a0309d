"""A pane of rows: scrolled, and walked through with a cursor where rows can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dynarec.tui.rows import ROLES, Row


class Listing(ScrollView, can_focus=True):
    """Shows rows. With a cursor, Enter, Space and the mouse choose one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"listing--{name}" for name in (*ROLES, "here", "cursor")}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "Begin", show=False),
        Binding("end", "move(1000000)", "End", show=False),
        Binding("space,enter", "choose", "Choose", show=False),
    ]

    HEADS: ClassVar[int] = 0
    """Lines above the rows that are not scrolled."""

    class Chosen(Message):
        """A row was chosen."""

        def __init__(self, listing: Listing, row: Row) -> None:
            super().__init__()
            self.listing = listing
            self.row = row

        @property
        def control(self) -> Listing:
            return self.listing

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, listing: Listing) -> None:
            super().__init__()
            self.listing = listing

        @property
        def control(self) -> Listing:
            return self.listing

    def __init__(self, id: str, title: str, has_cursor: bool = False) -> None:
        super().__init__(id=id)
        self.border_title = title
        self.has_cursor = has_cursor
        self.rows: Sequence[Row] = []
        self.cursor = 0
        self._styles: dict[tuple[str, str], Style] = {}

    def show(self, rows: list[Row]) -> None:
        """Show these rows; the one where the program stands is in sight, else what was in sight stays there."""
        key = self.rows[self.cursor].key if self.cursor < len(self.rows) else ""
        self.rows = rows
        width = max((cell_len(row.text) for row in rows), default=0)
        self.virtual_size = Size(width, len(rows))
        here = next((at for at, row in enumerate(rows) if row.here), None)
        kept = next((at for at, row in enumerate(rows) if key and row.key == key), 0)
        self.cursor = kept if here is None else here
        if here is not None:
            self._bring_into_sight(here)
        self.refresh()

    def show_end(self, rows: list[Row]) -> None:
        """Show these rows, the last ones in sight."""
        self.show(rows)
        self.scroll_end(animate=False)

    def render_line(self, y: int) -> Strip:
        at = self.scroll_offset.y + y - self.HEADS
        if y < self.HEADS:
            return self._strip(self.head(y), "head")
        if at >= len(self.rows):
            return Strip.blank(self.size.width, self._style("", ""))
        row = self.rows[at]
        return self._strip(row, self.ground(at, row))

    def head(self, y: int) -> Row:
        """A line above the rows."""
        raise NotImplementedError

    def ground(self, at: int, row: Row) -> str:
        """What a row stands out as: "here", "cursor", or what else a pane knows."""
        is_cursor = self.has_cursor and self.has_focus and at == self.cursor
        return "here" if row.here else "cursor" if is_cursor else ""

    def _strip(self, row: Row, ground: str) -> Strip:
        left, width = self.scroll_offset.x, self.size.width
        strip = Strip([Segment(text, self._style(role, ground)) for text, role in row.spans])
        return strip.crop_extend(left, left + width, self._style("", ground))

    def notify_style_update(self) -> None:
        """The theme is another one."""
        self._styles.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        """A pane that becomes smaller still shows where the program stands."""
        here = next((at for at, row in enumerate(self.rows) if row.here), None)
        if here is not None:
            self.call_after_refresh(self._bring_into_sight, here)

    def action_move(self, distance: int) -> None:
        if not self.has_cursor:
            self.scroll_relative(y=distance, animate=False)
            return
        self.move_to(self.cursor + distance)

    def move_to(self, at: int) -> None:
        """Have the cursor on a row, or on the nearest one that there is."""
        before, self.cursor = self.cursor, min(max(0, at), max(0, len(self.rows) - 1))
        self._bring_into_sight(self.cursor, margin=0)
        self.refresh()
        if self.cursor != before:
            self.post_message(self.Moved(self))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.size.height - self.HEADS - 1))

    def action_choose(self) -> None:
        if self.has_cursor and self.cursor < len(self.rows) and self.rows[self.cursor].key:
            self.post_message(self.Chosen(self, self.rows[self.cursor]))

    def on_click(self, event: Click) -> None:
        y = event.get_content_offset_capture(self).y
        at = y + self.scroll_offset.y - self.HEADS
        if self.has_cursor and y >= self.HEADS and at < len(self.rows):
            self.move_to(at)
            self.action_choose()

    def _style(self, role: str, ground: str) -> Style:
        """How a role looks on the ground of its row; colours that let others through are mixed with them."""
        if (role, ground) not in self._styles:
            self._styles[role, ground] = self._made_style(role, ground)
        return self._styles[role, ground]

    def _made_style(self, role: str, ground: str) -> Style:
        background, colour = self.background_colors[1], self.colors[3]
        effect = Style()
        for name in (ground, role):
            if name:
                styles = self.get_component_styles(f"listing--{name}")
                effect += styles.text_style
                background += styles.background
                if name == role:
                    colour = background.get_contrast_text(styles.color.a) if styles.auto_color else styles.color
        return Style.from_color((background + colour).rich_color, background.rich_color) + effect

    def _bring_into_sight(self, at: int, margin: int = 2) -> None:
        """Scroll only if the row is not in sight, and then to have it in the upper third."""
        top, height = self.scroll_offset.y, self.size.height - self.HEADS
        if top + margin <= at < top + height - margin:
            return
        goal = at - height // 3 if margin else at if at < top else at - height + 1
        self.scroll_to(y=max(0, goal), animate=False)
