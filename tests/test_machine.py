"""The machine from Python: running, limits, traps, devices, threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import dynarec
from dynarec import DynarecError, Machine, StopReason
from dynarec.errors import BadProgram, GuestMemoryError
from dynarec.guest_state import GuestMemory
from dynarec.machine.base import Access, Device, Exited, TrapKind
from tests.machine.elf import Part, R, W, X, build

ROMS = Path(__file__).parent.parent / "roms"
HELLO = ROMS / "hello.elf"
CODE = 0x10000
DATA = 0x20000
TIERS = ("interp", "jit", "auto")
ECALL, EBREAK, NOP, LOOP = 0x73, 0x0010_0073, 0x13, 0x6F
ZERO, SP, T0, A0, A7 = 0, 2, 5, 10, 17


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def addi(rd: int, rs1: int, value: int) -> int:
    return (value & 0xFFF) << 20 | rs1 << 15 | rd << 7 | 0x13


def lui(rd: int, upper: int) -> int:
    return upper << 12 | rd << 7 | 0x37


def lw(rd: int, base: int, offset: int = 0) -> int:
    return (offset & 0xFFF) << 20 | base << 15 | 2 << 12 | rd << 7 | 0x03


def sw(source: int, base: int, offset: int = 0) -> int:
    offset &= 0xFFF
    return offset >> 5 << 25 | source << 20 | base << 15 | 2 << 12 | (offset & 31) << 7 | 0x23


def jump(distance: int) -> int:
    d = distance & 0x1F_FFFF
    return (d >> 20) << 31 | (d >> 1 & 0x3FF) << 21 | (d >> 11 & 1) << 20 | (d >> 12 & 0xFF) << 12 | 0x6F


def program(*words: int, symbols: dict[str, int] | None = None) -> bytes:
    code = b"".join(word.to_bytes(4, "little") for word in words)
    parts = [Part(CODE, code, 0x2000, R | X), Part(DATA, bytes(16), 0x1000, R | W)]
    return build(parts, CODE, {name: (at, 4, 2) for name, at in (symbols or {}).items()})


def exit_with(status: int) -> tuple[int, ...]:
    return addi(A0, ZERO, status), addi(A7, ZERO, 93), ECALL


def load(*words: int, tier: str = "interp", symbols: dict[str, int] | None = None) -> Machine:
    return Machine.load(program(*words, symbols=symbols), tier=tier)


# -- running ----------------------------------------------------------------------------------------------------------


def test_hello(tier: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb", 0) as file, Machine.load(HELLO, tier=tier, stdout=file) as machine:
        stop = machine.run()
    assert (stop.reason, stop.status) == (StopReason.EXITED, 0)
    assert out.read_text() == "Hello from a RISC-V program of 32 bits\n"


def test_exit_status_and_count(tier: str) -> None:
    with load(*exit_with(7), tier=tier) as machine:
        stop = machine.run()
        assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 7, 3)
        again = machine.run()
        assert (again.reason, again.status, again.instructions) == (StopReason.EXITED, 7, 0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 1001])
def test_budget_is_exact(tier: str, count: int) -> None:
    with load(addi(T0, T0, 1), jump(-4), tier=tier) as machine:
        stop = machine.run(count)
        assert (stop.reason, stop.instructions) == (StopReason.BUDGET, count)
        assert machine.regs.t0 == (count + 1) // 2
        assert machine.pc == CODE + 4 * (count % 2)


def test_slices_add_up(tier: str) -> None:
    with Machine.load(HELLO, tier=tier, stdout=open(os.devnull, "wb", 0)) as machine:
        total = 0
        while (stop := machine.run(97)).reason is StopReason.BUDGET:
            total += stop.instructions
        assert total + stop.instructions == machine.instructions
        with Machine.load(HELLO, tier="interp", stdout=open(os.devnull, "wb", 0)) as other:
            assert other.run().instructions == machine.instructions


def test_stepping_over_a_system_call_is_one_instruction(tier: str) -> None:
    with load(addi(A7, ZERO, 172), ECALL, NOP, LOOP, tier=tier) as machine:
        machine.run(1)
        assert machine.run(1).instructions == 1
        assert machine.pc == CODE + 8


@pytest.mark.parametrize("where", [CODE + 12, "goal"])
def test_until(tier: str, where: int | str) -> None:
    with load(*[addi(T0, T0, 1)] * 5, jump(-20), tier=tier, symbols={"goal": CODE + 12}) as machine:
        stop = machine.run(until=where)
        assert (stop.reason, stop.pc, stop.instructions) == (StopReason.UNTIL, CODE + 12, 3)
        assert machine.run(until=where).instructions == 0
        machine.run(1)
        assert machine.run(until=where).instructions == 5
        assert machine.regs.t0 == 3 + 5


def test_until_on_another_page(tier: str) -> None:
    far = CODE + 0x1000
    words = [NOP] * 0x402
    words[0:2] = [addi(T0, T0, 1), jump(far - CODE - 4)]
    words[0x400:] = [addi(T0, T0, 1), jump(-0x1004)]
    with load(*words, tier=tier) as machine:
        machine.run(1000)
        assert machine.run(until=far + 4).pc == far + 4
        machine.run(1)
        assert machine.run(until=far + 4).instructions == 3
        assert machine.run(2, until=far + 4).reason is StopReason.UNTIL
        assert machine.run(1000).reason is StopReason.BUDGET


def test_until_that_is_never_reached(tier: str) -> None:
    with load(LOOP, tier=tier) as machine:
        assert machine.run(1000, until=CODE + 0x1000).reason is StopReason.BUDGET


def test_unknown_symbol() -> None:
    with load(LOOP) as machine, pytest.raises(DynarecError, match="no symbol 'nowhere'"):
        machine.run(until="nowhere")


def test_timeout(tier: str) -> None:
    with load(LOOP, tier=tier) as machine:
        assert machine.run(timeout=0.05).reason is StopReason.TIMEOUT
        assert machine.run(10).reason is StopReason.BUDGET


def test_stop_from_another_thread(tier: str) -> None:
    with load(LOOP, tier=tier) as machine:
        threading.Timer(0.05, machine.stop).start()
        assert machine.run(timeout=10).reason is StopReason.REQUEST


def test_stop_without_a_run_is_not_remembered() -> None:
    with load(LOOP) as machine:
        machine.stop()
        assert machine.run(10).reason is StopReason.BUDGET


def test_stop_of_a_read_that_blocks(tier: str) -> None:
    receive, send = os.pipe()
    read = (addi(A0, ZERO, 0), lui(11, DATA >> 12), addi(12, ZERO, 4), addi(A7, ZERO, 63), ECALL, LOOP)
    with os.fdopen(receive, "rb", 0) as stdin, Machine.load(program(*read), tier=tier, stdin=stdin) as machine:
        stop = machine.run(timeout=0.05)
        assert (stop.reason, stop.pc) == (StopReason.TIMEOUT, CODE + 16)
        os.write(send, b"abcd")
        machine.run(1)
        if machine.pc == CODE + 16:  # an interrupt that was still under way
            machine.run(1)
        assert machine.memory[DATA : DATA + 4] == b"abcd"
    os.close(send)


def test_a_run_inside_a_run_is_refused() -> None:
    with load(LOOP) as machine:
        run = machine.start()
        with pytest.raises(DynarecError, match="running already"):
            machine.run(1)
        run.stop()
        assert run.wait().reason is StopReason.REQUEST


def test_closed_machine() -> None:
    machine = load(LOOP)
    machine.close()
    machine.close()
    with pytest.raises(DynarecError, match="closed"):
        machine.run(1)
    with pytest.raises(DynarecError, match="closed"):
        _ = machine.regs.t0
    with pytest.raises(DynarecError, match="closed"):
        _ = machine.memory[CODE]


def test_close_while_running() -> None:
    machine = load(LOOP)
    run = machine.start()
    machine.close()
    assert run.wait().reason is StopReason.REQUEST


def test_many_machines_one_after_the_other() -> None:
    for _ in range(100):
        load(LOOP).run(1)


def test_machines_side_by_side() -> None:
    with load(LOOP, tier="auto") as one, load(addi(T0, T0, 1), jump(-4), tier="auto") as two:
        first, second = one.start(3_000_000), two.start(3_000_000)
        assert first.wait().instructions == second.wait().instructions == 3_000_000
        assert two.regs.t0 == 1_500_000


def test_interrupt_by_ctrl_c() -> None:
    with load(LOOP, tier="auto") as machine:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            machine.run(timeout=10)
        assert machine.run(10).reason is StopReason.BUDGET


# -- traps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "kind", "status", "value"),
    [
        (0xFFFF_FFFF, TrapKind.ILLEGAL, 132, None),
        (EBREAK, TrapKind.BREAKPOINT, 133, None),
        (lw(T0, ZERO, 0), TrapKind.ACCESS, 139, 0),
        (sw(T0, ZERO, 64), TrapKind.ACCESS, 139, 64),
    ],
)
def test_traps(tier: str, word: int, kind: TrapKind, status: int, value: int | None) -> None:
    with load(addi(T0, ZERO, 5), word, tier=tier) as machine:
        stop = machine.run()
        assert stop.trap is not None
        assert (stop.reason, stop.trap.kind, stop.status) == (StopReason.TRAP, kind, status)
        assert stop.pc == machine.pc == stop.trap.pc == CODE + 4
        assert (stop.instructions, machine.regs.t0) == (1, 5)
        assert value is None or stop.trap.value == value
        assert machine.run().trap == stop.trap


def test_fetch_outside_of_memory(tier: str) -> None:
    with load(jump(0x8000), tier=tier) as machine:
        stop = machine.run()
        assert stop.trap is not None
        assert (stop.trap.kind, stop.pc, stop.trap.value) == (TrapKind.ACCESS, CODE + 0x8000, CODE + 0x8000)


def test_going_on_behind_a_trap(tier: str) -> None:
    with load(EBREAK, *exit_with(3), tier=tier) as machine:
        machine.run()
        machine.pc += 4
        assert machine.run().status == 3


# -- devices ----------------------------------------------------------------------------------------------------------

DEVICE = 0x4000_0000


class Box(Device):
    """A device that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[tuple[int, int, int]] = []

    def read(self, offset: int, width: int) -> int:
        if offset == 8:
            raise ZeroDivisionError("device")
        return 100 + offset + width

    def write(self, offset: int, width: int, value: int) -> Exited | None:
        if offset == 8:
            raise ZeroDivisionError("device")
        self.written.append((offset, width, value))
        return Exited(value) if offset == 4 else None


