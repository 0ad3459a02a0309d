"""What is known of a unit's values before its first op is emitted: their uses, and where they are best computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dynarec.host import layout
from dynarec.host.moves import Slot
from dynarec.ir.ops import ADD, EXIT_IF, GET, SET, is_near
from dynarec.ir.state import Field
from dynarec.ir.unit import Deferred, Op, Operand, Unit

Period = tuple[int, int]
"""From behind one op up to another one, by their places in the unit."""


@dataclass(slots=True)
class _Shadow:
    """A field whose content nobody sees, since writes of it are deferred.

    seen: where it was seen last. values: what is written meanwhile, with when its place is free for it.
    """

    seen: int
    values: list[tuple[Op, Period]] = field(default_factory=list)


class Lives:
    """The uses of values, and the homes of fields that nobody looks at until they are set again."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], further: Iterable[Op] = ()) -> None:
        """further: a value for each use that the ops do not show."""
        self.left: dict[Op, int] = {}
        """Uses that are still to come. All writes of a value to a field that follow one another are one use."""
        self.owed: Counter[Op] = Counter()
        """Of these, those of deferred writes."""
        self.ends: dict[int, list[Op]] = {}
        """At which ops uses by deferred writes end."""
        self.remade: dict[Op, tuple[Op, int]] = {}
        """Values that only deferred writes use, and that are the sum of another one and a constant."""
        self.hints: dict[Op, int] = {}
        """The homes in which values are best computed."""
        self.wanted: dict[Op, int] = {}
        """The `set` for which a value with a hint is wanted there."""
        self.last: dict[Op, int] = {}
        """The last uses of values by ops; deferred writes use them as long as the unit may be left."""
        self.words: dict[Op, tuple[Slot, int]] = {}
        """The words in which values are best kept, and up to which op."""
        self.idle: dict[int, list[Period]] = {}
        """When a home is idle: between the last time that anybody can see its field and the next `set` of it."""
        self._homes = homes
        self._weak: dict[Op, int] = {}
        self._quiet: dict[int, list[Period]] = {}
        self._position: dict[Op, int] = {}
        self._touched: dict[Field, int] = {}
        self._observed = -1
        self._shadows: dict[Field, _Shadow] = {}
        self._listed: Deferred = ()
        self._scan(unit)
        for value in further:
            self.left[value] += 1
        self._remake(unit)
        for value, home in self._weak.items():
            self.hints.setdefault(value, home)
        self._chain()

    def _scan(self, unit: Unit) -> None:
        left, last, touched = self.left, self.last, self._touched
        for index, op in enumerate(unit.ops):
            kind = op.kind
            left[op] = 0
            for arg in op.args:
                if type(arg) is not int:
                    left[arg] += 1  # type: ignore[index]
                    last[arg] = index  # type: ignore[index]
            if kind is SET:
                self._set(index, op.attr, op.args[0])
                touched[op.attr] = index
            elif kind is GET:
                touched[op.attr] = index
            elif kind.exits:
                if op.deferred is not self._listed:
                    self._list(op.deferred, index)
                self._observed = index
            self._position[op] = index
            if kind is EXIT_IF and isinstance(used := op.leave_value, Op):
                left[used] += 1
        self._list((), len(unit.ops))
        end = unit.terminal_value()
        if isinstance(end, Op):
            left[end] += 1

    def _set(self, index: int, target: Field, value: Operand) -> None:
        touched = self._touched.get(target, -1)
        seen = max(self._observed, touched)
        shadow = self._shadows.pop(target, None)
        home = self._homes.get(target)
        if home is not None:
            if isinstance(value, Op) and value not in self.hints and seen <= self._position[value]:
                self.hints[value] = home
                self.wanted[value] = index
            self._quiet.setdefault(home, []).append((seen, index))
            start = seen if shadow is None else max(shadow.seen, touched)
            if start < index - 1:
                self.idle.setdefault(home, []).append((start, index))
        if shadow is not None and touched <= shadow.seen:
            self._place(index, target, home, shadow)

    def _place(self, index: int, target: Field, home: int | None, shadow: _Shadow) -> None:
        """What is written in the shadow of a field is best where that would be."""
        for value, period in shadow.values:
            if home is None:
                self.words.setdefault(value, (target.index * layout.WORD, index))
            else:
                self._weak.setdefault(value, home)
                self._quiet[home].append(period)

    def _list(self, deferred: Deferred, index: int) -> None:
        """Other writes than before are deferred to the op at `index`."""
        before, now = set(self._listed), set(deferred)
        fields = {target for target, _ in deferred}
        for target, value in self._listed:
            if target not in fields:
                self._shadows.pop(target, None)
            if isinstance(value, Op) and (target, value) not in now:
                self.ends.setdefault(self._observed, []).append(value)
                self.last[value] = max(self.last.get(value, -1), self._observed)
        for target, value in deferred:
            if (target, value) not in before:
                self._begin(target, value, index)
        self._listed = deferred

    def _begin(self, target: Field, value: Operand, index: int) -> None:
        seen = max(self._observed, self._touched.get(target, -1))
        shadow = self._shadows.setdefault(target, _Shadow(seen))
        if isinstance(value, Op):
            self.left[value] += 1
            self.owed[value] += 1
            if seen <= self._position[value]:
                shadow.values.append((value, (seen, index)))

    def _remake(self, unit: Unit) -> None:
        for op in reversed(unit.ops) if self.owed else ():
            owed = self.owed[op]
            if op.kind is ADD and owed and owed == self.left[op]:
                base, constant = op.args
                if isinstance(base, Op) and isinstance(constant, int) and is_near(constant):
                    self.remade[op] = base, constant
                    self.left[base] += owed - 1
                    self.owed[base] += owed
                    self.last[base] = max(self.last[base], self.last[op])

    def _chain(self) -> None:
        """A value that is only the first operand of one computed in a home is best computed there, too."""
        for op, home in list(self.hints.items()):
            periods = self._quiet.get(home, ())
            first = self._first_operand(op)
            while first is not None and first not in self.hints:
                at = self._position[first]
                if not any(start <= at < end for start, end in periods):
                    break
                self.hints[first] = home
                first = self._first_operand(first)

    def _first_operand(self, op: Op) -> Op | None:
        """The operand that a two-operand instruction for `op` overwrites, if this is its only use."""
        if not op.kind.pure:
            return None
        for arg in op.args[: 2 if op.kind.commutative else 1]:
            if isinstance(arg, Op) and self.left[arg] == 1 and arg.kind is not GET:
                return arg
        return None
