"""Results as a picture: bars by program, one for each who ran it, or for each host."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dynarec.bench.results_file import COUNTS, Results
from dynarec.bench.runners import DYNAREC, NATIVE
from dynarec.bench.tables import NAMES
from dynarec.errors import DynarecError

LIBRARY = "matplotlib"
SEED = "dynarec"
"""Of the names inside of an SVG: the same results give the same file."""
ROW_INCHES, WIDTH_INCHES, MARGIN_INCHES = 0.36, 8.0, 1.4
BARS = 0.8
"""Of the room that a program has."""

Series = dict[str, list[float]]


def check_installed() -> None:
    """Raises DynarecError without the library that draws."""
    if find_spec(LIBRARY) is None:
        raise DynarecError(f"a plot needs {LIBRARY}: pip install 'dynarec[plot]'")


def draw(results: Results, path: Path) -> None:
    """Write a picture; the end of the file's name says of which kind. Raises DynarecError when that cannot be done."""
    check_installed()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [subject.name for subject in results.subjects]
    series = _counts(results) if results.kind == COUNTS else _times(results)
    with matplotlib.rc_context({"svg.hashsalt": SEED, "svg.fonttype": "none"}):
        figure = Figure(figsize=(WIDTH_INCHES, MARGIN_INCHES + ROW_INCHES * len(names)), layout="constrained")
        FigureCanvasAgg(figure)
        _fill(figure.subplots(), names, series, results)
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except (OSError, ValueError) as error:
            raise DynarecError(f"cannot write the picture {path}: {error}: choose another place") from error


def _times(results: Results) -> Series:
    whos = [who for who in results.timings[0].runs if who != NATIVE]
    return {who: [timing.slowdown(who, "cpu") for timing in results.timings] for who in whos}


def _counts(results: Results) -> Series:
    hosts = results.counted[0].counts
    return {host: [counted.counts[host].ratio for counted in results.counted] for host in hosts}


def _fill(axes: Any, names: Sequence[str], series: Series, results: Results) -> None:
    height = BARS / len(series)
    for number, (name, values) in enumerate(series.items()):
        places = [at + (number - (len(series) - 1) / 2) * height for at in range(len(names))]
        spread = _spread(results, values) if name == DYNAREC else None
        axes.barh(places, values, height, label=NAMES.get(name, name), xerr=spread)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.figure.legend(loc="outside upper center", ncols=len(series), frameon=False)
    if results.kind == COUNTS:
        axes.set_xlabel("host instructions for each guest instruction")
        return
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("processor time, as a multiple of that of native code (logarithmic; less is better)")


def _spread(results: Results, medians: Sequence[float]) -> list[list[float]]:
    """How far the rounds reach below and above the medians."""
    ratios = [timing.slowdowns(DYNAREC, "cpu") for timing in results.timings]
    below = [middle - min(each) for middle, each in zip(medians, ratios, strict=True)]
    return [below, [max(each) - middle for middle, each in zip(medians, ratios, strict=True)]]
