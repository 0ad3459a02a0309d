"""Where operations of the debugger meet: past and present, an interruption and a run, a stop and the next run."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest

from dynarec.debug.debugger import Debugger
from dynarec.debug.stops import Position, Reason
from dynarec.engine import Machine, StopReason
from dynarec.machine.base import Device
from dynarec.machine.console import MMIO_BASE, Console, Register
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, EXIT, asm, li, load, lui

ROMS = Path(__file__).parents[2] / "roms"
SIZE = 64 << 20
TIERS = ("auto", "jit", "interp")
FOR_EVER = asm("jal", rd="zero", offset=0)
PATIENCE = 20
"""Seconds after which something counts as hung."""

tiers = pytest.mark.parametrize("tier", TIERS)


def kernel(stdin: bytes) -> Machine:
    return Machine.load(ROMS / "kernel.elf", stdin=io.BytesIO(stdin), stdout=io.BytesIO(), seed=1)


def in_time(operation: object) -> list[object]:
    """What an operation gave; nothing if it hangs."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(operation()), daemon=True)  # type: ignore[operator]
    thread.start()
    thread.join(PATIENCE)
    return found


@tiers
def test_an_access_that_was_passed_over_lets_no_other_pass(tier: str) -> None:
    code = lui("a0", DATA) + asm("sw", rs1="a0", rs2="a0", imm=0) + asm("sw", rs1="a0", rs2="a0", imm=4) + EXIT
    with load(code, tier=tier) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.watch(DATA, 8, "write")
        while debugger.resume().reason is Reason.WATCHPOINT:
            pass
        assert [debugger.reverse_resume().pc for _ in range(2)] == [CODE + 8, CODE + 4]
        assert debugger.step_instruction().pc == CODE + 8
        assert (debugger.resume().reason, machine.pc) == (Reason.WATCHPOINT, CODE + 8)


def test_what_is_typed_meanwhile_does_not_hold_up_the_way_back() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb", 0) as stdin,
        os.fdopen(writer, "wb", 0) as typing,
        Machine.load(ROMS / "kernel.elf", stdin=stdin, stdout=io.BytesIO()) as machine,
    ):
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(20_000)
        typing.write(b"echo a\n")
        while not machine.core.observer.fetch_input():
            time.sleep(0.01)
        machine.core.feed_uart(b"echo a\n")
        watch = threading.Timer(PATIENCE, debugger.interrupt)
        watch.start()
        stopped = debugger.reverse_step_instruction()
        watch.cancel()
        assert (stopped.reason, debugger.position.instructions) == (Reason.STEP, 19_999)


@tiers
def test_stores_to_tohost_that_change_nothing_come_again(tier: str) -> None:
    character = li("a1", ord("h")) + asm("sw", rs1="a0", rs2="a1", imm=0)
    code = lui("a0", DATA) + lui("a2", 0x0101_0000) + character + asm("sw", rs1="a0", rs2="a2", imm=4) + FOR_EVER
    elf = build([Part(CODE, code), Part(DATA, size=64, flags=R | W)], CODE, {"tohost": (DATA, 8, 1)})
    with Machine.load(elf, tier=tier, stdout=(out := io.BytesIO())) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(20)
        assert out.getvalue() == b"h"
        assert debugger.reverse_step_instruction(15).reason is Reason.STEP
        assert debugger.position.instructions == 5
        assert debugger.step_instruction(15).reason is Reason.STEP


def test_interrupts_that_came_last_are_there_when_the_debugger_is_gone() -> None:
    with kernel(b"halt 0\n") as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction(100)
        before = machine.core.save_devices()["plic"]
        machine.set_interrupt(5, True)
        debugger.close()
        assert machine.core.save_devices()["plic"] != before
        assert machine.run().reason is StopReason.EXITED


def test_half_a_line_does_not_go_out_twice_after_a_change_in_the_past() -> None:
    with Machine.load(
        ROMS / "kernel.elf", stdin=io.BytesIO(b"echo abcdefgh\nhalt 0\n"), stdout=(out := io.BytesIO())
    ) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.resume()
        once = out.getvalue()
        assert debugger.history is not None
        for at in range(debugger.history.end.instructions - 1, 400, -97):
            debugger.history.go_to(Position(at))
            debugger.write_register("t6", machine.regs.t6)
            assert out.getvalue() == once
            debugger.history.leave_present()


def test_a_rom_that_waits_for_a_window_can_be_interrupted() -> None:
    code = lui("a0", MMIO_BASE) + asm("sw", rs1="a0", rs2="a0", imm=Register.VSYNC) + FOR_EVER
    with Machine.load(build([Part(CODE, code, flags=R | W | X)], CODE), "console") as machine:
        assert isinstance(machine.profile, Console)
        machine.profile.attach_display()
        debugger = Debugger(machine)
        threading.Timer(0.2, debugger.interrupt).start()
        (stopped,) = in_time(debugger.resume)
        assert stopped.reason is Reason.INTERRUPTED  # type: ignore[attr-defined]


class Counter(Device):
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, offset: int, width: int, /) -> int:
        self.count += 1
        return self.count


def test_a_device_that_comes_later_is_not_asked_again_either() -> None:
    code = lui("a0", 0x7000_0000) + asm("lw", rd="a1", rs1="a0", imm=0) + asm("jal", rd="zero", offset=-4)
    with load(code) as machine:
        debugger = Debugger(machine, history=SIZE)
        device = Counter()
        machine.add_device(0x7000_0000, device)
        debugger.step_instruction(200)
        count, value = device.count, machine.regs.a1
        debugger.reverse_step_instruction(60)
        assert machine.regs.a1 == value - 30
        debugger.step_instruction(60)
        assert (device.count, machine.regs.a1) == (count, value)


@tiers
def test_on_from_a_system_call_that_was_reached_backwards(tier: str) -> None:
    with Machine.load(ROMS / "words.elf", tier=tier, stdin=io.BytesIO(b"a b\n"), stdout=io.BytesIO()) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.catch("syscall")
        stops = [debugger.resume().position for _ in range(4)]
        assert [debugger.reverse_resume().position for _ in range(2)] == stops[2:0:-1]
        assert [debugger.resume().position for _ in range(2)] == stops[2:]


@pytest.mark.parametrize("history", [0, SIZE])
def test_an_interruption_right_before_the_machine_runs_is_not_lost(history: int) -> None:
    with load(FOR_EVER) as machine:
        debugger = Debugger(machine, history=history)
        go_on = machine.profile.go_on

        def interrupted() -> None:
            go_on()
            debugger.interrupt()

        machine.profile.go_on = interrupted  # type: ignore[method-assign]
        (stopped,) = in_time(debugger.resume)
        assert stopped.reason is Reason.INTERRUPTED  # type: ignore[attr-defined]


def test_what_the_user_changed_is_there_on_the_way_back() -> None:
    code = li("a0", 1) + asm("addi", rd="a1", rs1="a0", imm=0) + asm("addi", rd="a2", rs1="a1", imm=0) + FOR_EVER
    with load(code) as machine:
        debugger = Debugger(machine, history=SIZE)
        debugger.step_instruction()
        debugger.write_register("a0", 7)
        changed = debugger.position
        debugger.step_instruction(2)
        debugger.reverse_step_instruction(2)
        assert (debugger.position, machine.regs.a0) == (changed, 7)
        debugger.step_instruction(2)
        assert machine.regs.a2 == 7
