"""What the contract suite is made of: guest memory, places to run a unit, and what must come out."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from dynarec.core import Core, CoreConfig, Tier
from dynarec.emulated import EmulatedCpu
from dynarec.emulated.cpu import STATE
from dynarec.host import layout
from dynarec.host.base import ExitKind, Host, HostCode, Site
from dynarec.host.x86_64.regs import HOMES as X86_64_HOMES
from dynarec.ir import ops
from dynarec.ir.evaluate import Left, MemoryFault, Outcome, evaluate
from dynarec.ir.text import format_unit
from dynarec.ir.unit import Interpret, Jump, JumpTo, SyncCode, Trap, Unit
from dynarec.machine.base import Access
from dynarec.records import Records
from dynarec.translate import Translation
from guest_isa.rv32 import GUEST
from tests.ir.units import FIELDS, KEY, LAYOUT, MEMORY_BASE, clone, random_start

PAGE = 0x1000
READ_ONLY = MEMORY_BASE + 2 * PAGE
TOP = 0x1_0000_0000 - PAGE
PAGES = {
    MEMORY_BASE: Access.READ | Access.WRITE,
    MEMORY_BASE + PAGE: Access.READ | Access.WRITE,
    READ_ONLY: Access.READ,
    TOP: Access.READ | Access.WRITE,
}
"""Guest memory of the suite: two pages and one that cannot be written, and the last of the address space."""
CONTENTS = random.Random(0).randbytes(PAGE * len(PAGES))
"""What it holds before a unit runs, page after page."""
BYTE = 8
JUMP_SHIFT = 1
CODE_SIZE = 1 << 20
COUNTERS = STATE + layout.COUNTERS
HOME_COUNT = 8
assert len(X86_64_HOMES) > HOME_COUNT, "homes are left that no field has"


class Pages:
    """Guest memory for the evaluator."""

    def __init__(self) -> None:
        self.data = bytearray(CONTENTS)

    def _place(self, address: int, size: int, access: Access) -> int:
        pages = {each & -PAGE for each in range(address, address + size)}
        if not all(access in PAGES.get(page, Access.NONE) for page in pages):
            raise MemoryFault(address)
        return list(PAGES).index(address & -PAGE) * PAGE + address % PAGE

    def load(self, address: int, bits: int) -> int:
        place = self._place(address, bits // BYTE, Access.READ)
        return int.from_bytes(self.data[place : place + bits // BYTE], "little")

    def store(self, address: int, bits: int, value: int) -> None:
        place = self._place(address, bits // BYTE, Access.WRITE)
        self.data[place : place + bits // BYTE] = value.to_bytes(bits // BYTE, "little")


@dataclass(frozen=True, slots=True)
class Result:
    """left: "jump", "interpret" or "fault"; pc: where to go on; retired: guest instructions; what the guest sees."""

    left: str
    pc: int
    retired: int
    state: tuple[int, ...]
    memory: bytes


NAMES = {Left.JUMP: "jump", Left.INTERPRET: "interpret", Left.READ_FAULT: "fault", Left.WRITE_FAULT: "fault"}


def expected(unit: Unit, state: tuple[int, ...], budget: int) -> tuple[Result, Outcome]:
    """What the evaluator says; a unit that goes to its own head runs again while the budget lasts."""
    words, memory, retired = list(state), Pages(), 0
    while True:
        outcome = evaluate(unit, words, memory)
        retired += outcome.retired
        again = outcome.left is Left.JUMP and outcome.pc == unit.key
        if not again or budget - retired < max(unit.retired, 1):
            return Result(NAMES[outcome.left], outcome.pc, retired, _fields(words), bytes(memory.data)), outcome


def _fields(words: Iterable[int]) -> tuple[int, ...]:
    listed = list(words)
    return tuple(listed[field.index] for field in FIELDS)


class Runner(ABC):
    """A place to run units of one host."""

    partial_stores = False
    """Whether a store that faults on its second page may have written to the first."""

    @abstractmethod
    def run(self, unit: Unit, code: HostCode, state: tuple[int, ...], budget: int) -> Result:
        """Run the unit from this state, and `CONTENTS` in memory."""

    @abstractmethod
    def counters(self, code: HostCode) -> tuple[list[int], list[int]]:
        """What the unit's counters said after the last run; and for each round that ended in a way that none of them
        counts, by a fault or at the interpreter, guest instructions that were charged and not executed."""

    def executed(self, unit: Unit, code: HostCode) -> int:
        """Guest instructions that have retired in the last run, by its counters."""
        counters, others = self.counters(code)
        rounds = sum(counters) + len(others)
        left_out = sum(count * missing for count, missing in zip(counters, code.unexecuted, strict=True))
        return rounds * unit.retired - left_out - sum(others)


class EmulatedRunner(Runner):
    """Units under Unicorn, which makes a store that crosses pages byte by byte."""

    partial_stores = True

    def __init__(self, host: Host) -> None:
        self.cpu = cpu = EmulatedCpu(host, CODE_SIZE)
        cpu.clear_jumps([0])
        cpu.set_jump(KEY // 2 % layout.JUMP_SLOTS, KEY, 0)
        for page, access in PAGES.items():
            cpu.memory.map(page, PAGE, access)
        self._fill()

    def _fill(self) -> None:
        for place, page in enumerate(PAGES):
            self.cpu.memory.write(page, CONTENTS[place * PAGE : (place + 1) * PAGE])

    def run(self, unit: Unit, code: HostCode, state: tuple[int, ...], budget: int) -> Result:
        cpu = self.cpu
        cpu.state[:] = state
        cpu.engine.mem_write(COUNTERS, bytes(self._counter_bytes(code)))
        self.done = done = cpu.run_unit(code, budget)
        left = "fault" if isinstance(done.leave, Site) else _left(done.leave.kind)
        memory = b"".join(cpu.memory.read(page, PAGE) for page in PAGES)
        if memory != CONTENTS:
            self._fill()
        return Result(left, done.pc, done.retired, _fields(cpu.state), memory)

    def _counter_bytes(self, code: HostCode) -> int:
        return len(code.unexecuted) * layout.COUNTER_SIZE

    def counters(self, code: HostCode) -> tuple[list[int], list[int]]:
        leave = self.done.leave
        values = list(memoryview(bytes(self.cpu.engine.mem_read(COUNTERS, self._counter_bytes(code)))).cast("Q"))
        is_other = isinstance(leave, Site) or leave.kind is ExitKind.INTERPRET
        return values, [leave.refund] if is_other else []


def _left(kind: ExitKind) -> str:
    return "interpret" if kind is ExitKind.INTERPRET else "jump"


class NativeRunner(Runner):
    """Units in the core. Where they leave to the interpreter, it finds no instruction, and traps."""

    def __init__(self, host: Host) -> None:
        causes = GUEST.access_causes
        numbers = (causes.fetch, causes.read, causes.write)
        self.core = Core(
            CoreConfig(GUEST.name, JUMP_SHIFT, numbers, Tier.JIT, cache_size=CODE_SIZE, homes=host.home_fields), LAYOUT
        )
        self.core.bind_thread()
        self.records = Records(self.core, 1) if host.counting else None
        self.core.memory.map(KEY, PAGE, Access.EXECUTE)
        for page, access in PAGES.items():
            self.core.memory.map(page, PAGE, access)
        self._fill()

    def _fill(self) -> None:
        for place, page in enumerate(PAGES):
            self.core.memory.write(page, CONTENTS[place * PAGE : (place + 1) * PAGE])

    def run(self, unit: Unit, code: HostCode, state: tuple[int, ...], budget: int) -> Result:
        core, before = self.core, self._counts()
        core.flush()
        core.install(Translation(unit, code, [(unit.key, 4)], core.memory.read(unit.key, 4)))
        core.cpu.state[0 : len(state)] = state
        core.regs["pc"] = unit.key
        core.run(max(budget, 1))
        retired, faults, interpreted = (now - then for now, then in zip(self._counts(), before, strict=True))
        left = "fault" if faults else "interpret" if interpreted else "jump"
        memory = b"".join(core.memory.read(page, PAGE) for page in PAGES)
        if memory != CONTENTS:
            self._fill()
        return Result(left, core.regs["pc"], retired, _fields(core.cpu.state), memory)

    def counters(self, code: HostCode) -> tuple[list[int], list[int]]:
        assert self.records is not None
        unit = self.records.units()[-1]
        others = [site.refund for site, count in zip(code.sites, unit.faults, strict=True) for _ in range(count)]
        for each, (missed, _) in zip(code.exits, unit.exits, strict=True):
            others += [each.refund] * (missed if each.kind is ExitKind.INTERPRET else 0)
        return unit.counters, others

    def _counts(self) -> tuple[int, int, int]:
        stats = self.core.stats()
        exits = stats["exits"]
        assert isinstance(exits, list)
        return int(stats["instructions"]), int(stats["faults"]), exits[ExitKind.INTERPRET]  # type: ignore[arg-type]


def as_hosts_get_it(unit: Unit) -> Unit:
    """The unit with what a trace leaves to the interpreter left to it.

    No trace has a side exit with a jump in an instruction that ends it unretired.
    """
    for op in unit.ops:
        if op.kind is ops.EXIT_IF and isinstance(op.attr, Trap):
            op.attr = Interpret()
    if isinstance(unit.terminal, Trap | SyncCode):
        unit.terminal = Interpret()
    if isinstance(unit.terminal, Interpret):
        last = len(unit.insns) - 1
        unit.ops = [op for op in unit.ops if not (op.at == last and isinstance(op.attr, Jump | JumpTo))]
    return unit


def random_states(rng: random.Random, count: int) -> list[tuple[int, ...]]:
    """States to start from."""
    return [random_start(rng).state for _ in range(count)]


@dataclass(slots=True)
class Bench:
    """A host, and where its code runs. `check` fails with the whole story."""

    host: Host
    runner: Runner

    def emit(self, unit: Unit, lowers: bool = True) -> HostCode:
        """The code of a copy of the unit."""
        copied = clone(unit)
        if lowers:
            self.host.lower(copied)
        return self.host.emit(copied)

    def check(
        self,
        unit: Unit,
        states: Iterable[tuple[int, ...]],
        rounds: int = 1,
        code: HostCode | None = None,
        story: Callable[[], str] = str,
    ) -> None:
        """The unit's code does what the evaluator does, from each state. code: if it was not made by `emit`."""
        made = code if code is not None else self.emit(unit)
        for state in states:
            budget = max(unit.retired, 1) * rounds
            wanted, outcome = expected(unit, state, budget)
            found = self.runner.run(unit, made, state, budget)
            if found != wanted and not self._is_partial(found, wanted, outcome):
                raise AssertionError(f"{differences(wanted, found)}\n{self.listing(unit, made)}\n{story()}")
            if self.host.counting:
                counted = self.runner.executed(unit, made)
                assert counted == found.retired, f"counted {counted} of {found}\n{self.listing(unit, made)}\n{story()}"

    def _is_partial(self, found: Result, wanted: Result, outcome: Outcome) -> bool:
        """Whether nothing differs but bytes, in front of the end of a page, of a store that faulted behind it."""
        if not self.runner.partial_stores or outcome.left is not Left.WRITE_FAULT:
            return False
        pairs = enumerate(zip(found.memory, wanted.memory, strict=True))
        crossing = all(place % PAGE >= PAGE - 3 for place, (a, b) in pairs if a != b)
        return crossing and replace(found, memory=wanted.memory) == wanted

    def listing(self, unit: Unit, code: HostCode) -> str:
        """The unit and its host code."""
        lines = [f"{offset:5x}  {text}" for offset, _, text in self.host.disassemble(code.code)]
        return "\n".join([format_unit(unit), f"{self.host.name}:", *lines])


def differences(wanted: Result, found: Result) -> str:
    """What differs, in words."""
    lines = [
        f"{name}: {getattr(wanted, name)} expected, {getattr(found, name)} found"
        for name in ("left", "pc", "retired")
        if getattr(wanted, name) != getattr(found, name)
    ]
    for field, before, after in zip(FIELDS, wanted.state, found.state, strict=True):
        if before != after:
            lines.append(f"{field}: {before:#x} expected, {after:#x} found")
    for place, (before, after) in enumerate(zip(wanted.memory, found.memory, strict=True)):
        if before != after:
            address = list(PAGES)[place // PAGE] + place % PAGE
            lines.append(f"memory at {address:#x}: {before:#x} expected, {after:#x} found")
    return "\n".join(lines)
