"""The interpreter of a guest that none was generated for: the reference evaluator, one instruction after the other.

Beside it, such a guest runs on translations alone: it executes what these leave to an interpreter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dynarec._native import ffi, lib
from dynarec.ir.builder import Builder
from dynarec.ir.evaluate import Left, MemoryFault, Outcome, evaluate
from dynarec.ir.ops import AS_WRITE, MASK32
from dynarec.ir.unit import Branch, Jump, Unit
from guest_isa.isa import Insn

if TYPE_CHECKING:
    from dynarec.core import Core
    from guest_isa.guest import Guest

BYTE = 8
KEPT = 1 << 12
"""Lifted instructions that are kept."""
PAGE = 4096


class _Builder(Builder):
    """Notes that the guest waits."""

    waits = False

    def wait(self) -> None:
        super().wait()
        self.waits = True


class _Lifted(NamedTuple):
    """The unit of one instruction. status: what it comes to if it does not fail. to_write: it writes where it loads."""

    unit: Unit
    length: int
    status: int
    to_write: bool


def lift_one(insn: Insn, pc: int) -> Unit:
    """The unit of one instruction."""
    return _lift(Builder(pc), insn)


def _lift(builder: Builder, insn: Insn) -> Unit:
    builder.begin(builder.pc, insn.length)
    insn.lift(builder)
    builder.unit.terminal = builder.terminal or Jump(builder.next_pc)
    return builder.unit


def _lifted(insn: Insn, pc: int) -> _Lifted:
    builder = _Builder(pc)
    unit = _lift(builder, insn)
    status = lib.DR_WAITING if builder.waits else lib.DR_STEPPED if builder.terminal is None else lib.DR_JUMPED
    return _Lifted(unit, insn.length, status, any(op.attr == AS_WRITE for op in unit.ops))


class _Memory:
    """Guest memory as the guest reaches it, with devices and hooks, for the evaluator."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._value = ffi.new("uint32_t *")
        self.to_write = False

    def fetch(self, pc: int, size: int) -> int | None:
        """The bytes of an instruction, or its first ones; None if they cannot be fetched."""
        return int(self._value[0]) if lib.dr_step_fetch(self._core, pc, size, self._value) else None

    def load(self, address: int, bits: int) -> int:
        if not lib.dr_step_load(self._core, address, bits // BYTE, self.to_write, self._value):
            raise MemoryFault(address)
        return int(self._value[0]) & (1 << bits) - 1

    def store(self, address: int, bits: int, value: int) -> None:
        if not lib.dr_step_store(self._core, address, bits // BYTE, value):
            raise MemoryFault(address)


class Stepper:
    """Executes the instructions of one core's guest. C calls it through a handle, on the CPU thread."""

    def __init__(self, core: Core, guest: Guest) -> None:
        self.core = core
        self._guest = guest
        self._native = core.pointer
        self._cpu = core.cpu
        self._memory = _Memory(core.pointer)
        self._units: dict[tuple[int, int], _Lifted | None] = {}
        self.handle = ffi.new_handle(self)
        lib.dynarec_connect_stepper(core.pointer, self.handle)

    def step(self) -> int:
        """Execute the instruction at pc: an enum dr_status."""
        pc, isa, fetch = self._cpu.pc, self._guest.isa, self._memory.fetch
        word = fetch(pc, isa.parcel)
        if word is None:
            return self.fail(self._guest.access_causes.fetch, pc, isa.parcel)
        length = isa.length(word)
        if length != isa.parcel and (word := fetch(pc, length)) is None:
            return self.fail(self._guest.access_causes.fetch, (pc | PAGE - 1) + 1 & MASK32, length)
        lifted = self._find(pc, word)
        return self.fail(self._guest.illegal, word, length) if lifted is None else self._execute(lifted)

    def _find(self, pc: int, word: int) -> _Lifted | None:
        """The instruction of that word; None if it is none."""
        if (pc, word) not in self._units:
            if len(self._units) >= KEPT:
                self._units.clear()
            insn = self._guest.isa.decode(word)
            self._units[pc, word] = _lifted(insn, pc) if insn is not None else None
        return self._units[pc, word]

    def _execute(self, lifted: _Lifted) -> int:
        self._memory.to_write = lifted.to_write
        outcome = evaluate(lifted.unit, self._cpu.state, self._memory, self._counter)
        causes = self._guest.access_causes
        match outcome.left:
            case Left.JUMP | Left.SYNC_CODE:
                self._cpu.pc = outcome.pc
                return _status(lifted, outcome)
            case Left.READ_FAULT:
                return self.fail(causes.read, outcome.value, lifted.length)
            case Left.WRITE_FAULT:
                return self.fail(causes.write, outcome.value, lifted.length)
            case _:
                return self.fail(outcome.cause, outcome.value, lifted.length)

    def fail(self, cause: int, value: int, length: int) -> int:
        """Nothing of the instruction has happened: it traps, or an access of it is hooked."""
        return int(lib.dr_step_fail(self._native, cause, value, length))

    def _counter(self, name: str) -> int:
        match name:
            case "time":
                return self.core.ticks
            case "lines":
                return self.core.lines
            case _:
                return self.core.instructions


def _status(lifted: _Lifted, outcome: Outcome) -> int:
    if outcome.left is Left.SYNC_CODE:
        return int(lib.DR_SYNC)
    terminal = lifted.unit.terminal
    falls = isinstance(terminal, Branch) and outcome.pc == terminal.fallthrough
    return int(lib.DR_FELL) if falls else lifted.status


@ffi.def_extern()  # type: ignore[untyped-decorator]
def dynarec_step(handle: Any) -> int:
    """One instruction; what it raises ends the run, at the instruction."""
    stepper: Stepper = ffi.from_handle(handle)
    try:
        return stepper.step()
    except BaseException as error:
        stepper.core.fail(error)
        return stepper.fail(0, 0, 0)
