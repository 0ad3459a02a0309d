"""`python -m tests.bench.page [TIMES.json]`: make the page about speed, from a saved run of `dynarec bench`.

Writes tests/bench/README.md and tests/bench/speed.svg, from tests/bench/counts.json, tests/bench/without.json and
tests/bench/times.json, which the run that is given becomes.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynarec.bench import plot, results_file
from dynarec.bench.counts import Counted, mean_ratios
from dynarec.bench.results_file import Results
from dynarec.bench.runners import DYNAREC, NATIVE
from dynarec.bench.savings import doc, geometric_means
from dynarec.bench.tables import NAMES, TIMING_LEGEND, means_text
from dynarec.bench.timing import Timing, mean_slowdowns
from tests.bench.recorded import COUNTS

FOLDER = Path(__file__).parent
PAGE, PICTURE, TIMES = FOLDER / "README.md", FOLDER / "speed.svg", FOLDER / "times.json"
WITHOUT = FOLDER / "without.json"
TEXT = """\
# How fast it is

Made by `python -m tests.bench.page` from [times.json](times.json), which `{command}` has written.

![Processor time of each program, as a multiple of that of native code]({picture})

{machine}

{times}

{legend}

{means}

{lines}## Host instructions

Executed host instructions for each guest instruction, counted exactly by emulation (`dynarec bench --counts`). They are
the same on every computer, so tests compare them with what is recorded in [counts.json](counts.json):
`python -m tests.bench` does so for all programs, and `python -m tests.bench --update` records them anew.

{counts}

## What each pass buys

Host instructions for each guest instruction with one pass, or one thing that traces, emitters and links do, left out;
geometric means of all programs, from [without.json](without.json), which `{without_command}` has written.

{savings}

## Commands

    dynarec bench --json new.json --plot new.svg            # all programs, five rounds
    dynarec bench crc32 vm --tiers auto,jit,interp          # the tiers beside each other
    dynarec bench --compare old.json --fail-over 3          # status 1 if a program has become more than 3 % slower
    dynarec bench --from new.json --compare old.json        # without measuring again
    dynarec bench --counts --compare tests/bench/counts.json --fail-over 1
    dynarec bench --counts --without all --json tests/bench/without.json
    python -m tests.bench.page new.json                     # this page, from another run
"""


def page(times: Results, counts: Results, without: Results) -> str:
    """The page, in Markdown."""
    return TEXT.format(
        command=times.command,
        picture=PICTURE.name,
        machine=_table(("", ""), "--", times.computer.items()),
        times=_times(times),
        legend=_paragraphs(TIMING_LEGEND.splitlines()),
        means=_paragraphs(means_text(mean_slowdowns(times.timings, clock)) for clock in ("cpu", "wall")),
        lines=f"## Beside the programs\n\n{_paragraphs(times.lines)}\n\n" if times.lines else "",
        counts=_counts(counts.counted),
        without_command=without.command,
        savings=_savings(without),
    )


def _times(results: Results) -> str:
    others = [who for who in results.timings[0].runs if who not in (NATIVE, DYNAREC)]
    heads = ["program", "what it does", "native s", "dynarec s", "least", "ratio", "range"]
    heads += [head for who in others for head in (f"{NAMES.get(who, who)} s", "ratio")]
    heads += ["us/insn", "MIPS"]
    return _table(heads, "--" + ":" * (len(heads) - 2), (_times_row(timing, others) for timing in results.timings))


def _times_row(timing: Timing, others: Sequence[str]) -> list[str]:
    dynarec, ratios = timing.runs[DYNAREC], timing.slowdowns(DYNAREC, "cpu")
    cells = [f"`{timing.program.name}`", timing.program.kind, f"{timing.runs[NATIVE].median('cpu'):.2f}"]
    cells += [f"{dynarec.median('cpu'):.2f}", f"{min(dynarec.cpu):.2f}", f"**{timing.slowdown(DYNAREC, 'cpu'):.2f}**"]
    cells.append(f"{min(ratios):.2f} to {max(ratios):.2f}")
    for who in others:
        cells += [f"{timing.runs[who].median('cpu'):.2f}", f"{timing.slowdown(who, 'cpu'):.2f}"]
    return [*cells, f"{timing.work.translation_micros:.1f}", f"{timing.mips:,.0f}"]


def _counts(counted: Sequence[Counted]) -> str:
    hosts = list(counted[0].counts)
    rows = [[f"`{each.program.name}`", *(f"{each.counts[host].ratio:.3f}" for host in hosts)] for each in counted]
    means = [mean_ratios(counted, host) for host in hosts]
    rows.append(["**arithmetic mean**", *(f"**{mean.arithmetic:.3f}**" for mean in means)])
    rows.append(["**geometric mean**", *(f"**{mean.geometric:.3f}**" for mean in means)])
    return _table(["program", *hosts], "-" + ":" * len(hosts), rows)


def _savings(results: Results) -> str:
    whole = geometric_means(results.counted)
    rows = [["nothing", "", *(text for mean in whole.values() for text in (f"{mean:.3f}", ""))]]
    for each in results.savings:
        pairs = ((f"{each.means[host]:.3f}", f"{each.more(host, whole):+.1f} %") for host in whole)
        rows.append([f"`{each.name}`", doc(each.name), *(text for pair in pairs for text in pair)])
    heads = ["without", "what it does", *(text for host in whole for text in (host, "more"))]
    return _table(heads, "--" + ":" * 2 * len(whole), rows)


def _table(heads: Sequence[str], sides: str, rows: Iterable[Iterable[str]]) -> str:
    """sides: for each column, "-" for text and ":" for numbers."""
    marks = ["---" if side == "-" else "--:" for side in sides]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def _paragraphs(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def make() -> None:
    """Write page and picture."""
    times = results_file.read(TIMES)
    plot.draw(times, PICTURE)
    PAGE.write_text(page(times, results_file.read(COUNTS), results_file.read(WITHOUT)))


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "times", nargs="?", type=Path, metavar="TIMES.json", help="a run to keep, of dynarec bench --json"
    )
    given = parser.parse_args().times
    if given is not None:
        results_file.read(given)
        shutil.copy(given, TIMES)
    make()


if __name__ == "__main__":
    main()
