"""The table of deferred writes: what stays as it is from access to access is one record; how it is told."""

from __future__ import annotations

from dynarec.host.base import HostCode, Recovery, Site, Source
from dynarec.host.moves import NOWHERE, REGISTERS, Move, in_word
from dynarec.host.recoveries import Recoveries, recovery_texts
from tests.ir.units import LAYOUT

R2, R3 = LAYOUT["r2"].index, LAYOUT["r3"].index
CONSTANT = Move(REGISTERS[9], NOWHERE, 0x10)
MOVED = Move(in_word(4 * R3), REGISTERS[9])
OTHER = Move(in_word(4 * R3), in_word(4 * 50), 0xFFFF_FFFC)
RECORDS = [
    Recovery(1, 1, R3, Source.REGISTER, 1, 0),
    Recovery(1, 2, R2, Source.NOTHING, 0, 0x10),
    Recovery(2, 4, R3, Source.WORD, 50, 0xFFFF_FFFC),
    Recovery(4, 4, R2, Source.NOTHING, 0, 0x10),
]


def test_records_reach_from_site_to_site() -> None:
    found: list[Recovery] = []
    recoveries = Recoveries(found, {8: 0, 9: 1}, {9: R2})
    for number, moves in enumerate([[], [CONSTANT, MOVED], [CONSTANT, OTHER], [OTHER], [OTHER, CONSTANT]]):
        recoveries.site(number, moves)
    recoveries.close(4)
    assert sorted(found) == RECORDS


def test_text() -> None:
    sites = [Site(offset, 0, 0) for offset in (0, 4, 8, 12, 16)]
    assert recovery_texts(HostCode(b"", sites=sites, recoveries=RECORDS), ("w0", "w1"), LAYOUT.fields) == {
        4: "r3 = w1, r2 = 0x10",
        8: "r2 = 0x10, r3 = word 50 - 0x4",
        12: "r3 = word 50 - 0x4",
        16: "r3 = word 50 - 0x4, r2 = 0x10",
    }
