"""Pictures as PNG files (PNG specification, second edition, ISO/IEC 15948), without any graphics library."""

from __future__ import annotations

import struct
import zlib
from itertools import count
from pathlib import Path

from dynarec.errors import DynarecError
from dynarec.machine.framebuffer import Format, Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BIT_DEPTH = 8
TRUECOLOUR = 2
INDEXED = 3
NO_FILTER = b"\0"
RGB_BYTES = 3


def write_png(path: Path, picture: Picture) -> None:
    """Write the picture to path, replacing what is there. Raises DynarecError when the file cannot be written."""
    data = encode_png(picture)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise unwritable(path, error) from error


def write_numbered_png(folder: Path, stem: str, picture: Picture) -> Path:
    """Write the picture to the first free one of stem-001.png, stem-002.png ...; never replaces a file.

    Returns the file's path. Raises DynarecError when it cannot be written.
    """
    data = encode_png(picture)
    for number in count(1):
        path = folder / f"{stem}-{number:03}.png"
        try:
            with path.open("xb") as file:
                file.write(data)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise unwritable(path, error) from error
    raise AssertionError("count() does not end")


def unwritable(path: Path, error: OSError) -> DynarecError:
    """The message for a picture file that cannot be written."""
    return DynarecError(f"cannot write the picture {path}: {error.strerror or error}: choose another place")


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file: indexed colour for PAL8, 8-bit RGB for the other formats."""
    if picture.format is Format.PAL8:
        palette = chunk(b"PLTE", picture.palette_rgb())
        return png(picture, INDEXED, palette, picture.packed(), picture.width)
    return png(picture, TRUECOLOUR, b"", picture.rgb(), picture.width * RGB_BYTES)


def png(picture: Picture, colour_type: int, palette: bytes, pixels: bytes, row_bytes: int) -> bytes:
    """A PNG file of the given chunks (section 11.2); pixels are packed rows of row_bytes."""
    header = struct.pack(">IIBBBBB", picture.width, picture.height, BIT_DEPTH, colour_type, 0, 0, 0)
    rows = (NO_FILTER + pixels[start : start + row_bytes] for start in range(0, len(pixels), row_bytes))
    body = zlib.compress(b"".join(rows))
    return SIGNATURE + chunk(b"IHDR", header) + palette + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Length, type, data and CRC of one chunk (section 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
