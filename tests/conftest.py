"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

from dynarec.disk.places import VARIABLE as CACHE_VARIABLE


def pytest_configure() -> None:
    """A shell that starts tests in the background has them ignore Ctrl-C, which some of them send.

    What one test has translated is of no use to another one, and nothing is left in the user's own folders.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ[CACHE_VARIABLE] = ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that lacks a tool is skipped with a reason that begins with "needs"; under CI that is a failure.

    With DYNAREC_NO_SKIPS every skip is one: where all that the tests ask for is installed.
    """
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if os.environ.get("DYNAREC_NO_SKIPS") or (os.environ.get("CI") and reason.startswith("needs")):
            report.outcome, report.longrepr = "failed", f"this run may skip no test: {reason}"
    return report
