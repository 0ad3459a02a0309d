"""The GDB protocol: any bytes are packets or rubbish, however they are cut, and every packet has an answer."""

from __future__ import annotations

import random
from functools import cache
from typing import cast

from dynarec.debug.gdb.connection import Connection
from dynarec.debug.gdb.going import Going
from dynarec.debug.gdb.packets import MAX_PACKET, Mark, PacketReader, frame
from dynarec.debug.gdb.session import PACKET, Session
from dynarec.debug.gdb.target import Target
from dynarec.debug.gdb.text import ENCODING
from dynarec.debug.launch import Launch
from dynarec.engine import Machine
from dynarec.snapshot import Snapshot
from tests.fuzz.oracle import bounded_memory
from tests.test_machine import LOOP, program

MAX_SIZE = 4096
NUMBERS = (b"0", b"1", b"20", b"10000", b"20000", b"ffffffff", b"100000000", b"ffffffffffffffff", b"-1", b"")
BETWEEN = b",;:="
LEFT_OUT = ("qRcmd", "vRun", "R")
"""They write files, and start programs; what lets the program go on may take any time."""


class _Nobody:
    """What a session says to its client goes nowhere."""

    acks = True

    def send(self, content: bytes) -> None:
        assert len(frame(content)) <= 2 * MAX_PACKET


@cache
def _target() -> tuple[Target, Snapshot]:
    target = Target(Launch(lambda: Machine.load(program(LOOP)), "program"))
    return target, target.debugger.machine.snapshot()


def check(data: bytes) -> None:
    """Read it in two ways, and answer what there is."""
    with bounded_memory(len(data)):
        found = _read([data])
        assert found == _read([data[at : at + 1] for at in range(len(data))])
        packets = [each for each in found if isinstance(each, bytes)]
        assert PacketReader().feed(b"".join(map(frame, packets))) == packets
        _answer(packets)


def _read(pieces: list[bytes]) -> list[bytes | Mark]:
    reader = PacketReader()
    return [each for piece in pieces for each in reader.feed(piece)]


def _answer(packets: list[bytes]) -> None:
    """Each has one answer, or none; then the program is what it was."""
    target, before = _target()
    target.go_back_to(before)
    nobody = _Nobody()
    session = Session(target, cast(Connection, nobody))
    left_out = {*LEFT_OUT, *Going(session).commands}
    for packet in packets:
        match = PACKET.fullmatch(packet.decode(ENCODING))
        if match is None or match[1] not in left_out:
            answer = session.answer(packet)
            assert answer is None or len(frame(answer)) <= 2 * MAX_PACKET
    target.release()


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change a packet and frame it again: most other changes only make a checksum wrong."""
    random_state = random.Random(seed)
    packets = [bytearray(each) for each in _read([data]) if isinstance(each, bytes)] or [bytearray(b"?")]
    packet = random_state.choice(packets)
    at = random_state.randrange(len(packet) + 1)
    match random_state.randrange(4):
        case 0:
            packet[at : at + 1] = bytes([random_state.randrange(256)])
        case 1:
            packet[at : at + random_state.randint(0, 8)] = random_state.choice(NUMBERS)
        case 2:
            packet[at:at] = bytes([random_state.choice(BETWEEN)])
        case _:
            del packet[at : at + random_state.randint(1, 8)]
    return b"".join(map(frame, packets))[:max_size]
