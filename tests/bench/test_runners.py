"""Who runs the benchmark programs: tiers, QEMU, Unicorn, and the memory that translations take."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from dynarec.bench import installs, memory, rivals, runners
from dynarec.bench.processes import run
from dynarec.bench.programs import BenchProgram, load_programs
from dynarec.core import policies, probe_policy
from dynarec.errors import DynarecError
from tests.bench.calls import BENCH, QUICK, Bench, failed, needs_compiler
from tests.machine.elf import Part, R, W, X, build

HELLO = BENCH.parent / "hello.elf"
CODE = 0x1_0000
EBREAK, JUMP_AWAY = 0x0010_0073, 0x0000_0067


def unicorn_run(*words: str | Path) -> tuple[int, str, str]:
    pytest.importorskip("unicorn", reason="needs unicorn")
    done = run([sys.executable, "-m", "dynarec.bench.unicorn_run", *words])
    return done.status, done.output.decode(), done.errors


def test_unicorn_runs_programs_of_machine_user() -> None:
    status, output, errors = unicorn_run(HELLO, "one", "two")
    assert (status, errors) == (0, "")
    assert output.endswith("argument 1: one\nargument 2: two\n")


@pytest.mark.parametrize("name", ["json", "tree"])
def test_unicorn_computes_what_programs_must(name: str) -> None:
    program = load_programs(BENCH, [name], "small")[0]
    assert unicorn_run(program.elf, str(program.rounds))[:2] == (0, program.output.decode())


@pytest.mark.parametrize("word", [EBREAK, JUMP_AWAY])
def test_what_unicorn_does_not_run(tmp_path: Path, word: int) -> None:
    path = tmp_path / "bad.elf"
    path.write_bytes(build([Part(CODE, word.to_bytes(4, "little"), flags=R | W | X)], entry=CODE))
    status, _, errors = unicorn_run(path)
    assert (status, errors.count("\n")) == (125, 1)
    assert "bad.elf: Unicorn cannot go on: " in errors


def test_tiers_have_columns(bench: Bench, tmp_path: Path) -> None:
    needs_compiler()
    path = tmp_path / "times.json"
    words = ("crc32", *QUICK, "--brief", "--tiers", "jit,interp", "--json", path)
    status, output, errors = bench(*words)
    assert (status, errors) == (0, "")
    assert re.search(r"^program +kind +native s +dynarec s +least +ratio +range +interp s +ratio", output, re.M)
    assert "python -m dynarec run PROGRAM.elf --no-disk-cache --tier jit -- ROUNDS" in output
    saved = json.loads(path.read_text())
    assert saved["tiers"] == ["jit", "interp"]
    assert len(saved["programs"][0]["interp"]["cpu"]) == 1


def test_bad_requests(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(bench("--tiers", "fast"), "unknown tier 'fast': choose from auto, jit, interp")
    failed(bench("--tiers", "jit,jit"), "a tier is named twice: jit,jit")
    failed(bench("--peers", "valgrind"), "unknown peer 'valgrind': choose from qemu, unicorn")
    monkeypatch.setattr(rivals, "find_qemu", lambda names: None)
    failed(bench("--peers", "qemu"), "the peer qemu is not installed: install qemu-riscv32-static, or leave it out")


def test_peers_that_are_not_wanted_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_compiler()
    assert not runners.find_field(HELLO, ("auto",), ()).unicorn
    monkeypatch.setattr(runners, "find_spec", lambda name: None)
    field = runners.find_field(HELLO, ("auto",), None)
    assert field.facts()["unicorn"] == "no columns: pip install unicorn"
    with pytest.raises(DynarecError, match="the peer unicorn is not installed: pip install unicorn, or leave it out"):
        runners.find_field(HELLO, ("auto",), ("unicorn",))


def test_every_policy_that_works_has_a_cost() -> None:
    working = {policy for policy in policies() if probe_policy(policy) is None}
    assert working
    assert installs.install_costs().keys() == working


def test_memory_of_translations() -> None:
    costs = memory.memory_costs(load_programs(BENCH, ["crc32", "vm"], "small"))
    assert costs.instructions > costs.units > 500
    assert costs.resident > costs.code > 4 * costs.instructions


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="not under a sanitizer, which has memory of its own")
def test_translations_take_no_more_memory_than_they_may() -> None:
    assert memory.memory_costs(load_programs(BENCH, ["crc32", "vm"], "small")).each < memory.MOST


def test_memory_of_no_program(tmp_path: Path) -> None:
    missing = BenchProgram("none", "", 1, tmp_path / "none.c", tmp_path / "none.elf", "")
    with pytest.raises(DynarecError, match="cannot measure the memory of translations: "):
        memory.memory_costs([missing])
