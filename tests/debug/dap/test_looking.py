"""What an editor sees and changes while the program is stopped: breakpoints, values, memory, instructions, files."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from dynarec.engine import Machine
from tests.debug.build import ELF, SOURCE
from tests.debug.dap.editor import Body, Editor, RefusedError, connected
from tests.debug.stopped import MARKED


@pytest.fixture
def editor() -> Iterator[Editor]:
    """Launched, and not yet running."""
    with connected() as made:
        made.launch()
        yield made


def stop_at(editor: Editor, *wanted: str | Body) -> Body:
    editor.breakpoints(*wanted)
    return editor.go()


# -- breakpoints ------------------------------------------------------------------------------------------------------


def test_a_breakpoint_moves_to_a_line_with_code(editor: Editor) -> None:
    empty = MARKED["in add"] - 4
    points = editor("setBreakpoints", source={"path": str(SOURCE)}, breakpoints=[{"line": empty}, {"line": 100_000}])[
        "breakpoints"
    ]
    assert points[0]["verified"]
    assert points[0]["line"] > empty
    assert (points[1]["verified"], "id" in points[1]) == (False, False)
    assert "no code" in points[1]["message"]


def test_a_file_that_is_not_of_the_program(editor: Editor, tmp_path: Path) -> None:
    answer = editor("setBreakpoints", source={"path": str(tmp_path / "other.c")}, breakpoints=[{"line": 1}])
    assert not answer["breakpoints"][0]["verified"]
    assert "other.c" in answer["breakpoints"][0]["message"]


def test_a_breakpoint_that_stays_keeps_its_number(editor: Editor) -> None:
    first, second = editor.breakpoints("in add", "filled")
    third, again = editor.breakpoints("last", "in add")
    assert again["id"] == first["id"]
    assert third["id"] not in (first["id"], second["id"])
    stopped = editor.go()
    assert stopped["hitBreakpointIds"] == [first["id"]]
    editor.breakpoints("last")
    assert editor.go("continue")["hitBreakpointIds"] == [third["id"]]


def test_conditions(editor: Editor) -> None:
    stop_at(editor, {"line": "in add", "condition": "a == 14"})
    assert editor.evaluate("b") == "7"
    (wrong,) = editor.breakpoints({"line": "in add", "condition": "a =="})
    assert not wrong["verified"]


@pytest.mark.parametrize(
    ("condition", "values"),
    [("2", ["2"]), (">= 3", ["14", "1"]), ("% 2", ["2", "1"]), ("<2", ["1"]), (" == 4 ", ["1"])],
)
def test_conditions_on_the_number_of_hits(editor: Editor, condition: str, values: list[str]) -> None:
    editor.breakpoints({"line": "in add", "hitCondition": condition}, "last")
    found = []
    editor.go()
    while editor.where()[0] == "add":
        found.append(editor.evaluate("a"))
        editor.go("continue")
    assert found == values


def test_a_wrong_condition_on_the_number_of_hits(editor: Editor) -> None:
    (point,) = editor.breakpoints({"line": "in add", "hitCondition": "%0"})
    assert (point["verified"], "%0" in point["message"]) == (False, True)


def test_a_message_in_place_of_a_stop(editor: Editor) -> None:
    """It stops nothing: not even a step over the line."""
    editor.breakpoints("walk calls", {"line": "in add", "logMessage": "{a} and {b}, {nobody}"})
    editor.go()
    assert editor.go("next")["reason"] == "step"
    assert editor.where() == ("walk", MARKED["walk calls"] + 1)
    lines = "".join(each["body"]["output"] for each in editor.events if each["event"] == "output").splitlines()
    assert [line.partition(",")[0] for line in lines] == ["1 and 2"]
    assert "nobody" in lines[0].partition(",")[2]


def test_breakpoints_at_functions_and_instructions(editor: Editor) -> None:
    function, nothing = editor("setFunctionBreakpoints", breakpoints=[{"name": "walk"}, {"name": "run"}])["breakpoints"]
    assert (function["verified"], nothing["verified"]) == (True, False)
    assert editor.go()["reason"] == "function breakpoint"
    at = editor.frames()[1]["instructionPointerReference"]
    editor("setInstructionBreakpoints", breakpoints=[{"instructionReference": at, "offset": 0}])
    editor("setFunctionBreakpoints", breakpoints=[])
    assert editor.go("continue")["reason"] == "instruction breakpoint"
    assert editor.frames()[0]["instructionPointerReference"] == at


def test_data_breakpoints(editor: Editor) -> None:
    stop_at(editor, "main walks")
    info = editor("dataBreakpointInfo", name="total")
    editor.breakpoints()
    (point,) = editor("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"], "accessType": "write"}])[
        "breakpoints"
    ]
    stopped = editor.go("continue")
    assert (stopped["reason"], stopped["hitBreakpointIds"]) == ("data breakpoint", [point["id"]])
    assert editor.where() == ("add", MARKED["in add"])
    assert editor.evaluate("total") == "3"


def test_data_of_variables_and_registers(editor: Editor) -> None:
    stop_at(editor, "in add")
    info = editor("dataBreakpointInfo", variablesReference=editor.scope("Locals"), name="a")
    assert info["accessTypes"] == ["write", "read", "readWrite"]
    info = editor("dataBreakpointInfo", variablesReference=editor.scope("Registers"), name="a0")
    assert info["dataId"] is None
    assert "memory" in info["description"]


def test_catchpoints(editor: Editor) -> None:
    wanted = [{"filterId": "syscall", "condition": "93"}, {"filterId": "trap"}, {"filterId": "nothing"}]
    answer = editor("setExceptionBreakpoints", filters=[], filterOptions=wanted)["breakpoints"]
    assert [each["verified"] for each in answer] == [True, True, False]
    stopped = editor.go()
    assert (stopped["reason"], "93" in stopped["text"]) == ("exception", True)
    assert editor("exceptionInfo", threadId=1)["breakMode"] == "always"


def test_lines_where_breakpoints_can_be(editor: Editor) -> None:
    line = MARKED["in add"]
    found = editor("breakpointLocations", source={"path": str(SOURCE)}, line=line - 6, endLine=line)["breakpoints"]
    assert {"line": line} in found
    assert all(line - 6 <= each["line"] <= line for each in found)


# -- values -----------------------------------------------------------------------------------------------------------


def test_the_stack_in_parts(editor: Editor) -> None:
    stop_at(editor, {"line": "deepest"})
    whole = editor("stackTrace", threadId=1)
    assert whole["totalFrames"] == len(whole["stackFrames"]) == 6
    part = editor("stackTrace", threadId=1, startFrame=2, levels=2)
    assert part["stackFrames"] == whole["stackFrames"][2:4]
    assert part["totalFrames"] > 4


def test_variables_open(editor: Editor) -> None:
    stop_at(editor, "walk calls")
    each = editor.variables(editor.scope("Locals"))["each"]
    target = editor.variables(each["variablesReference"])["*each"]
    parts = editor.variables(target["variablesReference"])
    assert (parts["value"]["value"], parts["label"]["value"]) == ("1", '0x10320 "first"')
    assert parts["value"]["evaluateName"] == "(*each).value"
    assert editor.evaluate(parts["value"]["evaluateName"]) == "1"


def test_pages_of_an_array(editor: Editor) -> None:
    stop_at(editor, "filled")
    row = editor.variables(editor.scope("Locals"))["row"]
    assert row["indexedVariables"] == 4
    page = editor.variables(row["variablesReference"], start=1, count=2)
    assert {name: each["value"] for name, each in page.items()} == {"[1]": "1", "[2]": "4"}
    assert editor.evaluate(page["[2]"]["evaluateName"]) == "4"


def test_globals(editor: Editor) -> None:
    stop_at(editor, "in add")
    assert editor.variables(editor.scope("Globals"))["scale"]["value"] == "0.5"


def test_registers_of_frames(editor: Editor) -> None:
    stop_at(editor, "in add")
    inner, outer = (editor.variables(editor.scope("Registers", level)) for level in (0, 1))
    frames = editor.frames()
    for registers, frame in ((inner, frames[0]), (outer, frames[1])):
        assert int(registers["pc"]["value"].partition(" ")[0], 0) == int(frame["instructionPointerReference"], 0)
    assert outer["sp"]["value"] > inner["sp"]["value"]
    assert "<add" in inner["pc"]["value"]


def test_variables_are_changed(editor: Editor) -> None:
    stop_at(editor, "in add")
    reference = editor.scope("Locals")
    assert editor("setVariable", variablesReference=reference, name="a", value="0x20")["value"] == "32"
    assert editor("setVariable", variablesReference=reference, name="b", value="a + 1")["value"] == "33"
    assert editor.evaluate("a + b") == "65"
    editor.wait("invalidated")
    with pytest.raises(RefusedError, match="nobody"):
        editor("setVariable", variablesReference=reference, name="a", value="nobody")
    with pytest.raises(RefusedError, match="nobody"):
        editor("setVariable", variablesReference=reference, name="nobody", value="1")


def test_registers_are_changed(editor: Editor) -> None:
    stop_at(editor, "in add")
    for scope, name in (("Registers", "a0"), ("System registers", "mscratch")):
        editor("setVariable", variablesReference=editor.scope(scope), name=name, value="1234")
        assert editor.variables(editor.scope(scope))[name]["value"] == f"{1234:#010x}"
        assert editor.evaluate(f"${name}") == "1234"


def test_a_register_of_a_caller_is_changed_where_it_is_saved(editor: Editor) -> None:
    stop_at(editor, "in add")
    editor("setVariable", variablesReference=editor.scope("Registers", 1), name="s0", value="0x7fff0000")
    assert editor.variables(editor.scope("Registers", 1))["s0"]["value"].startswith("0x7fff0000")
    with pytest.raises(RefusedError, match="pc"):
        editor("setVariable", variablesReference=editor.scope("Registers", 1), name="pc", value="0")


def test_expressions_are_assigned(editor: Editor) -> None:
    stop_at(editor, "in add")
    assert editor("setExpression", expression="matrix[1][2]", value="9")["value"] == "9"
    assert editor("setExpression", expression="$a5", value="7")["value"] == "7"
    assert editor.evaluate("matrix[1][2] + $a5") == "16"


def test_only_the_console_changes_by_evaluating(editor: Editor) -> None:
    stop_at(editor, "in add")
    for context in ("hover", "watch"):
        with pytest.raises(RefusedError, match="console"):
            editor.evaluate("a = 5", context)
    assert editor.evaluate("a = 5", "repl") == "5"
    assert editor.evaluate("a", "hover") == "5"


def test_expressions_of_a_frame(editor: Editor) -> None:
    stop_at(editor, "in add")
    caller = editor.frames()[1]["id"]
    assert editor("evaluate", expression="count", frameId=caller, context="watch")["result"] == "0"
    with pytest.raises(RefusedError, match="count"):
        editor.evaluate("count")


def test_numbers_of_an_earlier_stop_are_refused(editor: Editor) -> None:
    stop_at(editor, "in add")
    frame, scope = editor.frames()[0]["id"], editor.scope("Locals")
    editor.go("next")
    with pytest.raises(RefusedError, match="earlier"):
        editor("scopes", frameId=frame)
    with pytest.raises(RefusedError, match="earlier"):
        editor.variables(scope)


# -- memory and instructions ------------------------------------------------------------------------------------------


def test_memory_is_read_and_written(editor: Editor) -> None:
    stop_at(editor, "in add")
    total = editor("evaluate", expression="total", context="watch")
    reference = total["memoryReference"]
    assert base64.b64decode(editor("readMemory", memoryReference=reference, count=4)["data"]) == b"\3\0\0\0"
    written = editor("writeMemory", memoryReference=reference, offset=1, data=base64.b64encode(b"\1").decode())
    assert written == {"bytesWritten": 1}
    assert editor.wait("memory") == {"memoryReference": hex(int(reference, 0) + 1), "offset": 0, "count": 1}
    assert editor.evaluate("total") == str(0x103)


def test_memory_that_is_not_there(editor: Editor) -> None:
    stop_at(editor, "in add")
    assert editor("readMemory", memoryReference="0x0", count=8) == {"address": "0x0", "unreadableBytes": 8}
    with Machine.load(ELF) as machine:
        end = max(segment.end for segment in machine.program.segments)
        mapped = next(size for size in range(1 << 20) if not machine.memory.is_mapped(end + size, 1))
    part = editor("readMemory", memoryReference=hex(end), count=mapped + 16)
    assert (len(base64.b64decode(part.get("data", ""))), part["unreadableBytes"]) == (mapped, 16)
    with pytest.raises(RefusedError, match="cannot be accessed"):
        editor("writeMemory", memoryReference="0x0", data="AAAA")
    assert editor("writeMemory", memoryReference="0x0", data="AAAA", allowPartial=True) == {"bytesWritten": 0}


@pytest.mark.parametrize(("first", "count"), [(0, 5), (-5, 10), (-5, 3), (3, 4), (-10, 5), (0, 0), (-300, 600)])
def test_instructions(editor: Editor, first: int, count: int) -> None:
    """As many as asked for, one behind the other, and the one at the reference where it belongs."""
    stop_at(editor, "in twice")
    reference = editor.frames()[0]["instructionPointerReference"]
    lines = editor("disassemble", memoryReference=reference, instructionOffset=first, instructionCount=count)[
        "instructions"
    ]
    assert len(lines) == count
    assert count <= -first or first > 0 or not count or lines[-first]["address"] == reference
    real = [each for each in lines if "instructionBytes" in each]
    for each, following in pairwise(real):
        size = len(bytes.fromhex(each["instructionBytes"]))
        assert int(each["address"], 0) + size == int(following["address"], 0)
    assert all(each.get("presentationHint") == "invalid" for each in lines if each not in real)


def test_instructions_where_no_memory_is(editor: Editor) -> None:
    editor.breakpoints("in add")
    editor.go()
    lines = editor("disassemble", memoryReference="0x0", instructionOffset=-2, instructionCount=4)["instructions"]
    assert [each["address"] for each in lines] == ["-1", "-1", "0x0", "0x2"]
    assert {each["presentationHint"] for each in lines} == {"invalid"}


# -- files ------------------------------------------------------------------------------------------------------------


def test_files(editor: Editor) -> None:
    (source,) = editor("loadedSources")["sources"]
    assert source == {"name": "program.c", "path": str(SOURCE)}
    assert editor("source", source=source, sourceReference=0)["content"] == SOURCE.read_text()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    moved = tmp_path / "moved.elf"
    moved.write_bytes(ELF.read_bytes())
    with connected() as editor:
        editor("initialize", adapterID="dynarec")
        editor("launch", program=str(moved))
        (source,) = editor("loadedSources")["sources"]
        assert source == {"name": "program.c", "path": "/src/program.c", "presentationHint": "deemphasize"}
        with pytest.raises(RefusedError, match="name its folder"):
            editor("source", source=source, sourceReference=0)
        (point,) = editor("setBreakpoints", source=source, breakpoints=[{"line": MARKED["in add"]}])["breakpoints"]
        assert point["verified"]


def test_a_program_without_lines() -> None:
    rom = Path(__file__).parents[3] / "roms" / "bench" / "crc32.elf"
    with connected() as editor:
        editor.launch(rom)
        editor("setFunctionBreakpoints", breakpoints=[{"name": "main"}])
        editor.go()
        frame = editor.frames()[0]
        assert (frame["line"], frame["presentationHint"], "source" in frame) == (0, "subtle", False)
        assert frame["name"] == "main"
