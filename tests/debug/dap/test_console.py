"""The debug console: expressions and commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debug.dap.editor import Editor, connected
from tests.debug.stopped import MARKED

ROMS = Path(__file__).parents[3] / "roms"


@pytest.fixture
def editor() -> Iterator[Editor]:
    """Stopped in `add`."""
    with connected() as made:
        made.launch()
        made.breakpoints("in add")
        made.go()
        yield made


def printed(editor: Editor) -> str:
    """What has come for the console."""
    return "".join(each["body"]["output"] for each in editor.events if each["event"] == "output")


def execute(editor: Editor, line: str) -> str:
    """Execute a command; what it prints."""
    editor.events.clear()
    assert editor.evaluate(line, "repl") == ""
    editor("threads")
    return printed(editor)


def test_commands_print(editor: Editor) -> None:
    text = execute(editor, "backtrace")
    assert "walk" in text
    assert "main" in text


def test_what_is_neither_expression_nor_command(editor: Editor) -> None:
    assert "nobody" in execute(editor, "nobody")


def test_commands_that_move_the_program(editor: Editor) -> None:
    execute(editor, "finish")
    assert editor.wait("stopped")["reason"] == "step"
    assert editor.where() == ("walk", MARKED["walk calls"])


def test_commands_set_and_delete_breakpoints(editor: Editor) -> None:
    execute(editor, "break fill")
    event = editor.wait("breakpoint")
    point = event["breakpoint"]
    assert (event["reason"], point["verified"], point["source"]["name"]) == ("new", True, "program.c")
    editor.breakpoints()
    assert editor.go("continue")["hitBreakpointIds"] == [point["id"]]
    execute(editor, f"delete {point['id']}")
    assert editor.wait("breakpoint") == {"reason": "removed", "breakpoint": {"id": point["id"], "verified": False}}


def test_a_change_by_command_is_told(editor: Editor) -> None:
    execute(editor, "print total = 70")
    editor.wait("invalidated")
    assert editor.evaluate("total") == "70"


def test_restart_by_command(editor: Editor) -> None:
    editor.go("continue")
    assert editor.evaluate("a") == "2"
    execute(editor, "run")
    editor.wait("stopped")
    assert editor.evaluate("a") == "1"


def test_quit(editor: Editor) -> None:
    execute(editor, "quit")
    editor.wait("terminated")


def test_a_command_that_takes_long() -> None:
    """It is answered, the editor learns that the program runs, and pauses it."""
    with connected() as editor:
        editor.launch(ROMS / "bench" / "sha256.elf", args=["100000000"], stopOnEntry=True)
        editor.go()
        assert editor.evaluate("continue", "repl") == ""
        editor.wait("continued")
        editor("pause", threadId=1)
        assert editor.wait("stopped")["reason"] == "pause"


def test_completions(editor: Editor) -> None:
    def targets(text: str, column: int | None = None) -> dict[str, str]:
        answer = editor("completions", text=text, column=len(text) + 1 if column is None else column)
        return {each["label"]: each["text"] for each in answer["targets"]}

    assert targets("backt") == {"backtrace": "backtrace"}
    assert targets("print fact")["factorial"] == "print factorial"
    assert targets("fact")["factorial"] == "factorial"
    assert targets("facXXX", column=4)["factorial"] == "factorial"
