"""Everything that can run a guest program, behind one interface: what it has become after so many instructions."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import unicorn
from unicorn import riscv_const

from dynarec.core import Core, CoreConfig, CoreStop, Tier
from dynarec.emulated import EmulatedCpu, EmulatedMachine
from dynarec.engine import Machine
from dynarec.host import make_host, make_native_host, native_host_name
from dynarec.host.base import Host
from dynarec.ir.evaluate import Left, MemoryFault
from dynarec.ir.ops import MASK32
from dynarec.ir.text import format_unit
from dynarec.machine.base import Access, Continue, Died, Outcome, Profile, Trap
from dynarec.profiles import ProfileGuide
from dynarec.program import Program as LoadedProgram
from dynarec.trace import NO_GUIDE, Choice, Guide
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.differential.programs import CODE, DATA, DATA_SIZE, Program
from tests.machine.elf import Part, R, W, X, build
from tests.reference import Reference, Region, Regions

CODE_SIZE = 0x1000
CACHE_SIZE = 1 << 20
HOT = 2
WARM_ROUNDS = 4
"""Runs of a program behind which the core has counted where its branches go."""
PAUSE, PATIENCE = 0.0005, 10
"""Seconds between two looks at the background, and until it is not waited for."""
REGISTERS = tuple(f"x{number}" for number in range(1, 32))
JUMP_SHIFT = GUEST.isa.parcel.bit_length() - 1
CAUSES = (GUEST.access_causes.fetch, GUEST.access_causes.read, GUEST.access_causes.write)


@dataclass(frozen=True, slots=True)
class View:
    """What a guest has come to: instructions retired, pc, registers, data; trap: the cause of one at pc."""

    retired: int
    pc: int
    registers: tuple[int, ...]
    data: bytes
    trap: int | None = None

    def differences(self, other: View) -> str:
        """What differs from `other`, in words; "" if nothing does."""
        if self == other:
            return ""
        lines = [
            f"{name}: {getattr(self, name)}, not {getattr(other, name)}"
            for name in ("retired", "pc", "trap")
            if getattr(self, name) != getattr(other, name)
        ]
        for name, mine, theirs in zip(REGISTERS, self.registers, other.registers, strict=True):
            if mine != theirs:
                lines.append(f"{name}: {mine:#x}, not {theirs:#x}")
        places = (place for place in range(DATA_SIZE) if self.data[place] != other.data[place])
        lines += [f"{DATA + place:#x}: {self.data[place]:#x}, not {other.data[place]:#x}" for place in places][:4]
        return "\n".join(lines)


class Ways:
    """Where control went in a run: a guide that believes what happened once."""

    def __init__(self) -> None:
        self.seen: dict[int, Counter[int]] = {}

    def note(self, pc: int, target: int) -> None:
        """Behind the instruction at pc, it went there."""
        self.seen.setdefault(pc, Counter())[target] += 1

    def way(self, index: int, pc: int, ways: Sequence[int]) -> int | None:
        """See `dynarec.trace.Guide`."""
        seen = self.seen.get(pc)
        return seen.most_common(1)[0][0] if seen else None

    def repeats(self, choices: Sequence[Choice]) -> bool:
        """See `dynarec.trace.Guide`: so does every other loop, by the number of its branches."""
        return len(choices) % 2 == 0


class Executor(ABC):
    """A way to run programs; one object runs many, one after the other.

    guide: of the traces of one that is guided, set before it runs a program. is_plain: it tells less (see `Peer`).
    """

    name: str
    guide: Guide = NO_GUIDE
    is_plain = False

    @abstractmethod
    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        """What the program has become after each of these numbers of instructions, from its start; they ascend.

        A trap ends the run: its view is the last.
        """

    def story(self, program: Program, pc: int) -> str:
        """How the code around a guest pc was translated, for people."""
        return ""


class _ReadOnly(Region):
    def store(self, address: int, bits: int, value: int) -> None:
        raise MemoryFault(address)


class Evaluator(Executor):
    """The reference: decodes, lifts and evaluates one instruction at a time."""

    name = "evaluator"

    def start(self, program: Program) -> tuple[Reference, Region]:
        code, data = _ReadOnly(CODE, CODE_SIZE), Region(DATA, DATA_SIZE)
        code.data[: len(program.code)] = program.code
        data.data[:] = program.data
        cpu = Reference(GUEST, Regions(code, data), CODE)
        for name, value in zip(REGISTERS, program.registers, strict=True):
            cpu[name] = value
        return cpu, data

    def watch(self, program: Program, limit: int) -> tuple[int, Ways]:
        """Instructions until the program traps, at most `limit`, and where it goes."""
        cpu, _ = self.start(program)
        ways = Ways()
        for retired in range(limit):
            pc = cpu.pc
            outcome = cpu.step()
            if outcome.left is Left.TRAP:
                return retired, ways
            ways.note(pc, outcome.pc)
        raise AssertionError(f"program {program.seed} does not end within {limit} instructions")

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        cpu, data = self.start(program)
        retired, views = 0, []
        for count in counts:
            trap = None
            while retired < count and trap is None:
                outcome = cpu.step()
                trap = outcome.cause if outcome.left is Left.TRAP else None
                retired += outcome.retired
            registers = tuple(cpu[name] for name in REGISTERS)
            views.append(View(retired, cpu.pc, registers, bytes(data.data), trap))
            if trap is not None:
                break
        return views


class CoreExecutor(Executor):
    """The C core in one of its tiers."""

    def __init__(self, tier: Tier, *, evaluated: bool = False, guided: bool = False, rounds: int = 1) -> None:
        """evaluated: as if no interpreter had been built. guided: the traces follow `guide`, or else, in tier "auto",
        what the core has counted. rounds: runs of each program in one cache, of which the last is looked at.
        """
        self.host = host = make_native_host(GUEST)
        self.name = _name(tier, host.name, evaluated, guided, rounds)
        self.guided, self.rounds = guided, rounds
        fields = () if tier is Tier.INTERP else host.home_fields
        config = CoreConfig(GUEST.name, JUMP_SHIFT, CAUSES, tier, cache_size=CACHE_SIZE, hot=HOT, homes=fields)
        self.core = Core(config, GUEST.layout, GUEST if evaluated else None)
        self.core.bind_thread()
        self.core.memory.map(CODE, CODE_SIZE, Access.READ | Access.EXECUTE)
        self.core.memory.map(DATA, DATA_SIZE, Access.READ | Access.WRITE)
        self.translator = Translator(GUEST, host, self.core.memory.code, is_mixed=self.core.is_mixed)
        if tier is Tier.AUTO:
            self.translator.guide = ProfileGuide(self.core)

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        if self.guided:
            self.translator.guide = self.guide
        self.core.flush()
        for _ in range(self.rounds):
            views = self._run_once(program, counts)
        return views

    def _run_once(self, program: Program, counts: Sequence[int]) -> list[View]:
        core = self.core
        _start(core, program)
        first, views = core.instructions, []
        for count in counts:
            stop = self._run(first + count)
            views.append(self._view(core.instructions - first, stop))
            if stop is CoreStop.TRAP:
                break
        return views

    def _run(self, end: int) -> CoreStop:
        core = self.core
        while (stop := core.run(end - core.instructions)) is CoreStop.TRANSLATE:
            core.install(self.translator.translate(core.regs["pc"]))
        assert stop is not CoreStop.ERROR, core.error
        return stop

    def _view(self, retired: int, stop: CoreStop) -> View:
        core = self.core
        registers = tuple(core.regs[name] for name in REGISTERS)
        trap = core.trap.cause if stop is CoreStop.TRAP else None
        return View(retired, core.regs["pc"], registers, core.memory.read(DATA, DATA_SIZE), trap)

    def story(self, program: Program, pc: int) -> str:
        return "" if self.core.tier is Tier.INTERP else translations(self.host, program, pc, self.translator.guide)


def _start(guest: Core | Machine | EmulatedMachine, program: Program) -> None:
    """Give it the program, and the registers and data that this begins with."""
    guest.memory.write(CODE, program.code.ljust(CODE_SIZE, b"\0"))
    guest.memory.write(DATA, program.data)
    for name, value in zip(("pc", *REGISTERS), (CODE, *program.registers), strict=True):
        guest.regs[name] = value
    guest.regs["reserved"] = 0


def _name(tier: Tier, host: str, evaluated: bool, guided: bool, rounds: int) -> str:
    names = {Tier.INTERP: "interpreter", Tier.AUTO: f"auto, {host}", Tier.JIT: f"{host}, native"}
    return (
        names[tier]
        + (", with profile" if guided else "")
        + (f", round {rounds}" if rounds > 1 else "")
        + (", no interpreter built" if evaluated else "")
    )


class BackgroundExecutor(Executor):
    """A machine that translates in the background: what is looked at is its last run, when translations have come."""

    name = "auto, translated in the background"
    rounds = 3

    def __init__(self) -> None:
        parts = [Part(CODE, size=CODE_SIZE, flags=R | X), Part(DATA, size=DATA_SIZE, flags=R | W)]
        self.machine = Machine.load(build(parts, CODE), hot=HOT, cache_size=CACHE_SIZE)
        self.machine.memory.unmap(0, 1 << 32)
        self.machine.memory.map(CODE, CODE_SIZE, Access.READ | Access.EXECUTE)
        self.machine.memory.map(DATA, DATA_SIZE, Access.READ | Access.WRITE)
        self.machine.answer_by(_Traps(cast("Any", self.machine), cast("Any", None)))

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        self.machine.perform(self.machine.core.flush)
        for _ in range(self.rounds):
            views = self._run_once(program, counts)
            self._wait()
        return views

    def _wait(self) -> None:
        """Until what was asked for has been translated; the next run installs it."""
        end = time.monotonic() + PATIENCE
        while self.machine.core.wanted and time.monotonic() < end:
            time.sleep(PAUSE)

    def _run_once(self, program: Program, counts: Sequence[int]) -> list[View]:
        machine = self.machine
        _start(machine, program)
        first, views = machine.instructions, []
        for count in counts:
            trap = machine.run(first + count - machine.instructions).trap
            registers = tuple(machine.regs[name] for name in REGISTERS)
            data = machine.memory.read(DATA, DATA_SIZE)
            cause = None if trap is None else trap.cause
            views.append(View(machine.instructions - first, machine.pc, registers, data, cause))
            if trap is not None:
                break
        return views


class _Traps(Profile):
    """Every trap ends the program."""

    name = "traps"
    description = "for tests"

    def load(self) -> None:
        pass

    def trap(self, trap: Trap) -> Outcome:
        return Died(trap)

    def stored(self, address: int, size: int) -> Outcome:
        return Continue()


class EmulatedExecutor(Executor):
    """A host's code under Unicorn."""

    def __init__(self, host: str, guided: bool = False) -> None:
        self.name = f"{host}, emulated" + (", with profile" if guided else "")
        self.guided = guided
        self.host = make_host(host, GUEST, bmi2=True)
        cpu = EmulatedCpu(self.host, CACHE_SIZE)
        cpu.memory.map(CODE, CODE_SIZE, Access.READ | Access.EXECUTE)
        cpu.memory.map(DATA, DATA_SIZE, Access.READ | Access.WRITE)
        self.translator = Translator(GUEST, self.host, cpu.memory.code)
        self.machine = EmulatedMachine(cast("LoadedProgram", SimpleNamespace()), GUEST, self.translator, cpu)

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        machine = self.machine
        self.translator.guide = self.guide if self.guided else NO_GUIDE
        machine.cache.flush()
        machine.profile = _Traps(machine, None)  # type: ignore[arg-type]
        machine.forget_end()
        _start(machine, program)
        first, views = machine.instructions, []
        for count in counts:
            ending = machine.run(first + count - machine.instructions)
            trap = ending.trap.cause if isinstance(ending, Died) else None
            registers = tuple(machine.regs[name] for name in REGISTERS)
            data = machine.memory.read(DATA, DATA_SIZE)
            views.append(View(machine.instructions - first, machine.pc, registers, data, trap))
            if ending is not None:
                break
        return views

    def story(self, program: Program, pc: int) -> str:
        return translations(self.host, program, pc, self.translator.guide)


