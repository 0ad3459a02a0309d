"""The code of one unit, ready to be shown, and what a line of it came from and became."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

from dynarec.errors import DynarecError
from dynarec.inspect.code import GuestLine, HostLine, Stage, UnitCode
from dynarec.inspect.model import EXITS, HEAD, Unit


@dataclass(frozen=True, slots=True)
class Code:
    """The three forms of a unit.

    is_reproduced: its translation gives the recorded bytes; is_verified: and the verifier accepts them. error: why
    there is less.
    """

    unit: Unit
    guest: tuple[GuestLine, ...] = ()
    stages: tuple[Stage, ...] = ()
    host: tuple[HostLine, ...] = ()
    is_reproduced: bool | None = None
    is_verified: bool | None = None
    error: str = ""

    def insn(self, line: HostLine) -> int | None:
        """Index of the guest instruction that a line of host code came from; None for the head."""
        if line.op == HEAD:
            return None
        if line.op == EXITS:
            return self._exit_insn(line.offset)
        at = self.unit.op_insns
        return at[line.op] if line.op < len(at) else len(self.unit.pcs) - 1

    def _exit_insn(self, offset: int) -> int | None:
        """The code of an exit ends with its call of the stub."""
        ends = sorted((each.offset, each.executed) for each in self.unit.exits)
        at = bisect.bisect_right(ends, offset, key=lambda end: end[0])
        return ends[at][1] - 1 if at < len(ends) and ends[at][1] else None


@dataclass(frozen=True, slots=True)
class Marks:
    """Indices of lines."""

    guest: frozenset[int] = frozenset()
    ir: frozenset[int] = frozenset()
    host: frozenset[int] = frozenset()


def read(unit: Unit, guest: str) -> Code:
    """The code of a unit, as far as it can be had; never raises."""
    found = Code(unit)
    if not unit.code:
        return Code(unit, error="its code was not kept")
    try:
        code = UnitCode(unit, guest)
        found = Code(unit, tuple(code.guest_lines), host=tuple(code.host_lines))
        stages = tuple(code.stages)
        return Code(unit, found.guest, stages, found.host, code.is_reproduced, code.is_verified)
    except DynarecError as error:
        return Code(unit, found.guest, (), found.host, error=str(error))
    except Exception as error:  # the bytes may come from anywhere
        return Code(unit, found.guest, (), found.host, error=f"it cannot be made: {type(error).__name__}: {error}")


def marks(code: Code, stage: int, pane: str, line: int) -> Marks:
    """What a line of a pane, "guest", "ir" or "host", came from and became. stage: the one that is shown."""
    if pane == "guest" and line < len(code.guest):
        return _of_insn(code, stage, line)
    if pane == "host" and line < len(code.host):
        return _of_host(code, stage, code.host[line])
    if pane == "ir" and stage < len(code.stages) and line < len(code.stages[stage].lines):
        return _of_ir(code, stage, line)
    return Marks()


def _of_insn(code: Code, stage: int, insn: int) -> Marks:
    ir = code.stages[stage].lines if stage < len(code.stages) else ()
    return Marks(
        frozenset([insn]),
        frozenset(at for at, line in enumerate(ir) if line.insn == insn),
        frozenset(at for at, line in enumerate(code.host) if code.insn(line) == insn),
    )


def _of_host(code: Code, stage: int, line: HostLine) -> Marks:
    insn = code.insn(line)
    if insn is None:
        return Marks()
    found = _of_insn(code, stage, insn)
    exactly = stage == len(code.stages) - 1 and line.op >= 0
    return Marks(found.guest, frozenset([line.op]) if exactly else found.ir)


def _of_ir(code: Code, stage: int, line: int) -> Marks:
    """Host code belongs to ops of the last stage; earlier ones are followed by their guest instruction."""
    found = _of_insn(code, stage, code.stages[stage].lines[line].insn)
    if stage == len(code.stages) - 1 and line < len(code.unit.op_insns):
        return Marks(found.guest, host=frozenset(at for at, each in enumerate(code.host) if each.op == line))
    return Marks(found.guest, host=found.host)


def rows_of(keys: Iterable[str], lines: Iterable[int]) -> set[int]:
    """The rows whose keys are numbers of these lines."""
    wanted = {str(line) for line in lines}
    return {at for at, key in enumerate(keys) if key in wanted}
