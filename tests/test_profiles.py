"""What a guide makes of the interpreter's counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dynarec.profiles import ENOUGH, BranchProfile, JumpProfile, ProfileGuide
from dynarec.trace import Choice

PC, TAKEN, FELL = 0x100, 0x40, 0x104
WAYS = (TAKEN, FELL)


class Counted:
    """What the interpreter would have counted."""

    def __init__(self, profiles: Mapping[int, BranchProfile | JumpProfile]) -> None:
        self._profiles = profiles

    def profile(self, pc: int) -> BranchProfile | JumpProfile | None:
        return self._profiles.get(pc)


def guide(*profiles: BranchProfile | JumpProfile) -> ProfileGuide:
    """For instructions from PC on."""
    core: Any = Counted({PC + number: profile for number, profile in enumerate(profiles)})
    return ProfileGuide(core)


@pytest.mark.parametrize(
    ("profile", "way"),
    [
        (BranchProfile(ENOUGH, 0), TAKEN),
        (BranchProfile(ENOUGH, ENOUGH + 1), FELL),
        (BranchProfile(ENOUGH - 1, 0), None),
        (JumpProfile(0x999, 255), None),
    ],
)
def test_the_way_of_a_branch(profile: BranchProfile | JumpProfile, way: int | None) -> None:
    assert guide(profile).way(0, PC, WAYS) == way


@pytest.mark.parametrize(
    ("profile", "way"),
    [(JumpProfile(0x40, ENOUGH), 0x40), (JumpProfile(0x40, ENOUGH - 1), None), (BranchProfile(9, 0), None)],
)
def test_the_way_of_a_computed_jump(profile: BranchProfile | JumpProfile, way: int | None) -> None:
    assert guide(profile).way(0, PC, ()) == way


@pytest.mark.parametrize(
    ("profiles", "ways", "repeats"),
    [
        ([BranchProfile(5, 5)], [TAKEN], True),
        ([BranchProfile(4, 6)], [TAKEN], False),
        ([BranchProfile(4, 6)], [FELL], True),
        ([BranchProfile(8, 2), BranchProfile(2, 8)], [TAKEN, FELL], True),
        ([BranchProfile(7, 3), BranchProfile(3, 7)], [TAKEN, FELL], False),
        ([BranchProfile(1, 2)], [TAKEN], True),
        ([JumpProfile(TAKEN, 4)], [TAKEN], True),
        ([], [], True),
    ],
    ids=str,
)
def test_a_loop_repeats_if_its_whole_way_is_likely(
    profiles: list[BranchProfile | JumpProfile], ways: list[int], repeats: bool
) -> None:
    choices = [Choice(PC + number, WAYS, way) for number, way in enumerate(ways)]
    assert guide(*profiles).repeats(choices) == repeats
