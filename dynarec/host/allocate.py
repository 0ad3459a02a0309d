"""Register assignment inside a trace, the same for every host.

A guest field with a home lives in that host register whenever anybody can see the state; other fields live in their word of
the CPU state. A value of the trace may be in a home (it is, or was, the field's content), in a scratch register, in a state
word, or in several of these at a time. Values that are about to be written to a field are computed right in its home when
nothing can look in between; everything else goes to scratch registers, and to spill words when those run out.

Emitters ask with `where`, `register` or `loaded`, say `done` when they have fetched what an op uses, and get the result's
place from `result`. Only the five primitives that they hand in make code, and none of these changes the host's flags.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from dynarec.host import layout
from dynarec.ir.ops import GET, SET
from dynarec.ir.state import Field
from dynarec.ir.unit import Op, Operand, Unit

Slot = int
"""Byte offset of a word from the CPU state register."""


class OutOfRegisters(Exception):
    """An op needs more registers at a time than the host has: a defect of the host's emitter."""


class Allocator(ABC):
    """The places of values while one unit is emitted. Registers are host register numbers."""

    def __init__(self, unit: Unit, homes: Mapping[Field, int], scratch: Sequence[int]) -> None:
        self.homes = homes
        self.scratch = scratch
        self.left: dict[Op, int] = {}
        self._holds: dict[int, Op] = {}
        self._registers: dict[Op, list[int]] = {}
        self._slots: dict[Op, Slot] = {}
        self._in_slot: dict[Slot, Op] = {}
        self._aliases: dict[Op, Op] = {}
        self._locked: set[int] = set()
        self._hints: dict[Op, int] = {}
        self._scan(unit)

    # -- primitives of the host ---------------------------------------------------------------------------------------

    @abstractmethod
    def copy(self, to: int, source: int) -> None:
        """Register to register."""

    @abstractmethod
    def load_slot(self, to: int, slot: Slot) -> None:
        """State word to register."""

    @abstractmethod
    def store_slot(self, slot: Slot, source: int) -> None:
        """Register to state word."""

    @abstractmethod
    def constant(self, to: int, value: int) -> None:
        """Constant to register."""

    @abstractmethod
    def store_constant(self, slot: Slot, value: int) -> None:
        """Constant to state word."""

    # -- before the first op ------------------------------------------------------------------------------------------

    def _scan(self, unit: Unit) -> None:
        """Count uses, and find the values that can be computed right in the home they are written to."""
        left = self.left
        observed = -1
        position: dict[Op, int] = {}
        touched: dict[Field, int] = {}
        for index, op in enumerate(unit.ops):
            kind = op.kind
            left[op] = 0
            for arg in op.args:
                if type(arg) is not int:
                    left[arg] += 1  # type: ignore[index]
            if kind is SET:
                value, field = op.args[0], op.attr
                home = self.homes.get(field)
                if home is not None and isinstance(value, Op) and value not in self._hints:
                    defined = position[value]
                    if observed <= defined and touched.get(field, -1) <= defined:
                        self._hints[value] = home
                touched[field] = index
            elif kind is GET:
                touched[op.attr] = index
            elif kind.exits:
                observed = index
            position[op] = index
        value = unit.terminal_value()
        if isinstance(value, Op):
            left[value] += 1

    # -- places of values ---------------------------------------------------------------------------------------------

    def value(self, operand: Operand) -> Operand:
        """The operand, or the value that it is another name for."""
        if type(operand) is int:
            return operand
        return self._aliases.get(operand, operand)  # type: ignore[arg-type]

    def alias(self, op: Op, value: Op) -> None:
        """`op` is another name for `value`."""
        self._aliases[op] = value
        self.left[value] += self.left[op]

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

    def has_free(self) -> bool:
        """Whether a scratch register can be had without moving anything."""
        return any(register not in self._locked and not self._needed(register) for register in self.scratch)

    # -- taking registers ---------------------------------------------------------------------------------------------

    def temporary(self) -> int:
        """A scratch register for use inside one op, locked."""
        register = self._free_scratch()
        self._locked.add(register)
        return register

    def _free_scratch(self) -> int:
        best: int | None = None
        for register in self.scratch:
            if register in self._locked:
                continue
            if not self._needed(register):
                self._drop(register)
                return register
            value = self._holds[register]
            elsewhere = value in self._slots or len(self._registers[value]) > 1
            if best is None or elsewhere:
                best = register
        if best is None:
            raise OutOfRegisters
        self._evict(best)
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
        for other in self.scratch:
            if other != register and other not in self._locked and not self._needed(other):
                self.copy(other, register)
                self._put(value, other)
                return
        for number in range(layout.SPILL_WORDS):
            slot = layout.SPILL + number * layout.WORD
            held = self._in_slot.get(slot)
            if held is None or self.left[held] == 0:
                self.store_slot(slot, register)
                self._put_slot(value, slot)
                return
        raise OutOfRegisters

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
            register = self.temporary()
            self.constant(register, value)
            return register
        registers = self._registers.get(value)  # type: ignore[arg-type]
        if registers:
            register = registers[0]
        else:
            register = self._free_scratch()
            self.load_slot(register, self._slots[value])  # type: ignore[index]
            self._put(value, register)  # type: ignore[arg-type]
        self._locked.add(register)
        return register

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
        """The op's operands have been fetched: these uses of them are over."""
        for arg in op.args:
            if type(arg) is not int:
                self.left[self.value(arg)] -= 1  # type: ignore[index]

    # -- what an op makes ---------------------------------------------------------------------------------------------

    def result(self, op: Op) -> int:
        """The register to compute the op's value in; it may be that of an operand whose last use this is."""
        register = self._home_for(op)
        if register is None:
            register = self._operand_for(op)
        if register is None:
            register = self._free_scratch()
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
        if value is not None and self.left[value] > 0 and self._registers[value] == [home] and value not in self._slots:
            return None
        return home

    def _operand_for(self, op: Op) -> int | None:
        for arg in op.args:
            register = self.in_register(arg) if type(arg) is not int else None
            if register is not None and register in self.scratch and not self._needed(register):
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
        self.unlock()

    def _set_home(self, home: int, value: Operand) -> None:
        if self._holds.get(home) is value:
            return
        self.claim(home)
        self.load(home, value)
        if isinstance(value, Op):
            self._put(value, home)

    def _set_slot(self, slot: Slot, value: Operand) -> None:
        old = self._in_slot.get(slot)
        if old is value:
            return
        if old is not None and self.left[old] > 0 and not self._registers.get(old):
            self.register(old)
        if isinstance(value, int):
            self.store_constant(slot, value)
            self._forget_slot(slot)
            return
        self.store_slot(slot, self.register(value))
        if self._slots.get(value) is None:
            self._put_slot(value, slot)
        else:
            self._forget_slot(slot)
