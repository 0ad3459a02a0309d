"""What other threads want is seen at the next head of a unit or loop, not at the end of a slice."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import pytest

from dynarec.core import EXIT_KINDS
from dynarec.engine import Machine, StopReason
from dynarec.loading import read_kernel
from tests.native.guests import CODE, asm, li, load, lui

TIERS = ("interp", "jit", "auto")
RAM = 0x8000_0000
SOFTWARE = 8
SEED = 3
TRIES = 30
SLICE = 500_000
"""Guest instructions after which generated code comes back if nobody asks for anything (native/dispatch.c)."""
SHORT = 20_000
"""Guest instructions, far fewer than a slice."""

# A loop of a hundred units, each with its own head; x5 counts them.
UNITS = b"".join(asm("addi", rd="t0", rs1="t0", imm=1) + asm("jal", rd="zero", offset=4) for _ in range(100))
LOOP = UNITS + asm("jal", rd="zero", offset=-len(UNITS))


def kernel(tmp_path: Path, tier: str) -> Machine:
    """Enables the software interrupt and loops; the handler takes mcause and ends the machine."""
    handler = RAM + 0x800
    start = lui("t1", handler + 0x800 & ~0xFFF) + asm(
        "addi", rd="t1", rs1="t1", imm=handler - (handler + 0x800 & ~0xFFF)
    )
    start += asm("csrrw", rd="zero", rs1="t1", csr=0x305)  # mtvec
    start += (
        li("t1", SOFTWARE) + asm("csrrs", rd="zero", rs1="t1", csr=0x304) + asm("csrrs", rd="zero", rs1="t1", csr=0x300)
    )
    end = asm("csrrs", rd="a0", rs1="zero", csr=0x342) + lui("t2", 0x10_0000) + lui("t1", 0x5000)
    end += asm("addi", rd="t1", rs1="t1", imm=0x555) + asm("sw", rs1="t2", rs2="t1", imm=0)
    image = tmp_path / "Image"
    image.write_bytes((start + LOOP).ljust(0x800, b"\0") + end)
    return Machine.load(read_kernel(image), "virt", tier=tier)


@pytest.mark.parametrize("tier", TIERS)
def test_an_interrupt_from_another_thread_is_taken(tmp_path: Path, tier: str) -> None:
    with kernel(tmp_path, tier) as machine:
        run = machine.start(timeout=60)
        while machine.instructions < SHORT:
            time.sleep(0.001)
        machine.interrupts.set_lines(SOFTWARE, True)
        assert run.wait().reason is StopReason.EXITED
        assert machine.regs.a0 == 1 << 31 | 3


def test_registers_are_exact_whenever_a_request_comes() -> None:
    """The counter in t0, the pc and the number of instructions agree after every stop, wherever it hit."""
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    with load(LOOP, tier="jit") as machine:
        machine.run(1000)
        for _ in range(TRIES):
            run = machine.start()
            time.sleep(rng.random() / 500)
            run.stop()
            assert run.wait().reason is StopReason.REQUEST
            total = machine.instructions
            rounds, rest = divmod(total, 201)
            assert machine.pc == CODE + 4 * rest
            assert machine.regs.t0 == rounds * 100 + (rest + 1) // 2


def test_many_threads_ask_at_a_time() -> None:
    with load(LOOP, tier="jit") as machine:
        machine.run(1000)
        run = machine.start()
        askers = [threading.Thread(target=machine._core.request_stop) for _ in range(8)]
        for asker in askers:
            asker.start()
        assert run.wait().reason is StopReason.REQUEST
        for asker in askers:
            asker.join()
        assert machine.run(1000).instructions == 1000


def exits_for_the_budget(machine: Machine) -> int:
    exits = machine._core.stats()["exits"]
    assert isinstance(exits, list)
    return exits[EXIT_KINDS.index("budget")]


def test_a_budget_stays_exact_under_requests() -> None:
    """Interrupt lines that no guest listens to make generated code leave, and nothing else."""
    with load(LOOP, tier="jit") as machine:
        machine.run(1000)
        before = exits_for_the_budget(machine)
        run = machine.start(50_000_003)
        while not run.finished:
            machine.interrupts.set_lines(1, True)
            machine.interrupts.set_lines(1, False)
        assert run.wait().instructions == 50_000_003
        assert exits_for_the_budget(machine) - before > 50_000_003 // SLICE + 20
        assert machine.regs.t0 == (total := machine.instructions) // 201 * 100 + (total % 201 + 1) // 2


def test_others_may_use_the_signal_too() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGURG, lambda number, frame: seen.append(number))
    try:
        with load(LOOP, tier="jit") as machine:
            run = machine.start()
            signal.raise_signal(signal.SIGURG)
            run.stop()
            run.wait()
            assert seen == [signal.SIGURG]
    finally:
        signal.signal(signal.SIGURG, before)
