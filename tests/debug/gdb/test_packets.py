"""Packets and marks in streams of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynarec.debug.gdb.packets import MAX_PACKET, BadStream, Mark, PacketReader, frame


def test_a_packet() -> None:
    assert frame(b"OK") == b"$OK#9a"
    assert PacketReader().feed(b"$OK#9a") == [b"OK"]
    assert PacketReader().feed(b"$OK#9A$#00") == [b"OK", b""]


def test_what_would_end_a_packet_is_escaped() -> None:
    assert frame(b"a}$#*") == b"$a}]}\x04}\x03}\x0a#" + b"%02x" % (sum(b"a}]}\x04}\x03}\x0a") & 0xFF)


def test_marks() -> None:
    assert PacketReader().feed(b"+-\x03") == [Mark.ACK, Mark.NACK, Mark.INTERRUPT]
    assert PacketReader().feed(b"$a\x03#64") == [b"a\x03"]


@pytest.mark.parametrize("data", [b"$OK#9b", b"$OK#zz", b"$OK#-1"])
def test_a_wrong_checksum(data: bytes) -> None:
    assert PacketReader().feed(data) == [Mark.DAMAGED]


def test_what_belongs_to_no_packet() -> None:
    assert PacketReader().feed(b"GET / HTTP/1.1\r\n\r\n%Stop:T05#11$OK#9a") == [b"OK"]


def test_a_packet_that_was_broken_off() -> None:
    assert PacketReader().feed(b"$m100$OK#9a") == [b"OK"]


def test_an_escape_at_the_end() -> None:
    assert PacketReader().feed(b"$a}#de") == [b"a"]


def test_the_longest_packet() -> None:
    assert PacketReader().feed(frame(bytes(MAX_PACKET))) == [bytes(MAX_PACKET)]
    with pytest.raises(BadStream):
        PacketReader().feed(frame(bytes(MAX_PACKET + 1)))


def test_a_packet_without_end() -> None:
    reader = PacketReader()
    assert reader.feed(b"$" + bytes(MAX_PACKET)) == []
    with pytest.raises(BadStream):
        reader.feed(bytes(100))


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(0, 200)))
def test_packets_come_back_however_they_are_cut(contents: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(frame, contents))
    reader, found, last = PacketReader(), [], 0
    for cut in [*sorted(cuts), len(data)]:
        found += reader.feed(data[last : max(cut, last)])
        last = max(cut, last)
    assert found == contents
