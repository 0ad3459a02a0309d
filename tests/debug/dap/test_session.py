"""Sessions of an editor: to launch, stop, step, go back, restart and leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.debug.build import ELF, SOURCE
from tests.debug.dap.editor import Editor, RefusedError, connected
from tests.debug.stopped import MARKED

ROMS = Path(__file__).parents[3] / "roms"
LONG = ROMS / "bench" / "sha256.elf"
STATUS = 14
"""Of program.elf."""


@pytest.fixture(params=["auto", "jit", "interp"])
def tier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_break_look_step_and_end(tier: str) -> None:
    with connected() as editor:
        editor.launch(tier=tier)
        (point,) = editor.breakpoints("in add")
        stopped = editor.go()
        assert (stopped["reason"], stopped["hitBreakpointIds"]) == ("breakpoint", [point["id"]])
        assert [frame["name"] for frame in editor.frames()] == ["add", "walk", "main", "_start"]
        assert editor.variables(editor.scope("Locals"))["sum"]["value"] == "3"
        assert editor.go("next")["reason"] == "step"
        assert editor.where() == ("add", MARKED["in add"] + 1)
        editor.go("stepOut")
        assert editor.where() == ("walk", MARKED["walk calls"])
        editor.breakpoints()
        editor("continue", threadId=1)
        assert editor.wait("exited") == {"exitCode": STATUS}
        editor.wait("terminated")
        editor("disconnect")


def test_step_into_a_function() -> None:
    with connected() as editor:
        editor.launch()
        editor.breakpoints("main walks")
        editor.go()
        assert editor.go("stepIn")["reason"] == "step"
        assert editor.where()[0] == "walk"


def test_steps_of_instructions() -> None:
    with connected() as editor:
        editor.launch(stopOnEntry=True)
        assert editor.go()["reason"] == "entry"
        before = int(editor.frames()[0]["instructionPointerReference"], 0)
        editor.go("stepIn", granularity="instruction")
        after = int(editor.frames()[0]["instructionPointerReference"], 0)
        assert after - before in (2, 4)


def test_backwards() -> None:
    with connected() as editor:
        editor.launch()
        assert editor.wait("capabilities") == {"capabilities": {"supportsStepBack": True}}
        editor.breakpoints("in add")
        editor.go()
        first = editor.frames()
        editor.go("next")
        editor.go("stepBack")
        assert shapes(editor.frames()) == shapes(first)
        editor.go("stepIn", granularity="instruction")
        editor.go("stepBack", granularity="instruction")
        assert shapes(editor.frames()) == shapes(first)
        editor.go("continue")
        assert editor.evaluate("a") == "2"
        editor.go("reverseContinue")
        assert (shapes(editor.frames()), editor.evaluate("a")) == (shapes(first), "1")
        assert "beginning" in editor.go("reverseContinue")["text"]


def shapes(frames: list[dict[str, object]]) -> list[tuple[object, object]]:
    """What is the same when the program is there again."""
    return [(frame["name"], frame["instructionPointerReference"]) for frame in frames]


def test_without_history_nothing_goes_back() -> None:
    with connected("--history", "0") as editor:
        editor.launch(stopOnEntry=True)
        editor.go()
        assert not any(each["event"] == "capabilities" for each in editor.events)
        with pytest.raises(RefusedError, match="history"):
            editor("stepBack", threadId=1)


def test_the_end_can_be_a_stop() -> None:
    with connected() as editor:
        editor.launch(stopOnExit=True)
        stopped = editor.go()
        assert f"status {STATUS}" in stopped["text"]
        editor.go("stepBack")
        assert editor.go("continue")["text"] == stopped["text"]
        editor("continue", threadId=1)
        assert editor.wait("exited") == {"exitCode": STATUS}


def test_restart_keeps_breakpoints_and_counts_anew() -> None:
    with connected() as editor:
        editor.launch()
        editor.breakpoints({"line": "in add", "hitCondition": "2"})
        editor.go()
        first = editor.variables(editor.scope("Locals"))["a"]["value"]
        editor.go("restart")
        assert editor.where() == ("add", MARKED["in add"])
        assert editor.variables(editor.scope("Locals"))["a"]["value"] == first == "2"


def test_restart_with_another_configuration() -> None:
    with connected() as editor:
        editor.launch()
        editor.breakpoints("in add")
        editor.go()
        assert editor.go("restart", arguments={"program": str(ELF), "stopOnEntry": True})["reason"] == "entry"


def test_pause_and_breakpoints_while_it_runs() -> None:
    with connected() as editor:
        editor.launch(LONG, args=["100000000"])
        editor("configurationDone")
        with pytest.raises(RefusedError, match="running"):
            editor("stackTrace", threadId=1)
        (point,) = editor("setFunctionBreakpoints", breakpoints=[{"name": "exit"}])["breakpoints"]
        assert point["verified"]
        editor("pause", threadId=1)
        assert editor.wait("stopped")["reason"] == "pause"
        assert editor.frames()[-1]["name"]
        editor("continue", threadId=1)
        editor("pause", threadId=1)
        assert editor.wait("stopped")["reason"] == "pause"
        editor("setFunctionBreakpoints", breakpoints=[{"name": "main"}])
        assert editor.go("restart")["reason"] == "function breakpoint"
        assert editor.where()[0] == "main"


def test_a_breakpoint_that_is_set_while_it_runs_is_hit() -> None:
    with connected() as editor:
        editor.launch(LONG, args=["100000000"])
        editor("configurationDone")
        editor("setFunctionBreakpoints", breakpoints=[{"name": "compress"}])
        assert editor.wait("stopped")["reason"] == "function breakpoint"
        assert editor.where()[0] == "compress"


@pytest.mark.parametrize("command", ["disconnect", "terminate"])
def test_leave_while_it_runs(command: str) -> None:
    with connected() as editor:
        editor.launch(LONG, args=["100000000"])
        editor("configurationDone")
        editor(command)
        if command == "terminate":
            editor.wait("terminated")


def test_the_output_of_the_program_comes_as_events() -> None:
    with connected() as editor:
        editor.launch(ROMS / "hello.elf", args=["one", "two"])
        editor("configurationDone")
        editor.wait("terminated")
        output = [each["body"] for each in editor.events if each["event"] == "output"]
        assert {each["category"] for each in output} == {"stdout"}
        text = "".join(each["output"] for each in output)
        assert text.startswith("Hello")
        assert "argument 2: two" in text


def test_input_of_the_program_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "typed").write_text("help\rhalt\r")
    with connected() as editor:
        editor.launch(ROMS / "kernel.elf", cwd=str(tmp_path), stdin="typed")
        editor("configurationDone")
        editor.wait("terminated")
        assert "halt" in "".join(each["body"]["output"] for each in editor.events if each["event"] == "output")


def test_a_program_that_dies() -> None:
    with connected() as editor:
        editor.launch(stopOnEntry=True)
        editor.go()
        registers = editor.scope("Registers")
        editor("setVariable", variablesReference=registers, name="pc", value="0x40")
        stopped = editor.go("continue")
        assert stopped["reason"] == "exception"
        told = editor("exceptionInfo", threadId=1)
        assert (told["exceptionId"], told["breakMode"]) == ("instruction access fault", "unhandled")
        editor("continue", threadId=1)
        assert editor.wait("exited") == {"exitCode": 139}


def test_go_on_elsewhere() -> None:
    with connected() as editor:
        editor.launch()
        editor.breakpoints("main walks")
        editor.go()
        place = {"source": {"path": str(SOURCE)}, "line": MARKED["last"]}
        (target,) = editor("gotoTargets", **place)["targets"]
        assert editor.go("goto", targetId=target["id"])["reason"] == "goto"
        assert editor.where() == ("main", MARKED["last"])


def test_the_command_line_may_name_the_program() -> None:
    with connected(str(ELF)) as editor:
        editor("initialize", adapterID="dynarec")
        editor("launch", stopOnEntry=True)
        assert editor.go()["reason"] == "entry"
        assert editor("threads")["threads"] == [{"id": 1, "name": str(ELF)}]
        (module,) = editor("modules")["modules"]
        assert module["path"] == str(ELF)


def refused(editor: Editor, command: str, **arguments: object) -> str:
    with pytest.raises(RefusedError) as caught:
        editor(command, **arguments)
    return str(caught.value)


def test_what_cannot_be_done_is_said() -> None:
    with connected() as editor:
        assert "program is missing" in refused(editor, "launch")
        assert "nowhere.elf" in refused(editor, "launch", program="nowhere.elf")
        assert "must be text" in refused(editor, "launch", program=3)
        assert "turbo" in refused(editor, "launch", program=str(ELF), tier="turbo")
        assert "memory" in refused(editor, "launch", program=str(ELF), memory="much")
        assert "launch one first" in refused(editor, "stackTrace", threadId=1)
        assert "does not know" in refused(editor, "attach")
        assert "pathFormat" in refused(editor, "initialize", adapterID="dynarec", pathFormat="uri")
        editor.launch(stopOnEntry=True)
        editor.go()
        assert "there already" in refused(editor, "launch", program=str(ELF))
        assert "frameId is missing" in refused(editor, "scopes")
        assert "earlier stop" in refused(editor, "scopes", frameId=12345)
        assert "earlier stop" in refused(editor, "variables", variablesReference=99)
        assert "memory reference" in refused(editor, "readMemory", memoryReference="main", count=1)
        assert "base64" in refused(editor, "writeMemory", memoryReference="0x10000", data="?")
        assert "not stopped for an exception" in refused(editor, "exceptionInfo", threadId=1)


def test_lines_from_zero() -> None:
    with connected() as editor:
        editor("initialize", adapterID="dynarec", linesStartAt1=False, columnsStartAt1=False)
        editor("launch", program=str(ELF), source=[str(SOURCE.parent)])
        line = MARKED["in add"] - 1
        answer = editor("setBreakpoints", source={"path": str(SOURCE)}, breakpoints=[{"line": line}])
        assert answer["breakpoints"][0]["line"] == line
        editor.go()
        assert editor.where() == ("add", line)
