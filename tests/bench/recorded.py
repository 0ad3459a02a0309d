"""The recorded counts of host instructions, and what is held against them."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from dynarec.bench import results_file
from dynarec.bench.results_file import Results

COUNTS = Path(__file__).with_name("counts.json")
MOST = 1.0
"""Percent that a program may execute more than was recorded."""
UPDATE = "after a change that is meant: python -m tests.bench --update"


@cache
def recorded() -> Results:
    """What was recorded."""
    return results_file.read(COUNTS)


def percent_more(name: str, host: str, executed: int) -> float:
    """Percent beyond what was recorded; negative for fewer, infinite for a program that is not there."""
    known = next((each.counts.get(host) for each in recorded().counted if each.program.name == name), None)
    return math.inf if known is None else 100 * (executed / known.host - 1)


def complaint(name: str, host: str, executed: int) -> str:
    """Why so many are not what was recorded; "" for what is near it."""
    percent = percent_more(name, host, executed)
    if abs(percent) <= MOST:
        return ""
    return f"{name} on {host} executes {executed:,} host instructions, {percent:+.2f} % to what was recorded; {UPDATE}"


def check_count(name: str, host: str, executed: int) -> None:
    """Fail if they are too many."""
    assert percent_more(name, host, executed) <= MOST, complaint(name, host, executed)
