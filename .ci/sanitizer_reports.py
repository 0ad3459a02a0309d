"""Prints what counts of the sanitizers' reports; exit status 1 if there was anything.

`python .ci/sanitizer_reports.py FOLDER`, with the files that `log_path` names. Python and the programs that tests start
leave memory behind at their end, so a leak counts only where the native module is among the frames of its allocation.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

MODULE = "_native"
LEAK = re.compile(r"^(Direct|Indirect) leak of ")
NO_RETURN = "ASan is ignoring requested __asan_handle_no_return"
"""A warning about itself: in the child of a fork, it does not know the stacks of new threads."""
NO_SEARCH = "LeakSanitizer has encountered a fatal error"
"""The search for leaks has failed; it tells of none."""
ONLY_LEAKS = "ERROR: LeakSanitizer: detected memory leaks"


def findings(report: str) -> list[str]:
    """The parts of one report that count: its leaks that are dynarec's, or all of it if it tells of anything else."""
    of_itself = NO_RETURN in report or NO_SEARCH in report
    if of_itself and "ERROR: " not in report and "runtime error: " not in report:
        return []
    if ONLY_LEAKS not in report:
        return [report]
    return [part for part in report.split("\n\n") if LEAK.match(part) and MODULE in part]


def main(folder: Path) -> int:
    reports = sorted(path for path in folder.iterdir() if path.is_file())
    found = [part for path in reports for part in findings(path.read_text(errors="replace"))]
    print("\n\n".join(found) or f"nothing that counts in {len(reports)} reports")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
