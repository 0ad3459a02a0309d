"""The verifiers of generated code, and units to try them on, for the tests of both hosts."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import unicorn

from dynarec import core
from dynarec.commands.code import ProgramCode
from dynarec.emulated.targets import find_target
from dynarec.host import layout
from dynarec.host.base import Host, HostCode
from dynarec.host.moves import OutOfRegisters
from dynarec.ir.state import STATE_WORDS
from dynarec.loading import read_program
from dynarec.opt import PASSES
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.differential.programs import CODE, random_program
from tests.host.contract import as_hosts_get_it
from tests.ir.units import HOMES, random_unit, random_value

ROOT = Path(__file__).resolve().parent.parent.parent


def verify(host: str, code: bytes, links: Sequence[int], harden: int = 0) -> tuple[int, str] | None:
    """None if the host's verifier accepts the code; else the offset of the instruction to blame, and why."""
    return core.verify(host, code, links, harden)


def links_of(code: HostCode) -> list[int]:
    """The offsets of the branches of a unit that are to be linked."""
    return [each.link for each in code.exits if each.link]


# -- units ------------------------------------------------------------------------------------------------------------


def rom_units(host: Host, roms: Iterable[Path], most: int) -> Iterator[HostCode]:
    """Translations of up to `most` blocks of each program: what its entry, its symbols and known exits lead to."""
    for rom in roms:
        code = ProgramCode(*read_program(rom, None))
        translator = Translator(GUEST, host, code.fetch)
        waiting = [code.program.entry, *sorted({symbol.address for symbol in code.program.symbols})]
        seen: set[int] = set()
        while waiting and len(seen) < most:
            key = waiting.pop()
            if key in seen or not code.fetch(key, 1):
                continue
            seen.add(key)
            made = translator.translate(key).code
            waiting += [each.target for each in made.exits]
            yield made


def random_units(host: Host, seed: int, count: int) -> Iterator[HostCode]:
    """Random IR, through the host's own lowering, with some fields in homes."""
    rng = random.Random(seed)
    host.set_homes(HOMES)
    for _ in range(count):
        unit = as_hosts_get_it(random_unit(rng))
        for each in PASSES:
            each.run(unit)
        host.lower(unit)
        try:
            yield host.emit(unit)
        except OutOfRegisters:
            continue


def program_units(host: Host, seed: int, count: int, length: int = 30) -> Iterator[HostCode]:
    """Translations of every place of random guest programs where a trace may begin."""
    for number in range(count):
        program = random_program(seed + number)

        def fetch(address: int, size: int, program: bytes = program.code) -> bytes:
            return program[address - CODE : address - CODE + size]

        translator = Translator(GUEST, host, fetch)
        waiting, seen = [CODE], set[int]()
        while waiting and len(seen) < length:
            key = waiting.pop()
            if key in seen or not fetch(key, 1):
                continue
            seen.add(key)
            made = translator.translate(key).code
            waiting += [each.target for each in made.exits if each.target >= CODE]
            yield made


# -- running what was accepted ----------------------------------------------------------------------------------------

PAGE = 4096
STUB, CPU, STACK, CODE_AT, ENTRY = 0x1000_0000, 0x2000_0000, 0x3000_0000, 0x4000_0000, 0x5000_0000
STATE = CPU - layout.HOMES
WINDOW, WINDOW_SIZE, GUARD = 0x10_0000_0000, 1 << 32, 1 << 16
CODE_SIZE = 1 << 16
MAPPED_PAGES = 32
"""Guest pages that stay mapped at a time."""
MOST_BUDGET = 40
MASK64 = (1 << 64) - 1
STATE_END = STATE + layout.JUMPS
"""Behind the words of guest state."""


