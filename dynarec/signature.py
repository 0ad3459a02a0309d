"""How macOS sees a program: its signature and its entitlements, as `codesign` tells them, and what to do about them."""

from __future__ import annotations

import plistlib
import re
import subprocess
from dataclasses import dataclass
from xml.parsers.expat import ExpatError

PREFIX = "com.apple.security.cs."
ALLOW_JIT = PREFIX + "allow-jit"
ALLOW_LIST = PREFIX + "jit-write-allowlist"
FREEZE_LATE = PREFIX + "jit-write-allowlist-freeze-late"

FLAGS = re.compile(r"^CodeDirectory .*flags=0x[0-9a-f]+\(([^)]*)\)", re.MULTILINE)
UNSIGNED = "not signed at all"


@dataclass(frozen=True, slots=True)
class Signature:
    """flags: of the code directory, as codesign names them ("adhoc", "runtime": the Hardened Runtime).
    entitlements: those that are true, sorted. problem: why nothing is known; None: it is."""

    flags: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def hardened(self) -> bool:
        return "runtime" in self.flags


def read_signature(program: str) -> Signature:
    """Asks `codesign` about a program."""
    try:
        about = _codesign("-d", "--verbose", program)
        entitlements = _codesign("-d", "--entitlements", "-", "--xml", program)
    except FileNotFoundError:
        return Signature(problem="codesign was not found: xcode-select --install brings it")
    if about.returncode:
        text = about.stderr.decode(errors="replace").strip()
        return Signature(problem=UNSIGNED if UNSIGNED in text else " ".join(text.split()))
    found = FLAGS.search(about.stderr.decode(errors="replace"))
    flags = tuple(found[1].split(",")) if found else ()
    return Signature(flags, _true_entitlements(entitlements.stdout))


def _codesign(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["codesign", *arguments], capture_output=True, check=False)


def _true_entitlements(text: bytes) -> tuple[str, ...]:
    """Of a property list; there is none for a program without entitlements."""
    try:
        values: dict[str, object] = plistlib.loads(text.rstrip(b"\0"))
    except (plistlib.InvalidFileException, ExpatError):
        return ()
    return tuple(sorted(name for name, value in values.items() if value is True))


def advice(signature: Signature) -> str:
    """What to do so that generated code can run."""
    has = set(signature.entitlements)
    if signature.hardened and ALLOW_JIT not in has:
        return "this Python is hardened and may not run generated code: dynarec sign-python makes a copy that may"
    if ALLOW_LIST in has and FREEZE_LATE not in has:
        return "this Python lets no callback of an extension write code: dynarec sign-python --allowlist"
    if ALLOW_LIST not in has:
        return "nothing; for apple-callback, which lets one function alone write code: dynarec sign-python --allowlist"
    return "nothing"
