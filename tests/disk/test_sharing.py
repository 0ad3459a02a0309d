"""One folder for several machines and processes, of bounded size; what the command line does with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dynarec.disk import cache, store
from dynarec.disk.folder import PARTIAL, PrivateFolder
from dynarec.disk.places import own_key
from dynarec.disk.store import make_room
from dynarec.disk.units_file import START
from tests.disk.runs import CODE, HOT, finish, load, loop, run
from tests.native import guests
from tests.native.guests import EXIT, asm

ROMS = Path(__file__).parents[2] / "roms"
QUEENS = ROMS / "bench" / "queens.elf"
HALVES = (loop(asm("addi", rd="a1", rs1="a1", imm=1)), loop(asm("addi", rd="a0", rs1="a0", imm=1)))
TWO = HALVES[0] + HALVES[1] + EXIT
PROCESSES = 3


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "dynarec", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def run_queens(tmp_path: Path, *options: str) -> dict[str, int]:
    """The statistics of a run by command, whose output is right."""
    done = command("run", QUEENS, "--tier", "jit", "--stats-json", tmp_path / "stats", *options, "--", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("queens ")
    stats: dict[str, int] = json.loads((tmp_path / "stats").read_text())
    return stats


# -- several at once ---------------------------------------------------------------------------------------------------


def test_two_machines_that_have_translated_different_parts(folder: Path) -> None:
    with load(TWO, hot=HOT) as first, load(TWO, hot=HOT) as second:
        first.run(until=guests.CODE + len(HALVES[0]))
        second.pc = guests.CODE + len(HALVES[0])
        finish(second)
        assert first.stats().translated
        assert second.stats().translated
    assert len(list(folder.iterdir())) == 1
    _, stats = run(TWO)
    assert stats.translated == 0


def test_a_file_that_is_gone_or_damaged_is_written_anew(folder: Path) -> None:
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"damaged")):
        run()
        with load(TWO, hot=HOT) as machine:
            machine.run(until=guests.CODE + len(HALVES[0]))
        for path in folder.iterdir():
            damage(path)
        with load(TWO, hot=HOT, tier="jit") as machine:
            finish(machine)
        assert run(TWO)[1].kept > 0


def test_processes_at_once(tmp_path: Path, folder: Path) -> None:
    folders = [tmp_path / str(number) for number in range(PROCESSES)]
    results: list[dict[str, int]] = []
    for each in folders:
        each.mkdir()
    threads = [threading.Thread(target=lambda path=each: results.append(run_queens(path))) for each in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == PROCESSES
    stats = run_queens(tmp_path)
    assert (stats["translated"], stats["kept"] > 0) == (0, True)
    assert [path.suffix for path in folder.iterdir()] == [".units"]


def test_the_key_is_made_once() -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(own_key())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == len(threads)
    assert len(set(keys)) == 1


def test_in_the_child_of_a_fork() -> None:
    cold, _ = run(disk_cache=False)
    with load(CODE, hot=HOT) as machine:
        machine.run(50)
        child = os.fork()
        if child == 0:
            os._exit(0 if finish(machine)[1:] == cold[1:] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert finish(machine)[1:] == cold[1:]
    assert run()[1].translated == 0


# -- its size ----------------------------------------------------------------------------------------------------------


def test_what_was_used_longest_ago_goes_first(folder: Path) -> None:
    with PrivateFolder(folder) as opened:
        for number, name in enumerate(("b", "a", "c", "d")):
            opened.write(f"{name}.units", bytes(100))
            os.utime(folder / f"{name}.units", (number, number))
        opened.write("other", bytes(1000))
        make_room(opened, 250)
        assert sorted(path.name for path in folder.iterdir()) == ["c.units", "d.units", "other"]
        make_room(opened, 100, beside="c.units")
        assert sorted(path.name for path in folder.iterdir()) == ["c.units", "other"]


def test_what_nobody_finished_is_removed(folder: Path) -> None:
    run()
    old, new = folder / f"{PARTIAL}old", folder / f"{PARTIAL}new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    run(TWO)
    assert not old.exists()
    assert new.exists()


def test_the_folder_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    (first,) = folder.iterdir()
    os.utime(first, (0, 0))
    monkeypatch.setattr(store, "MOST_FILES", first.stat().st_size + 1)
    run(TWO)
    (second,) = folder.iterdir()
    assert second != first


def test_a_program_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cold, _ = run()
    (file,) = folder.iterdir()
    size = file.stat().st_size
    file.unlink()
    monkeypatch.setattr(cache, "MOST_UNITS", size - START - 1)
    run()
    assert 0 < file.stat().st_size < size
    warm, stats = run()
    assert warm == cold
    assert stats.translated > 0


def test_a_use_counts(folder: Path) -> None:
    run()
    (file,) = folder.iterdir()
    os.utime(file, (0, 0))
    run()
    assert file.stat().st_mtime > 0


# -- the command line --------------------------------------------------------------------------------------------------


def test_run(tmp_path: Path, folder: Path) -> None:
    for options in (("--no-disk-cache",), ("--sync",)):
        assert run_queens(tmp_path, *options)["translated"] > 0
        assert not folder.exists()
    assert run_queens(tmp_path)["translated"] > 0
    assert run_queens(tmp_path)["translated"] == 0
    done = command("run", QUEENS, "--tier", "jit", "--stats", "--", "2")
    assert "of earlier runs: " in done.stderr


def test_a_program_that_does_little_does_not_pay_for_it(folder: Path) -> None:
    code = "import sys; from dynarec.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    words = [sys.executable, "-c", code, "run", str(ROMS / "hello.elf"), "--max-instructions", "100"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "dynarec.unit_source" in imported
    assert not imported & {"dynarec.disk.cache", "dynarec.disk.identity", "hashlib"}
    assert not folder.exists()


def test_doctor(tmp_path: Path, folder: Path) -> None:
    assert f"translations on disk: {folder}: nothing yet" in command("doctor").stdout
    run_queens(tmp_path)
    (file,) = folder.iterdir()
    size = file.stat().st_size
    assert f"translations on disk: {folder}: {size:,} bytes; files: 1\n" in command("doctor").stdout
    assert f"translations on disk: {folder}: 0 bytes; files: 0\n" in command("doctor", "--clear-cache").stdout
    assert run_queens(tmp_path)["kept"] == 0
