"""Translations in files: any bytes are refused, or are units of which the core takes none that its verifier does not.

The bytes are also tried with a mac that is right. `python -m tests.fuzz.units` writes the corpus anew.
"""

from __future__ import annotations

import functools
import random
import struct
from pathlib import Path

from dynarec._native import ffi
from dynarec.code_cache import NativeUnit, home_words
from dynarec.core import Core
from dynarec.disk import units_file
from dynarec.disk.digests import digest_of
from dynarec.disk.record import KeptUnit, pack, purpose_of, ranges_of
from dynarec.disk.units_file import HEAD, MAC_END, MAGIC, VERSION, Units
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from dynarec.snapshot import Snapshot
from tests.fuzz.oracle import bounded_memory, check_line, may_refuse
from tests.native.guests import CODE, asm, li, load, lui

MAX_SIZE = 4096
IDENTITY, KEY = bytes(32), b"key"
MOST_UNITS = 8
"""That are installed; the others are like them."""
STEPS = 200
SECONDS = 0.5
"""What a machine does with units that somebody made up: enough to use them, not enough to wait for it."""
NUMBERS = (0, 1, 4, 0x7FFF_FFFF, 0xFFFF_FFFF, CODE)
PROGRAM = (
    lui("s1", 0x20000) + li("s0", 20)
    + asm("lw", rd="t0", rs1="s1", imm=0) + asm("add", rd="t0", rs1="t0", rs2="s0")
    + asm("sw", rs1="s1", rs2="t0", imm=0) + asm("addi", rd="s0", rs1="s0", imm=-1)
    + asm("bne", rs1="s0", rs2="zero", offset=-16) + asm("jal", rd=0, offset=-28)
)  # fmt: skip


@functools.cache
def ready() -> tuple[Machine, Snapshot]:
    """A machine with the program that the corpus is of, and what it is at its start."""
    machine = load(PROGRAM, tier="jit")
    return machine, machine.snapshot()


def check(data: bytes) -> None:
    """As a file, and as what is behind the head and the mac of one."""
    ready()
    with bounded_memory(len(data)), may_refuse():
        units_file.read(data, IDENTITY, KEY)
    sealed = seal(data[MAC_END:])
    with bounded_memory(len(sealed)), may_refuse():
        use(units_file.read(sealed, IDENTITY, KEY))


def seal(body: bytes) -> bytes:
    """A file of these bytes with a head and a mac that are right."""
    head = HEAD.pack(MAGIC, VERSION, len(body))
    return head + digest_of((head, body), KEY) + body


def use(units: Units) -> None:
    """Have them installed, and run what was; the machine is as good as before."""
    machine, start = ready()
    for record in [*units.records.values()][:MOST_UNITS]:
        assert all(0 <= number < 1 << 32 for each in ranges_of(record) for number in each)
        machine.perform(functools.partial(_install, machine.core, KeptUnit(record, machine.core.epoch)))
    try:
        with may_refuse():
            machine.run(STEPS, timeout=SECONDS)
    finally:
        machine.perform(machine.core.flush)
        machine.restore(start)
        assert machine.run(2).instructions == 2
        machine.restore(start)


def _install(core: Core, unit: KeptUnit) -> None:
    try:
        core.install_all([unit])
    except DynarecError as error:
        check_line(str(error))


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """A word is another one, or some bytes are missing or there twice."""
    rng = random.Random(seed)
    at, size = rng.randrange(len(data) + 1) & ~3, rng.randrange(1, 9)
    word = struct.pack("<I", rng.choice((*NUMBERS, rng.getrandbits(32))))
    made = (
        data[:at] + word + data[at + len(word) :], data[:at] + data[at + size :], data[: at + size] + data[at:]
    )  # fmt: skip
    return rng.choice(made)[:max_size]


def write_corpus(folder: Path) -> None:
    """The units of the program, and of its first instruction alone."""
    with load(PROGRAM, tier="jit") as machine:
        assert machine.translator is not None
        for name, keys in (("loop", [CODE + 8]), ("two", [CODE, CODE + len(PROGRAM) - 4])):
            homes = bytes(ffi.buffer(home_words(machine.translator.host.home_fields)))
            packed = [pack(NativeUnit(machine.translator.translate(key), 0), homes) for key in keys]
            units = Units(1000, {48: homes}, (CODE,), {purpose_of(record): record for record in packed})
            folder.joinpath(name).write_bytes(units_file.write(units, IDENTITY, KEY))


if __name__ == "__main__":
    place = Path(__file__).parent / "corpus" / "units"
    place.mkdir(exist_ok=True)
    write_corpus(place)