def with_box(tier: str, *words: int) -> tuple[Machine, Box]:
    machine, box = load(lui(T0, DEVICE >> 12), *words, tier=tier), Box()
    machine.add_device(DEVICE, box)
    return machine, box


def test_device_accesses(tier: str) -> None:
    machine, box = with_box(tier, lw(A0, T0, 12), sw(A0, T0, 16), addi(A0, ZERO, 9), sw(A0, T0, 4), LOOP)
    with machine:
        stop = machine.run(1000)
        assert (stop.reason, stop.status, stop.instructions) == (StopReason.EXITED, 9, 5)
        assert box.written == [(16, 4, 116), (4, 4, 9)]
        assert stop.pc == CODE + 20


@pytest.mark.parametrize("access", [lw(A0, T0, 8), sw(A0, T0, 8)])
def test_exception_of_a_device_comes_through(tier: str, access: int) -> None:
    machine, _ = with_box(tier, access, LOOP)
    with machine:
        with pytest.raises(ZeroDivisionError, match="device"):
            machine.run(1000)
        assert machine.pc == CODE + 4
        machine.pc += 4
        assert machine.run(10).reason is StopReason.BUDGET


# -- memory and registers ---------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    with load(LOOP) as machine:
        yield machine.memory


def test_memory_by_index(memory: GuestMemory) -> None:
    memory[DATA] = 7
    memory[DATA + 1 : DATA + 3] = b"ab"
    assert memory[DATA] == 7
    assert memory[DATA : DATA + 4] == b"\x07ab\0"
    with pytest.raises(ValueError, match="2 bytes"):
        memory[DATA : DATA + 2] = b"abc"
    with pytest.raises(ValueError, match="slice"):
        _ = memory[DATA : DATA + 8 : 2]
    with pytest.raises(GuestMemoryError):
        _ = memory[-1]
    with pytest.raises(GuestMemoryError):
        _ = memory[1 << 32]


