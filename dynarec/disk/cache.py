"""The persistent translation cache of one machine.

When the guest has its first hot block, `read` finds the units of earlier runs of the program, and the map of home
registers that they are for, which the CPU thread adopts. They are looked up by key, and installed as everything is:
verified, and only where the guest's bytes are theirs. What is translated beside them is kept, and saved when the
machine is closed and, in a long run, from time to time. Whatever goes wrong is told once, and never stops a run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.disk import units_file
from dynarec.disk.folder import PrivateFolder
from dynarec.disk.identity import identity_of
from dynarec.disk.places import VARIABLE, own_key
from dynarec.disk.record import KeptUnit, pack, ranges_of
from dynarec.disk.units_file import MOST_FRONT, BadUnits, Record, Units
from dynarec.errors import DynarecError
from dynarec.ir.unit import Jump

if TYPE_CHECKING:
    from dynarec.code_cache import NativeUnit
    from dynarec.core import Core
    from dynarec.program import Program
    from dynarec.translate import Translation, Translator
    from dynarec.tuning import HomeTuner

MEBI = 1 << 20
MOST_UNITS = 32 * MEBI
"""Bytes of the units of a program."""
MOST_FILE = MOST_UNITS + MOST_FRONT
MOST_FILES = 64 * MEBI
"""Bytes of all files together: of more, those go that were used longest ago."""
SUFFIX = ".units"
SAVE_SECONDS = 10.0
"""So long after it was made, a unit is on disk though the machine goes on."""
ELSEWHERE = f"name a folder of your own in {VARIABLE}, or run with --no-disk-cache"
BATCH = 256
"""Units that are installed at a time."""


class DiskCache:
    """`adopt` and `keep` belong to the CPU thread; any thread may call the others."""

    def __init__(self, path: Path, program: Program, core: Core, translator: Translator, tuner: HomeTuner) -> None:
        """path: the folder."""
        self._path = path
        self._program = program
        self._core = core
        self._translator = translator
        self._tuner = tuner
        self._identity: bytes | None = None
        self._homes: tuple[int, ...] = ()
        self._left: frozenset[int] = frozenset()
        self._records: dict[int, Record] = {}
        self._found: Units | None = None
        self._outdated: list[int] = []
        """Keys of units that were made for another map."""
        self._size = 0
        self._unsaved = 0
        self._seen: tuple[int, int] | None = None
        """The file as it was when it was read or written last."""
        self._has_noted = False
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._timer: threading.Timer | None = None

    # -- what there is ------------------------------------------------------------------------------------------------

    def read(self, breathe: Callable[[], None]) -> None:
        """Look for what earlier runs have kept. breathe: is called between two steps, and may raise."""
        self._homes = self._homes_now()
        try:
            self._identity = identity_of(self._program, self._translator)
            breathe()
            if self._identity is not None:
                self._found = self._read(self._identity)
        except FileNotFoundError:
            return
        except OSError as error:
            self._note(f"{self._file}: not used: {_reason(error)}: {ELSEWHERE}")
        except DynarecError as error:
            self.distrust(error)

    @property
    def is_to_be_adopted(self) -> bool:
        """Whether there is something that the machine does not go on from yet."""
        return self._found is not None

    def adopt(self) -> Iterator[list[KeptUnit]]:
        """Make the machine go on where earlier runs have come to; their units, in batches to be installed."""
        found, self._found = self._found, None
        try:
            if found is not None:
                self._adopt(found)
        except DynarecError as error:
            self.distrust(error)
        room = self._core.cache_size // 2  # or what is installed last pushes out what was first
        fitting = list(islice(self._records.values(), _count_within(self._records.values(), room)))
        for start in range(0, len(fitting), BATCH):
            if not self._records:
                return  # the core did not accept the ones before
            yield [KeptUnit(record, self._core.epoch) for record in fitting[start : start + BATCH]]

    def find(self, key: int, epoch: int) -> KeptUnit | None:
        """The unit of an earlier run, or of this one. epoch: of the core, read before."""
        with self._lock:
            self._forget_changed()
            record = self._records.get(key)
        if record is None or self._homes != self._homes_now() or key in self._translator.overrides:
            return None
        return None if self._translator.host.counting else KeptUnit(record, epoch)

    def next_outdated(self) -> int | None:
        """A block that had a unit until the map changed. Once each; None: there are no more."""
        with self._lock:
            while self._outdated:
                key = self._outdated.pop()
                if key not in self._records:
                    return key
        return None

    def refuse(self, key: int) -> None:
        """It is not what would be made now."""
        with self._lock:
            self._drop(key)

    def distrust(self, error: Exception) -> None:
        """The core did not accept what there was."""
        with self._lock:
            self._records.clear()
            self._size = 0
        self._note(f"{self._file}: not used, and written anew: {error}")

    def _read(self, identity: bytes) -> Units:
        with PrivateFolder(self._path, create=False) as folder:
            self._seen = folder.changed(self._file.name)
            data = folder.read(self._file.name, MOST_FILE, touch=True)
        return units_file.read(data, identity, own_key())

    def _adopt(self, units: Units) -> None:
        fields = {field.index: field for field in self._translator.guest.layout.fields}
        count = len(self._homes)
        if not fields.keys() >= set(units.homes) or not len(units.homes) == len(set(units.homes)) == count:
            raise BadUnits("its homes are none of this guest on this host")
        self._tuner.resume([fields[index] for index in units.homes], units.decided)
        for pc in units.left:
            self._core.leave_alone(pc)
        self._left = self._core.left_alone()
        self._homes = units.homes
        self._records = dict(units.records)
        self._size = sum(map(len, self._records.values()))

    # -- what is new --------------------------------------------------------------------------------------------------

    def keep(self, unit: NativeUnit) -> None:
        """A unit that has been installed, and at which nobody looks."""
        if self._identity is None or not self._is_ordinary(unit.translation):
            return
        key, record = unit.translation.unit.key, pack(unit)
        with self._lock:
            self._forget_changed()
            self._change_homes()
            self._drop(key)
            if self._size + len(record) <= MOST_UNITS:
                self._records[key] = record
                self._size += len(record)
                self._unsaved += 1
                self._save_later()

    def _is_ordinary(self, translation: Translation) -> bool:
        """Whether it is what another run would make, too: of code alone, with nothing to count and no hook near."""
        unit, translator = translation.unit, self._translator
        if translation.checked or not translation.source or translation.code.counters:
            return False
        if unit.hooked or unit.key in translator.overrides:
            return False
        return not (isinstance(unit.terminal, Jump) and translator.is_hooked(unit.terminal.target, not unit.cut))

    def _homes_now(self) -> tuple[int, ...]:
        return tuple(field.index for field in self._translator.host.home_fields)

    def _change_homes(self) -> None:
        homes = self._homes_now()
        if homes != self._homes:
            self._homes = homes
            self._outdated += self._records
            self._records.clear()
            self._size = 0

    def _forget_changed(self) -> None:
        """Units with instructions that have come to reach devices, or no longer do, are made in another way now."""
        left = self._core.left_alone()
        changed, self._left = left ^ self._left, left
        if changed:
            for key in [key for key, record in self._records.items() if _holds_any(record, changed)]:
                self._drop(key)

    def _drop(self, key: int) -> None:
        self._size -= len(self._records.pop(key, b""))

    # -- saving -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Save what is new, unless Python is about to end."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
        if not sys.is_finalizing():
            self.save()

    def save(self) -> None:
        """Write what is new, with what is there."""
        with self._saving:
            units = self._take_unsaved()
            if units is None or self._identity is None:
                return
            try:
                self._write(units, self._identity)
            except OSError as error:
                self._identity = None
                self._note(f"{self._path}: translations are not kept: {_reason(error)}: {ELSEWHERE}")

    def _take_unsaved(self) -> Units | None:
        """All units, if one of them is not in the file."""
        with self._lock:
            if not self._unsaved:
                return None
            self._unsaved = 0
            return Units(self._homes, self._tuner.decided, tuple(sorted(self._left)), dict(self._records))

    def _save_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(SAVE_SECONDS, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
        self.save()

    def _write(self, units: Units, identity: bytes) -> None:
        with PrivateFolder(self._path) as folder:
            merged = self._merged(folder, units, identity)
            if merged is None:
                return
            folder.write(self._file.name, units_file.write(merged, identity, own_key()))
            self._seen = folder.changed(self._file.name)
            make_room(folder, MOST_FILES, self._file.name)

    def _merged(self, folder: PrivateFolder, units: Units, identity: bytes) -> Units | None:
        """With what others have written meanwhile; None: theirs is for a map of more samples."""
        if folder.changed(self._file.name) == self._seen:
            return units
        theirs = Units()
        with suppress(OSError, BadUnits):
            theirs = units_file.read(folder.read(self._file.name, MOST_FILE), identity, own_key())
        if theirs.homes != units.homes:
            return None if theirs.decided > units.decided else units
        room = MOST_UNITS - sum(map(len, units.records.values()))
        others = {key: record for key, record in theirs.records.items() if key not in units.records}
        some = dict(islice(others.items(), _count_within(others.values(), room)))
        return Units(units.homes, max(units.decided, theirs.decided), units.left, {**some, **units.records})

    @property
    def _file(self) -> Path:
        return self._path / ((self._identity or b"").hex()[:32] + SUFFIX)

    def _note(self, text: str) -> None:
        """What goes wrong first is why the rest does."""
        if not self._has_noted:
            print(f"dynarec: {text}", file=sys.stderr)
        self._has_noted = True


def make_room(folder: PrivateFolder, most: int, beside: str = "") -> None:
    """Let so many bytes of files remain at the most, and one file in any case, if it is named."""
    entries = folder.entries(SUFFIX)
    size = sum(entry.size for entry in entries)
    for entry in entries:
        if size > most and entry.name != beside:
            folder.remove(entry.name)
            size -= entry.size


def _count_within(records: Collection[Record], room: int) -> int:
    """How many of the first records have no more bytes."""
    for count, record in enumerate(records):
        room -= len(record)
        if room < 0:
            return count
    return len(records)


def _holds_any(record: Record, pcs: frozenset[int]) -> bool:
    return any(address <= pc < address + size for address, size in ranges_of(record) for pc in pcs)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
