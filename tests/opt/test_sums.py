"""Sums that are skipped, and those that are needed."""

from __future__ import annotations

import pytest

from dynarec.ir.ops import NEAR
from dynarec.ir.text import format_unit, parse_unit
from dynarec.opt.sums import sums
from tests.ir.units import LAYOUT

HEAD = "unit 0x10000:\n  ; 0x10000 4\n  %0 = get r0\n"


def after(body: str) -> str:
    unit = parse_unit(HEAD + body + "  jump 0x20\n", LAYOUT)
    sums(unit)
    return format_unit(unit).removeprefix(HEAD).removesuffix("  jump 0x20\n")


def test_a_pointer_that_is_stepped_is_one_value() -> None:
    assert after(
        "  %1 = add %0, 0x4\n  %2 = load32 %1, 0x8 [r0 = %1]\n  %3 = add %1, 0x4\n"
        "  store32_if 0x1, %3, 0xfffffffc, %2 [r0 = %3]\n  %4 = add %3, 0xfffffff8\n  set r0, %4\n"
    ) == (
        "  %1 = add %0, 0x4\n  %2 = load32 %0, 0xc [r0 = %1]\n  %3 = add %0, 0x8\n"
        "  store32_if 0x1, %0, 0x4, %2 [r0 = %3]\n  %4 = add %0, 0x0\n  set r0, %4\n"
    )


@pytest.mark.parametrize(
    "use",
    [
        "set r1, %1", "%2 = add %0, %1", "%2 = mul %1, %0", "store32 %0, 0x0, %1", "exit_if 0x1, jump_to %1",
        "store32_if 0x1, %0, 0x0, %1",
    ],
)  # fmt: skip
def test_what_is_needed_is_used(use: str) -> None:
    body = f"  %1 = add %0, 0x4\n  {use}\n  store32 %1, 0x8, 0x0\n"
    assert after(body) == body


@pytest.mark.parametrize(("distance", "skips"), [(NEAR, True), (NEAR + 1, False), (-NEAR, True), (-NEAR - 1, False)])
def test_what_is_far_away_is_computed(distance: int, skips: bool) -> None:
    found = after(f"  %1 = add %0, {distance & 0xFFFF_FFFF:#x}\n  store32 %1, 0x0, 0x0\n")
    assert ("store32 %0" in found) == skips
