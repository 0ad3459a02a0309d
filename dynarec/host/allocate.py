"""Register assignment inside a trace, the same for every host.

A guest field with a home lives in that host register whenever anybody can see the state; other fields live in their
word of the CPU state. A value of the trace may be in a home (it is, or was, the field's content), in a scratch
register, in a state word, or in several of these at a time. Values that are about to be written to a field are computed
right in its home when nothing can look in between; everything else goes to scratch registers, then to homes that nobody
looks at until they are set again, and to spill words when those run out.

A write that is deferred takes its value from wherever that is; until then the field's place is free. A value that only
deferred writes use, and that is the sum of another one and a constant, is not computed at all (`remade`).

Emitters ask with `register`, `in_register` or `slot`, say `done` when they have fetched what an op uses, and get the
result's place from `result`. Only the five primitives that they hand in make code, and none of these changes the host's
flags.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dynarec.host import layout
from dynarec.host.base import Source
from dynarec.host.lives import Lives
from dynarec.host.moves import NOWHERE, REGISTERS, Move, Mover, OutOfRegisters, Place, Slot, in_word
from dynarec.ir.ops import MASK32
from dynarec.ir.state import Field
from dynarec.ir.unit import Deferred, Op, Operand, Unit


class Allocator(Mover):
    """The places of values while one unit is emitted. Registers are host register numbers."""

    def __init__(
        self, unit: Unit, homes: Mapping[Field, int], scratch: Sequence[int], further: Iterable[Op] = ()
    ) -> None:
        """further: a value for each use that the ops' arguments do not show; the emitter ends it with `release`."""
        self.homes = homes
        self.scratch = scratch
        lives = Lives(unit, homes, further)
        self.left = lives.left
        self.remade = lives.remade
        self._owed = lives.owed
        self._ends = lives.ends
        self._last = lives.last
        self._wanted = lives.wanted
        self._hints = lives.hints
        self._words = lives.words
        self._idle = lives.idle
        self._holds: dict[int, Op] = {}
        self._registers: dict[Op, list[int]] = {}
        self._slots: dict[Op, Slot] = {}
        self._in_slot: dict[Slot, Op] = {}
        self._aliases: dict[Op, Op] = {}
        self._targets: dict[Field, Place] = {}
        self._locked: set[int] = set()
        self._pinned: set[Slot] = set()
        self._made: dict[int, int] = {}
        self.at = 0
        """Index of the op that is being emitted."""

    # -- primitives of the host ---------------------------------------------------------------------------------------

    @abstractmethod
    def store_constant(self, slot: Slot, value: int) -> None:
        """Constant to state word."""

    # -- places of values ---------------------------------------------------------------------------------------------

    def value(self, operand: Operand) -> Operand:
        """The operand, or the value that it is another name for."""
        return self._aliases.get(operand, operand)  # type: ignore[arg-type]

    def alias(self, op: Op, value: Op) -> None:
        """`op` is another name for `value`."""
        self._aliases[op] = value
        self.left[value] += self.left[op]
        self._owed[value] += self._owed[op]
        self._last[value] = max(self._last.get(value, -1), self._last.get(op, -1))

    def in_register(self, operand: Operand) -> int | None:
        """A register that holds the value, if one does."""
        registers = self._registers.get(self.value(operand))  # type: ignore[arg-type]
        return registers[0] if registers else None

    def slot(self, operand: Operand) -> Slot | None:
        """The state word that holds the value, if one does."""
        return self._slots.get(self.value(operand))  # type: ignore[arg-type]

    def _needed(self, register: int) -> bool:
        value = self._holds.get(register)
        return value is not None and self.left[value] > 0

    def _put(self, value: Op, register: int) -> None:
        self._drop(register)
        self._holds[register] = value
        self._registers.setdefault(value, []).append(register)

    def _drop(self, register: int) -> None:
        value = self._holds.pop(register, None)
        if value is not None:
            self._registers[value].remove(register)

    def lock(self, register: int) -> None:
        """Keep the register as it is until `unlock`."""
        self._locked.add(register)

    def unlock(self) -> None:
        """An op is finished: every register may be taken again."""
        self._locked.clear()
        self._pinned.clear()
        self._made.clear()

    def has_free(self) -> bool:
        """Whether a register can be had without moving anything."""
        return self._unused() is not None

    # -- taking registers ---------------------------------------------------------------------------------------------

    def temporary(self) -> int:
        """A scratch register for use inside one op, locked. It may be where the op's value is wanted."""
        register = self._free_scratch()
        self._locked.add(register)
        return register

    def temporary_beside(self, op: Op) -> int:
        """A scratch register for use inside the op, locked; and not where its value is wanted."""
        home = self._hints.get(op)
        if home is None or home in self._locked:
            return self.temporary()
        self._locked.add(home)
        register = self.temporary()
        self._locked.discard(home)
        return register

    def _unused(self) -> int | None:
        """A scratch register, or an idle home, with nothing in it that is still needed."""
        for register in self.scratch:
            if register not in self._locked and not self._needed(register):
                return register
        for home in self._idle:
            if home not in self._locked and not self._needed(home) and self._is_idle(home):
                return home
        return None

    def _is_idle(self, home: int) -> bool:
        """Whether nobody looks at the home's field before it is set again."""
        periods = self._idle.get(home)
        while periods and periods[0][1] <= self.at:
            periods.pop(0)
        return bool(periods) and periods[0][0] < self.at  # type: ignore[index]

    def _free_scratch(self) -> int:
        register = self._unused()
        if register is None:
            register = self._victim()
            self._evict(register)
        self._drop(register)
        return register

    def _victim(self) -> int:
        """The scratch register whose value is best moved: one that is in another place as well, if there is any."""
        best: int | None = None
        for register in self.scratch:
            if register in self._locked:
                continue
            value = self._holds[register]
            if value in self._slots or len(self._registers[value]) > 1:
                return register
            best = register
        if best is None:
            raise OutOfRegisters
        return best

    def claim(self, register: int) -> None:
        """Free a certain scratch register, and lock it; what it holds and is still needed moves elsewhere."""
        self._locked.add(register)
        if self._needed(register):
            self._evict(register)
        self._drop(register)

    def _evict(self, register: int) -> None:
        """The register will be overwritten: its value survives in another place if it is still needed."""
        value = self._holds[register]
        if len(self._registers[value]) == 1 and value not in self._slots:
            self._save(value, register)
        self._drop(register)

    def _save(self, value: Op, register: int) -> None:
        other = self._unused()
        if other is not None and other != register:
            self.copy(other, register)
            self._put(value, other)
            return
        for slot in self._words_for(value):
            held = self._in_slot.get(slot)
            if slot not in self._pinned and (held is None or self.left[held] == 0):
                self.store_slot(slot, register)
                self._put_slot(value, slot)
                return
        raise OutOfRegisters

    def _words_for(self, value: Op) -> Iterator[Slot]:
        """Where the value may be kept, best first: the word that it is going to be written to, spill words."""
        slot, end = self._words.get(value, (0, 0))
        if self.at < end:
            yield slot
        yield from range(layout.SPILL, layout.SPILL + layout.SPILL_WORDS * layout.WORD, layout.WORD)

    def _put_slot(self, value: Op, slot: Slot) -> None:
        self._forget_slot(slot)
        self._in_slot[slot] = value
        self._slots[value] = slot

    def _forget_slot(self, slot: Slot) -> None:
        held = self._in_slot.pop(slot, None)
        if held is not None and self._slots.get(held) == slot:
            del self._slots[held]

    # -- what an op uses ----------------------------------------------------------------------------------------------

    def register(self, operand: Operand) -> int:
        """A register that holds the operand, locked; loads or makes it if none does yet."""
        value = self.value(operand)
        if type(value) is int:
            return self._constant_register(value)
        registers = self._registers.get(value)  # type: ignore[arg-type]
        if registers:
            register = registers[0]
        else:
            register = self._free_scratch()
            self.load_slot(register, self._slots[value])  # type: ignore[index]
            self._put(value, register)  # type: ignore[arg-type]
        self._locked.add(register)
        return register

    def _constant_register(self, value: int) -> int:
        """One register for all operands of an op that are this constant."""
        if value not in self._made:
            register = self._made[value] = self.temporary()
            self.constant(register, value)
        return self._made[value]

    def load(self, register: int, operand: Operand) -> None:
        """Make a register that is not tracked here hold the operand."""
        value = self.value(operand)
        if type(value) is int:
            self.constant(register, value)
            return
        registers = self._registers.get(value)  # type: ignore[arg-type]
        if not registers:
            self.load_slot(register, self._slots[value])  # type: ignore[index]
        elif register not in registers:
            self.copy(register, registers[0])

    def used_later(self, operand: Operand) -> bool:
        """Whether the operand has a use besides the present one."""
        value = self.value(operand)
        return type(value) is not int and self.left[value] > 1  # type: ignore[index]

    def done(self, op: Op) -> None:
        """The op's operands have been fetched: these uses are over. A state word may still be about to be read."""
        for arg in op.args:
            if type(arg) is not int:
                value = self._aliases.get(arg, arg)  # type: ignore[arg-type]
                self.left[value] -= 1
                if value in self._slots:
                    self._pinned.add(self._slots[value])

    def release(self, operand: Operand) -> None:
        """One use of the operand is over that is not among its op's arguments."""
        self.left[self.value(operand)] -= 1  # type: ignore[index]

    # -- what an op makes ---------------------------------------------------------------------------------------------

    def result(self, op: Op, spare: int | None = None) -> int:
        """The register to compute the op's value in; it may be that of an operand whose last use this is.

        spare: a temporary of this op that may become the result's.
        """
        register = self._home_for(op)
        if register is None:
            register = self._operand_for(op)
        if register is None:
            register = spare if spare is not None else self._free_scratch()
        self._put(op, register)
        return register

    def result_in(self, op: Op, register: int) -> None:
        """The op's value has been made in a claimed scratch register; it moves to where it is wanted."""
        home = self._home_for(op)
        if home is not None:
            self.copy(home, register)
            register = home
        self._put(op, register)

    def _home_for(self, op: Op) -> int | None:
        home = self._hints.get(op)
        if home is None:
            return None
        value = self._holds.get(home)
        if value is None or self.left[value] == 0 or self._registers[value] != [home] or value in self._slots:
            return home
        if self._ends_here(value):
            return home
        if op not in self._wanted or self._last.get(value, -1) <= self._wanted[op]:
            return None
        self._evict(home)  # it would have to go before the `set`
        return home

    def _ends_here(self, value: Op) -> bool:
        """Whether this op, which overwrites nothing if it fails, is the last that needs the value."""
        return sum(self._root(each)[0] is value for each in self._ends.get(self.at, ())) == self.left[value]

    def _operand_for(self, op: Op) -> int | None:
        for arg in op.args:
            value = self.value(arg)
            register = self._made.get(value) if isinstance(value, int) else self.in_register(value)
            if register is None or self._needed(register):
                continue
            if register in self.scratch or self._is_idle(register):
                return register
        return None

    # -- guest state --------------------------------------------------------------------------------------------------

    def get(self, op: Op) -> None:
        """A `get`: its value is where the field is."""
        field: Field = op.attr
        home = self.homes.get(field)
        slot = field.index * layout.WORD
        holder = self._holds.get(home) if home is not None else self._in_slot.get(slot)
        if holder is not None:
            self.alias(op, holder)
        elif home is not None:
            self._put(op, home)
        else:
            self._put_slot(op, slot)

    def set(self, op: Op) -> None:
        """A `set`: brings the value to where the field is."""
        field: Field = op.attr
        home = self.homes.get(field)
        value = self.value(op.args[0])
        if home is not None:
            self._set_home(home, value)
        else:
            self._set_slot(field.index * layout.WORD, value)
        self.done(op)

    def _set_home(self, home: int, value: Operand) -> None:
        if self._holds.get(home) is value:
            return
        self.claim(home)
        self.load(home, value)
        if isinstance(value, Op):
            self._put(value, home)

    def _set_slot(self, slot: Slot, value: Operand) -> None:
        if self._in_slot.get(slot) is value:
            return
        source = None if isinstance(value, int) else self.register(value)
        old = self._in_slot.get(slot)
        if old is not None and self.left[old] > 0 and not self._registers.get(old):
            self.register(old)
        self._forget_slot(slot)
        if source is None:
            self.store_constant(slot, value)  # type: ignore[arg-type]
            return
        self.store_slot(slot, source)
        if value not in self._slots:
            self._put_slot(value, slot)  # type: ignore[arg-type]

    # -- deferred writes ----------------------------------------------------------------------------------------------

    def moves(self, deferred: Deferred) -> list[Move]:
        """What brings the state up to date, while values are where they are now."""
        found = []
        for field, operand in deferred:
            to = self._targets.get(field) or self._target(field)
            if type(operand) is int:
                found.append(Move(to, NOWHERE, operand))
                continue
            value, plus = self._root(operand)  # type: ignore[arg-type]
            registers = self._registers.get(value)
            if plus or not self._is_at(value, to):
                found.append(Move(to, REGISTERS[registers[0]] if registers else in_word(self._slots[value]), plus))
        return found

    def _is_at(self, value: Op, place: Place) -> bool:
        if place.source is Source.WORD:
            return self._slots.get(value) == place.number
        return place.number in self._registers.get(value, ())

    def _target(self, field: Field) -> Place:
        home = self.homes.get(field)
        place = in_word(field.index * layout.WORD) if home is None else REGISTERS[home]
        return self._targets.setdefault(field, place)

    def leave_behind(self) -> None:
        """The unit has not been left at this op: some deferred writes will never be made."""
        for op in self._ends.pop(self.at, ()):
            value, _ = self._root(op)
            self.left[value] -= 1
            self._owed[value] -= 1

    def _root(self, op: Op) -> tuple[Op, int]:
        """The value that is somewhere, and what has to be added to it."""
        value, plus = self._aliases.get(op, op), 0
        while value in self.remade:
            base, constant = self.remade[value]
            value, plus = self._aliases.get(base, base), plus + constant & MASK32
        return value, plus
