"""What the C core was built with: its host, its verifiers, its W^X policies."""

from __future__ import annotations

from collections.abc import Sequence

from dynarec._native import ffi, lib
from dynarec.core_handle import text


def native_host() -> str:
    """The host that the C core was built for."""
    return text(lib.dr_host())


def has_interpreter(guest: str) -> bool:
    """Whether the C core was built with an interpreter for the guest."""
    return bool(lib.dr_has_interpreter(guest.encode()))


def verify(host: str, code: bytes, links: Sequence[int], harden: int = 0) -> tuple[int, str] | None:
    """What the verifier of a host ("x86_64" or "arm64") refuses in the code of a unit: the offset in bytes, and why.

    links: offsets of what is to be linked (`Exit.link`). harden: enum dr_harden bits. None: it may be
    installed. Works on any machine (native/verify.h).
    """
    reason = ffi.new("char **")
    offset = lib.dr_verify(host.encode(), code, len(code), list(links), len(links), harden, reason)
    return None if offset < 0 else (int(offset), text(reason[0]))


def install_nanoseconds(policy: str, batches: int) -> int | None:
    """What a batch with one small unit costs under a policy: verified, written, flushed. None if that does not work."""
    cost = int(lib.dr_policy_cost(policy.encode(), batches))
    return None if cost < 0 else cost


def policies() -> list[str]:
    """The W^X policies built for this system, strictest first."""
    names: list[str] = []
    while (name := lib.dr_policy_name(len(names))) != ffi.NULL:
        names.append(text(name))
    return names


ELSEWHERE = {
    "apple-toggle": "macOS on Apple silicon",
    "apple-callback": "macOS on Apple silicon",
    "apple-witness": "macOS on Apple silicon",
    "pkey": "Linux on x86-64",
    "mprotect": "Linux",
}
"""Policies that not every system has, and where they are."""


def is_automatic(policy: str) -> bool:
    """Whether "auto" may take a policy of this system."""
    return bool(lib.dr_policy_choice(policies().index(policy)) != lib.DR_BY_NAME)


def passed_over(chosen: str) -> list[str]:
    """Policies that "auto" would have taken before the chosen one, and that should work on such a system."""
    names = policies()
    return [
        name
        for index, name in enumerate(names[: names.index(chosen)])
        if lib.dr_policy_choice(index) == lib.DR_EXPECTED
    ]


def probe_policy(name: str) -> str | None:
    """Why a policy does not work here; None when it does."""
    reason = lib.dr_policy_probe(name.encode())
    return None if reason == ffi.NULL else text(reason)
