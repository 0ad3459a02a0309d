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
DRAWN = ("map", "time")
"""Panes that are filled for their size."""
SIDE_BY_SIDE = tuple(name for name in PANES if name != "compare")
"""What a large terminal always shows, but that comparing takes the place of the code."""

BINDINGS: list[BindingType] = [
    Binding("slash", "filter", "Filter", priority=True),
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
    *(Binding(str(at % 10), f"turn_to('{name}')", show=False, priority=True) for at, name in enumerate(PANES, 1)),
    Binding("f8", "next_pane(1)", show=False),
    Binding("escape", "escape", show=False),
]

TYPED_AHEAD = ("filter", "turn_to")
"""Actions that take effect before the next key is looked at: it may have been typed for what they lead to. While a
filter is typed they are letters."""

HELP = """\
[b]Panes[/b]
  1 to 9, 0     a pane by its number, or click on its name
  Tab, F8       the next pane; Shift-Tab: the one before
  z             one pane alone, and back
  Enter         go to what is under the cursor; Backspace: back
  T             light or dark; q: leave

[b]Units[/b]
  s  S  r       sort by the next column, the one before, backwards;
                a click on a heading does the same
  /             filter units, or events in their pane; Escape leaves
  hot dead live           the hottest, the dead, the living
  0x10074 main+0x10 a.c:12    made from what stands there
  reason:evicted  #12     died of that; the unit of that number
  draw                    part of a symbol; of several words, all hold

[b]Code[/b]
  up, down      mark what a line came from and what it became
  \\[ and ]       the IR as lifted, and behind each pass
  The heat says how often an instruction was executed.

[b]Links and cache[/b]
  right, left   open and close a branch; the next unit in the cache
  + and -       look closer at the cache around the unit, or less close

[b]Doing[/b]
  Space         freeze the view, and let it go; F5: up to now, once
  d             erase the unit
  t             translate it again, with passes left out
  c             compare it: other passes, the other host, another unit
  m             mark the unit that the next one is compared with
"""
