"""Commands about the interface itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dynarec.debug.commands.session import Command, Context
from dynarec.debug.commands.values import number
from dynarec.debug.tui.contents import STYLES
from dynarec.debug.tui.keys import PANES
from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.debug.tui.app import DebuggerApp


def own_commands(app: DebuggerApp) -> tuple[Command, ...]:
    """They are executed on the debugger's thread, as all commands are."""

    def memory(context: Context, argument: str) -> Iterable[str]:
        app.contents.address = number(context, argument) if argument else None
        app.tell(app.action_pane, "memory")
        return ()

    def look(context: Context, argument: str) -> Iterable[str]:
        app.contents.place = context.debugger.places.find(argument, context.frame.file)[0] if argument else None
        app.tell(app.action_pane, "code")
        return ()

    def theme(context: Context, argument: str) -> Iterable[str]:
        if argument not in app.available_themes:
            raise DynarecError(f"themes are {', '.join(sorted(app.available_themes))}")
        app.tell(setattr, app, "theme", argument)
        return ()

    def view(context: Context, argument: str) -> Iterable[str]:
        if argument in STYLES:
            app.contents.style = argument
            argument = "code"
        if argument not in PANES:
            raise DynarecError(f"view shows {', '.join((*PANES, *STYLES))}")
        app.tell(app.action_pane, argument)
        return ()

    themes = tuple(app.available_themes)
    return (
        Command(view, "view PANE", "code, stack, ...; mixed, source, assembly", completes=(*PANES, *STYLES)),
        Command(look, "look [PLACE]", "code there, or here again", (), "place"),
        Command(memory, "memory [ADDRESS]", "memory from there, or at the stack", (), "expression"),
        Command(theme, "theme NAME", "colours: textual-light, nord, ...", completes=themes),
    )
