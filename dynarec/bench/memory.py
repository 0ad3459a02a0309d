"""`python -m dynarec.bench.memory ELF...`: resident memory for each translated guest instruction, all included.

One machine translates these programs, each at addresses of its own, from the functions on, as far as the exits
of units lead. What is resident then and was not before is host code, the tables of the core and objects of Python.
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from dynarec.bench.processes import last_line, run
from dynarec.bench.programs import BenchProgram
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from dynarec.loading import read_program
from dynarec.machine.address_space import page_down, page_up
from dynarec.machine.base import Access
from dynarec.program import Program

PLACE = 0x4000_0000
"""Where the first program goes; the machine's own is below."""
STATM = Path("/proc/self/statm")
RESIDENT = 1
"""Its number in that file (proc(5)), in pages."""
KIBI = 1024
MOST = 120
"""Bytes that a translated guest instruction may take."""


@dataclass(frozen=True, slots=True)
class MemoryCosts:
    """resident: bytes that came to the process with so many units of so many translated guest instructions.

    code: bytes of host code among them.
    """

    resident: int
    code: int
    units: int
    instructions: int

    @property
    def each(self) -> float:
        """Bytes for each translated guest instruction."""
        return self.resident / self.instructions


def memory_costs(programs: Sequence[BenchProgram]) -> MemoryCosts:
    """Measure, in a process of its own. Raises DynarecError."""
    done = run([sys.executable, "-m", "dynarec.bench.memory", *(program.elf for program in programs)])
    if done.status != 0:
        raise DynarecError(f"cannot measure the memory of translations: {last_line(done.errors)}")
    return MemoryCosts(**json.loads(done.output))


def memory_text(costs: MemoryCosts) -> str:
    return (
        f"resident memory for each translated guest instruction: {costs.each:.1f} bytes of at most {MOST}, "
        f"{costs.code / costs.instructions:.1f} of them host code ({costs.units:,} units of "
        f"{costs.instructions:,} guest instructions)"
    )


def _measure(programs: Sequence[Path]) -> MemoryCosts:
    with Machine.load(programs[0], stdout=io.BytesIO(), tier="jit") as machine:
        _translate_all(machine, _functions(machine.program, 0))  # what is made once is made now
        functions = _place(machine, programs)
        before, code = _resident(), machine.stats().code_bytes
        units, instructions = _translate_all(machine, functions)
        return MemoryCosts(_resident() - before, machine.stats().code_bytes - code, units, instructions)


def _functions(program: Program, moved: int) -> list[int]:
    return [symbol.address + moved for symbol in program.symbols if symbol.is_function]


def _place(machine: Machine, programs: Sequence[Path]) -> list[int]:
    """Copy the code of all programs into the machine; the addresses of their functions."""
    place, functions = PLACE, []
    for path in programs:
        program, _ = read_program(path, None)
        code = [segment for segment in program.segments if segment.executable]
        first = page_down(code[0].address)
        size = page_up(code[-1].end) - first
        machine.memory.map(place, size, Access.READ | Access.EXECUTE)
        for segment in code:
            machine.memory.write(place + segment.address - first, segment.data)
        functions += _functions(program, place - first)
        place += size
    return functions


def _translate_all(machine: Machine, entries: Sequence[int]) -> tuple[int, int]:
    """Translate from these addresses on what units lead to; how many units, and guest instructions in them."""
    done: set[int] = set()
    waiting, instructions = list(entries), 0
    while waiting:
        key = waiting.pop()
        if key not in done and machine.code_at(key, 1):
            done.add(key)
            count, targets = machine.perform(partial(_translate, machine, key))
            instructions += count
            waiting += targets
    return len(done), instructions


def _translate(machine: Machine, key: int) -> tuple[int, list[int]]:
    """The guest instructions of the unit, and where its exits lead."""
    assert machine.translator is not None  # of tier jit
    translation = machine.translator.translate(key)
    machine.core.install(translation)
    return len(translation.unit.insns), [each.target for each in translation.code.exits if each.link]


def _resident() -> int:
    """Bytes of this process that are in memory now."""
    gc.collect()
    if STATM.exists():
        return int(STATM.read_text().split()[RESIDENT]) * resource.getpagesize()
    size = run(["ps", "-o", "rss=", "-p", str(os.getpid())]).output
    return int(size) * KIBI


def main(arguments: Sequence[str]) -> None:
    """Measure, and print."""
    print(json.dumps(asdict(_measure([Path(path) for path in arguments]))))


if __name__ == "__main__":
    main(sys.argv[1:])
