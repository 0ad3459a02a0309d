"""Everything that can run a guest program, behind one interface: what it has become after so many instructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import unicorn
from unicorn import riscv_const

from dynarec.core import Core, CoreConfig, CoreStop, Tier
from dynarec.emulated import EmulatedCpu, EmulatedMachine
from dynarec.host import make_host, make_native_host, native_host_name
from dynarec.host.base import Host
from dynarec.ir.evaluate import Left, MemoryFault
from dynarec.ir.ops import MASK32
from dynarec.ir.text import format_unit
from dynarec.machine.base import Access, Continue, Died, Outcome, Profile, Trap
from dynarec.program import Program as LoadedProgram
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.differential.programs import CODE, DATA, DATA_SIZE, Program
from tests.reference import Reference, Region, Regions

CODE_SIZE = 0x1000
CACHE_SIZE = 1 << 20
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


class Executor(ABC):
    """A way to run programs; one object runs many, one after the other."""

    name: str

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

    def count(self, program: Program, limit: int) -> int:
        """Instructions until the program traps; at most `limit`."""
        cpu, _ = self.start(program)
        for retired in range(limit):
            if cpu.step().left is Left.TRAP:
                return retired
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
    """The C core: the generated interpreter alone, or the native host's code."""

    def __init__(self, tier: Tier) -> None:
        self.host = host = make_native_host(GUEST)
        self.name = "interpreter" if tier is Tier.INTERP else f"{host.name}, native"
        homes = host.home_fields if tier is Tier.JIT else ()
        config = CoreConfig(GUEST.name, JUMP_SHIFT, CAUSES, tier, cache_size=CACHE_SIZE, homes=homes)
        self.core = Core(config, GUEST.layout)
        self.core.bind_thread()
        self.core.memory.map(CODE, CODE_SIZE, Access.READ | Access.EXECUTE)
        self.core.memory.map(DATA, DATA_SIZE, Access.READ | Access.WRITE)
        self.translator = Translator(GUEST, host, self.core.memory.code, is_mixed=self.core.is_mixed)

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        core = self.core
        core.flush()
        core.memory.write(CODE, program.code.ljust(CODE_SIZE, b"\0"))
        core.memory.write(DATA, program.data)
        for name, value in zip(("pc", *REGISTERS), (CODE, *program.registers), strict=True):
            core.regs[name] = value
        core.regs["reserved"] = 0
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
        return translations(self.host, program, pc) if self.core.tier is Tier.JIT else ""


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

    def __init__(self, host: str) -> None:
        self.name = f"{host}, emulated"
        self.host = make_host(host, GUEST, bmi2=True)
        cpu = EmulatedCpu(self.host, CACHE_SIZE)
        cpu.memory.map(CODE, CODE_SIZE, Access.READ | Access.EXECUTE)
        cpu.memory.map(DATA, DATA_SIZE, Access.READ | Access.WRITE)
        translator = Translator(GUEST, self.host, cpu.memory.code)
        self.machine = EmulatedMachine(cast("LoadedProgram", SimpleNamespace()), GUEST, translator, cpu)

    def run(self, program: Program, counts: Sequence[int]) -> list[View]:
        machine = self.machine
        machine.cache.flush()
        machine.profile = _Traps(machine, None)  # type: ignore[arg-type]
        machine.forget_end()
        machine.memory.write(CODE, program.code.ljust(CODE_SIZE, b"\0"))
        machine.memory.write(DATA, program.data)
        for name, value in zip(("pc", *REGISTERS), (CODE, *program.registers), strict=True):
            machine.regs[name] = value
        machine.regs["reserved"] = 0
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
        return translations(self.host, program, pc)


class Peer(Executor):
    """Unicorn's own RV32: QEMU's translator, an independent reading of the manual, without B."""

    name = "Unicorn RV32"
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


def translations(host: Host, program: Program, pc: int) -> str:
    """The traces from the start and from `pc`: as lifted, after the passes, as host code."""

    def fetch(address: int, size: int) -> bytes:
        return program.code[address - CODE : address - CODE + size].ljust(size, b"\0")

    lines = []
    for key in dict.fromkeys((CODE, pc)):
        translator = Translator(GUEST, host, fetch)
        stages = [(name, format_unit(unit)) for name, unit in translator.stages(key)]
        for name, text in (stages[0], stages[-1]):
            lines.append(f"{host.name}, trace from {key:#x}, {name}:\n{text}")
        code = translator.translate(key).code
        lines += [f"{offset:5x}  {text}" for offset, _, text in host.disassemble(code.code)]
    return "\n".join(lines)


def other_hosts() -> list[str]:
    """The hosts whose code this machine cannot run by itself."""
    return [name for name in ("x86_64", "arm64") if name != native_host_name()]
