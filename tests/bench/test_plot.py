"""`dynarec bench --plot`, and the page that is made from a saved run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynarec.bench import plot, results_file
from dynarec.bench.timing import mean_slowdowns
from tests.bench import page
from tests.bench.calls import Bench, failed
from tests.bench.recorded import recorded
from tests.bench.test_compare import counts, saved, spread, times


def needs_matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")


def test_the_same_results_give_the_same_picture(bench: Bench, tmp_path: Path) -> None:
    needs_matplotlib()
    path, pictures = saved(tmp_path, "times", times(aes=spread(2.0), vm=spread(3.0))), []
    for name in ("a.svg", "b.svg"):
        assert bench("--from", path, "--plot", tmp_path / name)[0] == 0
        pictures.append((tmp_path / name).read_text())
    assert pictures[0] == pictures[1]
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", pictures[0])
    assert {"aes", "vm", "dynarec"} <= set(texts)


def test_counts_have_a_bar_for_each_host(bench: Bench, tmp_path: Path) -> None:
    needs_matplotlib()
    path = saved(tmp_path, "counts", counts(aes=150))
    assert bench("--from", path, "--plot", tmp_path / "counts.svg")[0] == 0
    assert "host instructions for each guest instruction" in (tmp_path / "counts.svg").read_text()


def test_pictures_that_cannot_be(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_matplotlib()
    path = saved(tmp_path, "times", times(aes=spread(2.0)))
    failed(bench("--from", path, "--plot", "/nonexistent/x.svg"), "cannot write the results /nonexistent/x.svg")
    failed(bench("--from", path, "--plot", tmp_path / "x.mp3"), "cannot write the picture ")
    monkeypatch.setattr(plot, "LIBRARY", "no_such_library")
    failed(bench("--plot", tmp_path / "x.svg"), "a plot needs no_such_library: pip install 'dynarec[plot]'")


def test_page(tmp_path: Path) -> None:
    results = results_file.read(saved(tmp_path, "times", times(aes=spread(2.0), vm=spread(8.0))))
    text = page.page(results, recorded(), results_file.read(page.WITHOUT))
    assert "| `aes` |  | 1.00 | 2.00 | 1.96 | **2.00** | 1.96 to 2.04 | 100.0 | 0 |\n" in text
    assert "- geometric means of 2 programs, processor time: dynarec 4.00 x native\n" in text
    assert all(f"| `{each.program.name}` |" in text for each in recorded().counted)
    assert "| cpu | a 6502 |\n" in text


def test_the_page_is_what_it_is_made_from() -> None:
    without = results_file.read(page.WITHOUT)
    assert page.PAGE.read_text() == page.page(results_file.read(page.TIMES), recorded(), without), (
        "python -m tests.bench.page"
    )
    assert page.PICTURE.exists()


def test_the_readme_says_what_the_page_says() -> None:
    means = mean_slowdowns(results_file.read(page.TIMES).timings, "cpu").slowdowns
    told = " ".join((page.FOLDER.parents[1] / "README.md").read_text().split())
    assert f"dynarec takes **{means['dynarec']:.2f}** times as long as native code" in told
    assert f"QEMU's user mode emulator {means['qemu']:.2f} times" in told
