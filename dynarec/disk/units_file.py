"""Translations in files. All numbers are little-endian.

    magic     89 "DRCODE" 0A
    version   u32
    size      u32       bytes behind the head
    mac       32 bytes  keyed BLAKE2b of all that is before it, and all that is behind it
    body      identity 32 bytes: of what the translations are for, see dynarec/disk/identity.py
              decided  u32: samples at which the tuner has chosen the homes, 0: it has not
              homes    u32, 32 bytes: how many, and the word of the guest's state that each holds; 0 behind them
              left     u32: how many addresses of instructions are left to the interpreter, for they reach devices
              units    u32
    left      u32, each
    units, each
              key, instructions, body, bytes of code, bytes of source, exits, sites, ranges, loans: u32
              the exits, sites, ranges and loans: u32, as struct dr_exit, dr_site, dr_range and dr_loan have them
              code, source, and zeros up to a multiple of 4 bytes

Nothing is believed before the mac is right, and sizes not even then; what is in a unit is for the core to verify.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dynarec.disk.record import ALIGNMENT, UNIT, record_size
from dynarec.errors import DynarecError

MAGIC = b"\x89DRCODE\n"
VERSION = 1
HEAD = struct.Struct("<8s2I")
MAC_SIZE = 32
WORD = 4
BODY = struct.Struct("<32s2I32s2I")
MAC_END = HEAD.size + MAC_SIZE
START = MAC_END + BODY.size
MOST_HOMES = 32
MOST_LEFT = 1024
MOST_FRONT = START + MOST_LEFT * WORD
"""Bytes before the units."""
Record: TypeAlias = "bytes | memoryview"


class BadUnits(DynarecError):  # noqa: N818
    """A file that is not to be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Units:
    """What a file holds.

    homes: words of the state, by home register. decided: see HomeTuner. left: addresses of instructions that are left
    to the interpreter. records: by key.
    """

    homes: tuple[int, ...] = ()
    decided: int = 0
    left: tuple[int, ...] = ()
    records: Mapping[int, Record] = field(default_factory=dict)


def write(units: Units, identity: bytes, key: bytes) -> bytes:
    """The file, authenticated with a key of up to 64 bytes."""
    homes, left = bytes(units.homes), units.left[:MOST_LEFT]
    numbers = BODY.pack(identity, units.decided, len(homes), homes, len(left), len(units.records))
    body = [numbers, struct.pack(f"<{len(left)}I", *left), *units.records.values()]
    head = HEAD.pack(MAGIC, VERSION, sum(map(len, body)))
    return b"".join([head, _mac(key, [head, *body]), *body])


def read(data: bytes, identity: bytes, key: bytes) -> Units:
    """What `write` wrote with the same identity and key. Raises BadUnits for everything else."""
    head, mac, body = data[: HEAD.size], data[HEAD.size : MAC_END], memoryview(data)[MAC_END:]
    if len(data) < START or head != HEAD.pack(MAGIC, VERSION, len(body)):
        raise BadUnits("it is truncated, or of another kind or version")
    if not hmac.compare_digest(mac, _mac(key, [head, body])):
        raise BadUnits("it is damaged, or was not written with this user's key")
    if body[: len(identity)] != identity:
        raise BadUnits("it is of another program, or of another dynarec")
    return _units(body)


def _units(body: memoryview) -> Units:
    _, decided, home_count, homes, left_count, count = BODY.unpack_from(body)
    end = BODY.size + left_count * WORD
    if home_count > MOST_HOMES or left_count > MOST_LEFT or end > len(body):
        raise BadUnits("it is cut off, or has too many homes or addresses")
    left = struct.unpack_from(f"<{left_count}I", body, BODY.size)
    return Units(tuple(homes[:home_count]), decided, left, _records(body[end:], count))


def _mac(key: bytes, parts: Sequence[Record]) -> bytes:
    mac = hashlib.blake2b(key=key, digest_size=MAC_SIZE)
    for part in parts:
        mac.update(part)
    return mac.digest()


def _records(data: memoryview, count: int) -> dict[int, Record]:
    found: dict[int, Record] = {}
    at = 0
    for _ in range(count):
        if len(data) - at < UNIT.size:
            raise BadUnits("its units are cut off")
        numbers = UNIT.unpack_from(data, at)
        end = at + record_size(*numbers[3:])
        if end > len(data) or end % ALIGNMENT:
            raise BadUnits("a unit of it is cut off")
        found[numbers[0]] = data[at:end]
        at = end
    if at != len(data):
        raise BadUnits("there is something behind its units")
    return found
