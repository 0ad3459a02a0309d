"""The hints as rows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from dynarec.inspect.hints import Hint
from dynarec.tui.rows import Row, plain

ROLES = {"high": "error", "middle": "changed"}
MARK = "● "
NARROWEST = 20


def hint_rows(hints: Sequence[Hint], width: int) -> list[Row]:
    """What was seen and what can be done, for a pane of so many columns. Keys: the first unit that it is about."""
    rows: list[Row] = []
    width = max(NARROWEST, width - len(MARK))
    indent = " " * len(MARK)
    for hint in hints:
        key = str(hint.serials[0]) if hint.serials else ""
        role = ROLES.get(hint.severity, "name")
        for at, line in enumerate(textwrap.wrap(hint.text, width)):
            rows.append(Row(((indent if at else MARK, role), (line, "")), key))
        rows += [Row(((indent, ""), (line, "faint")), key) for line in textwrap.wrap(hint.advice, width)]
    return rows or plain(["nothing stands out"], "faint")
