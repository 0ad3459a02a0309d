"""The Apple policies, unchanged, under a model of macOS that is stricter than the hardware; and policies with one
mistake each, every one of which it catches."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.apple.building import APPLE, Objects, build_all, run_scenario

WRONG = APPLE / "wrong"
HARDENED = "hardened allow-jit"
LISTED = "hardened allow-jit allowlist freeze-late"
WITNESS = "hardened allow-jit witness"

REFUSED = 3
FAILED = 4
ABORTED = -signal.SIGABRT

RIGHT = [
    ("apple-toggle", ""),
    ("apple-toggle", HARDENED),
    ("apple-toggle", "macos=11.0"),
    ("apple-callback", LISTED),
    ("apple-callback", f"{LISTED} macos=12.1"),
    ("apple-callback", "allowlist freeze-late"),
    ("apple-witness", WITNESS),
    ("apple-witness", "witness macos=14.4"),
]

AUTOMATIC = [
    ("", "apple-toggle"),
    (HARDENED, "apple-toggle"),
    (WITNESS, "apple-toggle"),
    (LISTED, "apple-callback"),
    ("allowlist", "dualmap"),
    ("unsupported", "dualmap"),
    ("macos=10.15", "dualmap"),
]

NO_PROTECTION = "the system has no per-thread write protection"
REFUSALS = [
    ("apple-toggle", "hardened", "needs the entitlement com.apple.security.cs.allow-jit"),
    ("apple-toggle", "unsupported", NO_PROTECTION),
    ("apple-toggle", "macos=10.15", "needs macOS 11 or later"),
    ("apple-toggle", LISTED, "which leaves apple-callback alone"),
    ("apple-callback", "", "dynarec sign-python --allowlist"),
    ("apple-callback", HARDENED, "dynarec sign-python --allowlist"),
    ("apple-callback", "allowlist", "dynarec sign-python --allowlist"),
    ("apple-callback", "freeze-late", "dynarec sign-python --allowlist"),
    ("apple-callback", f"{LISTED} macos=12.0", "needs macOS 12.1 or later"),
    ("apple-callback", "hardened allowlist freeze-late", "needs the entitlement com.apple.security.cs.allow-jit"),
    ("apple-callback", "allowlist freeze-late unsupported", NO_PROTECTION),
    ("apple-witness", HARDENED, "for the web content extensions of browsers"),
    ("apple-witness", "witness macos=14.3", "needs macOS 14.4 or later"),
    ("apple-witness", "hardened witness", "needs the entitlement com.apple.security.cs.allow-jit"),
]

LEFT_OPEN = "the thread was left in write mode"
UNFLUSHED = "code was executed that was not flushed"
RAN_OPEN = "code was executed in write mode"
NESTED = "a nested toggle"

MISTAKES = [
    # file, its process, status, the rule that catches it
    ("map_shared", "", REFUSED, "MAP_JIT with MAP_SHARED"),
    ("map_fixed", "", REFUSED, "MAP_JIT with MAP_FIXED"),
    ("map_file", "", REFUSED, "MAP_JIT with a file"),
    ("map_without_jit", HARDENED, REFUSED, "executable memory without MAP_JIT in a hardened process"),
    ("map_not_writable", "", REFUSED, "MAP_JIT without all of read, write and execute"),
    ("map_null", "hardened", ABORTED, "what a refused mmap returned was used"),
    ("map_two", HARDENED, ABORTED, "a second MAP_JIT region in a hardened process"),
    ("map_unasked", "", ABORTED, "without having asked whether write protection is supported"),
    ("map_unguarded", "macos=10.15", ABORTED, "was called, which this macOS does not have"),
    ("toggle_missing", "", ABORTED, "written by a thread that is not in write mode"),
    ("toggle_nested", "", ABORTED, NESTED),
    ("toggle_closed_twice", "", ABORTED, NESTED),
    ("toggle_run_open", "", ABORTED, RAN_OPEN),
    ("toggle_unsupported", "unsupported", ABORTED, "a toggle where write protection is not supported"),
    ("toggle_left_open", "", ABORTED, LEFT_OPEN),
    ("toggle_left_open_on_error", "", ABORTED, LEFT_OPEN),
    ("toggle_despite_allowlist", LISTED, ABORTED, "the plain toggle in a process with the entitlement"),
    ("toggle_other_thread", "", ABORTED, "a thread touched the region while another one was in write mode"),
    ("toggle_mprotect", "", REFUSED, "mprotect of a MAP_JIT region"),
    ("toggle_unmaps_open", "", ABORTED, LEFT_OPEN),
    ("flush_missing", "", ABORTED, UNFLUSHED),
    ("flush_short", "", ABORTED, UNFLUSHED),
    ("flush_elsewhere", "", ABORTED, UNFLUSHED),
    ("flush_copy", "", ABORTED, "a flush of something that is not in the region"),
    ("flush_open", "", ABORTED, LEFT_OPEN),
    ("callback_unlisted", LISTED, ABORTED, "a callback that is not listed"),
    ("callback_two_lists", LISTED, ABORTED, "more than one list of callbacks"),
    ("callback_toggles", LISTED, ABORTED, "the plain toggle in a process with the entitlement"),
    ("callback_nested", LISTED, ABORTED, NESTED),
    ("callback_without_entitlement", HARDENED, ABORTED, "a freeze without the entitlement for it"),
    ("callback_without_entitlement", f"{HARDENED} allowlist", ABORTED, "a freeze without the entitlement for it"),
    ("callback_dlopened", f"{HARDENED} allowlist", ABORTED, "of an image that was loaded with dlopen"),
    ("callback_trusts_context", LISTED, FAILED, "the callback wrote something else than it had checked"),
    ("callback_unchecked", LISTED, FAILED, "the callback wrote what it was not to write: forbidden code"),
    ("freeze_missing", LISTED, ABORTED, "a write before the freeze"),
    ("freeze_missing", f"{HARDENED} allowlist", REFUSED, "dynarec sign-python"),
    ("freeze_twice", LISTED, ABORTED, "a second freeze"),
    ("freeze_late", f"{HARDENED} freeze-late", ABORTED, "a freeze after the first write"),
    ("witness_unasked", WITNESS, ABORTED, "where it is not supported, or without having asked"),
    ("witness_left_open", WITNESS, ABORTED, LEFT_OPEN),
    ("witness_nested", WITNESS, ABORTED, NESTED),
]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return build_all(tmp_path_factory.mktemp("apple"))


@pytest.fixture(scope="module")
def library(objects: Objects) -> Path:
    """The driver with the policies as they are."""
    return objects.link("right")


@pytest.mark.parametrize("scenario", ["run", "large"])
@pytest.mark.parametrize(("policy", "process"), RIGHT)
def test_policy_keeps_the_rules(library: Path, policy: str, process: str, scenario: str) -> None:
    ran = run_scenario(library, scenario, policy, process)
    assert (ran.status, ran.errors) == (0, "")
    assert f"opened: {policy}\n" in ran.output


@pytest.mark.parametrize(("process", "policy"), AUTOMATIC)
def test_auto(library: Path, process: str, policy: str) -> None:
    ran = run_scenario(library, "run", "auto", process)
    assert (ran.status, ran.errors) == (0, "")
    assert set(ran.output.splitlines()) == {f"opened: {policy}"}


@pytest.mark.parametrize(("policy", "process", "reason"), REFUSALS)
def test_policy_refuses_with_a_reason(library: Path, policy: str, process: str, reason: str) -> None:
    ran = run_scenario(library, "run", policy, process)
    assert ran.status == REFUSED
    assert reason in ran.output


def test_hostile_context(library: Path) -> None:
    """An attacker who can call the callback, and change memory while it works, gets nothing written."""
    ran = run_scenario(library, "hostile", "apple-callback", LISTED)
    assert (ran.status, ran.errors) == (0, "")


@pytest.mark.parametrize(("name", "process", "status", "rule"), MISTAKES)
def test_mistake_is_caught(objects: Objects, name: str, process: str, status: int, rule: str) -> None:
    kind = {"callback": "callback", "freeze": "callback", "witness": "witness"}.get(name.split("_")[0], "toggle")
    library = objects.link(name, **{f"apple_{kind}": objects.compile(WRONG / f"{name}.c")})
    scenario = "hostile" if status == FAILED else "run"
    ran = run_scenario(library, scenario, f"apple-{kind}", process)
    assert (ran.status, rule in ran.errors + ran.output) == (status, True), ran


def test_every_wrong_policy_is_tried() -> None:
    assert {path.stem for path in WRONG.glob("*.c")} == {name for name, *_ in MISTAKES}
