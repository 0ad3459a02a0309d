"""The bundled programs, run twice; and on emulated hosts, from what files hold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import pytest

from dynarec._native import ffi
from dynarec.code_cache import NativeUnit, home_words
from dynarec.disk import units_file
from dynarec.disk.identity import identity_of
from dynarec.disk.record import KeptUnit, Record, pack, purpose_of
from dynarec.disk.units_file import Units
from dynarec.emulated import EmulatedMachine
from dynarec.engine import Machine
from dynarec.host import HOSTS, make_host
from dynarec.host.base import Exit, ExitKind, HostCode, Recovery, Site, Source
from dynarec.machine.base import Exited, Options
from dynarec.stats import Stats
from dynarec.translate import Translation, Translator
from guest_isa.rv32 import GUEST

ROMS = Path(__file__).parents[2] / "roms"
LIMIT = 80_000_000
"""Guest instructions, in which homes are chosen."""
KEY = b"key"


def run(name: str) -> tuple[bytes, int, Stats]:
    """What a program writes, and comes to."""
    stdout = io.BytesIO()
    with Machine.load(ROMS / name, stdin=io.BytesIO(), stdout=stdout, seed=1, disk_cache=True) as machine:
        stop = machine.run(LIMIT)
        return stdout.getvalue(), stop.pc, machine.stats()


@pytest.mark.parametrize("name", ["hello.elf", "bench/json.elf", "scene3d.elf", "blocks.elf", "mandelbrot.elf"])
def test_the_second_run_translates_nothing(name: str) -> None:
    """With the translator beside the guest, which makes the first run another one each time."""
    *cold, first = run(name)
    *warm, second = run(name)
    assert warm == cold
    assert second.translated == 0
    assert (second.kept > 0) == (first.translated > first.stale)


# -- on emulated hosts -------------------------------------------------------------------------------------------------


class Keeper:
    """Packs what a translator makes."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self._homes = bytes(ffi.buffer(home_words(translator.host.home_fields)))
        self.host = translator.host
        self.records: list[Record] = []

    def translate(self, key: int) -> Translation:
        made = self._translator.translate(key)
        self.records.append(pack(NativeUnit(made, 0), self._homes))
        return made


class Head(NamedTuple):
    """What is left of an IR unit."""

    key: int
    retired: int
    without: tuple[str, ...] = ()


class Shelf:
    """Gives what a file holds, and nothing else."""

    def __init__(self, units: Units) -> None:
        self._records = {purpose.key: record for purpose, record in units.records.items()}

    def translate(self, key: int) -> Translation:
        unit = KeptUnit(self._records[key], 0).pointer
        ranges = [(each.address, each.size) for each in unit.ranges[0 : unit.range_count]]
        source = bytes(ffi.buffer(unit.source, unit.source_size))
        return Translation(Head(unit.key, unit.insns), _code(unit), ranges, source)  # type: ignore[arg-type]


def _code(unit: object) -> HostCode:
    native = ffi.cast("struct dr_unit *", unit)
    exits = [
        Exit(ExitKind(each.kind), each.ret, each.link, each.target, each.refund, bool(each.inside))
        for each in native.exits[0 : native.exit_count]
    ]
    sites = [Site(each.offset, each.pc, each.refund) for each in native.sites[0 : native.site_count]]
    recoveries = [
        Recovery(each.first, each.last, each.word, Source(each.source), each.number, each.plus)
        for each in native.recoveries[0 : native.recovery_count]
    ]
    loans = [(each.home, each.word) for each in native.loans[0 : native.loan_count]]
    code = bytes(ffi.buffer(native.code, native.code_size))
    return HostCode(code, native.body, exits, sites, recoveries, loans=loans)


def emulate(host: str, output: io.BytesIO) -> EmulatedMachine:
    options = Options(["3"], stdout=output)
    return EmulatedMachine.load(ROMS / "bench" / "queens.elf", host, options=options)


@pytest.mark.parametrize("host", HOSTS)
def test_what_is_kept_is_all_that_runs_take(host: str) -> None:
    """On a host that is not this one, too."""
    outputs = io.BytesIO(), io.BytesIO()
    first, second = emulate(host, outputs[0]), emulate(host, outputs[1])
    keeper = Keeper(first._translator)
    first._translator = keeper  # type: ignore[assignment]
    assert first.run() == Exited(0)
    units = Units(records={purpose_of(record): record for record in keeper.records})
    identity = bytes(32)
    second._translator = Shelf(units_file.read(units_file.write(units, identity, KEY), identity, KEY))  # type: ignore[assignment]
    assert second.run() == Exited(0)
    assert outputs[1].getvalue() == outputs[0].getvalue() != b""
    assert second.instructions == first.instructions


def test_hosts_have_files_of_their_own() -> None:
    program = emulate(HOSTS[0], io.BytesIO()).program
    translators = [Translator(GUEST, make_host(host, GUEST), lambda address, size: b"") for host in HOSTS]
    identities = {identity_of(program, each) for each in translators}
    assert len(identities) == len(HOSTS)
    assert None not in identities
