"""What the interpreter counts of branches and jumps (native/decoded.h): which way they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dynarec._native import ffi, lib

if TYPE_CHECKING:
    from dynarec.core import Core
    from dynarec.trace import Choice

MOST = 0xFFFF
"""Where counters end."""
ENOUGH = 4
"""Executions of a branch, or votes for a target, that are believed."""

LIKELY = 0.5
"""How often a way must be followed to its end for what is done once for it to be worth while."""


class BranchProfile(NamedTuple):
    """How often a branch was taken, and how often not: up to `MOST`."""

    taken: int
    fell: int


class JumpProfile(NamedTuple):
    """Where a jump whose target is not part of the instruction mostly goes.

    votes: how often it went there, less four for each time elsewhere; 0 to 255.
    """

    target: int
    votes: int


def read_profile(core: Any, pc: int) -> BranchProfile | JumpProfile | None:
    """struct dr_profile of the instruction at pc. Any thread."""
    profile = ffi.new("struct dr_profile *")
    lib.dr_profile(core, pc, profile)
    if profile.kind == lib.DR_PROFILE_BRANCH:
        return BranchProfile(profile.taken, profile.fell)
    return JumpProfile(profile.target, profile.taken) if profile.kind == lib.DR_PROFILE_JUMP else None


class ProfileGuide:
    """Knows where control went while the code was interpreted."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def way(self, index: int, pc: int, ways: Sequence[int]) -> int | None:
        """See `dynarec.trace.Guide`."""
        match self._core.profile(pc):
            case BranchProfile(taken, fell) if ways and taken + fell >= ENOUGH:
                return ways[taken < fell]
            case JumpProfile(target, votes) if not ways and votes >= ENOUGH:
                return target
            case _:
                return None

    def repeats(self, choices: Sequence[Choice]) -> bool:
        """See `dynarec.trace.Guide`; ways that were not counted are certain."""
        share = 1.0
        for pc, ways, way in choices:
            profile = self._core.profile(pc)
            if isinstance(profile, BranchProfile) and (total := sum(profile)) >= ENOUGH:
                share *= profile[ways.index(way)] / total
        return share >= LIKELY
