"""The debugger in a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar

from platformdirs import user_state_path
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.widgets import Footer, Input, Label, Static

from dynarec.debug.commands import Commands
from dynarec.debug.commands.telling import frame_text, reason, tell
from dynarec.debug.stoppers import Breakpoint
from dynarec.debug.stops import Reason
from dynarec.debug.tui import state
from dynarec.debug.tui.command_line import CommandLine
from dynarec.debug.tui.console_pane import ConsolePane
from dynarec.debug.tui.contents import STYLES, Contents
from dynarec.debug.tui.keys import BINDINGS, PANES
from dynarec.debug.tui.own_commands import own_commands
from dynarec.debug.tui.program_terminal import ProgramTerminal, Screen
from dynarec.debug.tui.runner import Runner
from dynarec.debug.tui.styles import CSS
from dynarec.debug.tui.windowed_session import WindowedSession
from dynarec.errors import DynarecError
from dynarec.tui.listing import Listing
from dynarec.tui.rows import Row, plain
from dynarec.tui.terminal import DARK, end_on_signals, is_large, switch_theme

if TYPE_CHECKING:
    pass

SIDE_BY_SIDE = ("code", "registers", "stack", "variables", "breakpoints")
"""What a large terminal always shows; of the others it shows one."""
MOST_LOGGED = 2000
MOST_WAITING = 500
"""Lines that wait to be shown."""
NARROWEST = 20
LOG_ROWS, LOG_SHARE = 4, 0.6
TICK = 0.25
NAMES_WIDTH = 100
SHORT = {"registers": "Regs", "variables": "Vars", "breakpoints": "Breaks"}
"""Names of panes where there is little room."""
MOST_CHOICES = 60
PROMPT = "(dynarec)"
END_OF_INPUT = "\x04"


class Arrived(Message):
    """There is something in the queue."""


class DebuggerApp(App[int]):
    """The interface. Its methods run on the main thread; what other threads have to say goes through a queue."""

    CSS = CSS
    TITLE = "dynarec debug"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = BINDINGS

    def __init__(self, session: WindowedSession, terminal: ProgramTerminal, state_path: Path | None = None) -> None:
        """state_path: the file with what is remembered of the program; None: nothing is."""
        super().__init__()
        self.session = session
        self.terminal = terminal
        self.printed = Screen()
        self.commands = Commands(session, own_commands(self))
        self.contents = Contents(self.commands.context)
        self.chosen, self.slot = "code", "console"
        self.log_rows: list[Row] = []
        self._answer_at = 0
        self._is_due = self._log_is_stale = False
        self._room = Size()
        self._state_path = state_path
        self.remembered, self._note = state.read(state_path) if state_path else (state.Remembered(), "")
        self._queue: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = SimpleQueue()
        self.runner = Runner(
            self.commands,
            told=self._tell_line,
            failed=lambda line: self.tell(self.say, line, "error"),
            done=lambda: self.tell(self._on_done),
        )

    # -- the beginning and the end ------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        yield Static(id="tabs")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Listing("code", PANES["code"], has_cursor=True)
                yield Listing("memory", PANES["memory"])
                yield Listing("block", PANES["block"])
                yield ConsolePane(PANES["console"])
            with Vertical(id="right"):
                yield Listing("registers", PANES["registers"])
                yield Listing("stack", PANES["stack"], has_cursor=True)
                yield Listing("variables", PANES["variables"])
                yield Listing("breakpoints", PANES["breakpoints"], has_cursor=True)
        yield Listing("log", "")
        with Horizontal(id="prompt"):
            yield Label(PROMPT)
            yield CommandLine(self.remembered.history, self._complete)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        for name in PANES:
            self.query_one(f"#{name}").add_class("pane")
        self._restore()
        self.terminal.start(lambda: self.tell(self._on_output))
        self.session.open_window(lambda: self.tell(self.action_interrupt), lambda text: self.tell(self.say, text))
        end_on_signals(self)
        self.set_interval(TICK, self._tick)
        self.query_one(CommandLine).focus()
        for line in tell(self.commands.context, self.session.debugger.stopped):
            self.say(line)
        self._show_status()

    def _restore(self) -> None:
        """Be as the user left it."""
        kept = self.remembered
        self.theme = kept.theme if kept.theme in self.available_themes else DARK
        self.contents.style = kept.style if kept.style in STYLES else STYLES[0]
        self._choose(kept.pane if kept.pane in PANES else "code")
        for note in [self._note] if self._note else []:
            self.say(note, "error")
        for note in state.restore(self.commands.context, kept):
            self.say(note, "error")

    def on_unmount(self) -> None:
        self._remember()

    def close(self) -> None:
        """After the end: nothing runs any longer."""
        if self.session.console is not None:
            self.session.console.stop()  # first: a run that waits for a frame could not be ended
        self.runner.close()
        self.session.close()
        self.terminal.close()

    def _remember(self) -> None:
        if self._state_path is None or self.runner.is_busy:
            return
        kept = self.remembered
        kept.theme, kept.pane, kept.style = self.theme, self.chosen, self.contents.style
        state.keep(self.commands.context, kept)
        try:
            state.write(self._state_path, kept)
        except OSError as error:
            self._state_path = None
            self.say(f"nothing is remembered: {error}", "error")

    # -- what other threads say ---------------------------------------------------------------------------------------

    def tell(self, action: Callable[..., None], *values: Any) -> None:
        """Have the main thread do something; from any thread."""
        was_empty = self._queue.empty()
        self._queue.put((action, values))
        if was_empty:
            self.post_message(Arrived())

    def _tell_line(self, line: str) -> None:
        """A line of a command; one that prints without end waits until it can be read."""
        while self._queue.qsize() > MOST_WAITING and self.is_running:
            time.sleep(TICK)
        self.tell(self.say, line)

    def on_arrived(self) -> None:
        if not self.is_running:
            return
        with suppress(Empty):
            for _ in range(MOST_WAITING):
                action, values = self._queue.get_nowait()
                action(*values)
            self.post_message(Arrived())

    def _on_output(self) -> None:
        self.printed.feed(self.terminal.take())
        self.query_one(ConsolePane).show(self.printed.lines)
        self._show_tabs()

    def _on_done(self) -> None:
        """A command has been executed."""
        self._is_due = False
        self._let_time_pass(False)
        if self.commands.ended:
            self.exit(0)
            return
        self._remember()
        self.show_panes()
        self._show_status()

    def _tick(self) -> None:
        if self.runner.is_busy and self.is_running:
            self._show_status()

    @property
    def is_settled(self) -> bool:
        """Whether all that was told has been taken up."""
        return self._queue.empty() and not self._is_due and not self._log_is_stale

    # -- what is shown ------------------------------------------------------------------------------------------------

    def show_panes(self) -> None:
        """All panes that are in sight, as the program is now; nothing while it runs."""
        if self.runner.is_busy:
            return
        for listing in self.query("#body > Vertical > Listing").results(Listing):
            if listing.display and listing.id:
                listing.show(self.contents.rows(listing.id, listing.size.width or self._room.width))

    def say(self, line: str, role: str = "") -> None:
        """A line below the panes."""
        width = max(NARROWEST, self._room.width - 1)
        for each in line.expandtabs().splitlines() or [""]:
            self.log_rows += plain([each[at : at + width] for at in range(0, max(1, len(each)), width)], role)
        self._answer_at -= max(0, len(self.log_rows) - MOST_LOGGED)
        del self.log_rows[:-MOST_LOGGED]
        if not self._log_is_stale:
            self._log_is_stale = True
            self.call_next(self._show_log)

    def _show_log(self) -> None:
        """The last lines; as many as the last command has printed, if there is room."""
        self._log_is_stale = False
        if not self.is_running:
            return
        answer = len(self.log_rows) - self._answer_at
        most = int(self._room.height * LOG_SHARE)
        log = self.query_one("#log", Listing)
        log.styles.height = min(max(LOG_ROWS, answer), most) + 1
        log.show_end(self.log_rows)

    def _show_status(self) -> None:
        status = self.query_one("#status", Static)
        debugger, count = self.session.debugger, self.session.instructions
        if count is None:
            return
        name = debugger.machine.program.name
        is_busy, has_ended = self.runner.is_busy, debugger.has_ended
        if is_busy:
            text = f"{name}  running, {count:,} instructions  (Ctrl-C stops it)"
        else:
            place = "" if has_ended else f"  {frame_text(debugger, self.commands.context.frame)}"
            text = f"{name}  {self._reason()}{place}  {count:,} instructions"
        status.update(text)
        status.set_class(is_busy, "-running")
        status.set_class(not is_busy and has_ended, "-ended")
        status.set_class(not is_busy and not has_ended, "-stopped")

    def _reason(self) -> str:
        stopped = self.session.debugger.stopped
        names = {Reason.STEP: "stopped", Reason.START: "not started"}
        return names.get(stopped.reason) or reason(self.session.debugger, stopped)

    def _show_tabs(self) -> None:
        parts = []
        for number, (name, title) in enumerate(PANES.items(), 1):
            style = "reverse bold" if name == self.chosen else "bold" if self._is_shown(name) else ""
            text = f"{number} {title}" if self._room.width > NAMES_WIDTH else f"{number} {SHORT.get(name, title)}"
            parts.append(f"[@click=app.pane('{name}')]{f'[{style}] {text} [/]' if style else f' {text} '}[/]")
        self.query_one("#tabs", Static).update("".join(parts))

    @property
    def _is_large(self) -> bool:
        return is_large(self._room)

    def _is_shown(self, name: str) -> bool:
        if not self._is_large:
            return name == self.chosen
        return name in SIDE_BY_SIDE or name == self.slot

    def _lay_out(self) -> None:
        self.screen.set_class(not self._is_large, "-narrow")
        for name in PANES:
            self.query_one(f"#{name}").display = self._is_shown(name)
        for side in ("left", "right"):
            column = self.query_one(f"#{side}")
            column.display = any(child.display for child in column.children)
        self._show_tabs()
        self.call_after_refresh(self.show_panes)

    def on_resize(self, event: Resize) -> None:
        self._room = event.size
        self._lay_out()
        self._show_log()

    def _choose(self, name: str) -> None:
        """Have a pane in sight."""
        self.chosen = name
        if name not in SIDE_BY_SIDE:
            self.slot = name
        self._lay_out()

    # -- what users do ------------------------------------------------------------------------------------------------

    def execute(self, line: str) -> None:
        """As if the line had been typed."""
        if self.runner.is_busy:
            self.say("the program runs: Ctrl-C stops it", "error")
            return
        self._answer_at = len(self.log_rows)
        self.say(f"{PROMPT} {line}", "input")
        self._let_time_pass(True)
        self._is_due = True
        self.runner.submit(line)
        self._show_status()

    def _let_time_pass(self, passes: bool) -> None:
        if self.session.window is not None:
            self.session.window.run(passes)

    def _complete(self, line: str) -> list[str]:
        return [] if self.runner.is_busy else self.commands.complete(line)

    def on_command_line_typed(self, event: CommandLine.Typed) -> None:
        self.execute(event.line)

    def on_command_line_choices(self, event: CommandLine.Choices) -> None:
        self._answer_at = len(self.log_rows)
        words = [line.rpartition(" ")[2] for line in event.lines[:MOST_CHOICES]]
        more = len(event.lines) - len(words)
        self.say("  ".join(words) + (f"  and {more} more" if more > 0 else ""), "faint")

    def on_console_pane_typed(self, event: ConsolePane.Typed) -> None:
        if event.line is None:
            self.terminal.type(END_OF_INPUT)
        else:
            self.terminal.type_line(event.line)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        name, key = event.listing.id, event.row.key
        if name == "code":
            self._toggle(key)
        elif name == "stack":
            self.execute(f"frame {key}")
        elif name == "breakpoints" and not self.runner.is_busy:
            stopper = self.session.debugger.find(int(key))
            self.execute(f"{'disable' if stopper.enabled else 'enable'} {key}")

    def _toggle(self, place: str) -> None:
        """Set a breakpoint at a place of the code, or take those away that are there."""
        if self.runner.is_busy:
            self.execute("")
            return
        debugger = self.session.debugger
        try:
            addresses = set(debugger.places.find(place))
        except DynarecError as error:
            self.say(str(error), "error")
            return
        there = [
            str(each.number)
            for each in debugger.stoppers.values()
            if isinstance(each, Breakpoint) and addresses & set(each.addresses)
        ]
        self.execute(f"delete {' '.join(there)}" if there else f"break {place}")

    def action_toggle_breakpoint(self) -> None:
        self.query_one("#code", Listing).action_choose()

    def action_delete(self) -> None:
        listing = self.query_one("#breakpoints", Listing)
        if listing.has_focus and listing.cursor < len(listing.rows) and listing.rows[listing.cursor].key:
            self.execute(f"delete {listing.rows[listing.cursor].key}")

    def action_command(self, line: str) -> None:
        self.execute(line)

    def action_interrupt(self) -> None:
        """Stop the program; else forget what is typed."""
        if self.runner.is_busy:
            self.runner.interrupt()
        elif isinstance(self.focused, Input) and self.focused.value:
            self.focused.value = ""
        else:
            self.say("quit, or Ctrl-Q, ends the debugger", "faint")

    def action_leave(self) -> None:
        self.exit(0)

    def action_pane(self, name: str) -> None:
        self._choose(name)
        pane = self.query_one(f"#{name}")
        pane.query_one(Input).focus() if isinstance(pane, ConsolePane) else pane.focus()

    def action_next_pane(self) -> None:
        names = list(PANES)
        self.action_pane(names[(names.index(self.chosen) + 1) % len(names)])

    def action_prompt(self) -> None:
        self.query_one(CommandLine).focus()

    def action_keys(self) -> None:
        """Single keys are commands."""
        self.action_pane("code" if self._is_large or self.chosen == "console" else self.chosen)

    def action_style(self) -> None:
        self.contents.next_style()
        self.show_panes()

    def action_theme(self) -> None:
        switch_theme(self)
        self._remember()


def run(args: argparse.Namespace) -> int:
    """Debug the program that the options describe, in this terminal; the exit status. Raises DynarecError."""
    from dynarec.commands.debug import make_launch

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise DynarecError("the debugger needs a terminal; --gdb and --dap do without")
    terminal = ProgramTerminal()
    launch = make_launch(args, terminal.program, terminal.program, terminal.program)
    session = WindowedSession(launch)
    if session.debugger.machine.profile.name == "virt":
        terminal.make_raw()
    app = DebuggerApp(session, terminal, state.path_for(Path(launch.name), user_state_path("dynarec") / "debug"))
    try:
        return app.run() or 0
    finally:
        app.close()
