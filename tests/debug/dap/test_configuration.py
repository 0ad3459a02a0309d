"""The launch configurations that editors offer, and that the README shows, are those that are understood."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from dynarec.debug.dap import launching
from tests.debug.dap.editor import connected

ROOT = Path(__file__).parents[3]
MANIFEST = json.loads((ROOT / "dynarec" / "debug" / "dap" / "vscode" / "package.json").read_text())
DEBUGGER = MANIFEST["contributes"]["debuggers"][0]
OTHERS = {"args", "cwd", "stdin", "source", "seed", "stopOnEntry", "stopOnExit"}


def test_the_manifest_names_what_is_understood() -> None:
    properties = DEBUGGER["configurationAttributes"]["launch"]["properties"]
    assert set(properties) == {*launching.TEXTS, *launching.FILES, *launching.SIZES} | OTHERS


def test_the_manifest_starts_this_server() -> None:
    assert [DEBUGGER["runtime"], *DEBUGGER["args"]] == ["dynarec", "debug", "--dap"]


def test_the_example_of_the_readme() -> None:
    section = (ROOT / "README.md").read_text().partition("`.vscode/launch.json`:\n\n")[2]
    text = section.partition("\n\n")[0]
    configuration = json.loads(Template(text).substitute(workspaceFolder=ROOT))["configurations"][0]
    assert configuration["type"] == DEBUGGER["type"]
    with connected() as editor:
        editor("initialize", adapterID=configuration["type"])
        editor("launch", **configuration)
        editor.breakpoints("in add")
        assert editor.go()["reason"] == "breakpoint"
        assert editor.frames()[0]["source"]["path"] == str(ROOT / "tests" / "debug" / "program.c")
