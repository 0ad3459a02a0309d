"""The panes and the keys."""

from __future__ import annotations

from textual.binding import Binding, BindingType

PANES = {
    "code": "Code",
    "registers": "Registers",
    "stack": "Stack",
    "variables": "Variables",
    "breakpoints": "Breakpoints",
    "memory": "Memory",
    "block": "Block",
    "console": "Console",
}
"""The panes, in the order of the numbers of their keys."""

BINDINGS: list[BindingType] = [
    Binding("escape", "prompt", "Type"),
    Binding("colon,slash", "prompt", show=False),
    Binding("s,f11", "command('step')", "Step"),
    Binding("n,f10", "command('next')", "Next"),
    Binding("f", "command('finish')", "Finish"),
    Binding("shift+f11", "command('finish')", show=False),
    Binding("c,f5", "command('continue')", "Go"),
    Binding("i", "command('stepi')", "Instr"),
    Binding("o", "command('nexti')", show=False),
    Binding("u", "command('up')", show=False),
    Binding("d", "command('down')", show=False),
    Binding("S", "command('reverse-step')", show=False),
    Binding("N", "command('reverse-next')", show=False),
    Binding("F", "command('reverse-finish')", show=False),
    Binding("C", "command('reverse-continue')", show=False),
    Binding("I", "command('reverse-stepi')", show=False),
    Binding("r", "command('restart')", show=False),
    Binding("b,f9", "toggle_breakpoint", "Break"),
    Binding("x,delete", "delete", show=False),
    Binding("m", "style", show=False),
    Binding("t", "theme", show=False),
    Binding("question_mark,f1", "command('help')", show=False),
    *(Binding(f"{number},alt+{number}", f"pane('{name}')", show=False) for number, name in enumerate(PANES, 1)),
    Binding("f8", "next_pane", "Pane"),
    Binding("ctrl+c", "interrupt", "Stop", priority=True),
    Binding("ctrl+q,q", "leave", "Quit"),
]
"""Letters are GDB's single keys, in capitals backwards; function keys are those of editors."""
