"""Generated code for a gdb that debugs this process, with guest assembly as its source.

Units that come soon after each other are described together (dynarec/inspect/elf_object.py). An object is taken back
when none of its units lives. Where gdb cannot write generated code (policy dualmap), breakpoints in it have to be the
processor's: hbreak.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynarec._native import ffi, lib
from dynarec.core import native_host
from dynarec.inspect import elf_object
from dynarec.inspect.tool import Code

TOGETHER = 64
"""Units of an object."""
PATIENCE = 0.02
"""Seconds between two objects, unless there are many units: those that come meanwhile wait for each other."""


@dataclass(slots=True)
class _Object:
    """What was registered, for the units of these keys."""

    registered: Any
    source: Path
    low: int
    high: int
    keys: set[int]


class GdbJit:
    """Registers units with gdb; a `Tool`."""

    def __init__(self) -> None:
        """Raises OSError when there is no place for the source."""
        self.folder = Path(tempfile.mkdtemp(prefix="dynarec-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._lock = threading.RLock()
        self._waiting: list[Code] = []
        self._objects: list[_Object] = []
        self._count = 0
        self._flushed = 0.0
        self._timer: threading.Timer | None = None

    def installed(self, code: Code) -> None:
        with self._lock:
            if self._waiting and code.address < self._waiting[-1].end:
                self.flush()
            self._take_back([each for each in self._objects if each.low < code.end and code.address < each.high])
            self._waiting.append(code)
            if len(self._waiting) >= TOGETHER or time.monotonic() - self._flushed >= PATIENCE:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(PATIENCE, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def died(self, key: int) -> None:
        with self._lock:
            self._waiting = [code for code in self._waiting if code.key != key]
            for each in self._objects:
                each.keys.discard(key)
            self._take_back([each for each in self._objects if not each.keys])

    def flush(self) -> None:
        """Register what waits."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._waiting:
                waiting, self._waiting = self._waiting, []
                self._register(waiting)
            self._flushed = time.monotonic()

    def close(self) -> None:
        with self._lock:
            self._waiting = []
            self.flush()
            self._take_back(self._objects)
            self._remove()

    def _register(self, units: list[Code]) -> None:
        self._count += 1
        source = self.folder / f"units-{self._count}.s"
        data = elf_object.make(native_host(), source, _write(source, units), int(lib.dr_entry_address()))
        registered = lib.dr_gdb_register(data, len(data))
        if registered != ffi.NULL:
            keys = {code.key for code in units}
            self._objects.append(_Object(registered, source, units[0].address, units[-1].end, keys))

    def _take_back(self, objects: list[_Object]) -> None:
        for each in objects:
            lib.dr_gdb_unregister(each.registered)
            each.source.unlink(missing_ok=True)
        self._objects = [each for each in self._objects if each not in objects]


def _write(source: Path, units: list[Code]) -> list[elf_object.Function]:
    """Write their listings, one behind the other; the functions with their lines in there."""
    functions, lines = [], list[str]()
    for code in units:
        first = len(lines) + 1
        rows = tuple((code.address + offset, first + line) for offset, line in code.listing.rows)
        functions.append(elf_object.Function(code.name, code.address, len(code.code), rows))
        lines += [*code.listing.lines, ""]
    source.write_text("\n".join(lines))
    return functions
