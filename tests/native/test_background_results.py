"""What a guest does is the same whether it waits for translations or not."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from dynarec.engine import Machine, StopReason
from tests.native.guests import CODE, registers
from tests.native.test_background import run_until
from tests.native.test_self_modifying import load_pair, random_program

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 20_000
PAUSE = 0.001
"""Seconds between two looks whether the translator has begun all that it was asked for."""
WAITED_FOR = 4
"""Programs that are run waiting for translations too, which is slow where each round overwrites what was translated."""


@pytest.mark.parametrize("seed", range(12))
def test_programs_that_overwrite_themselves(seed: int) -> None:
    code, data = random_program(random.Random(seed))
    with load_pair(code, data, sync=False, hot=1) as machine:
        for _ in range(4):
            assert machine.run(CHUNK).reason is StopReason.BUDGET
        run_until(machine, lambda: machine.stats().translated > 0)
        found = registers(machine), machine.memory[CODE : CODE + 4096]
        instructions = machine.instructions
    others: list[dict[str, object]] = [{"tier": "interp"}]
    others += [{"sync": True, "hot": 1}] if seed < WAITED_FOR else []
    for options in others:
        with load_pair(code, data, **options) as machine:
            machine.run(instructions)
            assert (registers(machine), machine.memory[CODE : CODE + 4096]) == found, (seed, options)


@pytest.mark.parametrize("cache_size", [1 << 14, 1 << 24])
@pytest.mark.parametrize("name", ["json", "lz", "vm"])
def test_roms(name: str, cache_size: int, tmp_path: Path) -> None:
    results = []
    for sync in (False, True):
        with (tmp_path / f"{sync}").open("wb", 0) as stream:
            rom = ROOT / "roms" / "bench" / f"{name}.elf"
            with Machine.load(rom, args=["2"], sync=sync, hot=4, cache_size=cache_size, stdout=stream) as machine:
                while machine.exit_status is None:
                    machine.run(CHUNK)
                    while machine.core.wanted:
                        time.sleep(PAUSE)
                results.append((machine.exit_status, machine.instructions, (tmp_path / f"{sync}").read_bytes()))
                assert machine.stats().translated > 0
    assert results[0] == results[1]
