"""The window of a console program, beside the debugger.

It is in a process of its own: the terminal takes the main thread of this one, and windows want to be on one.

The window asks for what it shows 60 times a second; what is done in it comes as messages. Either may end first.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any

from dynarec.window import NoDisplay, Session, Window, missing_display, open_window

if TYPE_CHECKING:
    from dynarec.machine.console import Console
    from dynarec.machine.framebuffer import Picture

OPENED, FAILED, FRAME, KEY, POINT, BUTTON, RELEASE, BREAK, SAID = range(9)
"""Messages of the window."""
OPEN_SECONDS = 20


class Beside:
    """The debugger's end."""

    def __init__(self, name: str, broken_in: Callable[[], None], told: Callable[[str], None]) -> None:
        """broken_in: F11 was pressed in the window. told: gets what the user is to know. Both on another thread."""
        self._broken_in, self._told = broken_in, told
        self._lock = threading.Lock()
        self._console: Console | None = None
        self._is_running = False
        self._sent: Picture | None = None
        self._connection, other = Pipe()
        with other:
            self._process = _start(other, name)
        self._thread = threading.Thread(target=self._work, name="dynarec-window", daemon=True)

    def opened(self) -> str:
        """Wait for the window; "" when it is there, or why it is not."""
        try:
            kind, reason = self._connection.recv() if self._connection.poll(OPEN_SECONDS) else (FAILED, "it hangs")
        except (EOFError, OSError):
            kind, reason = FAILED, "its process ended"
        if kind == OPENED:
            self._thread.start()
            return ""
        return str(reason)

    @property
    def is_closed(self) -> bool:
        return self._process.poll() is not None

    def attach(self, console: Console | None) -> None:
        """Show this console from now on; None: none for now."""
        with self._lock:
            self._console = console
        if console is not None:
            console.attach_display()
            if self.is_closed:
                console.stop()

    def run(self, is_running: bool) -> None:
        """Whether frames are counted; the debugger has the clock of the program stand still itself."""
        with self._lock:
            self._is_running = is_running

    def close(self) -> None:
        """Close the window. May be called twice."""
        self._process.terminate()  # first: nobody waits for it then
        self._process.wait()
        if self._thread.is_alive():
            self._thread.join()
        self.attach(None)
        self._connection.close()

    def _work(self) -> None:
        try:
            while True:
                self._take(*self._connection.recv())
        except (EOFError, OSError, TypeError):  # closed, at either end
            pass
        with self._lock:
            console, self._console = self._console, None
        if console is not None:
            console.stop()
            self._told("the window is closed: the program goes on without it; restart opens another one")

    def _take(self, kind: int, *values: Any) -> None:
        if kind == BREAK:
            self._broken_in()
        elif kind == SAID:
            self._told(*values)
        else:
            with self._lock:
                self._hand_over(kind, values)

    def _hand_over(self, kind: int, values: tuple[Any, ...]) -> None:
        """Give the program what was done in the window; answer a question for what is to be shown."""
        console = self._console
        if kind == FRAME:
            self._connection.send(self._shown(console))
        elif console is not None:
            controls = console.controls
            actions: dict[int, Callable[..., None]] = {
                KEY: controls.key,
                POINT: controls.point,
                BUTTON: controls.button,
                RELEASE: controls.release_all,
            }
            actions[kind](*values)

    def _shown(self, console: Console | None) -> tuple[Picture | None, int, bool]:
        """A picture if there is another one, instructions, and whether the program runs."""
        if console is None:
            return None, 0, False
        if self._is_running:
            console.next_frame()
        picture = console.picture()
        is_new, self._sent = picture is not self._sent, picture
        return picture if is_new else None, console.machine.instructions, self._is_running


def _start(connection: Connection, name: str) -> subprocess.Popen[bytes]:
    """The process of the window; the terminal is the debugger's."""
    number, nowhere = connection.fileno(), subprocess.DEVNULL
    command = [sys.executable, "-m", __name__, str(number), name]
    return subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, pass_fds=[number])


def show(connection: Connection, name: str) -> None:
    """The process of the window, until it is closed or the debugger is gone."""
    sys.stderr = _Teller(connection)
    window = open_window(name, BesideWindow)
    with contextlib.suppress(OSError, EOFError):
        if isinstance(window, NoDisplay):
            connection.send((FAILED, window.reason))
            return
        connection.send((OPENED, ""))
        window.run(_Remote(connection, name))
    if not isinstance(window, NoDisplay):
        window.close()


class _Teller:
    """Takes what the window prints to the debugger."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, text: str) -> int:
        if text.strip():
            self._connection.send((SAID, text.strip()))
        return len(text)

    def flush(self) -> None:
        """Everything is there already."""


class _Controls:
    """Sends what is done in the window."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def key(self, code: int, pressed: bool) -> None:
        self._connection.send((KEY, code, pressed))

    def point(self, x: int, y: int) -> None:
        self._connection.send((POINT, x, y))

    def button(self, number: int, pressed: bool) -> None:
        self._connection.send((BUTTON, number, pressed))

    def release_all(self) -> None:
        self._connection.send((RELEASE,))


class _Remote:
    """The program, as the window sees it: both the session and its console."""

    finished = False

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self.controls = _Controls(connection)
        self.instructions = 0
        self.is_running = False
        self._connection = connection
        self._picture: Picture | None = None
        self._asked = False

    @property
    def console(self) -> _Remote:
        return self

    def poll(self) -> None:
        """Take an answer that has come, and ask again. Raises EOFError, OSError when the debugger is gone."""
        if self._asked and not self._connection.poll():
            return
        if self._asked:
            picture, self.instructions, self.is_running = self._connection.recv()
            self._picture = picture or self._picture
        self._connection.send((FRAME,))
        self._asked = True

    def break_in(self) -> None:
        self._connection.send((BREAK,))

    def picture(self) -> Picture | None:
        return self._picture

    def next_frame(self) -> None:
        """The debugger's end counts frames."""

    def pause(self) -> None:
        """It is the debugger that pauses."""

    resume = stop = pause


class BesideWindow(Window):
    """A window whose F11, and P, break into the debugger."""

    def __init__(self, name: str) -> None:
        import pygame

        super().__init__(name)
        self._key_codes.pop(pygame.K_F11, None)
        self._own_keys |= {pygame.K_F11: self._break_in, pygame.K_p: self._break_in}

    def _show_frame(self, session: Session, meter: Any) -> None:
        assert isinstance(session, _Remote)
        session.poll()
        self._paused = not session.is_running
        super()._show_frame(session, meter)

    def _break_in(self, session: Session) -> None:
        assert isinstance(session, _Remote)
        session.break_in()


def beside(name: str, broken_in: Callable[[], None], told: Callable[[str], None]) -> Beside | None:
    """A window, if there can be one; else the user is told why not."""
    reason = missing_display()
    made = None if reason else Beside(name, broken_in, told)
    if made is not None:
        reason = made.opened()
        if reason:
            made.close()
    if reason:
        told(f"no display ({reason}): the program runs without a window")
        return None
    return made


if __name__ == "__main__":
    show(Connection(int(sys.argv[1])), sys.argv[2])
