"""The line where commands are typed: history with the arrow keys, completion with Tab, suggestions from the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input


class FromHistory(Suggester):
    """Suggests the last line that began like this."""

    def __init__(self, history: list[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._history = history

    async def get_suggestion(self, value: str) -> str | None:
        return next((line for line in reversed(self._history) if line.startswith(value) and line != value), None)


class CommandLine(Input):
    """Posts Typed with each line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,ctrl+p", "recall(-1)", "Earlier", show=False),
        Binding("down,ctrl+n", "recall(1)", "Later", show=False),
        Binding("escape", "app.keys", "Keys"),
        Binding("tab", "complete", "Complete", show=False),
    ]

    class Typed(Message):
        """A line was typed."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Choices(Message):
        """What was typed may become each of these."""

        def __init__(self, lines: list[str]) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, history: list[str], complete: Callable[[str], list[str]]) -> None:
        """history: of lines, the last one last; what is typed is added. complete: gives what a line may become."""
        super().__init__(id="command", suggester=FromHistory(history), select_on_focus=False, compact=True)
        self._history = history
        self._complete = complete
        self._back = 0
        self._typed = ""

    async def action_submit(self) -> None:
        line = self.value
        if line.strip() and self._history[-1:] != [line]:
            self._history.append(line)
        self._back, self.value = 0, ""
        self.post_message(self.Typed(line))

    def action_recall(self, direction: int) -> None:
        """Go through the history."""
        if not self._back:
            self._typed = self.value
        self._back = min(max(0, self._back - direction), len(self._history))
        self.value = self._history[-self._back] if self._back else self._typed
        self.cursor_position = len(self.value)

    def action_complete(self) -> None:
        """Complete what is typed as far as that is clear; what it may be is told if it is not."""
        before, after = self.value[: self.cursor_position], self.value[self.cursor_position :]
        choices = self._complete(before)
        longest = _beginning(choices) if choices else before
        if len(choices) == 1 and not longest.endswith(("/", ":")):
            longest += " "
        if len(longest) <= len(before) and len(choices) > 1:
            self.post_message(self.Choices(choices))
        elif len(longest) > len(before):
            self.value = longest + after
            self.cursor_position = len(longest)


def _beginning(lines: list[str]) -> str:
    """What all lines begin with."""
    first, last = min(lines), max(lines)
    return next((first[:at] for at, letter in enumerate(first) if last[at : at + 1] != letter), first)
