"""A recorded run follows what the interpreter counted, as any other does; and a recording has the same traces again."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dynarec.bench.programs import load_programs
from dynarec.engine import Machine
from dynarec.inspect.code import UnitCode
from dynarec.inspect.recorder import Recorder
from dynarec.translate import Translation, Translator

Traces = Counter[tuple[int, ...]]
"""Addresses of the instructions of what was translated."""


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> Traces:
    """What the translator makes."""
    made: Traces = Counter()
    translate = Translator.translate

    def noted(translator: Translator, *args: Any, **options: Any) -> Translation:
        translation = translate(translator, *args, **options)
        made[tuple(insn.pc for insn in translation.unit.insns)] += 1
        return translation

    monkeypatch.setattr(Translator, "translate", noted)
    return made


def load(name: str) -> Machine:
    (program,) = load_programs(Path("roms/bench"), [name], "small")
    args = [str(program.rounds)]
    return Machine.load(program.elf, args=args, stdin=io.BytesIO(), stdout=io.BytesIO(), hot=50, sync=True)


@pytest.mark.parametrize("name", ["queens", "quicksort"])
def test_a_recorded_run_has_the_traces_of_any_run(name: str, translated: Traces) -> None:
    with load(name) as machine:
        machine.run()
        guest, expected = machine.guest, Counter(translated)
    translated.clear()
    with load(name) as machine:
        recorder = Recorder(machine, sampling=None)
        machine.run()
        units = recorder.record().units
    assert translated == expected
    assert not all(unit.circumstances.repeats for unit in units)
    assert all(UnitCode(unit, guest).is_reproduced for unit in units)
