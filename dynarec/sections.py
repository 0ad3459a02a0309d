"""Files of sections: snapshots and recordings of a code cache are kept in such.

A file is, in little-endian order:

    magic     8 bytes
    version   u32
    sections, each
        kind  4 bytes
        size  u32       bytes as they are stored: compressed by zlib
        full  u32       bytes uncompressed
        crc   u32       CRC-32 of the bytes as they are stored

A reader trusts nothing: sizes are checked before anything is allocated.
"""

from __future__ import annotations

import os
import secrets
import stat
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from dynarec.errors import DynarecError
from dynarec.machine.state import BadState

T = TypeVar("T")
HEADER = struct.Struct("<8sI")
SECTION = struct.Struct("<4sIII")
LEVEL = 1
"""Of compression: what is kept is mostly easy to compress, and nobody likes to wait for a file."""
MOST_RATIO = 1100
"""What zlib makes of one byte at the most is less than so many."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. what: its name, for messages. origin: "written by ...". ratio: bytes that a section's reader
    makes of one stored byte at the most."""

    magic: bytes
    version: int
    what: str
    origin: str
    ratio: int = MOST_RATIO

    def bad(self, why: str) -> BadState:
        """The error that a file is not what it must be."""
        return BadState(f"the {self.what} {why}")

    # -- writing ------------------------------------------------------------------------------------------------------

    def save(self, path: Path, write: Callable[[BinaryIO], None]) -> None:
        """Have a file written that appears when it is complete. Raises DynarecError."""
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            if path.exists() and not path.is_file():
                raise DynarecError(f"{path}: is no file, so no {self.what} is written to it: choose another name")
            try:
                with partial.open("xb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
            finally:
                with suppress(OSError):
                    partial.unlink()
        except (OSError, ValueError) as error:
            raise DynarecError(f"{path}: the {self.what} cannot be written: {_reason(error)}") from error

    def write_header(self, file: BinaryIO) -> None:
        file.write(HEADER.pack(self.magic, self.version))

    def write_section(self, file: BinaryIO, kind: bytes, data: bytes) -> None:
        """Write a section so that a reader accepts how well it is compressed."""
        stored = zlib.compress(data, LEVEL)
        if len(data) > len(stored) * self.ratio:
            packer = zlib.compressobj(LEVEL, strategy=zlib.Z_HUFFMAN_ONLY)  # to an eighth at the most
            stored = packer.compress(data) + packer.flush()
        file.write(SECTION.pack(kind, len(stored), len(data), zlib.crc32(stored)) + stored)

    # -- reading ------------------------------------------------------------------------------------------------------

    def load(self, path: Path, read: Callable[[BinaryIO, int], T]) -> T:
        """What `read` makes of a file and its size. Raises DynarecError, one line that names the file."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise DynarecError(f"is no file: name one that was {self.origin}")
            with path.open("rb") as file:
                return read(file, os.fstat(file.fileno()).st_size)
        except DynarecError as error:
            raise DynarecError(f"{path}: {error}") from error
        except (OSError, ValueError) as error:
            raise DynarecError(f"{path}: cannot be read: {_reason(error)}") from error


class SectionReader:
    """One file; messages do not name it."""

    def __init__(self, format_: Format, file: BinaryIO, size: int) -> None:
        """Raises DynarecError for a file of another kind or version."""
        self._format = format_
        self._file = file
        self._left = size
        self._check_header()

    @property
    def at_end(self) -> bool:
        return not self._left

    def section(self, kinds: tuple[bytes, ...], most: int) -> tuple[bytes, bytes]:
        """Kind and bytes of the next section, which is one of these kinds and has no more bytes. Raises BadState."""
        kind, size, full, crc = SECTION.unpack(self._take(SECTION.size))
        if kind not in kinds or full > min(most, size * self._format.ratio):
            raise self._format.bad("is damaged: a section is none, or too large")
        stored = self._take(size)
        if zlib.crc32(stored) != crc:
            raise self._format.bad("is damaged: a checksum is wrong")
        return kind, self._uncompressed(stored, full)

    def _check_header(self) -> None:
        known = self._format
        magic, version = HEADER.unpack(self._take(HEADER.size)) if self._left >= HEADER.size else (b"", 0)
        if magic != known.magic:
            raise DynarecError(f"is no {known.what}: name a file that was {known.origin}")
        if version != known.version:
            raise DynarecError(
                f"is a {known.what} of format {version}, this dynarec reads {known.version}: take it again"
            )

    def _take(self, size: int) -> bytes:
        if size > self._left:
            raise self._format.bad("is truncated: take it again")
        self._left -= size
        data = self._file.read(size)
        if len(data) != size:
            raise self._format.bad("became shorter while it was read")
        return data

    def _uncompressed(self, stored: bytes, full: int) -> bytes:
        """Exactly `full` bytes; never more are made."""
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(stored, full + 1)
        except zlib.error as error:
            raise self._format.bad(f"is damaged: {error}") from error
        if len(data) != full or not stream.eof or stream.unused_data:
            raise self._format.bad("is damaged: a section has another size than it says")
        return data


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
