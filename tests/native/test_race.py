"""Threads side by side: two machines run, one thread translates what they run, one looks into their caches.

Under ThreadSanitizer (.ci/run) this also shows that nothing is shared without a lock or an atomic access.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from dynarec.core import policies, probe_policy
from dynarec.engine import Machine, Stop, StopReason
from dynarec.errors import DynarecError
from dynarec.host import make_native_host
from dynarec.translate import Translator
from guest_isa.rv32 import GUEST
from tests.native.guests import CODE, DATA, asm, li, load, lui

POLICIES = [name for name in policies() if probe_policy(name) is None]
INSTRUCTIONS = 12_000
FUNCTION = CODE + 0x100
HEAD_BYTES = 8
PAUSE = 0.001
"""Seconds for which the guest is left alone."""

SELF_MODIFYING = (
    lui("s2", FUNCTION & ~0xFFF)
    + asm("addi", rd="s2", rs1="s2", imm=FUNCTION & 0xFFF)
    + lui("s3", DATA)
    # loop: write the function anew, call it, count
    + asm("lw", rd="t0", rs1="s3", imm=0)
    + asm("sw", rs1="s2", rs2="t0", imm=0)
    + asm("fence.i", rd=0, rs1=0, imm=0)
    + asm("jalr", rd="ra", rs1="s2", imm=0)
    + asm("addi", rd="s0", rs1="s0", imm=1)
    + asm("xori", rd="s3", rs1="s3", imm=4)
    + asm("jal", rd=0, offset=-24)
)
VARIANTS = li("a0", 1) + li("a0", 2)
RETURN = asm("jalr", rd=0, rs1="ra", imm=0)


def machine(policy: str, tier: str = "jit") -> Machine:
    code = SELF_MODIFYING.ljust(FUNCTION - CODE, b"\0") + li("a0", 0) + RETURN
    loaded = load(code, tier=tier, wx=policy, hot=2, sync=False)
    loaded.memory[DATA : DATA + len(VARIANTS)] = VARIANTS
    return loaded


class Repeating(threading.Thread):
    """Does something again and again until it is told to stop; keeps what went wrong."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.action = action
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.rounds = 0

    def run(self) -> None:
        while not self.ended.is_set() and self.error is None:
            try:
                self.action()
            except Exception as error:
                self.error = error
            self.rounds += 1

    def finish(self) -> None:
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error


def translate(running: Machine) -> None:
    """Host code comes of it, whatever the guest writes in the meantime."""
    core = running._core
    translation = Translator(GUEST, make_native_host(GUEST), core.memory.code, is_mixed=core.is_mixed).translate(CODE)
    assert translation.code.code


def inspect(running: Machine) -> None:
    core = running._core
    assert running.stats().blocks >= 0
    assert 0 <= running.instructions <= 2 * INSTRUCTIONS
    offset = core.find(FUNCTION)
    if offset is not None:
        assert any(core.read_code(offset, HEAD_BYTES))
    with pytest.raises(DynarecError, match="lies outside"):
        core.read_code(1 << 40, HEAD_BYTES)


@pytest.mark.parametrize("policy", POLICIES)
def test_running_translating_and_inspecting(policy: str) -> None:
    with machine(policy) as first, machine(policy) as second:
        others = [
            Repeating(lambda: translate(first)),
            Repeating(lambda: inspect(first)),
            Repeating(lambda: inspect(second)),
        ]
        for other in others:
            other.start()
        runs = [each.start(INSTRUCTIONS) for each in (first, second)]
        stops = [run.wait() for run in runs]
        for other in others:
            other.finish()
        assert stops[0] == stops[1] == Stop(StopReason.BUDGET, stops[0].pc, INSTRUCTIONS)
        assert first.regs.s0 == second.regs.s0 > 0
        assert all(other.rounds for other in others)


def hook_for_a_moment(running: Machine) -> None:
    """Between two instructions of the run."""
    running.perform(lambda: running.hook_code(lambda guest, pc: None, FUNCTION).remove())
    time.sleep(PAUSE)


@pytest.mark.parametrize("policy", POLICIES)
def test_translating_in_the_background(policy: str) -> None:
    with machine(policy, "auto") as running:
        others = [Repeating(lambda: inspect(running)), Repeating(lambda: hook_for_a_moment(running))]
        run = running.start(INSTRUCTIONS)
        for other in others:
            other.start()
        stop = run.wait()
        for other in others:
            other.finish()
        assert stop.instructions == INSTRUCTIONS
        rounds = running.regs.s0
    with machine(policy) as expected:
        expected.run(INSTRUCTIONS)
        assert rounds == expected.regs.s0


@pytest.mark.parametrize("policy", POLICIES)
def test_another_thread_may_not_write(policy: str) -> None:
    with machine(policy) as running:
        running.run(1000)
        core = running._core
        translation = Translator(GUEST, make_native_host(GUEST), core.memory.code, is_mixed=core.is_mixed).translate(
            CODE
        )
        before = core.read_code(0, running.stats().code_bytes)
        with pytest.raises(DynarecError, match="a thread that does not own it"):
            core.install(translation)
        assert core.read_code(0, len(before)) == before
        assert running.run(1000).instructions == 1000
