"""`python -m tests.bench [--update]`: count host instructions, and compare with what was recorded, or record them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from dynarec import cli
from dynarec.bench import results_file
from dynarec.bench.results_file import Results
from tests.bench import page
from tests.bench.recorded import COUNTS, MOST, complaint, percent_more

COMMAND = "dynarec bench --counts"


def main() -> int:
    """The exit status: 1 if a program failed, or executes too many."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--update", action="store_true", help="record them")
    update = parser.parse_args().update
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.json"
        status = cli.main([*COMMAND.split()[1:], "--json", str(path)])
        if status:
            return status
        found = results_file.read(path)
    if update:
        record(found)
        return 0
    return check(found)


def record(found: Results) -> None:
    """They are the same on every computer, so nothing is kept of this one. They are part of the page."""
    preface = {"kind": found.kind, "computer": {}, "command": COMMAND, "rounds": found.rounds, "problems": []}
    results_file.write(COUNTS, preface | results_file.counts_json(found.counted))
    page.make()


def check(found: Results) -> int:
    """Tell what is far from what was recorded; the exit status."""
    counts = [(each.program.name, host, count.host) for each in found.counted for host, count in each.counts.items()]
    for each in counts:
        if line := complaint(*each):
            print(line)
    return int(any(percent_more(*each) > MOST for each in counts))


if __name__ == "__main__":
    sys.exit(main())
