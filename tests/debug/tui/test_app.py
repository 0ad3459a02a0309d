"""The interface, by its keys, its command line and the mouse, on small and large terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynarec.debug.tui.app import MOST_LOGGED
from dynarec.debug.tui.command_line import CommandLine
from dynarec.debug.tui.keys import PANES
from tests.debug.tui.driving import LARGE, ROMS, SMALL, Driver, drive, driven, run

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "140x45"])


@SIZES
def test_a_session(size: tuple[int, int]) -> None:
    async def test(driver: Driver) -> None:
        await driver.type("break add", "run")
        assert "Breakpoint 1" in driver.status
        assert "add (a=1, b=2)" in driver.text("log")
        assert "0001000e" in driver.here("code")
        assert driver.here("code").startswith("●▶")
        await driver.press("escape", "n")
        assert "int sum" not in driver.here("code")
        assert "program.c:18" in driver.status
        await driver.press("f")
        assert "walk (" in driver.status
        await driver.type("delete", "c")
        assert "Exited with status 14" in driver.status

    drive(test, size=size)


def test_a_large_terminal_shows_panes_side_by_side() -> None:
    async def test(driver: Driver) -> None:
        assert driver.shown == {"code", "registers", "stack", "variables", "breakpoints", "console"}
        await driver.press("escape", "6")
        assert driver.shown == {"code", "registers", "stack", "variables", "breakpoints", "memory"}
        await driver.pilot.resize_terminal(*SMALL)
        await driver.idle()
        assert driver.shown == {"memory"}
        await driver.pilot.resize_terminal(*LARGE)
        await driver.idle()
        assert "code" in driver.shown

    drive(test, size=LARGE)


def test_a_small_terminal_shows_one_pane() -> None:
    async def test(driver: Driver) -> None:
        await driver.press("escape")
        for number, name in enumerate(PANES, 1):
            await driver.press("alt+" + str(number))
            assert driver.shown == {name}
        await driver.pilot.click("#tabs", offset=(3, 0))
        await driver.idle()
        assert driver.shown == {"code"}

    drive(test, size=SMALL)


@SIZES
def test_everything_fits(size: tuple[int, int]) -> None:
    async def test(driver: Driver) -> None:
        await driver.type("break add", "run", "help")
        for widget in driver.app.query("#status, #tabs, .pane, #log, #prompt, Footer"):
            if widget.display:
                assert driver.app.screen.region.contains_region(widget.region), widget
        assert driver.app.query_one("#code").region.height >= 4

    drive(test, size=size)


def test_changes_are_marked() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("break add", "run", "memory &total", "next")
        assert driver.changed("variables") == ["3"]
        assert "0001001c" in driver.changed("registers")
        await driver.type("next")
        assert driver.changed("memory") == ["06"]
        await driver.type("next", "next")
        assert driver.changed("memory") == []

    drive(test)


def test_breakpoints_by_mouse_and_by_key() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run")
        await driver.pilot.click("#code", offset=(12, driver.find("code", "00010026")))
        await driver.idle()
        assert "*0x10026" in driver.text("breakpoints")
        await driver.press("c")
        assert "00010026" in driver.here("code")
        await driver.press("b")
        assert "no breakpoints" in driver.text("breakpoints")
        await driver.press("down", "space")
        assert "sink = sum" not in driver.text("breakpoints")
        assert "1 breakpoint" in driver.text("breakpoints").replace("3 breakpoint", "1 breakpoint")
        await driver.pilot.click("#breakpoints", offset=(4, 1))
        await driver.idle()
        assert "disabled" in driver.text("breakpoints")
        await driver.press("x")
        assert "no breakpoints" in driver.text("breakpoints")

    drive(test)


def test_frames_are_selected_by_mouse() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run")
        await driver.pilot.click("#stack", offset=(10, driver.find("stack", "main ()")))
        await driver.idle()
        assert "main ()" in driver.here("stack")
        assert "result" in driver.text("variables")
        assert driver.here("code").startswith(" ▷")
        await driver.press("d")
        assert "walk (" in driver.here("stack")

    drive(test)


def test_going_back_with_keys() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("break add", "run", "c")
        before = driver.app.session.debugger.position
        await driver.press("escape", "n", "N")
        assert driver.app.session.debugger.position == before
        await driver.press("C", "C")
        assert "beginning of history" in driver.status.lower()

    drive(test)


def test_the_program_runs_while_the_interface_lives() -> None:
    async def test(driver: Driver) -> None:
        driver.app.execute("run")
        await driver.wait_for(lambda: "running" in driver.status, "running")
        driver.app.execute("step")
        assert "the program runs" in driver.text("log")
        await driver.app.run_action("interrupt")
        await driver.idle()
        assert "Interrupted" in driver.status
        before = driver.app.session.debugger.position
        await driver.type("stepi")
        assert driver.app.session.debugger.position.instructions == before.instructions + 1

    drive(test, elf=ROMS / "bench" / "crc32.elf", args=["100000000"], history=0)


def test_console_of_the_program() -> None:
    async def test(driver: Driver) -> None:
        driver.app.execute("run")
        await driver.wait_for(lambda: "$" in driver.text("printed") or ">" in driver.text("printed"), "a prompt")
        await driver.answer("help")
        await driver.wait_for(lambda: "halt" in driver.text("printed"), "an answer")
        await driver.answer("halt")
        await driver.idle()
        assert "Exited with status 0" in driver.status

    drive(test, elf=ROMS / "kernel.elf")


def test_history_and_completion() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("break add", "info breakpoints")
        line = driver.app.query_one(CommandLine)
        await driver.press("up", "up")
        assert line.value == "break add"
        await driver.press("down", "down")
        assert line.value == ""
        await driver.pilot.press(*"tbr", "tab", *"facto", "tab")
        assert line.value == "tbreak factorial "
        await driver.press("ctrl+c")
        assert line.value == ""
        await driver.pilot.press(*"info l", "tab")
        await driver.idle()
        assert "line  locals" in driver.text("log")
        await driver.press("ctrl+c")
        await driver.pilot.press(*"break a")
        await driver.pilot.press("right")
        assert line.value == "break add"

    drive(test)


def test_an_empty_line_repeats() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run", "stepi")
        before = driver.app.session.debugger.position.instructions
        await driver.type("", "")
        assert driver.app.session.debugger.position.instructions == before + 2

    drive(test)


def test_ways_to_show_code() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run")
        mixed = driver.text("code")
        assert "int sum" in mixed
        assert "c.addi16sp" in mixed
        await driver.press("escape", "m")
        assert "c.addi16sp" not in driver.text("code")
        assert "int sum" in driver.here("code")
        await driver.press("m")
        assert "int sum" not in driver.text("code")
        await driver.type("view mixed")
        assert driver.text("code") == mixed

    drive(test)


def test_code_elsewhere() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run", "look factorial")
        assert "factorial:" in driver.text("code")
        assert "▶" not in driver.here("code")
        await driver.type("stepi")
        assert "▶" in driver.here("code")
        await driver.type("view source", "look factorial")
        assert "if (n < 2)" in driver.here("code")

    drive(test)


def test_commands_that_print_without_end_are_interrupted() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("break add", "commands 1 help; run")
        driver.app.execute("run")
        await driver.wait_for(lambda: len(driver.app.log_rows) == MOST_LOGGED, "many lines")
        await driver.app.run_action("interrupt")
        await driver.idle()
        await driver.type("delete", "restart")
        assert "not started" in driver.status

    drive(test)


def test_the_end_of_input() -> None:
    async def test(driver: Driver) -> None:
        driver.app.execute("run")
        await driver.wait_for(lambda: "running" in driver.status, "running")
        await driver.answer("one two")
        await driver.wait_for(lambda: "one two" in driver.text("printed"), "an echo")
        await driver.app.query_one("#typed").run_action("end_input")
        await driver.idle()
        assert "Exited with status 0" in driver.status
        assert "2 words, 2 different" in driver.text("printed")

    drive(test, elf=ROMS / "words.elf")


def test_a_breakpoint_on_a_line_of_source() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run", "view source")
        await driver.pilot.click("#code", offset=(20, driver.find("code", "sink = sum")))
        await driver.idle()
        assert "program.c:19" in driver.text("breakpoints")
        await driver.press("c")
        assert driver.here("code").startswith("●▶")
        assert "sink = sum" in driver.here("code")

    drive(test)


def test_the_block() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("tbreak add", "run", "view block")
        text = driver.text("block")
        assert "IR, lifted:" in text
        assert "host code:" in text
        assert "0001000e" in driver.here("block")

    drive(test)


def test_light_and_dark() -> None:
    async def test(driver: Driver) -> None:
        listing = driver.app.query_one("#code")
        dark = listing.background_colors[1].brightness
        await driver.press("escape", "t")
        assert listing.background_colors[1].brightness > 0.5 > dark
        await driver.type("theme nord")
        assert driver.app.theme == "nord"
        await driver.type("theme mud")
        assert "themes are" in driver.text("log")

    drive(test)


def test_mistakes_are_lines_in_the_log() -> None:
    async def test(driver: Driver) -> None:
        await driver.type("nonsense", "break nowhere_at_all", "memory 0x4")
        assert "there is no command 'nonsense'" in driver.text("log")
        assert "nowhere_at_all" in driver.text("log")
        assert "--" in driver.text("memory")

    drive(test)


def test_quit_ends_it() -> None:
    async def test(driver: Driver) -> None:
        driver.app.execute("quit")
        await driver.wait_for(lambda: driver.app.return_value == 0, "ended")

    drive(test)


def test_what_is_remembered(tmp_path: Path) -> None:
    state = tmp_path / "states" / "program.json"

    async def test() -> None:
        async with driven(state=state) as driver:
            await driver.type("break add if a > 5", "watch total", "catch syscall", "display total", "disable 2")
            await driver.press("escape", "t", "m", "6")
        assert state.stat().st_mode & 0o077 == 0
        assert state.parent.stat().st_mode & 0o077 == 0
        async with driven(state=state) as driver:
            assert "1 breakpoint add if a > 5" in driver.text("breakpoints")
            assert "disabled" in driver.text("breakpoints")
            assert driver.app.theme == "textual-light"
            assert driver.app.contents.style == "source"
            assert "memory" in driver.shown
            await driver.type("run")
            assert "total" in driver.text("variables")
            await driver.press("up", "up")
            assert driver.app.query_one(CommandLine).value == "disable 2"

    run(test())


def test_damaged_memories_are_noted(tmp_path: Path) -> None:
    state = tmp_path / "program.json"
    state.write_text("{")

    async def test() -> None:
        async with driven(state=state, size=SMALL) as driver:
            assert "is not used" in driver.text("log")
            await driver.type("break add")
        async with driven(state=state) as driver:
            assert "breakpoint add" in driver.text("breakpoints")

    run(test())
