"""The Apple policies as a Mac runs them: built for macOS on arm64, run under Unicorn with libSystem modelled, down to
the order of the calls."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from native import build
from tests.apple.building import APPLE, NATIVE, POLICIES, macos_problem

if TYPE_CHECKING:
    from tests.apple.macho import Process

pytestmark = pytest.mark.skipif(macos_problem() is not None, reason=str(macos_problem()))

WHICH = {"apple-toggle": 0, "apple-callback": 1, "apple-witness": 2}  # macho_main.c
NOT_MAPPED, NOT_RUN_PATCHED = 1, 5

MAP = "mmap(length=0x100000, protection=7, flags=0x1802, file=0xffffffff)"
FLUSH_UNIT, FLUSH_BRANCH = "flush(+0x1000, 20)", "flush(+0x1000, 4)"
UNMAP = "munmap(+0x0, 0x100000)"
LISTED = ("jit-write-allowlist", "jit-write-allowlist-freeze-late")

TOGGLE = ["protect(0)", "protect(1)"]
CALLBACK = ["with_callback", "callback", "with_callback returns"]
WITNESS = ["rw_with_witness", "rx_with_witness"]


def build_for_macos(output: Path, *flags: str, policies: tuple[Path, ...] = ()) -> Path:
    """An executable of macho_main.c with the three policies. The framework's functions are left to the loader."""
    sources = [APPLE / "macho_main.c", NATIVE / "apple" / "entitlements.c"]
    sources += policies or [NATIVE / f"{name}.c" for name in POLICIES.values()]
    zig = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos.11.0", "-Wl,-undefined,dynamic_lookup")
    own = (*build.flags("arm64", "macos"), f"-I{APPLE}", "-Werror", "-Werror=unguarded-availability-new", *flags)
    done = subprocess.run(
        [*zig, *own, *map(str, sources), "-o", str(output)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_for_macos(tmp_path_factory.mktemp("macho") / "policies")


def process(
    *entitlements: str, macos: tuple[int, int] = (15, 2), supported: bool = True, witness: bool = False
) -> Process:
    from tests.apple.macho import Process

    return Process(frozenset(entitlements), macos, supported, witness)


def run(executable: Path, policy: str, about: Process) -> tuple[int, list[str]]:
    from tests.apple.macho import Mac

    mac = Mac(executable, about)
    return mac.run(WHICH[policy], 0), mac.calls


def two_writes(calls: list[str]) -> list[str]:
    """Two writes by the calls that open and close the region, each flushed where it runs, and the end."""
    return [*calls, FLUSH_UNIT, *calls, FLUSH_BRANCH, UNMAP]


def test_order_of_the_toggle(executable: Path) -> None:
    expected = ["supported", MAP, *two_writes(TOGGLE)]
    assert run(executable, "apple-toggle", process()) == (0, expected)
    assert run(executable, "apple-toggle", process("hardened", "allow-jit", macos=(11, 0))) == (0, expected)


def test_order_of_the_callback(executable: Path) -> None:
    """Frozen once, before everything else; the callback is entered by nobody but the system."""
    about = process("hardened", "allow-jit", *LISTED, macos=(12, 1))
    expected = ["freeze", "supported", MAP, *two_writes(CALLBACK)]
    assert run(executable, "apple-callback", about) == (0, expected)


def test_order_of_the_witness(executable: Path) -> None:
    expected = ["witness supported", "supported", MAP, *two_writes(WITNESS)]
    assert run(executable, "apple-witness", process(witness=True)) == (0, expected)


@pytest.mark.parametrize(
    ("policy", "about", "calls"),
    [
        ("apple-toggle", lambda: process(supported=False), ["supported"]),
        ("apple-toggle", lambda: process("hardened"), ["supported", MAP]),
        ("apple-toggle", lambda: process(*LISTED), []),
        ("apple-callback", lambda: process(), []),
        ("apple-callback", lambda: process(*LISTED[:1]), []),
        ("apple-callback", lambda: process(*LISTED[1:]), []),
        ("apple-callback", lambda: process(*LISTED, macos=(12, 0)), []),
        ("apple-callback", lambda: process(*LISTED, macos=(11, 0)), []),
        ("apple-witness", lambda: process(), []),
        ("apple-witness", lambda: process(witness=True, macos=(14, 3)), []),
    ],
)
def test_refused_before_harm_is_done(
    executable: Path, policy: str, about: Callable[[], Process], calls: list[str]
) -> None:
    """Where a scheme cannot be used, nothing is called that would end the process."""
    assert run(executable, policy, about()) == (NOT_MAPPED, calls)


def test_imports_that_old_systems_lack_are_weak(executable: Path) -> None:
    import lief

    binary = lief.parse(str(executable))
    assert isinstance(binary, lief.MachO.Binary)
    weak = {str(symbol.name) for symbol in binary.imported_symbols if symbol.description & 0x40}  # N_WEAK_REF
    witness = ("with_witness_supported", "rwx_to_rw_with_witness_impl", "rwx_to_rx_with_witness_impl")
    assert weak == {
        "_pthread_jit_write_with_callback_np",
        "_pthread_jit_write_freeze_callbacks_np",
        *(f"_be_memory_inline_jit_restrict_{name}" for name in witness),
    }


NO_TOGGLE = """
#include <pthread.h>
#define pthread_jit_write_protect_np(enabled) (void)(enabled)
"""
SHARED = """
#include <sys/mman.h>
#undef MAP_PRIVATE
#define MAP_PRIVATE MAP_SHARED
"""
NO_FLUSH = """
#include "policy.h"
static void flush_nothing(const struct dr_region *region, uint8_t *start, size_t length) {
    (void)region, (void)start, (void)length;
}
#define dr_flush_instructions flush_nothing
"""


def run_mistaken(mistake: str, folder: Path) -> int | str:
    """What comes of the toggle with something before its source."""
    source = folder / "wrong.c"
    source.write_text(mistake + '#include "codemem_apple_toggle.c"\n')
    others = [NATIVE / f"{name}.c" for name in POLICIES.values() if name != "codemem_apple_toggle"]
    wrong = build_for_macos(folder / "wrong", policies=(source, *others))
    try:
        return run(wrong, "apple-toggle", process())[0]
    except Exception as error:
        return str(error)


@pytest.mark.parametrize(
    ("mistake", "result"),
    [
        (NO_TOGGLE, "Write to write-protected memory (UC_ERR_WRITE_PROT)"),
        (SHARED, "a region that is not private, anonymous, anywhere, MAP_JIT"),
        (NO_FLUSH, NOT_RUN_PATCHED),
    ],
    ids=["no toggle", "shared", "no flush"],
)
def test_mistake_is_caught(mistake: str, result: int | str, tmp_path: Path) -> None:
    """The model is worth something: what does not open the region, shares it, or does not flush it, fails."""
    assert run_mistaken(mistake, tmp_path) == result
