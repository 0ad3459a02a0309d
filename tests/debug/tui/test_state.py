"""What is remembered of a program, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynarec.debug.commands import Commands, Session
from dynarec.debug.launch import Launch
from dynarec.debug.tui.state import VERSION, Remembered, keep, path_for, read, restore, write
from dynarec.engine import Machine
from tests.debug.build import ELF

WHOLE: dict[str, Any] = {
    "version": VERSION, "theme": "nord", "pane": "code", "style": "mixed", "history": ["run"], "stoppers": [],
    "displays": [],
}  # fmt: skip
DAMAGE = {
    "empty": "",
    "no object": "[]",
    "half": json.dumps(WHOLE)[:40],
    "another version": json.dumps(WHOLE | {"version": VERSION + 1}),
    "a number for a name": json.dumps(WHOLE | {"theme": 3}),
    "something more": json.dumps(WHOLE | {"more": 1}),
    "something less": json.dumps({name: value for name, value in WHOLE.items() if name != "pane"}),
    "history of numbers": json.dumps(WHOLE | {"history": [1]}),
    "history of escapes": json.dumps(WHOLE | {"history": ["\x1b[2J"]}),
    "stoppers of text": json.dumps(WHOLE | {"stoppers": ["break"]}),
    "deep": "[" * 100_000,
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "state.json"
    remembered = Remembered("nord", "code", "source", ["run", "break größe"], [{"kind": "x"}], [{"expression": "a0"}])
    write(path, remembered)
    assert read(path) == (remembered, "")
    assert [each.name for each in path.parent.iterdir()] == ["state.json"]


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    assert read(tmp_path / "state.json") == (Remembered(), "")


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_noted_in_a_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    remembered, note = read(path)
    assert remembered == Remembered()
    assert "is not used" in note
    assert "\n" not in note


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    assert "is not used" in read(tmp_path)[1]
    with pytest.raises(OSError, match=r".+"):
        write(tmp_path, Remembered())
    assert not list(tmp_path.parent.glob(".state-*"))


def test_programs_are_told_apart_by_where_they_are(tmp_path: Path) -> None:
    one, two = path_for(Path("a/rom.elf"), tmp_path), path_for(Path("b/rom.elf"), tmp_path)
    assert one != two
    assert one.parent == tmp_path
    assert path_for(Path("a/../a/rom.elf"), tmp_path) == one


def session() -> Session:
    return Session(Launch(lambda: Machine.load(ELF), ELF.name))


def test_breakpoints_come_back() -> None:
    first = session()
    commands = Commands(first)
    for line in (
        "break add if a > 5", "tbreak fill", "watch total", "awatch 0x11000, 8", "catch syscall 93", "catch trap",
        "disable 4", "commands 1 bt; up", "display/x total",
    ):  # fmt: skip
        list(commands.execute(line))
    remembered = Remembered()
    keep(commands.context, remembered)
    second = session()
    context = Commands(second).context
    assert list(restore(context, remembered)) == []
    known = {each.text: each for each in second.debugger.stoppers.values()}
    assert len(known) == 5
    assert known["add"].when == "a > 5"
    assert known["add"].commands == ["bt", "up"]
    assert [each.enabled for each in second.debugger.stoppers.values()] == [True, True, False, True, True]
    assert context.displays == commands.context.displays
    first.close()
    second.close()


@pytest.mark.parametrize(
    "stopper",
    [
        {},
        {"kind": "breakpoint"},
        {"kind": "rain", "when": "", "commands": []},
        {"kind": "breakpoint", "where": "gone_function", "when": "", "commands": [], "enabled": True},
        {"kind": "breakpoint", "where": None, "when": "", "commands": [], "enabled": True},
        {"kind": "breakpoint", "where": "add", "when": 7, "commands": [], "enabled": True},
        {"kind": "breakpoint", "where": "add", "when": "", "commands": 7, "enabled": True},
        {"kind": "watchpoint", "where": "x", "size": [], "watched": "write", "when": "", "commands": [], "enabled": 1},
        {"kind": "catchpoint", "what": [], "selector": "", "when": "", "commands": [], "enabled": True},
    ],
)
def test_breakpoints_that_cannot_come_back_are_noted(stopper: dict[str, Any]) -> None:
    made = session()
    notes = list(restore(Commands(made).context, Remembered(stoppers=[stopper])))
    assert len(notes) == 1
    assert "\n" not in notes[0]
    made.close()