class Arena:
    """A place to run whatever a verifier has accepted, from hostile register contents; `run` tells how it escaped.

    Code may end at the exit stub, at an entry of the table, and at an access to a guard of the window.
    """

    def __init__(
        self, host: Host, kept: Sequence[int], written: Iterable[range] = (), read: Iterable[range] = ()
    ) -> None:
        """kept: Unicorn's numbers of registers that must not change. written, read: what else may be accessed."""
        self.target = find_target(host)
        engine: Any = unicorn.Uc(self.target.arch, self.target.mode)  # type: ignore[attr-defined, no-untyped-call]
        self.engine = engine
        self.kept = (self.target.state, self.target.window, self.target.stack, *kept)
        counters = range(STATE + layout.COUNTERS, CPU + layout.CPU_SIZE)
        self.written = (range(STATE + layout.PC, STATE + layout.BUDGET), range(STATE, STATE_END), counters, *written)
        self.read = (range(STATE + layout.EXIT, CPU + layout.CPU_SIZE), *read)
        executable = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        for place, size, access in (
            (STUB, PAGE, executable), (ENTRY, PAGE, executable), (CODE_AT, CODE_SIZE + PAGE, executable),
            (CPU, -(-layout.CPU_SIZE // PAGE) * PAGE, unicorn.UC_PROT_ALL & ~unicorn.UC_PROT_EXEC),
            (STACK, PAGE, unicorn.UC_PROT_ALL & ~unicorn.UC_PROT_EXEC),
        ):  # fmt: skip
            engine.mem_map(place, size, access)
        self._fill_cpu()
        engine.hook_add(unicorn.UC_HOOK_BLOCK, self._block)
        engine.hook_add(unicorn.UC_HOOK_MEM_READ, self._access, self.read)
        engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._access, self.written)
        engine.hook_add(unicorn.UC_HOOK_MEM_READ_UNMAPPED | unicorn.UC_HOOK_MEM_WRITE_UNMAPPED, self._unmapped)
        self._pages: list[int] = []
        self._size = self._blocks = self._most = 0
        self._escape = ""
        self._ended = False

    def _fill_cpu(self) -> None:
        """Every second slot of the table has an entry; the others are free, as native/link.c leaves them."""
        self.engine.mem_write(STATE + layout.WINDOW, struct.pack("<Q", WINDOW))
        self.engine.mem_write(STATE + layout.EXIT, struct.pack("<Q", STUB))
        slots = (struct.pack("<QQ", *((0, 0) if slot & 1 else (2 * slot, ENTRY))) for slot in range(layout.JUMP_SLOTS))
        self.engine.mem_write(STATE + layout.JUMPS, b"".join(slots))

    # -- hooks --------------------------------------------------------------------------------------------------------

    def _stop(self, escape: str = "") -> None:
        self._escape = self._escape or escape
        self._ended = True
        self.engine.emu_stop()

    def _block(self, engine: Any, address: int, size: int, data: object) -> None:
        self._blocks += 1
        if address in (STUB, ENTRY):
            self._stop()
        elif not CODE_AT <= address <= address + size <= CODE_AT + self._size:
            self._stop(f"ran at {address:#x}")
        elif self._blocks > self._most:
            self._stop("did not end by itself")

    def _access(self, engine: Any, kind: int, address: int, size: int, value: int, allowed: Sequence[range]) -> None:
        last = address + size - 1
        if WINDOW - GUARD <= address <= last < WINDOW + WINDOW_SIZE + GUARD:
            return
        if not any(address in part and last in part for part in allowed):
            self._stop(f"accessed {address:#x}")

    def _unmapped(self, engine: Any, kind: int, address: int, size: int, value: int, data: object) -> bool:
        if WINDOW <= address <= address + size - 1 < WINDOW + WINDOW_SIZE:
            for page in {address & -PAGE, address + size - 1 & -PAGE} - set(self._pages):
                engine.mem_map(page, PAGE)
                self._pages.append(page)
            return True
        guarded = WINDOW - GUARD <= address <= address + size - 1 < WINDOW + WINDOW_SIZE + GUARD
        self._stop("" if guarded else f"accessed {address:#x}")
        return False

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self, code: bytes, rng: random.Random) -> str:
        """How the code escaped from where it may be; "" if it did not."""
        self._prepare(code, rng)
        before = self.engine.reg_read_batch(self.kept)
        try:
            self.engine.emu_start(CODE_AT, 0)
        except unicorn.UcError as error:  # type: ignore[attr-defined]
            if not self._ended:
                self._escape = f"failed: {error}"
        if not self._escape and self.engine.reg_read_batch(self.kept) != before:
            return "changed a register of the core"
        return self._escape

    def _prepare(self, code: bytes, rng: random.Random) -> None:
        engine, target = self.engine, self.target
        if self._escape:
            self._fill_cpu()
        for page in self._pages if len(self._pages) > MAPPED_PAGES else ():
            engine.mem_unmap(page, PAGE)
        if len(self._pages) > MAPPED_PAGES:
            self._pages.clear()
        engine.mem_write(CODE_AT, code.ljust(max(self._size, len(code)), b"\0"))
        engine.ctl_remove_cache(CODE_AT, CODE_AT + max(self._size, len(code)))
        budget = rng.randrange(MOST_BUDGET)
        self._size, self._blocks, self._most = len(code), 0, (budget + 2) * len(code)
        self._escape, self._ended = "", False
        state = [random_value(rng) for _ in range(STATE_WORDS)]
        engine.mem_write(STATE + layout.PC, struct.pack(f"<Ii{STATE_WORDS}I", 0, budget, *state))
        registers = [(each, _hostile(rng)) for each in (*target.homes, *target.scratch)]
        registers += [(target.state, STATE), (target.window, WINDOW), (target.stack, STACK + PAGE // 2)]
        if target.budget is not None:
            registers.append((target.budget, budget))
        engine.reg_write_batch(registers)


def _hostile(rng: random.Random) -> int:
    """Contents of a register: small ones that the table of entries has, addresses of the core, anything."""
    return rng.choice((rng.getrandbits(16), random_value(rng), rng.getrandbits(64), STATE, CODE_AT, MASK64))
