"""The window: shows the console's picture 60 times a second and hands keys and pointer to it. Main thread only.

pygame is imported when a window is opened, not before: a run without a window does not pay for it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dynarec.errors import DynarecError
from dynarec.machine.console import FRAMES_PER_SECOND, Key
from dynarec.machine.framebuffer import Format, Picture, fill_surface, new_surface
from dynarec.screenshot import write_numbered_png

if TYPE_CHECKING:
    import pygame

DEFAULT_SIZE = (960, 720)
"""Pixels of the window before the first picture, and what the first picture is scaled up to."""

BARS_COLOUR = (0, 0, 0)
DARK_COLOUR = (16, 16, 20)
"""The colour of the window while there is no picture."""

FRAME_SECONDS = 1 / FRAMES_PER_SECOND
RESYNC_SECONDS = 0.25
"""A frame that is later than this (the process was suspended) is not made up for."""

TITLE_SECONDS = 0.5
MIPS_DIGITS_BELOW = 10
"""Below this many MIPS the title shows one decimal."""

FUNCTION_KEYS = 11
"""F1 to F11 belong to the ROM; F12 takes a screenshot."""

LAST_ASCII = 0x7F
DISPLAYLESS_DRIVERS = ("dummy", "offscreen")
"""SDL's stand-ins when it finds no display; a window that nobody sees is opened only if the user names one."""


class Hands(Protocol):
    """What takes keys and pointer; see `dynarec.machine.console.Controls`."""

    def key(self, code: int, pressed: bool) -> None: ...

    def point(self, x: int, y: int) -> None: ...

    def button(self, number: int, pressed: bool) -> None: ...

    def release_all(self) -> None: ...


class Screen(Protocol):
    """A console as the window sees it; see `dynarec.machine.console.Console`."""

    @property
    def controls(self) -> Hands: ...

    def picture(self) -> Picture | None: ...

    def next_frame(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self) -> None: ...


