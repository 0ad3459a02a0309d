"""What x86-64 lacks: nothing of the IR."""

from __future__ import annotations

from dynarec.ir.unit import Unit


def lower(unit: Unit) -> None:
    """Every op has an instruction, or a short sequence that the emitter knows."""
