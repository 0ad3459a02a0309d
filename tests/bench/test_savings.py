"""`dynarec bench --counts --without`: what is executed when passes and features are left out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from dynarec.bench import counts, results_file
from dynarec.bench.processes import Run
from dynarec.bench.savings import doc
from dynarec.emulated import EmulatedMachine
from dynarec.emulated.machine import profiled
from dynarec.features import ALL, NAMES
from dynarec.machine.base import Exited, Hardware, Options
from tests.bench import page
from tests.bench.calls import BENCH, Bench, failed
from tests.bench.recorded import recorded

PROGRAMS = ("queens", "bignum")


class Emulation:
    """Stands in for the process of dynarec.bench.emulation: each thing that is left out costs what its place says."""

    def __call__(self, command: Sequence[str | Path]) -> Run:
        words = [str(word) for word in command]
        result = next(at for at, word in enumerate(words) if word.endswith(".json"))
        host = 300 + sum(1 + NAMES.index(name) for name in words[result + 1 :])
        Path(words[result]).write_text(json.dumps({"guest": 100, "host": host}))
        return Run(0, b"crc32 0fa35b7f\n", "", 1.0, 1.0)


def test_some_are_left_out(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "run", Emulation())
    status, output, _ = bench("--counts", "--bench-dir", folder, "--without", "fold", "--without", "forward", "edges")
    assert status == 0
    assert "--without fold forward edges" in output
    assert f"geometric mean {(300 + 2 + 1 + len(NAMES)) / 100:.3f}" in output


def test_all_are_left_out_in_turn(bench: Bench, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "run", Emulation())
    path = tmp_path / "without.json"
    status, output, errors = bench("--counts", "--bench-dir", folder, "--without", "all", "--json", path)
    assert (status, errors) == (0, "")
    for place, name in enumerate(NAMES, 1):
        ratio, more = f"{3 + place / 100:.3f}", re.escape(f"{place / 3:+.1f} %")
        assert re.search(rf"^{name} +{ratio} +{more} +{ratio} +{more}$", output, re.M)
    again = bench("--from", path)[1]
    assert again.split("\n\n", 1)[1] == output.split("\n\n", 1)[1]
    assert [each.name for each in results_file.read(path).savings] == list(NAMES)


def test_what_cannot_be_left_out(bench: Bench) -> None:
    failed(bench("--counts", "--without", "magic"), "unknown pass 'magic': choose from forward, fold, ")
    failed(bench("--counts", "--without", "fold", "all"), "unknown pass 'all'")
    failed(bench("--without", "fold"), "--without is for counts: add --counts")


def executed(name: str, *without: str) -> int:
    """Host instructions of a short run of a program, which does what it always does."""
    streams = [io.BytesIO() for _ in range(3)]
    options = Options(["1"], {}, None, *streams, None, Hardware())
    with profiled(BENCH / f"{name}.elf", ["1"]) as guide:
        machine = EmulatedMachine.load(
            BENCH / f"{name}.elf", "x86_64", options=options, without=without, guide=guide, count_instructions=True
        )
        assert machine.run() == Exited(0)
    assert streams[1].getvalue().startswith(name.encode())
    return machine.cpu.executed


def test_each_changes_what_is_executed() -> None:
    whole = {name: executed(name) for name in PROGRAMS}
    for left_out in NAMES:
        assert any(executed(name, left_out) != whole[name] for name in PROGRAMS), left_out
    assert all(executed(name, *NAMES) > whole[name] for name in PROGRAMS)


def test_each_is_documented() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(doc(each.name) == each.doc != "" for each in ALL)


def test_the_page_has_them() -> None:
    text = page.PAGE.read_text()
    saved = results_file.read(page.WITHOUT)
    names = [each.name for each in saved.savings]
    assert names == [each.name for each in ALL], "python -m tests.bench.page tells how to count them anew"
    assert [each.program for each in saved.counted] == [each.program for each in recorded().counted]
    assert f"`{saved.command}`" in text
    assert all(f"| `{name}` | {doc(name)} |" in text for name in names)