def test_memory_permissions(memory: GuestMemory) -> None:
    memory.map(0x3000_0000, 8192, Access.READ)
    memory.write(0x3000_0000, b"x")
    with pytest.raises(GuestMemoryError) as caught:
        memory.write(0x3000_0000, b"x", checked=True)
    assert caught.value.address == 0x3000_0000
    memory.protect(0x3000_0000, 4096, Access.NONE)
    assert memory.is_mapped(0x3000_0000, 8192)
    memory.protect(0x3000_0000, 4096, Access.READ)
    assert memory.read(0x3000_0000, 1) == b"x"
    memory.unmap(0x3000_0000, 4096)
    assert not memory.is_mapped(0x3000_0000, 8192)
    with pytest.raises(GuestMemoryError):
        memory.protect(0x3000_0000, 8192, Access.READ)


def test_code_written_from_outside_takes_effect(tier: str) -> None:
    with load(addi(T0, T0, 1), jump(-4), tier=tier) as machine:
        machine.run(1000)
        machine.memory.write(CODE, addi(T0, ZERO, 42).to_bytes(4, "little"))
        machine.run(4)
        assert machine.regs.t0 == 42


def test_registers() -> None:
    with load(LOOP) as machine:
        machine.regs.a0 = 5
        assert machine.regs["x10"] == machine.regs.a0 == 5
        machine.regs["a1"] = -1
        assert machine.regs.a1 == 0xFFFF_FFFF
        assert machine.regs.pc == machine.pc == CODE
        assert "x31" in list(machine.regs)
        with pytest.raises(ValueError, match="32 bits"):
            machine.regs.a0 = 1 << 32
        with pytest.raises(AttributeError, match="no register 'q7'"):
            _ = machine.regs.q7
        with pytest.raises(AttributeError):
            machine.regs.q7 = 1
        with pytest.raises(KeyError):
            _ = machine.regs["q7"]


