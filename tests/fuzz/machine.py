"""Programs put into a machine: any bytes become one that is ready to run, or are refused."""

from __future__ import annotations

import io

import dynarec
from dynarec.machine.base import Access
from tests.fuzz.oracle import bounded_memory, may_refuse

MAX_SIZE = 4096


def check(data: bytes) -> None:
    """Load it, and look at where it would start. It is not run."""
    with bounded_memory(len(data)), may_refuse():
        stream = io.BytesIO()
        with dynarec.Machine.load(data, tier="interp", stdin=stream, stdout=stream, stderr=stream, seed=1) as machine:
            assert machine.pc == machine.program.entry
            for segment in machine.program.segments:
                assert machine.memory.read(segment.address, len(segment.data)) == segment.data
                assert machine.memory.is_mapped(segment.address, segment.size)
            assert machine.memory.flags(machine.pc & -4096) & Access.EXECUTE
