"""Units as text, one op a line, and back.

    unit 0x10000:
      ; 0x10000 2  c.addi a0, 1
      %0 = get x10
      %1 = add %0, 0x1
      set x10, %1
      ; 0x10002 4  beq a0, a1, 0x10020
      %2 = get x11
      %3 = eq %1, %2
      branch %3, 0x10020, 0x10006

An op at which the unit may be left tells, in brackets, what is written to the state then: `load32 %1, 0x4 [x2 = %0]`.
A line with `;` is a guest instruction (pc, length in bytes, text); the ops under it belong to it. The last line is the
terminal. `parse_unit(format_unit(unit), layout)` gives an equal unit, and printing that gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dynarec.errors import DynarecError
from dynarec.ir import ops
from dynarec.ir.state import StateLayout
from dynarec.ir.unit import (
    Branch,
    Deferred,
    GuestInsn,
    Interpret,
    Jump,
    JumpTo,
    Op,
    Operand,
    SideExit,
    SyncCode,
    Terminal,
    Trap,
    Unit,
)

INDENT = "  "
UNDEFINED = "%?"
"""Printed for a value that no op before its use defines (`dynarec.ir.verify` refuses such a unit)."""


class IrSyntaxError(DynarecError):
    """Text that is no unit; the message names the line."""


class _Printer:
    """Numbers the values of one unit in the order of their ops."""

    def __init__(self) -> None:
        self._numbers: dict[Op, int] = {}

    def operand(self, value: Operand) -> str:
        if isinstance(value, int):
            return f"{value:#x}"
        number = self._numbers.get(value)
        return UNDEFINED if number is None else f"%{number}"

    def leave(self, leave: Terminal) -> str:
        match leave:
            case Jump(target):
                return f"jump {target:#x}"
            case JumpTo(value):
                return f"jump_to {self.operand(value)}"
            case Branch(condition, taken, fallthrough):
                return f"branch {self.operand(condition)}, {taken:#x}, {fallthrough:#x}"
            case Trap(cause, value):
                return f"trap {cause} {self.operand(value)}"
            case Interpret():
                return "interpret"
            case SyncCode(target):
                return f"sync_code {target:#x}"

    def op(self, op: Op) -> str:
        """The line of `op`; gives its value the next number."""
        words = [self.operand(arg) for arg in op.args]
        if op.kind is ops.EXIT_IF:
            words.append(self.leave(op.attr))
        elif op.attr is not None:
            words.insert(0, str(op.attr))
        text = f"{op.kind.name} {', '.join(words)}".rstrip()
        if op.deferred:
            text += f" [{', '.join(f'{field} = {self.operand(value)}' for field, value in op.deferred)}]"
        if op.kind.result is ops.Type.VOID:
            return text
        number = self._numbers[op] = len(self._numbers)
        return f"%{number} = {text}"


def _insn_line(insn: GuestInsn) -> str:
    return f"; {insn.pc:#x} {insn.length}  {insn.text}".rstrip()


def _lines(unit: Unit) -> Iterator[str]:
    printer = _Printer()
    shown = 0
    for op in unit.ops:
        for insn in unit.insns[shown : op.at + 1]:
            yield _insn_line(insn)
        shown = max(shown, op.at + 1)
        yield printer.op(op)
    yield from (_insn_line(insn) for insn in unit.insns[shown:])
    yield printer.leave(unit.terminal)


def format_ops(unit: Unit) -> list[str]:
    """The ops and the terminal, a line each, without the guest instructions."""
    printer = _Printer()
    return [*(printer.op(op) for op in unit.ops), printer.leave(unit.terminal)]


def format_unit(unit: Unit) -> str:
    """The unit as text that `parse_unit` reads; ends with a newline."""
    return "\n".join([f"unit {unit.key:#x}:", *(INDENT + line for line in _lines(unit)), ""])


_HEAD = re.compile(r"unit (0x[0-9a-f]+):")
_INSN = re.compile(r"; (0x[0-9a-f]+) (\d+)(?:  (.*))?")
_OP = re.compile(r"(?:%(\d+) = )?(\w+)(?: ([^\[]*?))?(?: \[(.*)\])?")
_LEAVES = frozenset({"jump", "jump_to", "branch", "trap", "interpret", "sync_code"})


class _Parser:
    """Reads the lines of one unit. Every failure is a ValueError or KeyError here; `parse_unit` adds the line."""

    def __init__(self, layout: StateLayout) -> None:
        self._layout = layout
        self._values: list[Op] = []
        self.unit: Unit | None = None
        self.ended = False

    def line(self, line: str) -> None:
        if self.unit is None:
            self.unit = Unit(int(_matched(_HEAD, line)[1], 16))
        elif self.ended:
            raise ValueError("the terminal is not the last line")
        elif line.startswith(";"):
            pc, length, text = _matched(_INSN, line).groups()
            self.unit.insns.append(GuestInsn(int(pc, 16), int(length), text or ""))
        else:
            self._op(self.unit, line)

    def _op(self, unit: Unit, line: str) -> None:
        number, name, rest, deferred = _matched(_OP, line).groups()
        if name in _LEAVES:
            unit.terminal = self._leave(line)
            self.ended = True
            return
        kind = ops.OPS[name]
        op = Op(kind, *self._split(kind, rest or ""), max(len(unit.insns) - 1, 0))
        op.deferred = self._deferred(deferred) if deferred else ()
        unit.ops.append(op)
        if kind.result is not ops.Type.VOID:
            if number != str(len(self._values)):
                raise ValueError(f"this value is %{len(self._values)}")
            self._values.append(op)

    def _split(self, kind: ops.OpKind, rest: str) -> tuple[tuple[Operand, ...], object]:
        """Arguments and attribute."""
        words = rest.split(", ") if rest else []
        attr: object = None
        if kind is ops.EXIT_IF:
            attr = self._side_exit(words.pop())
        elif kind in (ops.GET, ops.SET):
            attr = self._layout[words.pop(0)]
        elif kind is ops.CALL or (words and words[0] == ops.AS_WRITE):
            attr = words.pop(0)
        return tuple(self._operand(word) for word in words), attr

    def _deferred(self, text: str) -> Deferred:
        pairs = [each.split(" = ") for each in text.split(", ")]
        return tuple((self._layout[name], self._operand(value)) for name, value in pairs)

    def _operand(self, word: str) -> Operand:
        return self._values[int(word[1:])] if word.startswith("%") else int(word, 16)

    def _side_exit(self, text: str) -> SideExit:
        leave = self._leave(text)
        if not isinstance(leave, SideExit):
            raise ValueError("a side exit is a jump, a trap or interpret")
        return leave

    def _leave(self, text: str) -> Terminal:
        match text.replace(",", "").split():
            case ["jump", target]:
                return Jump(int(target, 16))
            case ["jump_to", value]:
                return JumpTo(self._operand(value))
            case ["branch", condition, taken, fallthrough]:
                return Branch(self._operand(condition), int(taken, 16), int(fallthrough, 16))
            case ["trap", cause, value]:
                return Trap(int(cause), self._operand(value))
            case ["interpret"]:
                return Interpret()
            case ["sync_code", target]:
                return SyncCode(int(target, 16))
        raise ValueError("no such terminal")


def _matched(pattern: re.Pattern[str], line: str) -> re.Match[str]:
    found = pattern.fullmatch(line)
    if found is None:
        raise ValueError("cannot be read")
    return found


def parse_unit(text: str, layout: StateLayout) -> Unit:
    """The unit that `format_unit` printed; `layout` has its fields. Raises IrSyntaxError."""
    parser = _Parser(layout)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            parser.line(line.strip())
        except (ValueError, LookupError) as error:
            raise IrSyntaxError(f"IR text, line {number}: {line.strip()!r}: {error}") from None
    if parser.unit is None or not parser.ended:
        raise IrSyntaxError("IR text: a unit has a head, `unit 0x...:`, and a terminal as its last line")
    return parser.unit
