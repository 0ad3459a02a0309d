"""The code of the selected unit: guest, IR and host, or one code beside another."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from dynarec.inspect.model import Recording, Unit
from dynarec.inspect.tui import linked
from dynarec.inspect.tui.code_rows import guest_rows, host_rows, ir_rows
from dynarec.inspect.tui.compare import Side, compare_rows
from dynarec.inspect.tui.keys import CODE, PANES
from dynarec.inspect.tui.pane import Pane
from dynarec.tui.listing import Listing
from dynarec.tui.rows import plain

FIRST_LINE = ("guest", 0)


class CodePanes(Horizontal):
    """Three panes, in which a line marks what it came from and what it became; and one for comparing."""

    def __init__(self) -> None:
        super().__init__(id="middle", classes="band")
        self.compared: tuple[Side, Side] | None = None
        self._code: linked.Code | None = None
        self._stage = -1
        self._line = FIRST_LINE

    def compose(self) -> ComposeResult:
        for name in CODE:
            yield Pane(name, PANES[name])
        yield Pane("compare", PANES["compare"], has_cursor=False)

    def pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    @property
    def judgement(self) -> str:
        """Whether the code is what translating it again gives, and what the verifier says; "" if nobody knows."""
        if self._code is None or self._code.is_reproduced is None:
            return ""
        if not self._code.is_reproduced:
            return "NOT what translating it again gives"
        return "verified" if self._code.is_verified else "REFUSED by the verifier"

    @property
    def stage(self) -> int:
        """The index of the stage of the IR that is shown: the last one, if none was chosen."""
        count = len(self._code.stages) if self._code else 0
        return self._stage if 0 <= self._stage < count else count - 1

    def is_stale(self, unit: Unit) -> bool:
        """Whether the unit's code is to be read, for the first time or since it is another one."""
        return self._code is None or (self._code.unit.serial, self._code.unit.code) != (unit.serial, unit.code)

    def clear(self) -> None:
        """Another unit is selected."""
        self._code = None
        self._line = FIRST_LINE

    def take(self, code: linked.Code) -> None:
        """The code of the selected unit has been read."""
        self._code = code

    def show(self, recording: Recording, unit: Unit | None) -> None:
        """unit: the selected one, with the counts of now."""
        if self.pane("compare").display:
            self._show_compared()
        elif self._code is not None and unit is not None:
            guest, host = self.pane("guest"), self.pane("host")
            guest.show(guest_rows(recording, self._code, unit, guest.size.width))
            self.pane("ir").show(ir_rows(self._code, self.stage, self.pane("ir").size.width))
            host.show(host_rows(self._code, host.size.width))
            self._link()

    def choose(self, listing: Listing) -> None:
        """The line at the cursor of a pane is the one whose fate is marked."""
        key = listing.rows[listing.cursor].key if listing.cursor < len(listing.rows) else ""
        if key and listing.id:
            self._line = (listing.id, int(key))
            self._link()

    def next_stage(self, step: int) -> None:
        """Show the IR behind another pass; a chosen line of it is followed by its guest instruction."""
        if self._code is None or not self._code.stages:
            return
        name, line = self._line
        if name == "ir":
            lines = self._code.stages[self.stage].lines
            self._line = ("guest", lines[line].insn if line < len(lines) else 0)
        self._stage = (self.stage + step) % len(self._code.stages)
        self.pane("ir").show(ir_rows(self._code, self.stage, self.pane("ir").size.width))
        self._link()

    def _show_compared(self) -> None:
        pane = self.pane("compare")
        hint = "c compares the unit with itself under other circumstances, or with another one"
        pane.show(compare_rows(*self.compared, pane.size.width) if self.compared else plain([hint], "faint"))

    def _link(self) -> None:
        if self._code is None:
            return
        name, line = self._line
        marks = linked.marks(self._code, self.stage, name, line)
        for each, lines in (("guest", marks.guest), ("ir", marks.ir), ("host", marks.host)):
            pane = self.pane(each)
            own = frozenset([line]) if each == name else frozenset[int]()
            pane.link(linked.rows_of((row.key for row in pane.rows), lines | own))
