"""The persistent translation cache of one machine.

When the guest has its first hot block, `read` finds the units of earlier runs of the program. Those for the map of home
registers that the machine has are installed, some at a time, as everything is: verified, and only where the guest's
bytes are theirs; so are those for another map when the machine comes to that one. What is translated beside them is
kept, and saved when the machine is closed and, in a long run, from time to time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec._native import ffi
from dynarec.code_cache import home_words
from dynarec.disk.identity import identity_of
from dynarec.disk.record import KeptUnit, Purpose, Record, pack, purpose_of, ranges_of
from dynarec.disk.store import MOST_UNITS, UnitStore, newest
from dynarec.disk.units_file import Units
from dynarec.ir.unit import Jump

if TYPE_CHECKING:
    from dynarec.code_cache import NativeUnit
    from dynarec.core import Core
    from dynarec.ir.state import Field
    from dynarec.program import Program
    from dynarec.translate import Translation, Translator
    from dynarec.tuning import HomeTuner

SAVE_SECONDS = 10.0
"""So long after it was made, a unit is on disk though the machine goes on."""
BATCH = 32
"""Units that are installed at a time."""


class DiskCache:
    """`next_batch` and `keep` belong to the CPU thread; any thread may call the others."""

    def __init__(self, path: Path, program: Program, core: Core, translator: Translator, tuner: HomeTuner) -> None:
        """path: the folder."""
        self._path = path
        self._program = program
        self._core = core
        self._translator = translator
        self._tuner = tuner
        self._store: UnitStore | None = None
        self._found: Units | None = None
        """What has been read, until the machine goes on from it."""
        self._records: dict[Purpose, Record] = {}
        self._left: frozenset[int] = frozenset()
        self._maps: set[bytes] = set()
        """Maps of home registers that earlier runs have had."""
        self._interpreted = self._enough = 0
        """Guest instructions that one of them has interpreted; those until which this one does as they did."""
        self._homes = b""
        self._waiting: list[Purpose] = []
        """Units to be installed while that is the map."""
        self._dropped: set[int] = set()
        """Keys of units that are not what would be made now."""
        self._has_made = self._is_new = False
        """Whether there are units that this run has translated, and some that are not saved."""
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    # -- what there is ------------------------------------------------------------------------------------------------

    def read(self, breathe: Callable[[], None]) -> None:
        """Look for what earlier runs have kept. breathe: is called between two steps, and may raise."""
        identity = identity_of(self._program, self._translator)
        breathe()
        if identity is not None:
            self._store = UnitStore(self._path, identity)
            self._found = self._store.read(breathe)

    @property
    def is_waiting(self) -> bool:
        """Whether there may be units to install."""
        return self._found is not None or bool(self._waiting) or self._homes != self._homes_now()

    def next_batch(self) -> list[KeptUnit]:
        """Some units of earlier runs, to install before anything else."""
        found, self._found = self._found, None
        if found is not None:
            self._adopt(found)
        with self._lock:
            self._follow_map()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            records = [self._records[each] for each in batch if each in self._records]
        return [KeptUnit(record, self._core.epoch) for record in records]

    def is_due(self, key: int) -> bool:
        """Whether a hot block is to have its unit.

        One that no earlier run has translated was not worth it then: traces go through it that were not there so early.
        It is interpreted, as it was, until all that has been since they were adopted is more than it was.
        """
        if self._homes_now() not in self._maps or self._core.interpreted > self._enough:
            return True
        with self._lock:
            return key in self._dropped or self._find(key) is not None

    def find(self, key: int, epoch: int) -> KeptUnit | None:
        """The unit of an earlier run, or of this one. epoch: of the core, read before."""
        if key in self._translator.overrides or self._translator.host.counting:
            return None
        with self._lock:
            record = self._find(key)
        return KeptUnit(record, epoch) if record is not None else None

    def refuse(self, key: int) -> None:
        """It is not what would be made now."""
        with self._lock:
            for checked in (0, 1):
                self._drop(Purpose(self._homes_now(), key, checked))

    def distrust(self, error: Exception) -> None:
        """The core did not accept what there was."""
        with self._lock:
            self._records.clear()
            self._waiting.clear()
            self._maps.clear()
        if self._store is not None:
            self._store.distrust(error)

    def _adopt(self, found: Units) -> None:
        for pc in found.left:
            self._core.leave_alone(pc)
        with self._lock:
            self._left = self._core.left_alone()
            self._records = dict(found.records)
            self._maps = {purpose.homes for purpose in self._records}
            self._interpreted = found.interpreted
            self._enough = self._core.interpreted + found.interpreted
        for samples, homes in found.choices.items():
            self._tuner.choices[samples] = self._fields(homes)

    def _fields(self, homes: bytes) -> tuple[Field, ...]:
        """What a map holds."""
        fields = {field.index: field for field in self._translator.guest.layout.fields}
        return tuple(fields[word] for word in homes if word in fields)

    def _homes_now(self) -> bytes:
        return _homes_of(self._translator.host.home_fields)

    def _follow_map(self) -> None:
        """Units that compare their bytes wait until they are asked for: most of the others never have to."""
        homes = self._homes_now()
        if homes != self._homes:
            self._homes = homes
            mine = {each: it for each, it in self._records.items() if each.homes == homes and not each.checked}
            self._waiting = [*newest(mine, self._core.cache_size // 2)]  # or what comes last pushes out what came first

    def _find(self, key: int) -> Record | None:
        self._forget_changed()
        homes = self._homes_now()
        record = self._records.get(Purpose(homes, key, 0))
        if record is None or any(self._core.is_mixed(*each) for each in ranges_of(record)):
            return self._records.get(Purpose(homes, key, 1))
        return record

    # -- what is new --------------------------------------------------------------------------------------------------

    def keep(self, unit: NativeUnit) -> None:
        """A unit that has been installed, and at which nobody looks."""
        if self._store is None or not self._is_ordinary(unit.translation):
            return
        record = pack(unit, self._homes_now())
        with self._lock:
            self._forget_changed()
            self._records.pop(purpose_of(record), None)
            self._records[purpose_of(record)] = record
            self._has_made = self._is_new = True
            self._save_later()

    def _is_ordinary(self, translation: Translation) -> bool:
        """Whether it is what another run would make, too: with nothing to count and no hook near."""
        unit, translator = translation.unit, self._translator
        if not translation.source or translation.code.counters or unit.hooked or unit.key in translator.overrides:
            return False
        return not (isinstance(unit.terminal, Jump) and translator.is_hooked(unit.terminal.target, not unit.cut))

    def _forget_changed(self) -> None:
        """Units with instructions that have come to reach devices, or no longer do, are made in another way now."""
        left = self._core.left_alone()
        changed, self._left = left ^ self._left, left
        if changed:
            for purpose in [each for each, record in self._records.items() if _holds_any(record, changed)]:
                self._drop(purpose)

    def _drop(self, purpose: Purpose) -> None:
        if self._records.pop(purpose, None) is not None:
            self._dropped.add(purpose.key)

    # -- saving -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Save what is new, unless Python is about to end."""
        if sys.is_finalizing():
            return
        timer = self._timer
        if timer is not None:
            timer.cancel()
            timer.join()
        self._is_new = self._has_made
        self.save()

    def save(self) -> None:
        """Write what is new, with what is there."""
        with self._lock:
            if not self._is_new:
                return
            self._is_new = False
            self._records = newest(self._records, MOST_UNITS)
            interpreted = max(self._interpreted, self._core.interpreted)
            choices = {samples: _homes_of(fields) for samples, fields in self._tuner.choices.items()}
            units = Units(interpreted, choices, tuple(sorted(self._left)), dict(self._records))
        if self._store is not None:
            self._store.write(units)

    def _save_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(SAVE_SECONDS, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        self.save()
        with self._lock:
            self._timer = None
            if self._is_new:
                self._save_later()


def _homes_of(fields: tuple[Field, ...]) -> bytes:
    return bytes(ffi.buffer(home_words(fields)))


def _holds_any(record: Record, pcs: frozenset[int]) -> bool:
    return any(address <= pc < address + size for address, size in ranges_of(record) for pc in pcs)
