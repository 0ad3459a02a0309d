"""Requests with arguments of any kind: each is answered, none is an error within, and the session goes on."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from dynarec.debug.dap.server import REQUESTS
from tests.debug.build import ELF, SOURCE
from tests.debug.dap.editor import Editor, RefusedError, connected
from tests.debug.stopped import MARKED

ENDING = {"disconnect", "terminate"}
MOVING = {
    "configurationDone", "continue", "goto", "next", "restart", "reverseContinue", "stepBack", "stepIn", "stepOut",
}  # fmt: skip
"""After these the program may run, or have ended."""
SEEDS = range(6)
COUNT = 400
VALUES = (
    None, True, 0, 1, -1, 2**31, 2**40, 2**64, 1.5, "", "main", "0x10000", "0xffffffff", "-5", "a", "a = 1", "\0",
    "\ud800", "%0", "repl", [], [1], {}, [{}], [None], ["x"], {"path": "x"}, {"path": str(SOURCE)}, {"path": 1},
    [{"line": 20}], [{"line": -1}], [{"name": "main"}], [{"dataId": "0x10000:4"}], [{"dataId": "0:0"}],
    [{"filterId": "trap", "condition": "9 9"}], [{"instructionReference": "0x10000", "offset": 2**50}],
    [{"line": 19, "condition": "((((", "hitCondition": "x"}],
)  # fmt: skip
NAMES = (
    "source", "breakpoints", "line", "endLine", "name", "value", "expression", "context", "frameId", "start", "count",
    "variablesReference", "memoryReference", "offset", "instructionOffset", "instructionCount", "data", "filters",
    "filterOptions", "targetId", "startFrame", "levels", "text", "column", "arguments", "program", "args", "tier",
    "linesStartAt1", "asAddress", "granularity",
)  # fmt: skip


def wild(chance: random.Random) -> Mapping[str, object]:
    return {name: chance.choice(VALUES) for name in chance.sample(NAMES, chance.randrange(len(NAMES)))}


def ask(editor: Editor, command: str, arguments: Mapping[str, object]) -> None:
    """Send it, and wait for its answer."""
    message = ""
    try:
        editor(command, **arguments)
    except RefusedError as error:
        message = str(error)
    assert "internal error" not in message, (command, arguments)
    assert message.isprintable()


@pytest.mark.parametrize("seed", SEEDS)
def test_wild_requests(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    commands = sorted(REQUESTS.keys() - ENDING - MOVING)
    with connected() as editor:
        editor.launch(ELF)
        editor.breakpoints("in add")
        editor.go()
        for _ in range(COUNT):
            ask(editor, chance.choice(commands), wild(chance))
        editor("initialize", adapterID="dynarec")
        assert editor("threads")["threads"]
        editor("setExceptionBreakpoints", filters=[])
        for kind in ("Function", "Instruction", "Data"):
            editor(f"set{kind}Breakpoints", breakpoints=[])
        editor.breakpoints("in add")
        assert editor.go("restart")["reason"] == "breakpoint"
        assert editor.where() == ("add", MARKED["in add"])


def test_wild_requests_before_a_launch() -> None:
    chance = random.Random(0)
    with connected() as editor:
        for command in sorted(REQUESTS.keys() - {"disconnect"}):
            for _ in range(10):
                ask(editor, command, {**wild(chance), "program": None})


@pytest.mark.parametrize("command", sorted(MOVING))
def test_wild_motions(command: str) -> None:
    """They are refused, or move the program."""
    chance = random.Random(1)
    for _ in range(3):
        with connected() as editor:
            editor.launch(ELF, stopOnEntry=True)
            editor.go()
            ask(editor, command, {**wild(chance), "program": None})
            editor("threads")
