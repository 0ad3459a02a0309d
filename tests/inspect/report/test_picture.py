"""The picture of the README can be made."""

from __future__ import annotations

import struct

from tests.inspect.report.picture import PICTURE, SIZE, picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 400_000


def test_the_picture_is_one_of_the_page_and_fits_into_a_readme() -> None:
    for data in (picture(), PICTURE.read_bytes()):
        assert data.startswith(SIGNATURE)
        assert struct.unpack_from(">II", data, 16) == SIZE
        assert len(data) < MOST_BYTES