class Session(Protocol):
    """A running program as the window sees it. `stop` may be called twice, and when the program has ended."""

    @property
    def name(self) -> str: ...

    @property
    def finished(self) -> bool: ...

    @property
    def instructions(self) -> int:
        """Guest instructions retired so far."""

    @property
    def console(self) -> Screen: ...

    def stop(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NoDisplay:
    """Why no window can be opened."""

    reason: str

    @property
    def message(self) -> str:
        """One line for the user."""
        return f"no display ({self.reason}): running headless"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture stands in the window, in window pixels."""

    left: int
    top: int
    width: int
    height: int

    def to_picture(self, position: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """The pixel of a picture of that size that stands at a position of the window; it may lie outside."""
        x, y = position
        return (x - self.left) * size[0] // self.width, (y - self.top) * size[1] // self.height


def placed(picture: tuple[int, int], window: tuple[int, int]) -> Placement:
    """The picture centred, as many whole times enlarged as fits; one that is too large is made smaller to fit."""
    scale = min(window[0] // picture[0], window[1] // picture[1])
    width, height = (picture[0] * scale, picture[1] * scale) if scale else shrunk(picture, window)
    return Placement((window[0] - width) // 2, (window[1] - height) // 2, width, height)


def shrunk(picture: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the picture's proportions that fits the window, at least one pixel."""
    width = min(window[0], picture[0] * window[1] // picture[1])
    height = min(window[1], picture[1] * window[0] // picture[0])
    return max(1, width), max(1, height)


def first_size(picture: tuple[int, int]) -> tuple[int, int]:
    """The window's size for a picture: the largest whole multiple that fits DEFAULT_SIZE, at least the picture."""
    scale = max(1, min(DEFAULT_SIZE[0] // picture[0], DEFAULT_SIZE[1] // picture[1]))
    return picture[0] * scale, picture[1] * scale


class Pacer:
    """Keeps the loop at 60 Hz. The clock of pygame counts whole milliseconds: 62.5 Hz, which a guest can see."""

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._deadline = now()

    def wait(self) -> None:
        """Sleep until the next frame is due."""
        self._deadline += FRAME_SECONDS
        early = self._deadline - self._now()
        if early > 0:
            self._sleep(early)
        elif early < -RESYNC_SECONDS:
            self._deadline = self._now()


class Meter:
    """Instructions and pictures per second, measured over TITLE_SECONDS."""

    def __init__(self, instructions: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = now()
        self._instructions = instructions
        self._pictures = 0

    def count_picture(self) -> None:
        self._pictures += 1

    def reading(self, instructions: int) -> str | None:
        """ "123 MIPS — 60 fps" when TITLE_SECONDS have passed since the last reading, else None."""
        seconds = self._now() - self._since
        if seconds < TITLE_SECONDS:
            return None
        mips = (instructions - self._instructions) / seconds / 1e6
        fps = self._pictures / seconds
        self._since, self._instructions, self._pictures = self._now(), instructions, 0
        decimals = 1 if mips < MIPS_DIGITS_BELOW else 0
        return f"{mips:.{decimals}f} MIPS — {fps:.0f} fps"


def open_window(name: str, kind: type[Window] | None = None) -> Window | NoDisplay:
    """Open a window with that name in its title, or say why there is none. kind: a window that does more."""
    reason = missing_display()
    if reason is not None:
        return NoDisplay(reason)
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        return NoDisplay(f"pygame cannot be imported: {error}")
    try:
        return open_pygame_window(name, kind or Window)
    except pygame.error as error:
        pygame.display.quit()
        return NoDisplay(str(error))


def missing_display() -> str | None:
    """Why there is surely no display, without asking SDL; None when there may be one."""
    by_environment = sys.platform not in ("win32", "darwin") and not os.environ.get("SDL_VIDEODRIVER")
    if by_environment and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    return None


def open_pygame_window(name: str, kind: type[Window]) -> Window | NoDisplay:
    """Raises pygame.error when SDL cannot open a window."""
    import pygame

    pygame.display.init()
    driver = pygame.display.get_driver()
    if driver in DISPLAYLESS_DRIVERS and os.environ.get("SDL_VIDEODRIVER") != driver:
        pygame.display.quit()
        return NoDisplay("the display cannot be opened")
    pygame.display.set_caption(name)
    pygame.display.set_mode(DEFAULT_SIZE, pygame.RESIZABLE)
    return kind(name)


def key_codes() -> dict[int, int]:
    """pygame's key constants to the console's key codes; keys that are missing do not reach the ROM."""
    import pygame

    codes = {code: code for code in range(1, LAST_ASCII + 1)}
    codes.update({pygame.K_F1 + number: Key.FUNCTION + 1 + number for number in range(FUNCTION_KEYS)})
    codes.update({pygame.K_UP: Key.UP, pygame.K_DOWN: Key.DOWN, pygame.K_LEFT: Key.LEFT, pygame.K_RIGHT: Key.RIGHT})
    codes[pygame.K_KP_ENTER] = Key.RETURN
    del codes[pygame.K_ESCAPE], codes[pygame.K_p]
    return codes


class Window:
    """An open window; made by `open_window`."""

    def __init__(self, name: str) -> None:
        import pygame

        self.name = name
        self._quit = False
        self._paused = False
        self._stale = True
        self._picture: Picture | None = None
        self._surface: pygame.Surface | None = None
        self._surface_shape: tuple[tuple[int, int], Format] | None = None
        self._sized = False
        self._key_codes = key_codes()
        self._own_keys: dict[int, Callable[[Session], None]] = {
            pygame.K_ESCAPE: self._on_quit,
            pygame.K_p: self._toggle_pause,
            pygame.K_F12: self._save_picture,
        }

    def run(self, session: Session) -> bool:
        """Show the session until it ends or the user ends it; True when it ended by itself.

        The session is stopped in any case, KeyboardInterrupt included, which goes on to the caller. Whoever starts the
        machine calls `console.attach_display()` before.
        """
        pacer, meter = Pacer(), Meter(session.instructions)
        try:
            while not session.finished:
                self._handle_events(session)
                if self._quit:
                    return False
                self._show_frame(session, meter)
                pacer.wait()
            return True
        finally:
            session.console.stop()  # first: a CPU thread that waits for a frame could not be stopped
            session.stop()

    def close(self) -> None:
        """Close the window. May be called twice."""
        import pygame

        pygame.display.quit()

    def _show_frame(self, session: Session, meter: Meter) -> None:
        picture = session.console.picture()
        if picture is not self._picture:
            self._take(picture, meter)
        if self._stale:
            self._draw()
        if not self._paused:
            session.console.next_frame()
        self._update_title(session, meter)

    def _take(self, picture: Picture | None, meter: Meter) -> None:
        """Draw this picture from now on."""
        self._picture = picture
        self._stale = True
        if picture is None:
            return
        meter.count_picture()
        self._fit_window(picture)
        shape = (picture.size, picture.format)
        if self._surface is None or self._surface_shape != shape:
            self._surface, self._surface_shape = new_surface(picture), shape
        fill_surface(self._surface, picture)

    def _fit_window(self, picture: Picture) -> None:
        """Once, for the first picture, and only if the user has not sized the window before."""
        import pygame

        if not self._sized and pygame.display.get_window_size() == DEFAULT_SIZE:
            pygame.display.set_mode(first_size(picture.size), pygame.RESIZABLE)
        self._sized = True

    def _draw(self) -> None:
        import pygame

        screen = pygame.display.get_surface()
        if self._picture is None or self._surface is None:
            screen.fill(DARK_COLOUR)
        else:
            screen.fill(BARS_COLOUR)
            place = placed(self._picture.size, screen.get_size())
            pixels = pygame.Surface(self._picture.size, 0, screen)
            pixels.blit(self._surface, (0, 0))
            target = screen.subsurface((place.left, place.top, place.width, place.height))
            pygame.transform.scale(pixels, (place.width, place.height), target)
        pygame.display.flip()
        self._stale = False

    def _update_title(self, session: Session, meter: Meter) -> None:
        import pygame

        reading = meter.reading(session.instructions)
        if reading is not None:
            pygame.display.set_caption(f"{self.name} — {'paused' if self._paused else reading}")

    def _handle_events(self, session: Session) -> None:
        import pygame

        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self._on_quit(session)
            elif event.type in (pygame.KEYDOWN, pygame.KEYUP):
                self._on_key(session, event.key, event.type == pygame.KEYDOWN)
            elif event.type in (pygame.MOUSEMOTION, pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
                self._on_pointer(session, event)
            elif event.type == pygame.WINDOWFOCUSLOST:
                session.console.controls.release_all()
            elif event.type in (pygame.VIDEORESIZE, pygame.VIDEOEXPOSE):
                self._stale = True

    def _on_key(self, session: Session, key: int, pressed: bool) -> None:
        own = self._own_keys.get(key)
        if own is not None:
            if pressed:
                own(session)
        elif key in self._key_codes and not (pressed and self._paused):
            session.console.controls.key(self._key_codes[key], pressed)

    def _on_pointer(self, session: Session, event: pygame.event.Event) -> None:
        import pygame

        controls = session.console.controls
        if self._picture is not None:
            place = placed(self._picture.size, pygame.display.get_window_size())
            controls.point(*place.to_picture(event.pos, self._picture.size))
        pressed = event.type == pygame.MOUSEBUTTONDOWN
        if event.type != pygame.MOUSEMOTION and event.button in POINTER_BUTTONS and not (pressed and self._paused):
            controls.button(POINTER_BUTTONS[event.button], pressed)

    def _on_quit(self, session: Session) -> None:
        self._quit = True

    def _toggle_pause(self, session: Session) -> None:
        import pygame

        self._paused = not self._paused
        if self._paused:
            session.console.pause()  # first: the CPU thread may be waiting for a frame
            session.pause()
        else:
            session.console.resume()
            session.resume()
        pygame.display.set_caption(f"{self.name} — paused" if self._paused else self.name)

    def _save_picture(self, session: Session) -> None:
        """Save what is shown as NAME-001.png ... in the current directory; a failure is a line on stderr."""
        if self._picture is None:
            print("no picture to save yet", file=sys.stderr)
            return
        try:
            path = write_numbered_png(Path(), Path(self.name).stem or "screenshot", self._picture)
            print(f"saved {path}", file=sys.stderr)
        except DynarecError as error:
            print(error, file=sys.stderr)


POINTER_BUTTONS = {1: 0, 2: 1, 3: 2}
"""SDL's number of a mouse button to the console's; wheel and further buttons do not reach the ROM."""
