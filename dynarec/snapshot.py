"""Snapshots: all that a machine is at one moment.

A snapshot shares the guest pages that did not change with other snapshots, so that many of one run cost little more
than the pages that the run wrote. It outlives its machine, and fits every machine with the same program that is made of
the same parts: in another tier, in another process, on another host.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dynarec.errors import DynarecError
from dynarec.guest_pages import Moment, Pages
from dynarec.machine.state import State

if TYPE_CHECKING:
    from guest_isa.guest import Guest

MOST_TIME = 1 << 62
"""No machine gets so far: sums of two such times fit in 64 bits."""


class Origin(NamedTuple):
    """What a snapshot is of.

    program: its name; digest: of what it loads. machine: the profile, and parts: what that is made of. registers: names
    of the words of the guest's state, "" where there is none.
    """

    guest: str
    program: str
    digest: bytes
    machine: str
    parts: State
    registers: tuple[str, ...]

    def difference(self, other: Origin) -> str | None:
        """Why a snapshot of this origin does not fit a machine of the other, in words; None if it does."""
        if self.guest != other.guest or self.registers != other.registers:
            return f"is of guest {self.guest}, as another build of dynarec knows it: this is guest {other.guest}"
        if self.digest != other.digest:
            return f"is of another program, {self.program}: load that one"
        if self.machine != other.machine:
            return f"is of machine {self.machine}, and this is machine {other.machine}: choose that one"
        if self.parts != other.parts:
            return f"is of a machine with {_words(self.parts)}, and this one has {_words(other.parts)}"
        return None


def _words(parts: State) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in sorted(parts.items())) or "nothing of its own"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What a machine was at one moment: `Machine.snapshot` takes one, `Machine.restore` goes back to it.

    answered: instructions that trapped and that the profile then did. exited: status of a program that had ended.
    profile: the state of the machine profile; devices: those of devices that were added to it, by their addresses.
    source: how messages call it.
    """

    origin: Origin
    moment: Moment
    pages: Pages
    answered: int
    exited: int | None
    profile: State
    devices: State
    source: str = "the snapshot"

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return self.moment.pc

    @property
    def instructions(self) -> int:
        """Guest instructions retired by then, as `Machine.instructions` counts them."""
        return self.moment.instructions + self.answered

    def save(self, path: Path | str) -> None:
        """Write it to a file, which is complete or not there at all. Raises DynarecError."""
        from dynarec import snapshot_file

        snapshot_file.save(self, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> Snapshot:
        """Read a file that `save` wrote. Raises DynarecError for any other."""
        from dynarec import snapshot_file

        return snapshot_file.load(Path(path))

    def check(self, guest: Guest, origin: Origin, devices: Collection[str]) -> None:
        """Raise DynarecError unless a machine of that origin, with devices at these addresses, can go on from here."""
        difference = self.origin.difference(origin)
        if difference is None and set(self.devices) != set(devices):
            there, here = (", ".join(sorted(names)) or "none" for names in (self.devices, devices))
            difference = f"is of a machine with other added devices: {there}, and here {here}"
        if difference is not None:
            raise DynarecError(f"{self.source} {difference}")
        bits = {field.index: field.bits for field in guest.layout}
        held = all(word >> bits.get(index, 0) == 0 for index, word in enumerate(self.moment.state))
        times = (self.moment.instructions, self.moment.skipped, self.answered)
        if not held or self.pc % guest.isa.parcel or max(times) >= MOST_TIME:
            raise DynarecError(f"{self.source} is damaged: its registers hold what they cannot hold")
