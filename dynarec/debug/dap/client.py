"""What the editor has said about itself."""

from __future__ import annotations

from dataclasses import dataclass

from dynarec.debug.dap.arguments import Arguments
from dynarec.errors import DynarecError


@dataclass(frozen=True, slots=True)
class Client:
    """first_line, first_column: its number of the first one. takes_*: events that it understands."""

    first_line: int = 1
    first_column: int = 1
    takes_invalidated: bool = False
    takes_memory: bool = False

    @classmethod
    def of(cls, arguments: Arguments) -> Client:
        """By the arguments of `initialize`. Raises DynarecError."""
        if arguments.text("pathFormat", "path") != "path":
            raise DynarecError("initialize: pathFormat must be path: URIs are not supported")
        return cls(
            first_line=int(arguments.flag("linesStartAt1", True)),
            first_column=int(arguments.flag("columnsStartAt1", True)),
            takes_invalidated=arguments.flag("supportsInvalidatedEvent"),
            takes_memory=arguments.flag("supportsMemoryEvent"),
        )

    def shown_line(self, line: int) -> int:
        """The editor's number of a line of ours, which count from 1; 0 is none."""
        return line - 1 + self.first_line if line else 0

    def own_line(self, line: int) -> int:
        """Our number of a line of the editor's."""
        return line + 1 - self.first_line

    def shown_column(self, column: int) -> int:
        """As `shown_line`; an unknown column is the first one."""
        return max(column, 1) - 1 + self.first_column

    def own_column(self, column: int) -> int:
        """Our number of a column of the editor's, from 1 on."""
        return max(column + 1 - self.first_column, 1)
