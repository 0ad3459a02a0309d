"""The interpreter that is printed as C: complete, the same every time, and strict about the order of effects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from dynarec.ir.semantics import Semantics
from guest_isa import bundled_guests
from guest_isa.c_decoder import handler_name
from guest_isa.c_printer import CPrinter
from guest_isa.guest import Guest
from guest_isa.interpreter import generate, generate_registry
from guest_isa.rv32 import GUEST
from guest_isa.rv32.operands import LAYOUT
from guest_isa.threaded import DoesNotFitError, ThreadedPrinter

A0 = LAYOUT["a0"]
LENGTH = 4


@pytest.mark.parametrize("guest", bundled_guests(), ids=lambda guest: guest.name)
def test_every_instruction_is_there(guest: Guest) -> None:
    source = generate(guest)
    missing = [spec.name for spec in guest.isa if f"/* {spec.name} */" not in source]
    assert not missing
    assert source.count("/* ") - 1 == len(guest.isa.specs)
    assert source.count("{") == source.count("}")
    assert generate(guest) == source


def test_the_registry_names_every_guest() -> None:
    registry = generate_registry(bundled_guests())
    assert all(f"return &dr_guest_{guest.name};" in registry for guest in bundled_guests())


Meaning = Callable[[Semantics], object]


@pytest.mark.parametrize(
    "late",
    [
        lambda b: b.load8u(0),
        lambda b: b.load32(0),
        lambda b: b.store16(0, 1),
        lambda b: b.store32_if(b.eq(0, 0), 0, 1),
        lambda b: b.trap_if(b.eq(0, 0), 2, 0),
    ],
    ids=["load8u", "load32", "store16", "store32_if", "trap_if"],
)
def test_what_may_fail_after_a_set_is_refused(late: Meaning) -> None:
    printer = CPrinter(GUEST, LENGTH)
    late(printer)
    printer.set(A0, 1)
    with pytest.raises(ValueError, match="comes after a set"):
        late(printer)


def test_a_read_is_a_copy() -> None:
    printer = CPrinter(GUEST, LENGTH)
    old = printer.get(A0)
    printer.set(A0, 1)
    printer.set(LAYOUT["a1"], old)
    assert printer.finish()[:3] == ["uint32_t v0 = state[10];", "state[10] = 0x1u;", "state[11] = v0;"]


def test_what_translations_contain_is_in_the_threaded_loop() -> None:
    source = generate(GUEST)
    for spec in GUEST.isa:
        name = handler_name(spec)
        assert (f"\nIN_{name}: {{" in source) == (not spec.interpreted)


def test_what_needs_its_own_word_is_called() -> None:
    spec = next(spec for spec in GUEST.isa if spec.name == "lui")
    trapping = dataclasses.replace(spec, meaning=lambda b, rd, upper: b.trap(2, b.encoding))
    with pytest.raises(DoesNotFitError):
        ThreadedPrinter(GUEST, trapping).run()


def test_registers_that_are_never_written_have_a_word_to_write() -> None:
    spec = next(spec for spec in GUEST.isa if spec.name == "c.addi")
    printer = ThreadedPrinter(GUEST, spec)
    printer.run()
    assert "to->slots[0] = (uint8_t)(rd);" in printer.decoding
    assert "to->slots[1] = (uint8_t)((rd) == 0 ? DR_SINK_WORD : (rd));" in printer.decoding
    assert printer.lines[-2:] == ["state[insn->slots[1]] = v1;", "DR_NEXT(2, DR_STEPPED);"]
