"""Moves that happen at the same time, made one after the other so that none overwrites what another one still needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dynarec.host import layout
from dynarec.host.base import Source

Slot = int
"""Byte offset of a word from the CPU state register."""


class OutOfRegisters(Exception):  # noqa: N818 - what has happened; the docstring says whose error it is
    """An op needs more registers at a time than the host has: a defect of the host's emitter."""


class Place(NamedTuple):
    """Where a value is. number: of a host register; or the slot of a state word."""

    source: Source
    number: int


NOWHERE = Place(Source.NOTHING, 0)


REGISTERS = tuple(Place(Source.REGISTER, number) for number in range(32))


def in_word(slot: Slot) -> Place:
    return Place(Source.WORD, slot)


class Move(NamedTuple):
    """`to` becomes the sum of a place's content and a constant."""

    to: Place
    source: Place
    plus: int = 0


class Mover(ABC):
    """What moves are made of. `scratch` are the registers that hold nothing but sources."""

    scratch: Sequence[int]

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
    def add_constant(self, to: int, source: int, value: int) -> None:
        """Sum of a register and a constant to register. It may change the flags."""

    def fetch(self, register: int, source: Place, plus: int = 0) -> None:
        """The sum of a place's content and a constant to register."""
        kind, number = source
        if kind is Source.NOTHING:
            self.constant(register, plus)
            return
        if kind is Source.WORD:
            self.load_slot(register, number)
            number = register
        if plus:
            self.add_constant(register, number, plus)
        elif number != register:
            self.copy(register, number)


class ParallelMoves:
    """Moves while they are made."""

    def __init__(self, mover: Mover, moves: Iterable[Move], kept: Iterable[int] = ()) -> None:
        """kept: registers that hold something else."""
        self._mover = mover
        self._left = list(moves)
        self._needed = Counter([each.source for each in self._left])
        self._kept = set(kept)

    def make(self) -> None:
        """Make them. Raises OutOfRegisters when too many values are in spill words."""
        while self._left:
            ready = next((each for each in self._left if self._is_ready(each)), None)
            if ready is None:
                self._set_aside(self._left[0].source)
                continue
            self._left.remove(ready)
            self._needed[ready.source] -= 1
            self._make(ready)

    def _is_ready(self, move: Move) -> bool:
        """Whether no other move needs what is there now."""
        return self._needed[move.to] == (move.source == move.to)

    def _make(self, move: Move) -> None:
        kind, number = move.to
        if kind is Source.REGISTER:
            self._mover.fetch(number, move.source, move.plus)
            self._kept.add(number)
        elif move.source.source is Source.REGISTER and move.plus == 0:
            self._mover.store_slot(number, move.source.number)
        else:
            through = self._free(move.source)
            self._mover.fetch(through, move.source, move.plus)
            self._mover.store_slot(number, through)

    def _set_aside(self, source: Place) -> None:
        """Break a circle of moves: they find the content of a place in a register of its own."""
        register = self._free()
        self._mover.fetch(register, source)
        self._replace(source, REGISTERS[register])

    def _free(self, beside: Place = NOWHERE) -> int:
        """A scratch register that no move needs. beside: what else must stay as it is, if it is a word."""
        usable = [each for each in self._mover.scratch if each not in self._kept]
        for register in usable:
            if not self._needed[REGISTERS[register]]:
                return register
        slots = (layout.SPILL + number * layout.WORD for number in range(layout.SPILL_WORDS))
        slot = next((each for each in slots if not self._needed[in_word(each)] and in_word(each) != beside), None)
        if slot is None or not usable:
            raise OutOfRegisters
        self._mover.store_slot(slot, usable[0])
        self._replace(REGISTERS[usable[0]], in_word(slot))
        return usable[0]

    def _replace(self, old: Place, new: Place) -> None:
        self._left = [each._replace(source=new) if each.source == old else each for each in self._left]
        self._needed[new] += self._needed.pop(old)
