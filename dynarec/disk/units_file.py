"""Translations in files. All numbers are little-endian.

    magic     89 "DRCODE" 0A
    version   u32
    size      u32       bytes behind the head
    mac       32 bytes  keyed BLAKE2b of all that is before it, and all that is behind it
    body      identity 32 bytes: of what the translations are for, see dynarec/disk/identity.py
              interpreted: u64, guest instructions of the run that interpreted most
              choices, left, units: u32, how many there are
    choices   u32: samples of the guest, see dynarec/tuning.py
              homes    32 bytes: the word of the guest's state in each home register, as chosen then
    left      u32: address of an instruction that is left to the interpreter, for it reaches devices
    units     homes    as above
              key, whether it is checked, instructions, offset of its body: u32
              how many exits, sites, ranges, loans, bytes of code, and bytes of source: u32
              these, as struct dr_unit has them, and zeros up to a multiple of 4 bytes (dynarec/disk/record.py)

Nothing is believed before the mac is right, and sizes not even then; what is in a unit is for the core to verify.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from dynarec.disk.digests import SIZE, digest_of, is_equal
from dynarec.disk.record import Purpose, Record, purpose_of, record_at
from dynarec.errors import DynarecError
from dynarec.translate import go_on

MAGIC = b"\x89DRCODE\n"
VERSION = 1
HEAD = struct.Struct("<8s2I")
WORD = 4
BODY = struct.Struct("<32sQ3I")
CHOICE = struct.Struct("<I32s")
MAC_END = HEAD.size + SIZE
START = MAC_END + BODY.size
MOST_CHOICES = 8
MOST_LEFT = 1024
MOST_FRONT = START + MOST_CHOICES * CHOICE.size + MOST_LEFT * WORD
"""Bytes before the units."""
STEP = 64
"""Units that are looked at between two breaths."""


class BadUnits(DynarecError):  # noqa: N818
    """A file that is not to be used; the message says why."""


class Units(NamedTuple):
    """What a file holds.

    interpreted: guest instructions, by the run that interpreted most. choices: of homes, by samples. left: addresses of
    instructions that are left to the interpreter. records: those that were made first come first.
    """

    interpreted: int = 0
    choices: Mapping[int, bytes] = MappingProxyType({})
    left: tuple[int, ...] = ()
    records: Mapping[Purpose, Record] = MappingProxyType({})


def write(units: Units, identity: bytes, key: bytes) -> bytes:
    """The file, authenticated with a key of up to 64 bytes."""
    choices = [CHOICE.pack(*each) for each in units.choices.items()][:MOST_CHOICES]
    left = [struct.pack("<I", pc) for pc in units.left[:MOST_LEFT]]
    numbers = BODY.pack(identity, units.interpreted, len(choices), len(left), len(units.records))
    body = [numbers, *choices, *left, *units.records.values()]
    head = HEAD.pack(MAGIC, VERSION, sum(map(len, body)))
    return b"".join([head, digest_of((head, *body), key), *body])


def read(data: bytes, identity: bytes, key: bytes, breathe: Callable[[], None] = go_on) -> Units:
    """What `write` wrote with the same identity and key. Raises BadUnits for everything else.

    breathe: see Translator.translate.
    """
    head, mac, body = data[: HEAD.size], data[HEAD.size : MAC_END], memoryview(data)[MAC_END:]
    if len(data) < START or head != HEAD.pack(MAGIC, VERSION, len(body)):
        raise BadUnits("it is truncated, or of another kind or version")
    if not is_equal(mac, digest_of((head, body), key)):
        raise BadUnits("it is damaged, or was not written with this user's key")
    if body[: len(identity)] != identity:
        raise BadUnits("it is of another program, or of another dynarec")
    return _units(body, breathe)


def _units(body: memoryview, breathe: Callable[[], None]) -> Units:
    _, interpreted, choices, left, units = BODY.unpack_from(body)
    at_left = BODY.size + choices * CHOICE.size
    at_units = at_left + left * WORD
    if choices > MOST_CHOICES or left > MOST_LEFT or at_units > len(body):
        raise BadUnits("it is cut off, or has too many choices or addresses")
    chosen = dict(CHOICE.iter_unpack(body[BODY.size : at_left]))
    return Units(
        interpreted, chosen, struct.unpack_from(f"<{left}I", body, at_left), _records(body[at_units:], units, breathe)
    )


def _records(data: memoryview, count: int, breathe: Callable[[], None]) -> dict[Purpose, Record]:
    found: dict[Purpose, Record] = {}
    at = 0
    for number in range(count):
        if number % STEP == 0:
            breathe()
        record = record_at(data, at)
        if record is None:
            raise BadUnits("a unit of it is cut off")
        found[purpose_of(record)] = record
        at += len(record)
    if at != len(data):
        raise BadUnits("there is something behind its units")
    return found
