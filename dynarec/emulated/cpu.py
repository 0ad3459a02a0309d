"""An emulated host CPU with what generated code finds around it: CPU state, guest memory, code region, exit stub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from dynarec.emulated.memory import EmulatedMemory
from dynarec.emulated.targets import find_target, import_unicorn
from dynarec.errors import DynarecError
from dynarec.host import layout
from dynarec.host.base import Exit, Host, HostCode, Recovery, Site, Source
from dynarec.ir.state import STATE_WORDS

# Where things are in the emulated host's memory. The guards around the window are simply not mapped.
PAGE = 4096
STUB = 0x1000_0000
CPU = 0x2000_0000
STATE = CPU - layout.HOMES
STACK, STACK_SIZE = 0x3000_0000, PAGE
CODE = 0x4000_0000
WINDOW = 0x10_0000_0000
DEFAULT_CODE_SIZE = 16 << 20

MASK32 = 0xFFFF_FFFF
MASK64 = 0xFFFF_FFFF_FFFF_FFFF
NO_BLOCK = (0, 0)
GARBAGE = 0xDEAD_BEEF_DEAD_BEEF
"""Content of the registers in which units find nothing."""
POINTER = Struct("<Q")
JUMP_SLOT = Struct("<QQ")
WORDS = Struct(f"<{STATE_WORDS}I")
HEADER = Struct("<Ii")
"""`pc` and `budget`, in front of the state."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where generated code was left, in the code region: behind the exit call, or at the access that faulted."""

    offset: int
    faulted: bool


@dataclass(frozen=True, slots=True)
class UnitRun:
    """The run of one unit. leave: the record of the exit, or of the access that faulted.

    pc: where the guest goes on; for a fault, the instruction that faulted. retired: guest instructions, refunds given.
    """

    leave: Exit | Site
    pc: int
    retired: int


