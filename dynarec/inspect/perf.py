"""Generated code for profilers: perf's map of symbols, and jitdump.

The map (Linux, tools/perf/Documentation/jit-interface.txt) is /tmp/perf-PID.map, with lines START SIZE NAME, numbers in
hexadecimal. It knows no time: where a place in the cache was used again, the samples of both units go to one of them.
perf looks into it for anonymous memory only: that of policy dualmap is none.

jitdump (tools/perf/Documentation/jitdump-specification.txt) holds the code itself, its lines and when it was there.
perf finds the file since this process maps it executable. Its clock is that of the samples: CLOCK_MONOTONIC on Linux
(`perf record -k mono`, then `perf inject --jit`); on macOS samply's, nanoseconds of mach_absolute_time, which is
CLOCK_UPTIME_RAW.

What is written is gathered, and goes out in large pieces.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dynarec.core import native_host
from dynarec.inspect.tool import Code, Tool

PIECE = 1 << 18
"""Bytes that are written at once."""
MAP_FOLDER = Path("/tmp")
"""Where perf looks for maps, whatever TMPDIR says."""
FOLDER_VARIABLE = "JITDUMPDIR"
"""Names the folder of jitdump files, as for other programs that write them."""
PRIVATE = 0o600

MAGIC, VERSION = 0x4A695444, 1
HEADER = struct.Struct("<6I2Q")
"""magic, version, size of the header, ELF machine, 0, process, time, flags."""
PREFIX = struct.Struct("<2IQ")
"""Of each record: kind, size with the prefix, time."""
LOAD = struct.Struct("<2I4Q")
"""process, thread, address, address of the code, size of the code, number; then the name, and the code."""
DEBUG = struct.Struct("<2Q")
"""address of the code, number of entries."""
ENTRY = struct.Struct("<Q2I")
"""address, line, 0; then the name of the file."""
CODE_LOAD, CODE_DEBUG_INFO, CODE_CLOSE = 0, 2, 3
ALIGNMENT = 8
ELF_MACHINES = {"x86_64": 62, "arm64": 183}


class _Out:
    """A new file of this process alone, written in pieces."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with suppress(FileNotFoundError):
            path.unlink()  # of a process that had our number
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, PRIVATE), "wb", buffering=0)
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def number(self) -> int:
        return self._file.fileno()

    def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            self.flush()

    def flush(self) -> None:
        data, self._pieces, self._size = b"".join(self._pieces), [], 0
        while data:
            data = data[self._file.write(data) or 0 :]

    def close(self) -> None:
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()


class PerfMap:
    """Writes perf's map; a `Tool`."""

    def __init__(self, folder: Path = MAP_FOLDER) -> None:
        """Raises OSError."""
        self._out = _Out(folder / f"perf-{os.getpid()}.map")
        self.path = self._out.path

    def installed(self, code: Code) -> None:
        self._out.write(f"{code.address:x} {len(code.code):x} {code.name}\n".encode())

    def died(self, key: int) -> None:
        """The map has no word for it."""

    def close(self) -> None:
        self._out.close()


class JitDump:
    """Writes jitdump, and beside it the guest assembly that it names as source; a `Tool`."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: None takes that of the environment's JITDUMPDIR, or the one for temporary files. Raises OSError."""
        folder = (folder or Path(os.environ.get(FOLDER_VARIABLE) or tempfile.gettempdir())).absolute()
        self._out = _Out(folder / f"jit-{os.getpid()}.dump")
        self._text = _Out(folder / f"jit-{os.getpid()}.s")
        self.path, self.source = self._out.path, self._text.path
        self._line = 1
        self._process = os.getpid()
        self._machine = ELF_MACHINES[native_host()]
        self._out.write(HEADER.pack(MAGIC, VERSION, HEADER.size, self._machine, 0, self._process, now(), 0))
        self._out.flush()
        self._mark = self._mapped()

    def _mapped(self) -> mmap.mmap:
        try:
            protection = mmap.PROT_READ | mmap.PROT_EXEC
            return mmap.mmap(self._out.number, HEADER.size, flags=mmap.MAP_PRIVATE, prot=protection)
        except OSError as error:  # the file system is mounted noexec
            for each in (self._out, self._text):
                each.close()
                each.path.unlink()
            why = f"cannot be mapped as code ({error.strerror}): name another folder by {FOLDER_VARIABLE}"
            raise OSError(error.errno, why, str(self.path)) from error

    def installed(self, code: Code) -> None:
        self._out.write(self._debug_info(code))
        thread = threading.get_native_id() & 0xFFFF_FFFF
        body = LOAD.pack(self._process, thread, code.address, code.address, len(code.code), code.serial)
        self._out.write(_record(CODE_LOAD, body + code.name.encode() + b"\0" + code.code))
        self._text.write(("\n".join(code.listing.lines) + "\n\n").encode())
        self._line += len(code.listing.lines) + 1

    def _debug_info(self, code: Code) -> bytes:
        """Comes before the code that it is about."""
        entries = b"".join(self._entries(code))
        body = DEBUG.pack(code.address, len(code.listing.rows)) + entries
        return _record(CODE_DEBUG_INFO, body + bytes(-len(body) % ALIGNMENT))

    def _entries(self, code: Code) -> Iterator[bytes]:
        name = os.fsencode(self.source) + b"\0"
        for offset, line in code.listing.rows:
            yield ENTRY.pack(code.address + offset, self._line + line, 0) + name

    def died(self, key: int) -> None:
        """What is at its place later says so by its time."""

    def close(self) -> None:
        if not self._mark.closed:
            self._mark.close()
            self._out.write(_record(CODE_CLOSE, b""))
            try:
                self._out.close()
            finally:
                self._text.close()


def _record(kind: int, body: bytes) -> bytes:
    return PREFIX.pack(kind, PREFIX.size + len(body), now()) + body


def now() -> int:
    """The time of the profilers' samples."""
    if sys.platform == "darwin":
        return time.clock_gettime_ns(time.CLOCK_UPTIME_RAW)
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


KINDS: Mapping[str, Callable[[], Tool]] = {"map": PerfMap, "jitdump": JitDump}
"""By their names."""
