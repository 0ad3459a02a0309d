"""The contents of the panes, with what has changed since the program stopped before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dynarec.debug.commands.session import Context
from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Position
from dynarec.debug.tui import rows
from dynarec.errors import DynarecError
from dynarec.tui.rows import Row, plain

ALIGNMENT = 16
STYLES = ("mixed", "source", "assembly")


@dataclass(slots=True)
class Seen:
    """What the panes have shown."""

    registers: dict[str, int] = field(default_factory=dict)
    memory: dict[int, int] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


class Contents:
    """Of one session.

    style: of the code, one of STYLES. place: the code that is looked at until the program moves; None: the frame's.
    address: where the memory pane begins; None: at the stack.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.style = STYLES[0]
        self.place: int | None = None
        self.address: int | None = None
        self._moment: tuple[Debugger, Position] | None = None
        self._before, self._now = Seen(), Seen()

    def rows(self, name: str, width: int) -> list[Row]:
        """The rows of a pane that is so many columns wide."""
        self._note_moment()
        try:
            return self._rows(name, width)
        except DynarecError as error:
            return plain([str(error)], "error")

    def _rows(self, name: str, width: int) -> list[Row]:
        context, debugger = self._context, self._context.debugger
        match name:
            case "code":
                return rows.code(context, self.style, self.place)
            case "registers":
                self._now.registers = rows.read_registers(debugger)
                return rows.register_rows(self._now.registers, self._before.registers, width)
            case "stack":
                return rows.stack_rows(context)
            case "variables":
                found, self._now.variables = rows.variable_rows(context, self._before.variables)
                return found
            case "breakpoints":
                return rows.stopper_rows(debugger)
            case "memory":
                found, self._now.memory = rows.memory_rows(debugger, self._start(), width, self._before.memory)
                return found
            case "block":
                return rows.block_rows(debugger)
        raise ValueError(name)

    def next_style(self) -> None:
        """Show code in the next way."""
        self.style = STYLES[(STYLES.index(self.style) + 1) % len(STYLES)]

    def _start(self) -> int:
        if self.address is not None:
            return self.address & -ALIGNMENT
        machine = self._context.debugger.machine
        abi = machine.guest.abi
        return (machine.regs[abi.stack] if abi else machine.pc) & -ALIGNMENT

    def _note_moment(self) -> None:
        """The program has moved on: what was shown is what was before."""
        moment = self._context.debugger, self._context.debugger.position
        if moment != self._moment:
            self._moment, self._before, self.place = moment, replace(self._now), None
