"""Folders for translations and the key, that are a test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynarec.disk.places import NAME, VARIABLE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where translations are kept; it is not there yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache" / NAME))
    return tmp_path / "cache" / NAME
