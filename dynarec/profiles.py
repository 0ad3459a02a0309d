"""What the interpreter counts of branches and jumps (native/decoded.h): which way they go."""

from __future__ import annotations

from typing import Any, NamedTuple

from dynarec._native import ffi, lib

MOST = 0xFFFF
"""Where counters end."""


class BranchProfile(NamedTuple):
    """How often a branch was taken, and how often not: up to `MOST`."""

    taken: int
    fell: int


class JumpProfile(NamedTuple):
    """Where a jump whose target is not part of the instruction went last."""

    target: int


def read_profile(core: Any, pc: int) -> BranchProfile | JumpProfile | None:
    """struct dr_profile of the instruction at pc. Any thread."""
    profile = ffi.new("struct dr_profile *")
    lib.dr_profile(core, pc, profile)
    if profile.kind == lib.DR_PROFILE_BRANCH:
        return BranchProfile(profile.taken, profile.fell)
    return JumpProfile(profile.target) if profile.kind == lib.DR_PROFILE_JUMP else None
