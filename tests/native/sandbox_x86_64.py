"""Units under Unicorn, which may be hostile: whether what they do stays inside.

Links go back to the unit itself, and the entries of the table to its start: what ends here ends everywhere. The whole
window is mapped with its guards, so that no access in it ends a run.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from dynarec.emulated.cpu import CODE, CPU, HEADER, JUMP_SLOT, PAGE, POINTER, STACK, STACK_SIZE, STATE, STUB, WINDOW
from dynarec.emulated.targets import import_unicorn, x86_64_branch
from dynarec.host import layout
from dynarec.host.x86_64.emit import LINK_SIZE

unicorn = import_unicorn()
x86 = import_module("unicorn.x86_const")

WINDOW_SIZE, GUARD = 1 << 32, 1 << 16
CODE_SIZE = 1 << 16
STACK_TOP = STACK + STACK_SIZE // 2
STATE_BYTES = layout.JUMPS
BUDGETS = (0, 1, 7, 40)
LIVE_SLOTS = range(0, layout.JUMP_SLOTS, 2)
"""The others are free."""
MAX_CHARGE = 4096
DIVISION = 0xF7
SHORT, CHARGE_OPERANDS, JS_SIZE = 0x83, 3, 6
OWN = {x86.UC_X86_REG_RBP: STATE, x86.UC_X86_REG_RSP: STACK_TOP, x86.UC_X86_REG_GS_BASE: WINDOW}
FREE = [
    getattr(x86, f"UC_X86_REG_{name}")
    for name in ("RAX", "RCX", "RDX", "RBX", "RSI", "RDI", *(f"R{number}" for number in range(8, 16)))
]


class Sandbox:
    """One engine for many runs. `crime` is the first thing of a run that a unit must not do."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.crime = ""
        self._size = self._blocks = self._most_blocks = 0
        self.engine: Any = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self._map()
        self._write_jumps()
        self.engine.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, self._access)
        self.engine.hook_add(unicorn.UC_HOOK_BLOCK, self._block)

    def _map(self) -> None:
        for start, size in ((STUB, PAGE), (CODE, CODE_SIZE)):
            self.engine.mem_map(start, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self.engine.mem_map(CPU, -(-layout.CPU_SIZE // PAGE) * PAGE)
        self.engine.mem_map(STACK, STACK_SIZE)
        self.engine.mem_map(WINDOW - GUARD, WINDOW_SIZE + 2 * GUARD)

    def _write_jumps(self) -> None:
        """Live slots lead to the unit's start; a free one has a key that belongs to another one."""
        slots = bytearray()
        for slot in range(layout.JUMP_SLOTS):
            slots += JUMP_SLOT.pack(*((2 * slot, CODE) if slot in LIVE_SLOTS else (0, 0)))
        self.engine.mem_write(STATE + layout.JUMPS, bytes(slots))
        self.engine.mem_write(STATE + layout.EXIT, POINTER.pack(STUB))

    # -- what a unit may do -------------------------------------------------------------------------------------------

    def _access(self, engine: Any, kind: int, address: int, size: int, value: int, data: object) -> None:
        writes = kind == unicorn.UC_MEM_WRITE
        if not self._may_access(writes, address, size):
            self._stop(f"{'writes' if writes else 'reads'} {size} bytes at {address - STATE:+#x} of the state")

    @staticmethod
    def _may_access(writes: bool, address: int, size: int) -> bool:
        if address >= WINDOW - GUARD and address + size <= WINDOW + WINDOW_SIZE + GUARD:
            return True
        offset = address - STATE
        if offset >= 0 and offset + size <= STATE_BYTES:
            return True
        if 0 <= offset - layout.COUNTERS < layout.COUNTER_COUNT * layout.COUNTER_SIZE:
            return size == layout.COUNTER_SIZE and (offset - layout.COUNTERS) % layout.COUNTER_SIZE == 0
        if writes:
            return offset in (layout.PC, layout.BUDGET) and size == layout.WORD
        if 0 <= offset - layout.JUMPS < layout.JUMP_SLOTS * layout.JUMP_SLOT_SIZE:
            within = (offset - layout.JUMPS) % layout.JUMP_SLOT_SIZE
            return (within, size) in (
                (0, layout.WORD),
                (layout.JUMP_ENTRY, layout.WORD),
                (layout.JUMP_ENTRY, POINTER.size),
            )
        return (offset, size) in ((layout.EXIT, POINTER.size), (layout.BUDGET, layout.WORD))

    def _block(self, engine: Any, address: int, size: int, data: object) -> None:
        self._blocks += 1
        if not CODE <= address < address + size <= CODE + self._size:
            if address != STUB:
                self._stop(f"runs code at {address:#x}")
        elif self._blocks > self._most_blocks:
            self._stop("runs on and on")

    def _stop(self, crime: str) -> None:
        self.crime = self.crime or crime
        self.engine.emu_stop()

    # -- runs ---------------------------------------------------------------------------------------------------------

    def run(self, code: bytes, links: Sequence[int]) -> str:
        """What the code does that it must not; "" if there is nothing."""
        budget = self.rng.choice(BUDGETS)
        self.crime, self._size, self._blocks = "", len(code), 0
        # Each round takes from the budget, and goes forward through the code, if it is not the last.
        self._most_blocks = (budget + 2) * len(code)
        self._prepare(_linked_to_itself(code, links), budget)
        try:
            self.engine.emu_start(CODE, STUB)
        except unicorn.UcError as error:
            self._judge(error, code)
        return self.crime or self._look_around(budget)

    def _prepare(self, code: bytes, budget: int) -> None:
        rng, engine = self.rng, self.engine
        engine.mem_write(CODE, code)
        engine.ctl_remove_cache(CODE, CODE + len(code))
        words = b"".join(self._value().to_bytes(layout.WORD, "little") for _ in range(STATE_BYTES // layout.WORD))
        engine.mem_write(STATE + layout.PC, HEADER.pack(0, budget) + words)
        engine.reg_write_batch([*OWN.items(), *((each, rng.getrandbits(32) << 32 | self._value()) for each in FREE)])
        engine.reg_write(x86.UC_X86_REG_EFLAGS, 2 | rng.getrandbits(1) | rng.getrandbits(2) << 6)

    def _value(self) -> int:
        """A key of a live slot, one that would be in the middle of it, small, or anything."""
        rng, key = self.rng, 2 * self.rng.choice(LIVE_SLOTS)
        return rng.choice((key, key + 1, rng.randrange(4), rng.getrandbits(32)))

    def _judge(self, error: Any, code: bytes) -> None:
        """Divisions may fault: not the verifier's business."""
        at = self.engine.reg_read(x86.UC_X86_REG_RIP) - CODE
        divides = 0 <= at < len(code) and DIVISION in code[at : at + 2]
        if not (error.errno == unicorn.UC_ERR_EXCEPTION and divides):
            self.crime = self.crime or f"fails at {at:#x}: {error}"

    def _look_around(self, budget: int) -> str:
        """At what must be as it was."""
        found = {register: self.engine.reg_read(register) for register in OWN}
        left = int.from_bytes(self.engine.mem_read(STATE + layout.BUDGET, layout.WORD), "little", signed=True)
        if found != OWN:
            return f"changes registers to {[hex(value) for value in found.values()]}"
        return "" if -MAX_CHARGE <= left <= budget else f"changes the budget from {budget} to {left}"


def _linked_to_itself(code: bytes, links: Sequence[int]) -> bytes:
    """As the core links: behind the charge, for what is not given back; to the start where that is too much."""
    patched = bytearray(code)
    size = 1 if code[0] == SHORT else 4
    body = CHARGE_OPERANDS + size + JS_SIZE
    charge = int.from_bytes(code[CHARGE_OPERANDS : CHARGE_OPERANDS + size], "little")
    for link in links:
        refund = code[link + CHARGE_OPERANDS] if code[link] == SHORT else 0
        reaches = charge - refund <= layout.MAX_REFUND
        branch = x86_64_branch(charge - refund, body - link) if reaches else x86_64_branch(-refund, -link)
        patched[link : link + LINK_SIZE] = branch
    return bytes(patched)
