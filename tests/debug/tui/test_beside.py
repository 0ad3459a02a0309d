"""Console programs in their window, beside the debugger."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from dynarec.machine.console import Console
from tests.debug.tui.driving import ROMS, Driver, drive

ROM = ROMS / "mandelbrot.elf"
WINDOW_CLASS = "beside"
SEARCH = ["xdotool", "search", "--sync", "--onlyvisible", "--class", WINDOW_CLASS]
SCREEN = "1024x768x24"


def console(driver: Driver) -> Console:
    found = driver.app.session.console
    assert found is not None
    return found


async def running(driver: Driver) -> None:
    """Let the program run, and show pictures."""
    first = console(driver)._frame
    driver.app.execute("continue")
    await driver.wait_for(lambda: console(driver)._frame > first + 2, "frames are counted")


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that nobody sees."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def test_without_a_display(no_display: None) -> None:
    async def test(driver: Driver) -> None:
        assert "no display" in driver.text("log")
        await driver.type("stepi")
        assert driver.app.session.window is None

    drive(test, elf=ROM)


def test_the_window_counts_frames_while_the_program_runs(dummy: None) -> None:
    async def test(driver: Driver) -> None:
        await running(driver)
        await driver.app.run_action("interrupt")
        await driver.idle()
        there = console(driver)._frame
        await driver.pilot.pause(0.2)
        assert console(driver)._frame == there
        await running(driver)
        await driver.app.run_action("interrupt")
        await driver.idle()

    drive(test, elf=ROM)


def test_a_restart_is_shown_in_the_same_window(dummy: None) -> None:
    async def test(driver: Driver) -> None:
        window = driver.app.session.window
        await driver.type("restart")
        await running(driver)
        await driver.app.run_action("interrupt")
        await driver.idle()
        assert driver.app.session.window is window

    drive(test, elf=ROM)


def test_a_window_that_is_closed(dummy: None) -> None:
    async def test(driver: Driver) -> None:
        await running(driver)
        window = driver.app.session.window
        assert window is not None
        window._process.terminate()
        await driver.wait_for(lambda: "the window is closed" in driver.text("log"), "told of it")
        before = driver.app.session.debugger.machine.instructions
        machine = driver.app.session.debugger.machine
        await driver.wait_for(lambda: machine.instructions > before, "going on")
        await driver.app.run_action("interrupt")
        await driver.idle()
        assert "Interrupted" in driver.status

    drive(test, elf=ROM)


@pytest.fixture
def x_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("needs Xvfb and xdotool")
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        display = f":{server.stdout.readline().strip()}"
        monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.setenv("SDL_VIDEO_X11_WMCLASS", WINDOW_CLASS)
        yield display
        server.terminate()


def press(key: str) -> None:
    """In the window."""
    found = subprocess.run(SEARCH, capture_output=True, text=True, check=True)
    window = found.stdout.split()[0]
    subprocess.run(["xdotool", "windowfocus", "--sync", window, "key", key], check=True)


def test_keys_in_the_window(x_server: str) -> None:
    async def test(driver: Driver) -> None:
        await running(driver)
        press("F11")
        await driver.idle()
        assert "Interrupted" in driver.status
        await driver.type("stepi")
        await running(driver)
        press("Escape")
        await driver.wait_for(lambda: "the window is closed" in driver.text("log"), "told of it")
        await driver.app.run_action("interrupt")
        await driver.idle()

    drive(test, elf=ROM)
