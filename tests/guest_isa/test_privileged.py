"""Machine mode as the manual has it: what the registers hold, who may name them, how traps are entered and left."""

from __future__ import annotations

import pytest

from dynarec.ir.builder import Builder
from dynarec.ir.evaluate import Left, Outcome, evaluate
from dynarec.ir.semantics import Semantics
from dynarec.ir.unit import Jump
from guest_isa.rv32 import GUEST
from guest_isa.rv32.csrs import CSRS, MISA, is_read_only
from guest_isa.rv32.operands import ECALL_FROM_M, ILLEGAL
from guest_isa.rv32.privileged import PRIVILEGED
from tests.reference import Reference, Region, Regions

CODE = 0x1000
MRET, WFI, ECALL = 0x3020_0073, 0x1050_0073, 0x0000_0073
ONES = 0xFFFF_FFFF
A0_TO_A1 = 10 << 15 | 11 << 7
CSRRW, CSRRS, CSRRC = 0x1073, 0x2073, 0x3073
NUMBERS = {csr.name: number for number, csr in CSRS.items()}
LINES = {"lines": 0}


def cpu(word: int, mode: int = 3, **registers: int) -> Reference:
    code = Region(CODE, 16)
    code.data[:4] = word.to_bytes(4, "little")
    made = Reference(GUEST, Regions(code), CODE, lambda name: LINES.get(name, 5))
    for name, value in (PRIVILEGED.reset | {"mode": mode} | registers).items():
        made[name] = value
    return made


def access(name: str, operation: int = CSRRW) -> int:
    return NUMBERS[name] << 20 | operation | A0_TO_A1


def read(name: str) -> int:
    return access(name, CSRRS) & ~(31 << 15)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("mstatus", 0x0002_1888), ("mie", 0x888), ("mtvec", 0xFFFF_FFFD), ("mcounteren", 7), ("mscratch", ONES),
        ("mepc", 0xFFFF_FFFE), ("mcause", ONES), ("mtval", ONES), ("misa", MISA), ("mip", 0),
        ("pmpcfg0", 0), ("pmpaddr0", 0), ("pmpaddr15", 0), ("mcountinhibit", 0), ("menvcfg", 0), ("mhpmevent3", 0),
        ("mhpmcounter31", 0), ("mhpmcounter3h", 0),
    ],
)  # fmt: skip
def test_what_a_register_holds_after_ones_are_written(name: str, after: int) -> None:
    made = cpu(access(name), a0=ONES)
    assert made.step().left is Left.JUMP
    made.pc = CODE
    made["a0"] = 0
    made.memory.store(CODE, 32, access(name, CSRRS))
    made.step()
    assert made["a1"] == after


@pytest.mark.parametrize("name", ["cycle", "instret"])
@pytest.mark.parametrize(("low", "high"), [(0, 0), (77, 3), (ONES, 0), (ONES, ONES)])
def test_a_counter_goes_on_from_what_is_written(name: str, low: int, high: int) -> None:
    retired = [ONES - 5]
    made = cpu(0)
    made.counter = lambda counter: retired[0]

    def step(word: int, value: int = 0) -> int:
        made.pc, made["a0"] = CODE, value
        made.memory.store(CODE, 32, word)
        assert made.step().left is Left.JUMP
        retired[0] += 1
        return made["a1"]

    step(access(f"m{name}h"), high)
    step(access(f"m{name}"), low)
    value = high << 32 | low
    for _ in range(8):
        assert step(read(f"m{name}")) == value & ONES
        assert step(read(f"{name}h")) == value + 1 >> 32 & ONES
        value += 2


def test_the_previous_mode_is_one_that_there_is() -> None:
    made = cpu(access("mstatus"), a0=1 << 11)
    made.step()
    assert made["mstatus"] == 0


def test_bits_are_set_and_cleared() -> None:
    made = cpu(access("mscratch", CSRRC), mscratch=0xFF, a0=0x0F)
    made.step()
    assert (made["mscratch"], made["a1"]) == (0xF0, 0xFF)
    made = cpu(access("mscratch", CSRRS), mscratch=0xF0, a0=0x0F)
    made.step()
    assert (made["mscratch"], made["a1"]) == (0xFF, 0xF0)


