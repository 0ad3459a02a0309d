"""Which state writes are deferred, and to where."""

from __future__ import annotations

import pytest

from dynarec.ir.text import format_unit, parse_unit
from dynarec.ir.verify import verify
from dynarec.opt.defer_sets import defer_sets
from tests.ir.units import LAYOUT

HEAD = "unit 0x10000:\n  ; 0x10000 4\n"
EXAMPLES = {
    "a constant and a value go to exits and accesses": (
        """\
  %0 = get r0
  set r1, 0x11
  set r2, %0
  exit_if %1, jump 0x40
  %2 = load32 %0, 0x0
  set r1, 0x22
  store32 %0, 0x4, %2
  set r2, %2
  set r1, %2
  jump 0x20
""",
        """\
  %0 = get r0
  exit_if %1, jump 0x40 [r1 = 0x11, r2 = %0]
  %2 = load32 %0, 0x0 [r1 = 0x11, r2 = %0]
  store32 %0, 0x4, %2 [r1 = 0x22, r2 = %0]
  set r2, %2
  set r1, %2
  jump 0x20
""",
    ),
    "what is read in between is written": (
        "  set r1, 0x11\n  %0 = get r1\n  store32 %0, 0x0, %0\n  set r1, 0x22\n  jump 0x20\n",
        "  set r1, 0x11\n  %0 = get r1\n  store32 %0, 0x0, %0\n  set r1, 0x22\n  jump 0x20\n",
    ),
    "what nobody sees goes": (
        "  set r1, 0x11\n  set r1, 0x22\n  jump 0x20\n",
        "  set r1, 0x22\n  jump 0x20\n",
    ),
    "what becomes again what it was is not written at the end": (
        "  %0 = get r1\n  set r1, 0x11\n  store32 0x0, 0x0, %0\n  set r1, %0\n  store32 0x0, 0x0, 0x1\n  jump 0x20\n",
        "  %0 = get r1\n  store32 0x0, 0x0, %0 [r1 = 0x11]\n  store32 0x0, 0x0, 0x1\n  jump 0x20\n",
    ),
    "each round of a loop ends with the state as it is": (
        "  %0 = get r1\n  set r1, 0x11\n  store32 %0, 0x0, %0\n  jump 0x10000\n",
        "  %0 = get r1\n  set r1, 0x11\n  store32 %0, 0x0, %0\n  jump 0x10000\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples(before: str, after: str) -> None:
    condition = ("%0 = get r0\n", "%0 = get r0\n  %1 = eq %0, 0x1\n")
    unit = parse_unit(HEAD + before.replace(*condition), LAYOUT)
    defer_sets(unit)
    verify(unit, LAYOUT)
    assert format_unit(unit) == HEAD + after.replace(*condition)


def test_what_is_deferred_already_comes_later() -> None:
    body = "  set r1, 0x11\n  store32 0x0, 0x0, 0x1 [r1 = 0x12]\n  set r1, 0x13\n  jump 0x20\n"
    unit = parse_unit(HEAD + body, LAYOUT)
    defer_sets(unit)
    assert format_unit(unit) == HEAD + "  store32 0x0, 0x0, 0x1 [r1 = 0x12]\n  set r1, 0x13\n  jump 0x20\n"
