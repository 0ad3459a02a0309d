"""What the hints say of recordings made by hand, and of real ones."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from dynarec.engine import Machine
from dynarec.inspect.hints import DEATHS_FEW, LEAST_INSTRUCTIONS, MISSES_FEW, MOST, Hint, hints
from dynarec.inspect.model import Circumstances, Event, Recording
from dynarec.inspect.recorder import Recorder
from dynarec.loading import MAX_CACHE_SIZE
from tests.inspect.made import NOW, SECOND, cache, death, exit_, recording, unit
from tests.native.guests import CODE, DATA, asm, load, lui

CSRR = b"\xf3\x22\x00\xc0"
"""csrr t0, cycle"""


def only(made: Recording) -> Hint:
    (hint,) = hints(made)
    return hint


def test_nothing_is_said_without_data() -> None:
    assert hints(recording()) == []
    assert hints(recording(unit(1, 0x1000))) == []


def test_hot_functions_by_samples() -> None:
    units = [unit(serial, 0x1100 + 2 * serial, samples=20) for serial in (1, 2, 3)]
    hint = only(recording(*units, elsewhere={"python": 40}))
    assert hint.text == "60 % of the time is spent in 3 units of `draw_span`"
    assert hint.serials == (1, 2, 3)
    assert hints(recording(*units[:1], elsewhere={"python": 90})) == [], "a share below the threshold"


def test_hot_functions_by_instructions() -> None:
    made = recording(unit(1, 0x1100, instructions=LEAST_INSTRUCTIONS))
    assert only(made).text == "100 % of the instructions are executed in 1 unit of `draw_span`"
    assert hints(recording(unit(1, 0x1100, instructions=LEAST_INSTRUCTIONS - 1))) == []


def test_translation_that_takes_long() -> None:
    made = recording(unit(1, 0x1000, seconds=0.12))
    hint = only(made)
    assert hint.text == '12 % of the time goes into translation, most of it in "form"'
    assert hint.advice.endswith("choose --tier auto")
    assert (hint.weight, hint.severity) == (pytest.approx(0.12), "middle")
    assert hints(recording(unit(1, 0x1000, seconds=0.02))) == []
    assert only(replace(made, cache=cache(run_seconds=0.2))).severity == "high", "time that the machine did not run"


def test_units_that_are_executed_seldom() -> None:
    units = [unit(serial, 0x4000 + 2 * serial, rounds=1, seconds=0.001) for serial in range(1, 31)]
    hint = only(recording(*units))
    assert hint.text == "30 of 30 units were executed 2 times or less; 3 % of the time went into their translation"
    assert hints(recording(*(replace(each, rounds=3) for each in units))) == []
    assert hints(recording(*(replace(each, rounds=None) for each in units))) == []


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (recording(tier="interp"), "tier interp translates nothing"),
        (recording(), "its code is executed too rarely to be translated"),
        (recording(unit(1, 0x1010)), "it was executed before it was translated, or faulted"),
        (
            recording(unit(1, 0x1010, circumstances=Circumstances("x86_64", (), 64, left=(0x1010,)))),
            "it keeps reaching a device",
        ),
        (
            recording(unit(1, 0x1010, 2, source=CSRR, pcs=(0x1010,), exits=(exit_("interpret", 0, target=0x1010),))),
            "`rdcycle t0` is left to the interpreter",
        ),
    ],
)
def test_instructions_that_are_interpreted(made: Recording, why: str) -> None:
    hint = only(replace(made, interpreted={0x1010: 30_000, 0x1020: 10_000}, answered={0x1030: 60_000}))
    assert hint.text == f"40 % of the instructions are interpreted, most at main+0x10: {why}"
    assert hint.addresses == (0x1010,)


def test_few_interpreted_instructions() -> None:
    assert hints(recording(interpreted={0x1010: 5_000}, answered={0x1030: 95_000})) == []


def test_fences_in_a_loop() -> None:
    units = [
        unit(4 * turn + block, 0x1000 + 0x20 * block, died=death("fence.i", 0x1020, turn * SECOND // 60 + block, turn))
        for turn in range(60)
        for block in range(1, 5)
    ]
    hint = only(recording(*units))
    assert hint.text == "fence.i in a loop at main+0x20 kills 4 units 60 times a second"
    assert hint.addresses == (0x1020,)
    assert len(hint.serials) == 240
    assert hints(recording(*units[: DEATHS_FEW - 1])) == []


@pytest.mark.parametrize(
    ("reason", "pc", "end"),
    [
        ("store", 0x1040, "a store to its bytes, by the instruction at main+0x40"),
        ("store", 0, "a store to its bytes"),
        ("device", 0, "its accesses reach a device, or no longer do"),
        ("host-write", 0, "its bytes are written from outside"),
        ("flush", 0, "the cache is emptied"),
    ],
)
def test_units_that_die_and_come_back(reason: str, pc: int, end: str) -> None:
    units = [unit(serial, 0x1100, died=death(reason, pc), seconds=0.001) for serial in range(1, 31)]
    hint = only(recording(*units))
    assert hint.text == f"the unit at draw_span dies and comes back, 30 times: {end}"
    assert hint.weight == pytest.approx(0.03)
    assert hints(recording(*units[: DEATHS_FEW - 1])) == []


def test_a_cache_that_is_too_small() -> None:
    units = [unit(1, 0x1000, died=death("evicted")), unit(2, 0x1000)]
    hint = only(recording(*units, cache=cache(evictions=40)))
    assert hint.text == "the cache is too small: its 3 generations were evicted 40 times, 1 unit came back"
    assert hint.advice == "try --cache-size 4M"
    largest = replace(cache(evictions=40), size=MAX_CACHE_SIZE)
    assert only(recording(*units, cache=largest)).advice == "", "there is no larger one"
    assert hints(recording(units[0], cache=cache(evictions=40))) == [], "nothing came back"
    assert hints(recording(*units, cache=cache(evictions=1))) == []


@pytest.mark.parametrize(("reason", "name"), [("hook", "hooks"), ("breakpoint", "breakpoints")])
def test_hooks_that_come_and_go(reason: str, name: str) -> None:
    units = [unit(serial, 0x1000, died=death(reason)) for serial in range(1, DEATHS_FEW + 1)]
    assert only(recording(*units)).text == f"{name} that come and go have killed {DEATHS_FEW} units"


def test_units_that_are_cut_by_hooks() -> None:
    hooked = Circumstances("x86_64", (), 64, hooked=((0x4010, False),))
    units = (unit(1, 0x4000, instructions=900, circumstances=hooked), unit(2, 0x5000, instructions=1100))
    hint = only(recording(*units))
    assert hint.text == "1 unit with 45 % of the work is cut by hooks or breakpoints"
    assert hint.addresses == (0x4010,)


def test_pages_of_code_and_data() -> None:
    checked = Circumstances("x86_64", (), 64, checked=True)
    event = Event(NOW, "mixed", 0, 0, 0x4000)
    made = recording(unit(1, 0x4FFE, 2, circumstances=checked), unit(2, 0x5000, circumstances=checked), events=(event,))
    hint = only(made)
    assert hint.text == "page 0x4000 is code and data alike: its units compare their bytes whenever they are entered"
    assert (hint.serials, hint.addresses) == ((1,), (0x4000,))


def test_indirect_jumps_that_miss() -> None:
    jump = exit_("indirect", 3, taken=10_000, missed=8_000)
    hint = only(recording(unit(1, 0x1000, 3, exits=(jump,))))
    assert hint.text == "the indirect jump at 0x1004 (main+0x4) misses its cache 80 % of the time"
    assert hint.addresses == (0x1004,)
    for other in (replace(jump, taken=None), replace(jump, missed=MISSES_FEW - 1), replace(jump, missed=1_900)):
        assert hints(recording(unit(1, 0x1000, 3, exits=(other,)))) == []


def test_jumps_that_are_not_linked() -> None:
    jump = exit_("jump", 2, taken=5_000, target=0x9000, missed=5_000)
    hint = only(recording(unit(1, 0x1000, 2, exits=(jump,))))
    assert hint.text == "the jump at 0x1002 (main+0x2) to 0x9000 is not linked: it left the cache 5,000 times"
    assert hints(recording(unit(1, 0x1000, 2, exits=(replace(jump, linked=1),)))) == []


def test_a_code_region_that_is_written_often() -> None:
    events = tuple(Event(NOW, "batch", 0, 1, 600_000) for _ in range(100))
    assert (
        only(recording(events=events)).text
        == "6 % of the time goes into 100 writes to the code region (policy dualmap)"
    )
    assert hints(recording(events=events[:50])) == []


def test_the_weightiest_come_first_and_not_all_of_them() -> None:
    units = [
        unit(100 * block + turn, 0x4000 + 4 * block, died=death("store"), seconds=0.0001 * block)
        for block in range(1, 20)
        for turn in range(DEATHS_FEW)
    ]
    found = hints(recording(*units))
    assert len(found) == MOST
    assert [hint.weight for hint in found] == sorted((hint.weight for hint in found), reverse=True)
    assert found == hints(recording(*units))


POINTERS = lui("s2", CODE) + lui("s3", DATA)
SWAPPING = (
    asm("xori", rd="s3", rs1="s3", imm=4)
    + asm("lw", rd="t0", rs1="s3", imm=0)
    + asm("sw", rs1="s2", rs2="t0", imm=0x200)
)
"""Puts one of two instructions to CODE + 0x200."""


def changing(*between: bytes) -> Recording:
    """Of a program that changes a function of its own and calls it, for ever."""
    loop = SWAPPING + b"".join(between)
    start = CODE + len(POINTERS)
    loop += asm("jal", rd="ra", offset=CODE + 0x200 - start - len(loop))
    loop += asm("jal", rd=0, offset=-len(loop))
    with load(POINTERS + loop, tier="jit") as machine:
        machine.memory[DATA : DATA + 8] = asm("addi", rd="a0", rs1="zero", imm=1) + asm(
            "addi", rd="a0", rs1="zero", imm=2
        )
        machine.memory[CODE + 0x204 : CODE + 0x208] = asm("jalr", rd="zero", rs1="ra", imm=0)
        recorder = Recorder(machine, sampling=None)
        machine.run(1000)
        return recorder.record()


def test_a_program_that_changes_itself() -> None:
    texts = [hint.text for hint in hints(changing())]
    store = CODE + len(POINTERS) + 8
    (text,) = (text for text in texts if text.startswith(f"the unit at {store + 4:#010x} dies and comes back"))
    assert text.endswith(f"a store to its bytes, by the instruction at {store:#010x}")
    page = f"page {CODE:#x} is code and data alike: its units compare their bytes whenever they are entered"
    assert page in texts


def test_a_program_that_says_so() -> None:
    texts = [hint.text for hint in hints(changing(asm("fence.i")))]
    where = CODE + len(POINTERS) + len(SWAPPING)
    assert any(text.startswith(f"fence.i in a loop at {where:#010x} kills ") for text in texts), texts


def test_a_cache_of_a_small_machine() -> None:
    with Machine.load("roms/words.elf", tier="jit", stdout=io.BytesIO(), cache_size=1 << 12) as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run()
        found = hints(recorder.record())
    assert any(hint.text.startswith("the cache is too small: it was evicted ") for hint in found), found


def test_a_kernel_whose_first_page_is_code_and_data() -> None:
    with Machine.load("roms/kernel.elf", tier="jit", stdout=io.BytesIO(), seed=1) as machine:
        recorder = Recorder(machine)
        machine.run(3_000_000)
        found = hints(recorder.record())
    assert any(hint.text.startswith("page 0x80000000 is code and data alike") for hint in found), found
    assert all(0 < hint.weight <= 1 and hint.severity in ("high", "middle", "low") for hint in found)