@pytest.mark.parametrize("number", [number for number in CSRS if is_read_only(number)], ids=hex)
def test_writes_of_what_cannot_be_written_are_illegal(number: int) -> None:
    word = number << 20 | CSRRW | A0_TO_A1
    assert cpu(word).step() == Outcome(Left.TRAP, CODE, 0, ILLEGAL, word)


@pytest.mark.parametrize("number", CSRS, ids=hex)
def test_user_mode_has_no_machine_register(number: int) -> None:
    word = number << 20 | CSRRS | 11 << 7
    outcome = cpu(word, mode=0, counters_off=0).step()
    assert outcome.left is (Left.TRAP if number >> 8 & 3 else Left.JUMP)
    assert outcome.left is not Left.TRAP or (outcome.cause, outcome.value) == (ILLEGAL, word)


@pytest.mark.parametrize(("mode", "off", "left"), [(3, 7, Left.JUMP), (0, 7, Left.TRAP), (0, 5, Left.JUMP)])
def test_counters_are_for_user_mode_when_mcounteren_says_so(mode: int, off: int, left: Left) -> None:
    assert cpu(read("time"), mode, counters_off=off).step().left is left


@pytest.mark.parametrize("word", [MRET, WFI], ids=["mret", "wfi"])
def test_machine_instructions_are_illegal_in_user_mode(word: int) -> None:
    assert cpu(word, mode=0).step() == Outcome(Left.TRAP, CODE, 0, ILLEGAL, word)


def test_a_call_from_machine_mode_has_its_own_cause() -> None:
    assert cpu(ECALL).step() == Outcome(Left.TRAP, CODE, 0, ECALL_FROM_M, 0)


@pytest.mark.parametrize(("before", "mode", "after"), [(0x1880, 3, 0x88), (0x80, 0, 0x88), (0x2_0000, 0, 0x80)])
def test_mret_goes_back(before: int, mode: int, after: int) -> None:
    made = cpu(MRET, mstatus=before, mepc=0x4000)
    assert made.step() == Outcome(Left.JUMP, 0x4000, 1)
    assert (made["mode"], made["mstatus"]) == (mode, after)


def enter(made: Reference, cause: int, value: int) -> None:
    builder = Builder(made.pc)
    builder.begin(made.pc, 0)
    PRIVILEGED.take_trap(builder, cause, value)
    builder.unit.terminal = builder.terminal or Jump(0)
    made.pc = evaluate(builder.unit, made.state, made.memory, made.counter).pc


@pytest.mark.parametrize(
    ("cause", "vector", "pc"),
    [(2, 0x8000, 0x8000), (2, 0x8001, 0x8000), (0x8000_0007, 0x8000, 0x8000), (0x8000_0007, 0x8001, 0x801C)],
)
def test_a_trap_enters_the_handler(cause: int, vector: int, pc: int) -> None:
    made = cpu(0, mode=0, mstatus=0x8, mtvec=vector)
    enter(made, cause, 77)
    assert (made.pc, made["mepc"], made["mcause"], made["mtval"]) == (pc, CODE, cause, 77)
    assert (made["mode"], made["mstatus"]) == (3, 0x80)


def pending(made: Reference) -> tuple[int, int]:
    builder = Builder(made.pc)
    builder.begin(made.pc, 0)
    b: Semantics = builder
    lines, cause = PRIVILEGED.pending(b)
    builder.set(GUEST.layout["a0"], lines)
    builder.set(GUEST.layout["a1"], cause)
    builder.unit.terminal = Jump(0)
    evaluate(builder.unit, made.state, made.memory, made.counter)
    return made["a0"], made["a1"] & 0x7FFF_FFFF


@pytest.mark.parametrize(
    ("up", "enabled", "status", "mode", "expected"),
    [
        (0x888, 0x888, 8, 3, 11), (0x088, 0x888, 8, 3, 3), (0x080, 0x888, 8, 3, 7), (0x888, 0x080, 8, 3, 7),
        (0x888, 0x888, 0, 3, 0), (0x888, 0x888, 0, 0, 11), (0x888, 0x000, 8, 0, 0),
    ],
)  # fmt: skip
def test_the_interrupt_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, up: int, enabled: int, status: int, mode: int, expected: int
) -> None:
    monkeypatch.setitem(LINES, "lines", up)
    lines, cause = pending(cpu(0, mode, mstatus=status, mie=enabled))
    assert bool(lines) == bool(expected)
    assert not expected or cause == expected
