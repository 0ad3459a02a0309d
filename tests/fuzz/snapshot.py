"""Snapshots in files: any bytes are a snapshot that a machine can go on from, or are refused; the machine lives on.

`python -m tests.fuzz.snapshot` writes the corpus anew, for when the format or what a machine saves has changed.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from dynarec import snapshot_file
from dynarec.engine import Machine
from dynarec.machine.base import Hardware
from dynarec.sections import HEADER, SECTION
from dynarec.snapshot import Snapshot
from dynarec.snapshot_file import MOST_META
from tests.fuzz.oracle import bounded_memory, may_refuse
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import EXIT, asm, li, lui

MAX_SIZE = 8192
CODE = 0x8000_0000
"""Where machine `virt` has its memory, and the others may have a program."""
CONSOLE_CODE = 0x1_0000
MEMORY = 1 << 20
STEPS = 40
SECONDS = 0.5
"""What a program does from a state that somebody made up: enough to use that state, not enough to wait for it."""
PROGRAM = li("a0", 0) + lui("sp", 0x8001_0000) + asm("sw", rs1="sp", rs2="a0", imm=0) + EXIT
MACHINES = {"user": CODE, "virt": CODE, "console": CONSOLE_CODE}


def make(name: str) -> Machine:
    """A machine of that name with a program that does little."""
    parts = [Part(MACHINES[name], PROGRAM, 0x1000, flags=R | W | X)]
    stream = io.BytesIO()
    options = {"stdin": io.BytesIO(b"input"), "stdout": stream, "stderr": stream, "hardware": Hardware(memory=MEMORY)}
    return Machine.load(build(parts, MACHINES[name]), name, ["x"], tier="interp", **options)  # type: ignore[arg-type]


@functools.cache
def ready(name: str) -> tuple[Machine, Snapshot]:
    """A machine, and what it is at its start."""
    machine = make(name)
    return machine, machine.snapshot()


def check(data: bytes) -> None:
    """Read it, go on from it, and go back to what the machine was."""
    for name in MACHINES:
        ready(name)
    with bounded_memory(len(data)), may_refuse():
        snapshot = snapshot_file.read(io.BytesIO(data), len(data), "it")
        use(snapshot)


def use(snapshot: Snapshot) -> None:
    """Go on from a snapshot. Raises DynarecError for one that does not fit, and leaves the machine as it was."""
    machine, start = ready(snapshot.origin.machine if snapshot.origin.machine in MACHINES else "user")
    try:
        machine.restore(snapshot)
        again = machine.snapshot()
        assert again.pages.runs == snapshot.pages.runs
        assert again.pages.numbers == [number for number, page in snapshot.pages if any(page)]
        machine.run(STEPS, timeout=SECONDS)
    finally:
        machine.restore(start)
        assert machine.run(1).instructions == 1
        machine.restore(start)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change what is in a section, and let sizes and checksums fit again."""
    rng = random.Random(seed)
    sections = list(_sections(data))
    if not sections:
        return data[:max_size]
    place = rng.randrange(len(sections))
    kind, content = sections[place]
    sections[place] = (kind, _changed(content, rng))
    packed = (_packed(kind, content) for kind, content in sections)
    made = data[: HEADER.size] + b"".join(packed)
    return made if len(made) <= max_size else data[:max_size]


def _sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = HEADER.size
    while at + SECTION.size <= len(data):
        kind, size, _, _ = SECTION.unpack_from(data, at)
        stream = zlib.decompressobj()
        try:
            yield kind, stream.decompress(data[at + SECTION.size :][:size], MOST_META)
        except zlib.error:
            return
        at += SECTION.size + size


def _packed(kind: bytes, content: bytes) -> bytes:
    stored = zlib.compress(content)
    return SECTION.pack(kind, len(stored), len(content), zlib.crc32(stored)) + stored


def _changed(content: bytes, rng: random.Random) -> bytes:
    """One word or byte is another, or some bytes are missing or there twice."""
    at, size = rng.randrange(len(content) + 1), rng.randrange(1, 9)
    match rng.randrange(4):
        case 0:
            return (
                content[:at]
                + struct.pack("<I", rng.choice((0, 1, 0xFFFF_FFFF, rng.getrandbits(32))))
                + content[at + 4 :]
            )
        case 1:
            return content[:at] + bytes((rng.getrandbits(8),)) + content[at + 1 :]
        case 2:
            return content[:at] + content[at + size :]
    return content[: at + size] + content[at:]


def write_corpus(folder: Path) -> None:
    """A snapshot of each machine, at its start and a little later."""
    for name in MACHINES:
        with make(name) as machine:
            machine.snapshot().save(folder / f"{name}-start")
            machine.run(3)
            machine.snapshot().save(folder / f"{name}-later")


if __name__ == "__main__":
    write_corpus(Path(__file__).parent / "corpus" / "snapshot")
