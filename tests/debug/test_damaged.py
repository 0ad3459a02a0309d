"""Debugging information that is damaged is treated as missing, wherever the damage is."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.debug.build import ELF
from tests.fuzz import dwarf

SECTIONS = dwarf.sections_of(ELF.read_bytes())
CHANGES, ANY, EVERY = (60, 40, 1) if "CI" in os.environ else (20, 15, 2)
"""Examples; and every how manyth size a section is cut to."""


def test_sections_are_packed_and_unpacked() -> None:
    assert dwarf.unpack(dwarf.pack(SECTIONS)) == SECTIONS
    assert dwarf.sections_of(dwarf.elf_with(SECTIONS)) == SECTIONS


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_missing_or_cut(name: str) -> None:
    whole = SECTIONS[name]
    for size in (0, 1, 4, 11, len(whole) // 2, len(whole) - 1)[::EVERY]:
        dwarf.check(dwarf.pack(SECTIONS | {name: whole[:size]}))


@settings(max_examples=CHANGES, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_changed_bytes(seed: int) -> None:
    dwarf.check(dwarf.mutate(dwarf.pack(SECTIONS), dwarf.MAX_SIZE, seed))


@settings(max_examples=ANY, deadline=None)
@given(name=st.sampled_from(dwarf.NAMES), data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    dwarf.check(dwarf.pack(SECTIONS | {name: data}))
