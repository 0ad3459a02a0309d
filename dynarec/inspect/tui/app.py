"""The inspector in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus, Resize
from textual.geometry import Size
from textual.widgets import Footer, Input, Static

from dynarec.inspect.model import Unit
from dynarec.inspect.source import Source
from dynarec.inspect.tui import linked, telling
from dynarec.inspect.tui.cache_map import MOST_ZOOM, neighbour
from dynarec.inspect.tui.choices import comparisons
from dynarec.inspect.tui.code_panes import CodePanes
from dynarec.inspect.tui.columns import NAMES
from dynarec.inspect.tui.compare import Side
from dynarec.inspect.tui.dialogs import Choice, Help, Several
from dynarec.inspect.tui.events import WIDTH as EVENT_WIDTH
from dynarec.inspect.tui.events import event_row
from dynarec.inspect.tui.filter_line import FilterLine
from dynarec.inspect.tui.hint_rows import hint_rows
from dynarec.inspect.tui.keys import BINDINGS, CODE, DRAWN, HELP, PANES, SIDE_BY_SIDE, TYPED_AHEAD
from dynarec.inspect.tui.link_pane import LinkPane
from dynarec.inspect.tui.links import serial_of
from dynarec.inspect.tui.pane import MapPane, Pane, Rows
from dynarec.inspect.tui.queued_app import QueuedApp
from dynarec.inspect.tui.styles import CSS
from dynarec.inspect.tui.unit_table import UnitTable
from dynarec.inspect.tui.view import NOT_SHOWN, View
from dynarec.inspect.tui.watcher import Watcher
from dynarec.opt import PASS_NAMES
from dynarec.tui.listing import Listing
from dynarec.tui.terminal import DARK, end_on_signals, is_large, switch_theme

NOTE_SECONDS = 6.0


class InspectorApp(QueuedApp):
    """The interface."""

    CSS = CSS
    TITLE = "dynarec inspect"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = BINDINGS

    def __init__(self, source: Source) -> None:
        """The source is closed with the interface."""
        super().__init__()
        self.source = source
        self.view: View | None = None
        self.chosen = "units"
        self.selected = self.marked = 0
        self._been: list[int] = []
        self._note = ""
        self._is_zoomed = self._is_reading = False
        self._room = Size()
        self.watcher = Watcher(
            source, lambda view: self.tell(self._take, view), lambda line: self.tell(self.note, line)
        )

    # -- the beginning and the end ------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        yield Static(id="tabs")
        yield Static(id="facts", markup=False)
        with Horizontal(id="upper", classes="band"):
            yield UnitTable(PANES["units"])
            with Vertical(id="beside"):
                yield LinkPane(PANES["links"])
                yield Pane("hints", PANES["hints"])
        yield CodePanes()
        with Horizontal(id="lower", classes="band"):
            yield MapPane("map", PANES["map"], has_cursor=False)
            yield Pane("time", PANES["time"], has_cursor=False)
            yield Pane("events", PANES["events"])
        yield FilterLine()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.theme = DARK
        end_on_signals(self)
        self.pane("units").focus()
        self._show_status()
        self.watcher.start()

    @property
    def panes(self) -> CodePanes:
        return self.query_one(CodePanes)

    def pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    # -- what is said ------------------------------------------------------------------------------------------------

    @property
    def is_settled(self) -> bool:
        """Whether all that was asked for is shown."""
        return self.watcher.is_settled and self.is_quiet

    def note(self, line: str) -> None:
        """Say something in the status bar, for a while."""
        self._note = " ".join(line.split())
        self._show_status()
        self.set_timer(NOTE_SECONDS, partial(self._forget, self._note))

    def _forget(self, note: str) -> None:
        if note == self._note and self.is_running:
            self._note = ""
            self._show_status()

    # -- what is shown ------------------------------------------------------------------------------------------------

    @property
    def unit(self) -> Unit | None:
        """The selected unit, as it is now."""
        return self.view.recording.by_serial.get(self.selected) if self.view else None

    def _take(self, view: View) -> None:
        """A view has come: show what is new of it."""
        before, self.view = self.view, view
        if self.unit is None and view.table.units:
            self.select(view.table.units[0].serial)
        unit = self.unit
        if unit is not None and self.panes.is_stale(unit):
            self._read(unit)
        if before is None or before.recording is not view.recording:
            self.show_panes()
            return
        parts = {"units": "table", "map": "map", "time": "time", "events": "events"}
        self.show_panes([pane for pane, part in parts.items() if getattr(before, part) is not getattr(view, part)])

    def show_panes(self, names: Collection[str] = tuple(PANES)) -> None:
        """Those of these panes that are in sight, as the view is now."""
        self._show_status()
        if self.view is None:
            return
        shows = {"units": self._show_units, "links": self._show_links, "hints": self._show_hints, "map": self._show_map,
                 "time": self._show_time, "events": self._show_events}  # fmt: skip
        for name, show in shows.items():
            if name in names and self.pane(name).display:
                show()
        if "guest" in names:
            self.panes.show(self.view.recording, self.unit)

    def _show_status(self) -> None:
        status = self.query_one("#status", Static)
        mode = "" if not self.source.live else "FROZEN" if self.watcher.is_frozen else "live"
        text = telling.status(self.source.name, self.view, mode) if self.view else f"{self.source.name}  reading ..."
        problem = self.view.table.problem if self.view else ""
        status.update(self._note or problem or text)
        status.set_class(bool(self._note or problem), "-noted")
        status.set_class(mode == "FROZEN", "-frozen")
        if self.view is not None:
            line = telling.facts(self.view.recording, self.unit, self.panes.judgement)
            self.query_one("#facts", Static).update(line)

    def _show_units(self) -> None:
        assert self.view is not None
        self.query_one(UnitTable).show_view(self.view, self.selected)

    def _show_links(self) -> None:
        assert self.view is not None
        self.query_one(LinkPane).show_links(self.view.recording, self.unit)

    def _show_hints(self) -> None:
        assert self.view is not None
        pane = self.pane("hints")
        pane.show(hint_rows(self.view.hints, pane.size.width))

    def _show_map(self) -> None:
        assert self.view is not None
        if self.view.map is not None:
            self.pane("map").show(self.view.map.rows(self.unit))

    def _show_time(self) -> None:
        assert self.view is not None
        self.pane("time").show(self.view.time)

    def _show_events(self) -> None:
        assert self.view is not None
        recording, events, pane = self.view.recording, self.view.events, self.pane("events")
        last = len(events) - 1
        pane.show_long(Rows(len(events), lambda at: event_row(recording, events[last - at])), EVENT_WIDTH, pane.cursor)
        lost = f", {recording.lost:,} older ones lost" if recording.lost else ""
        pane.border_title = f"{PANES['events']}: {len(events):,}, the last first{lost}"

    # -- the choice of a unit -----------------------------------------------------------------------------------------

    def select(self, serial: int) -> None:
        """Have another unit shown in all panes."""
        if serial == self.selected:
            return
        self.selected = serial
        self.panes.clear()
        self._follow()
        if self.unit is not None:
            self._read(self.unit)
        self.show_panes(["units", "links", "map"])

    def go(self, serial: int) -> None:
        """Select a unit, and be able to come back."""
        if self.view is None or serial == self.selected:
            return
        if serial not in self.view.recording.by_serial:
            self.note(f"unit {serial} has been forgotten")
            return
        self._been.append(self.selected)
        self.select(serial)

    def _read(self, unit: Unit) -> None:
        """Have its code read, but when one is being read already: then by and by."""
        if self._is_reading or self.view is None:
            return
        self._is_reading = True
        guest = self.view.recording.subject.guest

        def job() -> Callable[[], None]:
            code = linked.read(unit, guest)
            return lambda: self._has_read(code)

        self.work(job)

    def _has_read(self, code: linked.Code) -> None:
        self._is_reading = False
        if code.unit.serial == self.selected:
            self.panes.take(code)
            self.show_panes(["guest"])
        elif self.unit is not None:
            self._read(self.unit)

    # -- the layout ---------------------------------------------------------------------------------------------------

    @property
    def _is_wide(self) -> bool:
        return is_large(self._room) and not self._is_zoomed

    def _is_shown(self, name: str) -> bool:
        if not self._is_wide:
            return name == self.chosen
        if name in (*CODE, "compare"):
            return (name == "compare") == (self.chosen == "compare")
        return name in SIDE_BY_SIDE

    def _lay_out(self) -> None:
        self.default_screen.set_class(not self._is_wide, "-narrow")
        for name in PANES:
            self.pane(name).display = self._is_shown(name)
        self.query_one("#beside").display = self._is_shown("links") or self._is_shown("hints")
        for band in self.query(".band"):
            band.display = any(pane.display for pane in band.query(Pane))
        self._show_tabs()
        self._measure()
        self.show_panes()

    def _measure(self) -> None:
        """Have drawn what is in sight, in its size."""
        panes = {name: self.pane(name) for name in DRAWN}
        self.watcher.choose(**{name: tuple(pane.size) if pane.display else NOT_SHOWN for name, pane in panes.items()})

    def on_pane_resized(self, event: Pane.Resized) -> None:
        """It may come after what was to be shown."""
        name = event.pane.id or ""
        if name in DRAWN:
            self._measure()
        else:
            self.show_panes(["guest" if name in (*CODE, "compare") else name])

    def _show_tabs(self) -> None:
        parts = []
        for number, (name, title) in enumerate(PANES.items(), 1):
            style = "reverse bold" if name == self.chosen else "bold" if self._is_shown(name) else "dim"
            parts.append(f"[@click=app.pane('{name}')][{style}]{number % 10} {title}[/][/]")
        self.query_one("#tabs", Static).update(" ".join(parts))

    def on_resize(self, event: Resize) -> None:
        self._room = event.size
        self._lay_out()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        name = event.widget.id
        if name in PANES and name != self.chosen:
            self.chosen = name
            self._lay_out()
        if name in CODE:
            self.panes.choose(self.pane(name))

    # -- what users do ------------------------------------------------------------------------------------------------

    def on_listing_moved(self, event: Listing.Moved) -> None:
        listing = event.listing
        if listing.id == "units" and listing.cursor < len(listing.rows):
            self.select(int(listing.rows[listing.cursor].key))
        elif listing.id in CODE:
            self.panes.choose(listing)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        name, key = event.listing.id, event.row.key
        if name == "units":
            self.go(int(key))
        elif name == "links" and serial_of(key):
            self.go(serial_of(key))
        elif name in ("events", "hints"):
            self.go(int(key))

    def on_unit_table_sorted(self, event: UnitTable.Sorted) -> None:
        self._sort_by(event.name)

    def on_map_pane_pointed(self, event: MapPane.Pointed) -> None:
        serial = self.view.map.unit_at(event.x, event.y) if self.view and self.view.map else 0
        if serial:
            self.go(serial)

    def on_filter_line_typed(self, event: FilterLine.Typed) -> None:
        self.watcher.choose(**{"events" if event.pane == "events" else "filter": event.text})

    def on_filter_line_left(self, event: FilterLine.Left) -> None:
        self.action_pane(event.pane)

    def action_filter(self) -> None:
        """Type a filter: for events, in their pane."""
        wish = self.watcher.wish
        is_for_events = self.chosen == "events"
        pane, text = ("events", wish.events) if is_for_events else ("units", wish.filter)
        self.query_one(FilterLine).begin(pane, text)

    def action_escape(self) -> None:
        """Back to the panes; from comparing, to the code."""
        if isinstance(self.focused, Input):
            self.query_one(FilterLine).leave()
        elif self.chosen == "compare":
            self.action_pane("guest")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (action in TYPED_AHEAD and isinstance(self.focused, Input))

    def action_turn_to(self, name: str) -> None:
        self.action_pane(name)

    def action_pane(self, name: str) -> None:
        self.chosen = name
        self._lay_out()
        self.default_screen.set_focus(self.pane(name))

    def action_next_pane(self, step: int) -> None:
        names = list(PANES)
        self.action_pane(names[(names.index(self.chosen) + step) % len(names)])

    def action_zoom(self) -> None:
        self._is_zoomed = not self._is_zoomed
        self._lay_out()

    def action_theme(self) -> None:
        switch_theme(self)

    def action_sort(self, step: int) -> None:
        self._sort_by(NAMES[(NAMES.index(self.watcher.wish.sort) + step) % len(NAMES)])

    def action_reverse(self) -> None:
        self._sort_by(self.watcher.wish.sort)

    def _sort_by(self, name: str) -> None:
        """By another column, or the other way round."""
        wish = self.watcher.wish
        self.watcher.choose(sort=name, is_reversed=name == wish.sort and not wish.is_reversed)

    def action_stage(self, step: int) -> None:
        self.panes.next_stage(step)

    def action_freeze(self) -> None:
        if not self.source.live:
            self.note("this is a recording: nothing changes any more")
            return
        self.watcher.freeze(not self.watcher.is_frozen)
        self._forget(self._note)

    def action_refresh(self) -> None:
        self.watcher.refresh()

    def action_return(self) -> None:
        while self._been:
            serial = self._been.pop()
            if self.view and serial in self.view.recording.by_serial:
                self.select(serial)
                return

    def action_scale(self, step: int) -> None:
        self.watcher.choose(scale=min(max(0, self.watcher.wish.scale + step), MOST_ZOOM))
        self._follow()

    def _follow(self) -> None:
        """The part of the cache that is looked at is that of the selected unit; the whole is the same for all."""
        self.watcher.choose(selected=self.selected if self.watcher.wish.scale else 0)

    def action_neighbour(self, step: int) -> None:
        if self.view and (serial := neighbour(self.view.recording, self.selected, step)):
            self.select(serial)

    def action_mark(self) -> None:
        if self.unit is not None:
            self.marked = self.selected
            self.note(f"unit {self.selected} is marked: c on another unit compares them")

    @property
    def _living(self) -> Unit | None:
        """The selected unit, or if that is dead the one that came after it."""
        unit = self.unit
        if unit is None or unit.alive or self.view is None:
            return unit
        return next((each for each in self.view.recording.live if each.key == unit.key), unit)

    def action_erase(self) -> None:
        unit = self._living
        if unit is None:
            return
        serial = unit.serial
        self._ask(lambda: self.source.erase(serial), f"unit {serial} is erased")

    def action_translate(self) -> None:
        """Ask for passes, and translate again without them."""
        unit = self._living
        if unit is None:
            return
        serial = unit.serial

        def answered(names: list[str] | None) -> None:
            if names is not None:
                told = f"unit {serial} is erased, and made anew when it is reached" + _without(names)
                self._ask(lambda: self.source.retranslate(serial, names), told)

        title = f"Translate unit {serial} again without"
        self.push_screen(Several(title, PASS_NAMES, unit.circumstances.without), answered)

    def _ask(self, job: Callable[[], None], told: str) -> None:
        def work() -> None:
            job()
            self.tell(self.note, told)

        self.watcher.ask(work)

    def action_compare(self) -> None:
        """Ask with what, and show both."""
        if self.view is None or self.unit is None:
            return
        choices = comparisons(self.view.recording, self.unit, self.marked)

        def answered(number: int | None) -> None:
            if number is not None:
                self.work(lambda: partial(self._has_compared, choices[number].make()))

        self.push_screen(Choice(f"Compare unit {self.selected} with", [each.title for each in choices]), answered)

    def _has_compared(self, sides: tuple[Side, Side]) -> None:
        self.panes.compared = sides
        self.action_pane("compare")

    def action_help(self) -> None:
        self.push_screen(Help(self.TITLE, HELP))

    def action_leave(self) -> None:
        self.exit(0)


def _without(names: list[str]) -> str:
    return f" without {', '.join(names)}" if names else ""