# -- loading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": "toaster"}, "unknown machine 'toaster': choose one of auto, console, virt, user"),
        ({"wx": "none"}, "unknown W^X policy 'none'"),
        ({"tier": "warp"}, "unknown tier 'warp': choose one of auto, jit, interp"),
        ({"guest": "z80"}, "unknown guest 'z80'"),
        ({"cache_size": 1}, "code cache of 1 bytes"),
    ],
)
def test_unknown_names(options: dict[str, object], message: str) -> None:
    with pytest.raises(DynarecError) as caught:
        Machine.load(HELLO, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_program() -> None:
    with pytest.raises(BadProgram):
        Machine.load(b"not a program")


def test_without_code_memory_it_runs_interpreted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dynarec import loading

    def refuse(*_: object) -> None:
        raise DynarecError("no executable memory")

    monkeypatch.setattr(loading, "_translating_core", refuse)
    monkeypatch.delenv(loading.POLICY_VARIABLE, raising=False)
    with Machine.load(program(*exit_with(4))) as machine:
        assert machine.run().status == 4
        assert machine.stats().tier == "interp"
    assert capfd.readouterr().err == "dynarec: running interpreted: no executable memory\n"
    for options in ({"tier": "jit"}, {"wx": "dualmap"}):
        with pytest.raises(DynarecError, match="no executable memory"):
            Machine.load(program(LOOP), **options)  # type: ignore[arg-type]


def test_stats_of_a_translated_loop() -> None:
    with load(addi(T0, T0, 1), jump(-4), tier="jit") as machine:
        machine.run(10_000)
        stats = machine.stats()
        assert stats.instructions == 10_000
        assert stats.translated >= 1
        assert stats.run_seconds >= stats.translation_seconds > 0
        assert stats.policy != "none"


def test_small_cache_is_emptied_and_goes_on() -> None:
    with Machine.load(HELLO, tier="jit", cache_size=8192, stdout=open(os.devnull, "wb", 0)) as machine:
        assert machine.run().status == 0
        assert machine.stats().evictions > 0
        assert machine.stats().deaths["evicted"] > 0


def test_import_is_light() -> None:
    code = "import sys, dynarec; print([m for m in ('dynarec.engine', 'guest_isa') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_version() -> None:
    assert dynarec.__version__
