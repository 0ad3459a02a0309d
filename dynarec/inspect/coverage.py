"""What of a program was executed, and how often, for other people's tools: lcov's tracefiles, and drcov.

The counts are those of the units, of the interpreter and of the system calls: exact, instruction by instruction.

lcov: geninfo(1) of lcov, section FILES. TN, then for each source file SF, FN and FNDA (functions), BRDA (branches), DA
(lines), the totals of each, end_of_record.
drcov: as DynamoRIO 7 writes it and Lighthouse reads it: version 2 of the format and of its table of modules; text, and
behind it the binary table of blocks.
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dynarec.debug.source import Source
from dynarec.errors import DynarecError
from dynarec.inspect.model import Exit, Recording, Unit
from dynarec.program import Program
from guest_isa.guest import Guest

LCOV, DRCOV = "lcov", "drcov"
SUFFIXES = {".lcov": LCOV, ".info": LCOV, ".drcov": DRCOV}
BLOCK = struct.Struct("<IHH")
"""Of drcov: offset in the module, bytes, number of the module."""
MOST_BYTES = 0xFFFF
"""Of a block of drcov."""
JUMPS = frozenset({"jump", "round"})
"""Kinds of exits that a branch may take."""
WORD = 8
"""Bytes that hold the longest instruction of a guest."""


def kind_of(path: Path) -> str:
    """The format that the name of a file asks for. Raises DynarecError."""
    if path.suffix not in SUFFIXES:
        raise DynarecError(f"{path}: coverage is written to files that end in {', '.join(SUFFIXES)}: rename it")
    return SUFFIXES[path.suffix]


def check(path: Path, program: Program) -> None:
    """Raises DynarecError if there can be no coverage of a program in such a file, before that is run."""
    if kind_of(path) == LCOV and not Source(program).lines.files:
        raise _no_lines(program)


def _no_lines(program: Program) -> DynarecError:
    return DynarecError(f"{program.name}: has no line table, so no .lcov can be written: compile it with -g")


def write(recording: Recording, program: Program, guest: Guest, path: Path) -> None:
    """Write the coverage of the program that was recorded. Raises DynarecError: no counts, no lines, no such place."""
    kind = kind_of(path)
    if not recording.counted:
        raise DynarecError(f"{path}: executions were not counted, so there is no coverage: record with counters")
    data = lcov(recording, program).encode() if kind == LCOV else drcov(recording, program, guest)
    try:
        path.write_bytes(data)
    except OSError as error:
        reason = error.strerror or error
        raise DynarecError(f"{path}: the coverage cannot be written: {reason}: choose another place") from error


# -- counts -----------------------------------------------------------------------------------------------------------


def executed(recording: Recording) -> dict[int, int]:
    """How often each instruction was executed, by address; those of units that are forgotten are not among them."""
    counts: Counter[int] = Counter(recording.interpreted)
    counts.update(recording.answered)
    for unit in recording.units:
        for pc, count in zip(unit.pcs, unit.executed() or [], strict=False):
            counts[pc] += count
    return {pc: count for pc, count in sorted(counts.items()) if count}


def branches(recording: Recording) -> dict[int, dict[int, int]]:
    """For each conditional branch that was executed, by address: how often it went where.

    Nobody knows that of an instruction that was interpreted: branches that ever were are left out.
    """
    leaving = {unit.pcs[index] for unit in recording.units for index in _leaves(unit)}
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for unit in recording.units:
        for pc, target, count in _ways(unit):
            if pc in leaving:
                found[pc][target] += count
    known = {pc: ways for pc, ways in found.items() if len(ways) > 1 and not recording.interpreted.get(pc)}
    return {pc: dict(sorted(ways.items())) for pc, ways in sorted(known.items())}


def _leaves(unit: Unit) -> dict[int, list[Exit]]:
    """The exits by which a jump or a branch leaves a round, by its place in the trace."""
    found: dict[int, list[Exit]] = defaultdict(list)
    for each in unit.exits:
        if each.kind in JUMPS and each.executed:
            found[each.executed - 1].append(each)
    return found


def _ways(unit: Unit) -> Iterator[tuple[int, int, int]]:
    """(address, where next, times) of what was executed. What leads to no exit goes on in the trace, or to the head.

    A branch may have no exit where the way it goes is known: it is one by what it does in other units.
    """
    leaves = _leaves(unit)
    for index, (pc, count) in enumerate(zip(unit.pcs, unit.executed() or [], strict=False)):
        if not count:
            continue
        for each in leaves.get(index, ()):
            yield pc, each.target, each.taken or 0
        rest = count - sum(each.taken or 0 for each in leaves.get(index, ()))
        is_last = index + 1 == len(unit.pcs)
        if rest or not is_last:
            yield pc, unit.key if is_last else unit.pcs[index + 1], rest


# -- lcov -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _File:
    """What is known of a source file: lines and functions with their counts, branches by line."""

    lines: dict[int, int] = field(default_factory=dict)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)
    branches: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


def lcov(recording: Recording, program: Program) -> str:
    """A tracefile, with all lines and functions that have code. Raises DynarecError for a program without lines.

    A line of which there are several copies (of a function inlined in several places) was executed as often as they
    all together; in one copy, as often as that instruction of it that was executed most.
    """
    source = Source(program)
    counts = executed(recording)
    files: dict[str, _File] = defaultdict(_File)
    _count_lines(source, counts, files)
    if not files:
        raise _no_lines(program)
    _count_functions(source, counts, files)
    _count_branches(source, branches(recording), files)
    return "".join(_record(str(source.text.find(name) or name), file) for name, file in sorted(files.items()))


def _count_lines(source: Source, counts: Mapping[int, int], files: dict[str, _File]) -> None:
    copies: dict[tuple[str, int], dict[Hashable, int]] = defaultdict(dict)
    for file, line, address in source.lines.stretches():
        copies[file, line].setdefault(_copy(source, address), 0)
    for pc, count in counts.items():
        row = source.lines.at(pc)
        of_line = copies.get((row.file, row.line), {}) if row is not None else {}
        copy = _copy(source, pc)
        if copy in of_line:  # assembly without lines may follow the last line of a function
            of_line[copy] = max(of_line[copy], count)
    for (file, line), each in copies.items():
        files[file].lines[line] = sum(each.values())


def _copy(source: Source, address: int) -> Hashable:
    """What tells the code of a line in one place from that in others: the function, or the innermost inlined one."""
    inlined = source.functions.inlined(address)
    return inlined[0].scope if inlined else source.functions.at(address)


def _count_functions(source: Source, counts: Mapping[int, int], files: dict[str, _File]) -> None:
    for name in source.functions.names():
        for function in source.functions.find(name):
            if function.file not in files or not name:
                continue
            line, before = files[function.file].functions.get(name, (function.line, 0))
            files[function.file].functions[name] = min(line, function.line), before + counts.get(function.low, 0)


def _count_branches(source: Source, known: Mapping[int, Mapping[int, int]], files: dict[str, _File]) -> None:
    for pc, ways in known.items():
        row = source.lines.at(pc)
        if row is not None and row.line in files[row.file].lines:
            files[row.file].branches[row.line] += [(pc, count) for count in ways.values()]


def _record(name: str, file: _File) -> str:
    lines = [*_functions(file), *_branches(file), *(f"DA:{line},{count}" for line, count in sorted(file.lines.items()))]
    totals = _totals("L", file.lines.values())
    return "\n".join(["TN:", f"SF:{name}", *lines, *totals, "end_of_record", ""])


def _functions(file: _File) -> Iterator[str]:
    functions = sorted(file.functions.items(), key=lambda each: (each[1], each[0]))
    for name, (line, _) in functions:
        yield f"FN:{line},{name}"
    for name, (_, count) in functions:
        yield f"FNDA:{count},{name}"
    yield from _totals("FN", [count for _, (_, count) in functions])


def _branches(file: _File) -> Iterator[str]:
    counts = []
    for line, ways in sorted(file.branches.items()):
        for block, (_, group) in enumerate(itertools.groupby(ways, key=lambda way: way[0])):
            for branch, (_, count) in enumerate(group):
                counts.append(count)
                yield f"BRDA:{line},{block},{branch},{count}"
    yield from _totals("BR", counts)


def _totals(name: str, counts: Collection[int]) -> Iterator[str]:
    """How many there are, and how many of them were executed."""
    yield f"{name}F:{len(counts)}"
    yield f"{name}H:{sum(count > 0 for count in counts)}"


# -- drcov ------------------------------------------------------------------------------------------------------------


def drcov(recording: Recording, program: Program, guest: Guest) -> bytes:
    """The blocks of the program that were executed; code that is not of its file is left out."""
    base = min(segment.address for segment in program.segments)
    blocks = [(pc - base, size) for pc, size in _blocks(recording, program, guest)]
    head = (
        "DRCOV VERSION: 2\n"
        "DRCOV FLAVOR: drcov\n"
        "Module Table: version 2, count 1\n"
        "Columns: id, base, end, entry, path\n"
        f"  0, {base:#018x}, {program.end:#018x}, {program.entry:#018x}, {program.path or program.name}\n"
        f"BB Table: {len(blocks)} bbs\n"
    )
    return head.encode() + b"".join(BLOCK.pack(offset, size, 0) for offset, size in blocks)


def _blocks(recording: Recording, program: Program, guest: Guest) -> Iterator[tuple[int, int]]:
    """(address, bytes) of instructions one behind the other that were executed equally often."""
    start, end, before = 0, 0, 0
    for pc, count in executed(recording).items():
        size = _length(program, guest, pc)
        if not size:
            continue
        if pc != end or count != before or pc + size - start > MOST_BYTES:
            if end > start:
                yield start, end - start
            start = pc
        end, before = pc + size, count
    if end > start:
        yield start, end - start


def _length(program: Program, guest: Guest, pc: int) -> int:
    """Bytes of the instruction that the file has at an address; 0 where it has none."""
    for segment in program.segments:
        if segment.executable and segment.address <= pc < segment.address + len(segment.data):
            data = segment.data[pc - segment.address :][:WORD]
            insn = guest.isa.decode(int.from_bytes(data, "little"))
            return insn.length if insn is not None else 0
    return 0
