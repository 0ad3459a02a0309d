"""The corpus of each fuzz target passes it, without a fuzzer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import INSTALL, MISSING
from tests.fuzz.oracle import BadMessageError, bounded_memory, check_line, may_refuse
from tests.fuzz.targets import CORPUS, MODULES, find_target

ROOT = Path(__file__).parent.parent.parent
MOST_BYTES = 40_000
INPUTS = [(name, path) for name in MODULES for path in find_target(name).inputs()]


@pytest.mark.parametrize(("name", "path"), INPUTS, ids=lambda each: each.name if isinstance(each, Path) else each)
def test_input(name: str, path: Path) -> None:
    find_target(name).check(path.read_bytes())


def test_every_target_has_a_small_corpus() -> None:
    assert sorted(folder.name for folder in CORPUS.iterdir()) == sorted(MODULES)
    assert all(path.stat().st_size <= find_target(name).max_size for name, path in INPUTS)
    assert sum(path.stat().st_size for _, path in INPUTS) <= MOST_BYTES


def test_the_oracles_find_what_they_look_for() -> None:
    with may_refuse(), pytest.raises(ValueError, match="another"):
        raise ValueError("another")
    for text in ("", "two\nlines", "\x1b[31m"):
        with pytest.raises(BadMessageError):
            check_line(text)
    with pytest.raises(MemoryError), bounded_memory(1):
        bytearray(1 << 25)


@pytest.mark.parametrize("name", [name for name in MODULES if find_target(name).mutate is not None])
def test_mutations(name: str) -> None:
    """They fit, and pass; the same seed gives the same."""
    target = find_target(name)
    assert target.mutate is not None
    for data in (b"", *(path.read_bytes() for path in target.inputs())):
        for seed in range(5):
            made = target.mutate(data, target.max_size, seed)
            assert made == target.mutate(data, target.max_size, seed)
            assert len(made) <= target.max_size
        target.check(made)


def run_command(*args: object) -> subprocess.CompletedProcess[str]:
    """As where atheris is not installed."""
    code = "import runpy, sys; sys.modules['atheris'] = None; runpy.run_module('tests.fuzz', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_one_input_by_command() -> None:
    name, path = INPUTS[0]
    assert run_command(name, path).returncode == 0


def test_without_the_fuzzer() -> None:
    done = run_command(INPUTS[0][0])
    assert done.returncode == MISSING
    assert done.stderr == INSTALL + "\n"