class Peer(Executor):
    """Unicorn's own RV32: QEMU's translator, an independent reading of the manual, without B."""

    name = "Unicorn RV32"
    is_plain = True
    numbers = tuple(riscv_const.UC_RISCV_REG_X0 + number for number in range(1, 32))

    def __init__(self) -> None:
        self.causes = {
            unicorn.UC_ERR_READ_UNMAPPED: GUEST.access_causes.read,
            unicorn.UC_ERR_WRITE_UNMAPPED: GUEST.access_causes.write,
            unicorn.UC_ERR_WRITE_PROT: GUEST.access_causes.write,
        }
        self.engine: Any = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self.engine.mem_map(CODE, CODE_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self.engine.mem_map(DATA, DATA_SIZE)

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        """The last view alone; `retired` is not known. One count is obeyed; after several, the program has ended."""
        engine = self.engine
        engine.mem_write(CODE, program.code.ljust(CODE_SIZE, b"\0"))
        engine.ctl_remove_cache(CODE, CODE + CODE_SIZE)
        engine.mem_write(DATA, program.data)
        engine.reg_write_batch(list(zip(self.numbers, program.registers, strict=True)))
        trap = self._start(program.end, counts[0] if len(counts) == 1 else 0)
        registers = tuple(value & MASK32 for value in engine.reg_read_batch(self.numbers))
        pc = engine.reg_read(riscv_const.UC_RISCV_REG_PC)
        return [View(counts[-1], pc, registers, bytes(engine.mem_read(DATA, DATA_SIZE)), trap)]

    def _start(self, end: int, count: int) -> int | None:
        """Run to the end, or so many instructions; the cause of the trap: behind the end, there is no instruction."""
        try:
            self.engine.emu_start(CODE, end, count=count)
        except unicorn.UcError as error:
            return self.causes[error.errno]
        return None if count else GUEST.illegal


def translations(host: Host, program: Program, pc: int, guide: Guide) -> str:
    """The traces from the start and from `pc`: as lifted, after the passes, as host code."""

    def fetch(address: int, size: int) -> bytes:
        return program.code[address - CODE : address - CODE + size].ljust(size, b"\0")

    lines = []
    for key in dict.fromkeys((CODE, pc)):
        translator = Translator(GUEST, host, fetch, guide=guide)
        stages = [(name, format_unit(unit)) for name, unit in translator.stages(key)]
        for name, text in (stages[0], stages[-1]):
            lines.append(f"{host.name}, trace from {key:#x}, {name}:\n{text}")
        code = translator.translate(key).code
        lines += [f"{offset:5x}  {text}" for offset, _, text in host.disassemble(code.code)]
    return "\n".join(lines)


def all_executors() -> list[Executor]:
    """Every tier, on every host, and a peer. The first is the reference."""
    emulated = [EmulatedExecutor(name, guided) for name in other_hosts() for guided in (False, True)]
    return [
        Evaluator(),
        CoreExecutor(Tier.INTERP),
        CoreExecutor(Tier.AUTO),
        CoreExecutor(Tier.AUTO, rounds=WARM_ROUNDS),
        CoreExecutor(Tier.JIT),
        CoreExecutor(Tier.JIT, guided=True),
        CoreExecutor(Tier.JIT, evaluated=True),
        BackgroundExecutor(),
        EmulatedExecutor(native_host_name()),
        *emulated,
        Peer(),
    ]


def other_hosts() -> list[str]:
    """The hosts whose code this machine cannot run by itself."""
    return [name for name in ("x86_64", "arm64") if name != native_host_name()]
