"""On the path of Python in sanitizer builds: the sanitizers refuse libraries that are opened with RTLD_DEEPBIND.

capstone asks for it wherever `os` has it. And leaks are looked for in the tests' own processes alone, pytest's and its
workers': the search for them sometimes fails in a short process whose threads end at the same moment, and aborts it.
"""

from __future__ import annotations

import os

PROCESSES = "DYNAREC_SANITIZED_PROCESSES"
"""How many generations of processes below this one are the tests' own."""

if hasattr(os, "RTLD_DEEPBIND"):
    del os.RTLD_DEEPBIND

below = int(os.environ.get(PROCESSES, "1"))
os.environ[PROCESSES] = str(below - 1)
if below <= 0 and "ASAN_OPTIONS" in os.environ:
    os.environ["ASAN_OPTIONS"] += ":detect_leaks=0"
