"""The file of the units of one program, among those of others. Methods of UnitStore may be called from any thread.

Whatever goes wrong is told once, and never stops a run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from dynarec.disk import units_file
from dynarec.disk.folder import PrivateFolder
from dynarec.disk.places import VARIABLE, own_key
from dynarec.disk.record import Purpose, Record
from dynarec.disk.units_file import MOST_FRONT, BadUnits, Units

MEBI = 1 << 20
MOST_UNITS = 32 * MEBI
"""Bytes of the units of a program: of more, those go that were made first."""
MOST_FILE = MOST_UNITS + MOST_FRONT
MOST_FILES = 64 * MEBI
"""Bytes of all files together: of more, those go that were used longest ago."""
SUFFIX = ".units"
ELSEWHERE = f"name a folder of your own in {VARIABLE}, or run with --no-disk-cache"


class UnitStore:
    """The file need not be there."""

    def __init__(self, folder: Path, identity: bytes) -> None:
        """identity: of what translates, and what is translated; see dynarec/disk/identity.py."""
        self.path = folder / (identity.hex()[:32] + SUFFIX)
        self._identity = identity
        self._seen: tuple[int, int] | None = None
        """The file as it was when it was read or written last."""
        self._fails = self._has_noted = False
        self._lock = threading.Lock()

    def read(self, breathe: Callable[[], None]) -> Units | None:
        """What earlier runs have kept; None: nothing that is to be used. breathe: see Translator.translate."""
        try:
            with PrivateFolder(self.path.parent, create=False) as folder:
                self._seen = folder.changed(self.path.name)
                data = folder.read(self.path.name, MOST_FILE, touch=True)
            breathe()
            return units_file.read(data, self._identity, own_key(), breathe)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"{self.path}: not used: {_reason(error)}: {ELSEWHERE}")
        except BadUnits as error:
            self.distrust(error)
        return None

    def write(self, units: Units) -> None:
        """Keep them, with what others have written meanwhile."""
        with self._lock:
            if self._fails:
                return
            try:
                self._write(units)
            except OSError as error:
                self._fails = True
                self._note(f"{self.path.parent}: translations are not kept: {_reason(error)}: {ELSEWHERE}")

    def distrust(self, error: Exception) -> None:
        """What was read is not what it should be."""
        self._note(f"{self.path}: not used, and written anew: {error}")

    def _write(self, units: Units) -> None:
        with PrivateFolder(self.path.parent) as folder:
            if folder.changed(self.path.name) != self._seen:
                units = self._merged(folder, units)
            folder.write(self.path.name, units_file.write(units, self._identity, own_key()))
            self._seen = folder.changed(self.path.name)
            make_room(folder, MOST_FILES, self.path.name)

    def _merged(self, folder: PrivateFolder, units: Units) -> Units:
        theirs = Units()
        with suppress(OSError, BadUnits):
            theirs = units_file.read(folder.read(self.path.name, MOST_FILE), self._identity, own_key())
        records = newest({**theirs.records, **units.records}, MOST_UNITS)
        choices = {**theirs.choices, **units.choices}
        return Units(max(theirs.interpreted, units.interpreted), choices, units.left, records)

    def _note(self, text: str) -> None:
        """Tell the user. What goes wrong first is why the rest does."""
        if not self._has_noted:
            print(f"dynarec: {text}", file=sys.stderr)
        self._has_noted = True


def newest(records: Mapping[Purpose, Record], room: int) -> dict[Purpose, Record]:
    """Of records in the order in which they were made, the last ones that have no more bytes together."""
    excess = sum(map(len, records.values())) - room
    kept = dict(records)
    for purpose, record in records.items():
        if excess <= 0:
            break
        excess -= len(record)
        del kept[purpose]
    return kept


def make_room(folder: PrivateFolder, most: int, beside: str = "") -> None:
    """Let so many bytes of files remain at the most, and one file in any case, if it is named."""
    entries = folder.entries(SUFFIX)
    size = sum(entry.size for entry in entries)
    for entry in entries:
        if size > most and entry.name != beside:
            folder.remove(entry.name)
            size -= entry.size


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
