"""Checks that a unit is well formed: what the passes and the hosts may rely on."""

from __future__ import annotations

from dynarec.ir import ops
from dynarec.ir.ops import Type
from dynarec.ir.state import Field, StateLayout
from dynarec.ir.text import format_ops
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, SideExit, SyncCode, Terminal, Trap, Unit


class MalformedUnit(Exception):  # noqa: N818 - named by what it reports
    """A unit that breaks a rule of the IR: a bug of its maker. The message names the unit, the op and the rule."""


def verify(unit: Unit, layout: StateLayout | None = None) -> None:
    """Raise MalformedUnit unless `unit` is well formed.

    Values are defined before their use and have the types of the op table; constants fit their type; the offset of an
    access is a constant; ops stand in the order of their guest instructions; what is written to a field provably fits;
    writes are deferred to ops that may leave the unit, for each field one.
    With `layout`, fields are those of the layout.
    """
    _Verifier(unit, layout).run()


class _RuleError(Exception):
    """A rule is broken; the place is added by `_Verifier.run`."""


def _need(condition: bool, rule: str) -> None:
    if not condition:
        raise _RuleError(rule)


class _Verifier:
    def __init__(self, unit: Unit, layout: StateLayout | None) -> None:
        self._unit = unit
        self._fields = None if layout is None else frozenset(layout)
        self._defined: set[Op] = set()
        self._seen: set[Op] = set()
        self._at = 0

    def run(self) -> None:
        line = -1
        try:
            _check_insns(self._unit)
            for line, op in enumerate(self._unit.ops):  # noqa: B007 - the message needs where it stopped
                self._op(op)
            line = len(self._unit.ops)
            self._leave(self._unit.terminal)
        except _RuleError as broken:
            place = "" if line < 0 else f": {_line(self._unit, line)}"
            raise MalformedUnit(f"unit {self._unit.key:#x}{place}: {broken}") from None

    def _op(self, op: Op) -> None:
        _need(op not in self._seen, "the op stands twice in the unit")
        _need(self._at <= op.at < len(self._unit.insns), f"its guest instruction {op.at} is out of order or missing")
        self._at = op.at
        self._seen.add(op)
        _need(ops.OPS.get(op.kind.name) is op.kind, "the op is not in the table")
        _need(len(op.args) == len(op.kind.params), f"takes {len(op.kind.params)} operands, has {len(op.args)}")
        for arg, wanted in zip(op.args, op.kind.params, strict=True):
            self._operand(arg, wanted)
        _check_offset(op)
        self._attr(op)
        self._deferred(op)
        if op.kind.result is not Type.VOID:
            self._defined.add(op)

    def _operand(self, value: Operand, wanted: Type) -> None:
        if isinstance(value, Op):
            _need(value in self._defined, "uses a value that is not defined before it")
            _need(value.kind.result is wanted, f"{wanted.value} wanted, {value.kind.result.value} given")
            return
        _need(type(value) is int, f"operand {value!r} is neither a value nor an integer")
        limit = 1 if wanted is Type.I1 else ops.MASK32
        _need(0 <= value <= limit, f"constant {value:#x} is no {wanted.value}")

    def _attr(self, op: Op) -> None:
        if op.kind in (ops.GET, ops.SET):
            self._field(op)
        elif op.kind is ops.CALL:
            _need(op.attr in ops.COUNTERS, f"{op.attr!r} is no counter")
        elif op.kind is ops.EXIT_IF:
            _need(isinstance(op.attr, SideExit), "a side exit is a jump, a trap or interpret")
            self._leave(op.attr)
        elif op.kind in ops.LOADS:
            _need(op.attr in (None, ops.AS_WRITE), f"has an attribute, {op.attr!r}")
        else:
            _need(op.attr is None, f"has an attribute, {op.attr!r}")

    def _field(self, op: Op) -> None:
        self._check_field(op.attr)
        if op.kind is ops.SET:
            _check_fits(op.args[0], op.attr)

    def _check_field(self, field: object) -> None:
        _need(isinstance(field, Field), f"{field!r} is no field")
        _need(self._fields is None or field in self._fields, f"{field} is not in the layout")

    def _deferred(self, op: Op) -> None:
        _need(op.kind.exits or not op.deferred, "writes are deferred to an op that leaves no unit")
        fields = [field for field, _ in op.deferred]
        _need(len(set(fields)) == len(fields), "two writes of one field are deferred")
        for field, value in op.deferred:
            self._check_field(field)
            self._operand(value, Type.I32)
            _check_fits(value, field)

    def _leave(self, leave: Terminal) -> None:
        match leave:
            case Jump(target) | SyncCode(target):
                _check_address(target)
            case JumpTo(value):
                self._operand(value, Type.I32)
            case Branch(condition, taken, fallthrough):
                self._operand(condition, Type.I1)
                _check_address(taken)
                _check_address(fallthrough)
            case Trap(cause, value):
                _need(type(cause) is int and 0 <= cause <= ops.MASK32, f"cause {cause!r} is no unsigned 32-bit number")
                self._operand(value, Type.I32)
            case Interpret():
                pass
            case _:
                raise _RuleError(f"{leave!r} is no terminal")


def _line(unit: Unit, number: int) -> str:
    """The text of an op or of the terminal, as well as it can be printed."""
    try:
        return format_ops(unit)[number]
    except Exception:  # a malformed op need not be printable
        return f"op {number}"


def _check_insns(unit: Unit) -> None:
    _need(bool(unit.insns), "has no guest instruction")
    for insn in unit.insns:
        _check_address(insn.pc)
        # Where there is no instruction, the interpreter tells: only at the end.
        missing = insn is unit.insns[-1] and isinstance(unit.terminal, Interpret)
        _need(insn.length > 0 or missing, f"the guest instruction at {insn.pc:#x} has no length")


def _check_address(address: int) -> None:
    _need(type(address) is int and 0 <= address <= ops.MASK32, f"{address!r} is no guest address")


def _check_offset(op: Op) -> None:
    place = ops.OFFSET_OPERAND.get(op.kind)
    if place is not None:
        _need(isinstance(op.args[place], int), "the offset is not a constant")


_RESULT_WIDTH = {ops.BIT: 1, ops.ZEXT8: 8, ops.LOAD8U: 8, ops.ZEXT16: 16, ops.LOAD16U: 16}
_RESULT_WIDTH |= dict.fromkeys(ops.BIT_COUNTS, ops.WORD_BITS.bit_length())
_WIDEST = (ops.OR, ops.XOR)


def _check_fits(value: Operand, field: Field) -> None:
    width = _width(value)
    _need(width <= field.bits, f"a value of up to {width} bits does not fit {field.bits}")


def _width(value: Operand) -> int:
    """An upper bound of the bits a value needs."""
    if isinstance(value, int):
        return value.bit_length()
    kind = value.kind
    if kind is ops.GET:
        return int(value.attr.bits)
    if kind is ops.AND:
        return min(map(_width, value.args))
    if kind in _WIDEST:
        return max(map(_width, value.args))
    if kind is ops.SELECT:
        return max(map(_width, value.args[1:]))
    if kind is ops.SHR and isinstance(value.args[1], int):
        return max(_width(value.args[0]) - (value.args[1] & ops.SHIFT_MASK), 0)
    return _RESULT_WIDTH.get(kind, ops.WORD_BITS)
