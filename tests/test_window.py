"""The window, under SDL's dummy driver with posted events, and once on a real X server."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pygame
import pytest

from dynarec import window as window_module
from dynarec.machine.console import Controls, Key
from dynarec.machine.framebuffer import PALETTE_BYTES, Format, Picture
from dynarec.window import DEFAULT_SIZE, Meter, NoDisplay, Pacer, Placement, Window, first_size, open_window, placed

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
FRAME_LIMIT = 600
START_SECONDS = 20


def quarters(width: int, height: int) -> Picture:
    """A picture of four quarters in COLOURS."""
    words = [struct.pack("<I", red << 16 | green << 8 | blue) for red, green, blue in COLOURS]
    top = words[0] * (width // 2) + words[1] * (width // 2)
    bottom = words[2] * (width // 2) + words[3] * (width // 2)
    pixels = top * (height // 2) + bottom * (height // 2)
    return Picture(width, height, width * 4, Format.XRGB8888, bytes(PALETTE_BYTES), pixels)


class FakeConsole:
    """A console without a CPU thread."""

    def __init__(self, picture: Picture | None) -> None:
        self.controls = Controls()
        self.shown = picture
        self.frames = 0
        self.calls: list[str] = []

    def picture(self) -> Picture | None:
        return self.shown

    def next_frame(self) -> None:
        self.frames += 1

    def pause(self) -> None:
        self.calls.append("console.pause")

    def resume(self) -> None:
        self.calls.append("console.resume")

    def stop(self) -> None:
        self.calls.append("console.stop")


class FakeSession:
    """Runs a step of a script before each frame, and ends with the script."""

    name = "rom"

    def __init__(self, steps: list[Callable[[], Any]], picture: Picture | None = None) -> None:
        self.fake = FakeConsole(picture)
        self.steps = steps
        self.instructions = 0

    @property
    def console(self) -> Any:
        return self.fake

    @property
    def finished(self) -> bool:
        self.instructions += 1_000_000
        if not self.steps:
            return True
        self.steps.pop(0)()
        return False

    def stop(self) -> None:
        self.fake.calls.append("stop")

    def pause(self) -> None:
        self.fake.calls.append("pause")

    def resume(self) -> None:
        self.fake.calls.append("resume")


def key(code: int, down: bool = True) -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN if down else pygame.KEYUP, key=code))


def mouse(kind: int, position: tuple[int, int], button: int = 1) -> None:
    pygame.event.post(pygame.event.Event(kind, pos=position, button=button))


def nothing() -> None:
    return None


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Window]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.chdir(tmp_path)
    opened = open_window("rom")
    assert isinstance(opened, Window)
    yield opened
    opened.close()


def test_ends_with_the_session(window: Window) -> None:
    session = FakeSession([nothing] * 3)
    assert window.run(session) is True
    assert session.fake.frames == 3
    assert session.fake.calls == ["console.stop", "stop"]


@pytest.mark.parametrize(
    "end", [lambda: key(pygame.K_ESCAPE), lambda: pygame.event.post(pygame.event.Event(pygame.QUIT))]
)
def test_escape_and_the_close_button_quit(window: Window, end: Callable[[], None]) -> None:
    session = FakeSession([nothing, end, *[nothing] * FRAME_LIMIT])
    assert window.run(session) is False
    assert session.fake.frames == 1
    assert session.fake.calls == ["console.stop", "stop"]


def test_interrupt_stops_the_session_and_goes_on(window: Window) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    session = FakeSession([nothing, interrupt])
    with pytest.raises(KeyboardInterrupt):
        window.run(session)
    assert session.fake.calls == ["console.stop", "stop"]


def test_pause(window: Window) -> None:
    titles: list[str] = []
    pause = [lambda: key(pygame.K_p), lambda: key(pygame.K_p, False)]
    look = [lambda: titles.append(pygame.display.get_caption()[0])]
    session = FakeSession([*pause, lambda: key(pygame.K_x), *look, *pause, *look])
    window.run(session)
    assert session.fake.calls == ["console.pause", "pause", "console.resume", "resume", "console.stop", "stop"]
    assert titles == ["rom — paused", "rom"]
    assert session.fake.frames == 3  # none while paused
    assert session.fake.controls.next_event() == 0  # nor keys


def test_keys_reach_the_console(window: Window) -> None:
    pressed = [pygame.K_UP, pygame.K_z, pygame.K_F1, pygame.K_F11, pygame.K_RETURN, pygame.K_KP_ENTER, pygame.K_F12]
    session = FakeSession([lambda code=code: key(code) for code in [*pressed, pygame.K_LSHIFT]])  # type: ignore[misc]
    window.run(session)
    events = list(iter(session.fake.controls.next_event, 0))
    assert [event & 0xFFFF for event in events] == [0x101, ord("z"), 0x111, 0x11B, 0x0D]
    assert all(event >> 31 for event in events)


def test_losing_the_keyboard_releases_keys(window: Window) -> None:
    def lose() -> None:
        pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))

    session = FakeSession([lambda: key(pygame.K_LEFT), lose, nothing])
    window.run(session)
    assert session.fake.controls.held == 0
    assert list(iter(session.fake.controls.next_event, 0)) == [1 << 31 | Key.LEFT, Key.LEFT]


def test_pointer_in_picture_pixels(window: Window) -> None:
    session = FakeSession([], quarters(320, 240))
    seen: list[tuple[tuple[int, int], int]] = []
    look = lambda: seen.append((session.fake.controls.position, session.fake.controls.buttons))  # noqa: E731
    session.steps = [
        nothing,
        lambda: mouse(pygame.MOUSEBUTTONDOWN, (3, 5)),
        lambda: mouse(pygame.MOUSEBUTTONDOWN, (959, 719), 3),
        look,
        lambda: mouse(pygame.MOUSEBUTTONUP, (0, 0)),
        lambda: mouse(pygame.MOUSEBUTTONDOWN, (300, 300), 4),  # the wheel
        look,
    ]
    window.run(session)
    assert seen == [((319, 239), 5), ((100, 100), 4)]


def corners(inset: int = 2) -> list[tuple[int, ...]]:
    screen = pygame.display.get_surface()
    width, height = screen.get_size()
    places = [(x, y) for y in (inset, height - 1 - inset) for x in (inset, width - 1 - inset)]
    return [tuple(screen.get_at(place))[:3] for place in places]


def test_dark_without_a_picture_then_the_picture_fills_its_window(window: Window) -> None:
    session = FakeSession([])
    seen: list[Any] = []

    def show() -> None:
        seen.append(corners())
        session.fake.shown = quarters(256, 128)

    def look() -> None:
        seen.append((pygame.display.get_window_size(), corners()))

    session.steps = [nothing, show, nothing, look]
    window.run(session)
    assert seen[0] == [window_module.DARK_COLOUR] * 4
    assert seen[1] == ((768, 384), COLOURS)


def test_a_change_of_picture_size_is_centred_with_bars(window: Window) -> None:
    session = FakeSession([], quarters(320, 240))
    seen: list[Any] = []

    def shrink() -> None:
        session.fake.shown = quarters(500, 400)

    def look() -> None:
        screen = pygame.display.get_surface()
        bars = [tuple(screen.get_at(place))[:3] for place in [(229, 360), (730, 360), (480, 159), (480, 560)]]
        inside = [tuple(screen.get_at(place))[:3] for place in [(230, 160), (729, 160), (230, 559), (729, 559)]]
        seen.append((pygame.display.get_window_size(), bars, inside))

    session.steps = [nothing, shrink, nothing, look]
    window.run(session)
    assert seen == [((960, 720), [(0, 0, 0)] * 4, COLOURS)]


def test_turning_the_picture_off_darkens(window: Window) -> None:
    session = FakeSession([], quarters(320, 240))
    seen: list[Any] = []
    session.steps = [nothing, lambda: setattr(session.fake, "shown", None), nothing, lambda: seen.append(corners())]
    window.run(session)
    assert seen == [[window_module.DARK_COLOUR] * 4]


def test_screenshot_key(window: Window, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rom-001.png").touch()
    session = FakeSession([lambda: key(pygame.K_F12)], None)
    window.run(session)
    assert capsys.readouterr().err == "no picture to save yet\n"
    session = FakeSession([nothing, lambda: key(pygame.K_F12)], quarters(4, 4))
    window.run(session)
    assert capsys.readouterr().err == "saved rom-002.png\n"
    saved = pygame.image.load(str(tmp_path / "rom-002.png"))
    assert [tuple(saved.get_at(place))[:3] for place in [(0, 0), (3, 0), (0, 3), (3, 3)]] == COLOURS


def test_unwritable_screenshot_is_a_line(
    window: Window, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(window, "name", "missing/..")
    monkeypatch.setattr(window_module, "Path", lambda *parts: Path("missing", *parts))
    session = FakeSession([nothing, lambda: key(pygame.K_F12)], quarters(4, 4))
    assert window.run(session) is True
    assert capsys.readouterr().err.startswith("cannot write the picture ")


def test_title_is_updated(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "TITLE_SECONDS", 0)
    session = FakeSession([nothing] * 2, quarters(4, 4))
    window.run(session)
    name, mips, fps = pygame.display.get_caption()[0].split(" — ")
    assert name == "rom"
    assert mips.endswith(" MIPS")
    assert fps.endswith(" fps")


def test_meter() -> None:
    now = 0.0
    meter = Meter(1000, lambda: now)
    for _ in range(30):
        meter.count_picture()
    now = 0.4
    assert meter.reading(1000) is None
    now = 0.5
    assert meter.reading(61_501_000) == "123 MIPS — 60 fps"
    now = 1.0
    assert meter.reading(62_751_000) == "2.5 MIPS — 0 fps"


def test_pacer_keeps_sixty_hertz_and_gives_up_long_delays() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pacer = Pacer(lambda: now, sleep)
    for _ in range(60):
        now += 0.005
        pacer.wait()
    assert now == pytest.approx(1.0)
    now += 10
    pacer.wait()
    pacer.wait()
    assert now == pytest.approx(11 + 1 / 60)


@pytest.mark.parametrize(
    ("picture", "size", "place"),
    [
        ((320, 240), (960, 720), Placement(0, 0, 960, 720)),
        ((320, 240), (1000, 721), Placement(20, 0, 960, 720)),
        ((320, 240), (959, 720), Placement(159, 120, 640, 480)),
        ((320, 240), (160, 240), Placement(0, 60, 160, 120)),
        ((1920, 1), (100, 100), Placement(0, 49, 100, 1)),
        ((1, 1), (1, 1), Placement(0, 0, 1, 1)),
    ],
)
def test_placement(picture: tuple[int, int], size: tuple[int, int], place: Placement) -> None:
    assert placed(picture, size) == place


@pytest.mark.parametrize(
    ("picture", "size"),
    [((320, 240), (960, 720)), ((64, 32), (960, 480)), ((1920, 1080), (1920, 1080)), ((1, 1), (720, 720))],
)
def test_first_size(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert first_size(picture) == size


unix_only = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="displays are named by the environment on X11"
)


@unix_only
@pytest.mark.parametrize("display", [None, ":987"])
def test_no_display(monkeypatch: pytest.MonkeyPatch, display: str | None) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    opened = open_window("rom")
    assert isinstance(opened, NoDisplay)
    assert opened.message.startswith("no display (")
    assert opened.message.endswith("): running headless")
    assert "\n" not in opened.message


def test_unknown_driver_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "nosuchdriver")
    assert isinstance(open_window("rom"), NoDisplay)


def test_importing_the_window_does_not_import_pygame() -> None:
    code = "import sys, dynarec.window; sys.exit('pygame' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=child_environment(), check=False).returncode == 0


# A real X server

ROOT_SIZE = (1280, 1024)


def child_environment(**extra: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "SDL_VIDEODRIVER"}
    return {**inherited, "PYTHONPATH": str(Path(__file__).parent.parent), **extra}


def show_quarters() -> None:
    """The child process of the X11 test: shows a picture until it is killed."""
    opened = open_window("rom")
    if isinstance(opened, NoDisplay):
        raise SystemExit(opened.message)
    opened.run(cast(Any, FakeSession([nothing] * FRAME_LIMIT, quarters(320, 240))))


@pytest.fixture
def x_server() -> Iterator[str]:
    if not (shutil.which("Xvfb") and shutil.which("import")):
        pytest.skip("needs Xvfb and ImageMagick's import")
    screen = f"{ROOT_SIZE[0]}x{ROOT_SIZE[1]}x24"
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", screen, "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
        server.terminate()


def root_colours(display: str, path: Path) -> list[int]:
    """How many pixels of the root window have each of COLOURS."""
    subprocess.run(["import", "-display", display, "-window", "root", str(path)], check=True)
    image = pygame.image.load(str(path)).convert(32, 0)
    return [pygame.mask.from_threshold(image, colour, (1, 1, 1, 255)).count() for colour in COLOURS]


def test_on_an_x_server(x_server: str, tmp_path: Path, window: Window) -> None:
    quarter = DEFAULT_SIZE[0] * DEFAULT_SIZE[1] // len(COLOURS)
    code = "from tests.test_window import show_quarters; show_quarters()"
    child = subprocess.Popen([sys.executable, "-c", code], env=child_environment(DISPLAY=x_server))
    try:
        deadline = time.monotonic() + START_SECONDS
        counts: list[int] = []
        while counts != [quarter] * len(COLOURS) and time.monotonic() < deadline and child.poll() is None:
            counts = root_colours(x_server, tmp_path / "root.png")
        assert counts == [quarter] * len(COLOURS)
    finally:
        child.terminate()
        child.wait()
