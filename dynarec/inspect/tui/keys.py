"""The panes and the keys."""

from __future__ import annotations

from textual.binding import Binding, BindingType

PANES = {
    "units": "Units",
    "guest": "Guest",
    "ir": "IR",
    "host": "Host",
    "links": "Links",
    "map": "Cache",
    "time": "Time",
    "events": "Events",
    "hints": "Hints",
    "compare": "Compare",
}
"""The panes, in the order of the numbers of their keys."""
CODE = ("guest", "ir", "host")
SIDE_BY_SIDE = tuple(name for name in PANES if name != "compare")
"""What a large terminal always shows, but that comparing takes the place of the code."""

BINDINGS: list[BindingType] = [
    Binding("slash", "filter", "Filter"),
    Binding("space", "freeze", "Freeze", key_display="Space"),
    Binding("left_square_bracket", "stage(-1)", show=False),
    Binding("right_square_bracket", "stage(1)", "Stage", key_display="[ ]"),
    Binding("c", "compare", "Compare"),
    Binding("t", "translate", "Translate"),
    Binding("d", "erase", "Erase"),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    Binding("ctrl+q,q", "leave", "Quit", key_display="q"),
    Binding("s", "sort(1)", show=False),
    Binding("S", "sort(-1)", show=False),
    Binding("r", "reverse", show=False),
    Binding("f5", "refresh", show=False),
    Binding("m", "mark", show=False),
    Binding("plus,equals_sign", "scale(1)", show=False),
    Binding("minus", "scale(-1)", show=False),
    Binding("backspace", "return", show=False),
    Binding("z", "zoom", show=False),
    Binding("T", "theme", show=False),
    *(Binding(str(number % 10), f"pane('{name}')", show=False) for number, name in enumerate(PANES, 1)),
    Binding("f8", "next_pane(1)", show=False),
    Binding("escape", "escape", show=False),
]

HELP = """\
[b]Panes[/b]
  1 to 9, 0     a pane by its number; a click on its name does the same
  Tab, F8       the next pane; Shift-Tab: the one before
  z             one pane alone, and back
  Enter         what is under the cursor: a unit's code, the other end of a link, the unit of an event or hint
  Backspace     the unit that was chosen before

[b]Units[/b]
  /             filter; Escape leaves it; in the pane of events, what is typed filters events
  s S           sort by the next column, the one before; r turns the order round; a click on a heading does both
  Words of a filter, of which all must hold:
    hot  dead  live           the hottest, those that have died, those that have not
    0x10074  main+0x10  a.c:12      units that were made from what stands there
    reason:evicted            units that died of that
    draw                      part of a symbol

[b]Code[/b]
  [ and ]       the IR as lifted, and behind each pass
  up, down      what a line came from and what it became is marked in the other two panes
  heat          how often an instruction was executed

[b]Links[/b]
  right, left   open and close a branch; Enter goes there

[b]Cache[/b]
  + and -       look closer at the part around the unit, and less close; right, left: the next unit in it

[b]Doing[/b]
  Space         freeze the view, and let it go; F5 brings it up to now once
  d             erase the unit; t: translate it again, with passes left out
  c             compare its host code: other passes, the other host, another unit; m marks that one
  T             light or dark;  q: leave
"""