class EmulatedCpu:
    """A host CPU under Unicorn. `state` holds the words of guest state, `pc` and `budget` are as in struct dr_cpu."""

    def __init__(self, host: Host, code_size: int = DEFAULT_CODE_SIZE, count_instructions: bool = False) -> None:
        """host: whose code is run. count_instructions: keep `executed`. Raises DynarecError without Unicorn."""
        unicorn = import_unicorn()
        self.target = target = find_target(host)
        self.engine: Any = unicorn.Uc(target.arch, target.mode)
        self.memory = EmulatedMemory(self.engine, WINDOW)
        self.state = [0] * STATE_WORDS
        self.pc = 0
        self.budget = 0
        self.code_size = code_size
        self._failure: type[Exception] = unicorn.UcError
        self._access_errors = {
            unicorn.UC_ERR_READ_UNMAPPED, unicorn.UC_ERR_WRITE_UNMAPPED,
            unicorn.UC_ERR_READ_PROT, unicorn.UC_ERR_WRITE_PROT,
        }  # fmt: skip
        self._homes = [(field.index, register) for field, register in zip(host.homes, target.homes, strict=False)]
        self._home_values: list[int] = []
        self._map(unicorn, code_size)
        self.executed = 0
        """Host instructions executed, if they are counted."""
        self._counts: dict[tuple[int, int], int] = {}
        self._last_block = NO_BLOCK
        self._counting = count_instructions
        if count_instructions:
            self.engine.hook_add(unicorn.UC_HOOK_BLOCK, self._count_block)

    def _map(self, unicorn: Any, code_size: int) -> None:
        executable = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        self.engine.mem_map(STUB, PAGE, executable)
        self.engine.mem_map(CODE, code_size, executable)
        self.engine.mem_map(CPU, -(-layout.CPU_SIZE // PAGE) * PAGE)
        self.engine.mem_map(STACK, STACK_SIZE)
        self.engine.mem_write(STATE + layout.WINDOW, POINTER.pack(WINDOW))
        self.engine.mem_write(STATE + layout.EXIT, POINTER.pack(STUB))

    # -- the code region ----------------------------------------------------------------------------------------------

    def write_code(self, offset: int, code: bytes) -> None:
        """Write code, and forget what Unicorn made of the bytes that were there."""
        self.engine.mem_write(CODE + offset, code)
        self.engine.ctl_remove_cache(CODE + offset, CODE + offset + len(code))
        self._counts.clear()

    def read_code(self, offset: int, size: int) -> bytes:
        """Bytes of the code region."""
        return bytes(self.engine.mem_read(CODE + offset, size))

    def set_jump(self, slot: int, key: int, offset: int) -> None:
        """Let indirect jumps to `key` find the code at `offset` in a slot of their table."""
        self.engine.mem_write(STATE + layout.JUMPS + slot * layout.JUMP_SLOT_SIZE, JUMP_SLOT.pack(key, CODE + offset))

    def clear_jumps(self, slots: Iterable[int]) -> None:
        """Free slots: each gets a key that belongs to another one, so no lookup can match it."""
        for slot in slots:
            free = JUMP_SLOT.pack(0 if slot else 2, 0)
            self.engine.mem_write(STATE + layout.JUMPS + slot * layout.JUMP_SLOT_SIZE, free)

    def _count_block(self, engine: Any, address: int, size: int, data: object) -> None:
        """Unicorn is about to run a block of code: to its end, up to a fault, or up to where it begins another one.

        Branches go to other blocks, or make a block repeat: one that begins inside the last is what was left of it.
        """
        block = address, size
        start, length = self._last_block
        if start <= address < start + length and block != self._last_block:
            self._uncount(address - CODE)
        self._last_block = block
        count = self._counts.get(block)
        if count is None:
            count = self._counts[block] = self.target.count(self.read_code(address - CODE, size))
        self.executed += count

    def _uncount(self, offset: int) -> None:
        """What the last block has from `offset` on was not executed."""
        address, size = self._last_block
        self.executed -= self.target.count(self.read_code(offset, address + size - CODE - offset))

    # -- running ------------------------------------------------------------------------------------------------------

    def enter(self, offset: int) -> Departure:
        """Run from `offset` in the code region until the exit stub is called, or an access to guest memory faults.

        After a fault, `recover` completes the state. Raises DynarecError when the code does anything else, or
        changes a register that is not its own.
        """
        self._load()
        self._last_block = NO_BLOCK
        try:
            self.engine.emu_start(CODE + offset, STUB)
        except self._failure as error:
            departure = self._fault(error)
        else:
            departure = Departure(self.engine.reg_read(self.target.returns) - CODE, False)
        self._store()
        if not departure.faulted:
            self._store_homes([])
        return departure

    def recover(self, code: HostCode, site: Site) -> None:
        """Make the state what it is at an access of a unit, which has faulted."""
        self._store_homes(code.loans)
        number = code.sites.index(site)
        found = [each for each in code.recoveries if each.first <= number <= each.last]
        for each, value in [(each, self._recovered(each)) for each in found]:
            self.state[each.word] = value & MASK32

    def _recovered(self, recovery: Recovery) -> int:
        source, number, plus = recovery[3:]
        if source is Source.NOTHING:
            return plus
        if source is Source.WORD:
            return self._word(number) + plus
        count = len(self.target.homes)
        register = self.target.homes[number] if number < count else self.target.scratch[number - count]
        return int(self.engine.reg_read(register)) + plus

    def _word(self, number: int) -> int:
        word = self.engine.mem_read(STATE + number * layout.WORD, layout.WORD)
        return int.from_bytes(word, "little")

    def _store_homes(self, loans: Sequence[tuple[int, int]]) -> None:
        """Put the home registers, as they were last, where the unit kept them for (`HostCode.loans`)."""
        words = [index for index, _ in self._homes]
        for home, word in loans:
            words[home] = word
        for word, value in zip(words, self._home_values, strict=True):
            self.state[word] = value & MASK32

    def _load(self) -> None:
        """As enter.S: homes, state, window and budget to their registers; the rest holds garbage."""
        target, state = self.target, self.state
        self.engine.mem_write(STATE + layout.PC, HEADER.pack(self.pc, self.budget) + WORDS.pack(*state))
        registers = [(register, GARBAGE) for register in (*target.homes, *target.scratch)]
        registers += [(register, state[index]) for index, register in self._homes]
        registers += [(target.state, STATE), (target.window, WINDOW), (target.stack, STACK + STACK_SIZE // 2)]
        if target.budget is not None:
            registers.append((target.budget, self.budget & MASK32))
        self.engine.reg_write_batch(registers)

    def _store(self) -> None:
        target, engine = self.target, self.engine
        header = engine.mem_read(STATE + layout.PC, HEADER.size + WORDS.size)
        self.pc, self.budget = HEADER.unpack_from(header)
        self.state[:] = WORDS.unpack_from(header, HEADER.size)
        self._home_values = list(engine.reg_read_batch([register for _, register in self._homes]))
        if target.budget is not None:
            self.budget = _signed(engine.reg_read(target.budget) & MASK32)
        self._check_registers()

    def _check_registers(self) -> None:
        target = self.target
        found = self.engine.reg_read_batch([target.state, target.window, target.stack])
        if tuple(found) != (STATE, WINDOW, STACK + STACK_SIZE // 2):
            raise DynarecError(f"generated code changed the registers of the core to {[hex(value) for value in found]}")

    def _fault(self, error: Exception) -> Departure:
        offset = self.engine.reg_read(self.target.pc) - CODE
        if getattr(error, "errno", None) not in self._access_errors:
            raise DynarecError(f"generated code failed at {offset:#x}: {error}") from None
        if self._counting:
            self._uncount(offset)
        return Departure(offset, True)

    # -- one unit -----------------------------------------------------------------------------------------------------

    def run_unit(self, code: HostCode, budget: int) -> UnitRun:
        """Run one unit, put at the start of the code region, with a budget of guest instructions.

        `state` and `memory` are as the unit leaves them. Raises DynarecError when it leaves where no record says so.
        """
        self.write_code(0, code.code)
        self.budget = budget
        departure = self.enter(0)
        leave: Exit | Site | None
        if departure.faulted:
            leave = site = find_site(code.sites, departure.offset)
            if site is not None:
                self.recover(code, site)
        else:
            leave = next((each for each in code.exits if each.ret == departure.offset), None)
        if leave is None:
            raise DynarecError(f"the unit has no record of how it was left: {departure}")
        self.budget += leave.refund if isinstance(leave, Site) else leave.owed
        return UnitRun(leave, self._pc_of(leave), budget - self.budget)

    def _pc_of(self, leave: Exit | Site) -> int:
        if isinstance(leave, Site):
            return leave.pc
        return self.pc if leave.kind == leave.kind.INDIRECT else leave.target


def find_site(sites: Sequence[Site], offset: int) -> Site | None:
    """The record of the access at an offset of a unit's code."""
    return next((site for site in reversed(sites) if site.offset <= offset), None)


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word
