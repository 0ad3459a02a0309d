"""The console: a machine with RAM, a framebuffer, keys, a pointer and a page of registers, and no operating system.

Two threads meet here. The CPU thread calls `load`, `read`, `write` and `trap`. The main thread, when there is a window,
calls `attach_display` (before the machine starts), `next_frame`, `picture`, `pause`, `resume` and the methods of
`controls`. `stop` may be called from any thread.
"""

from __future__ import annotations

import os
import random
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from dynarec.errors import BadProgram
from dynarec.machine.base import (
    Access,
    AccessFault,
    ByteFile,
    Device,
    Died,
    Exited,
    Machine,
    Options,
    Outcome,
    Profile,
    Trap,
)
from dynarec.machine.framebuffer import PALETTE_BYTES, Framebuffer, Picture, Setting
from dynarec.machine.own_streams import own_stream
from dynarec.machine.random_state import restore_random, save_random
from dynarec.machine.state import Fields, State, Value

if TYPE_CHECKING:
    from dynarec.program import Segment

RAM = range(0x0000_1000, 0x0100_0000)
"""Guest addresses of the RAM; page 0 is not mapped, so that null pointers trap."""

MMIO_BASE = 0xF000_0000
MMIO_SIZE = 0x1000
PALETTE = range(0x400, 0x400 + PALETTE_BYTES)
"""Offsets of the palette in the register page."""

REGISTER_BYTES = 4
WORD_MASK = 0xFFFF_FFFF
ID_VALUE = 0x434E_5944
VERSION_VALUE = 1

FRAMES_PER_SECOND = 60
MS_PER_SECOND = 1000
HEADLESS_SEED = 0
EVENT_QUEUE_LENGTH = 256
"""Key events kept for a ROM that does not fetch them; the oldest are dropped."""

EVENT_PRESSED = 1 << 31
FRAMES_END = 1 << 53
"""Neither frames nor milliseconds ever come to so many."""
DEBUG_BUFFER_BYTES = 4096
STDOUT_FD = 1
STDERR_FD = 2


class Register(IntEnum):
    """Offsets in the register page; all are 32 bits wide."""

    ID = 0x00
    VERSION = 0x04
    RAM_SIZE = 0x08
    FB_ADDR = 0x0C
    FB_WIDTH = 0x10
    FB_HEIGHT = 0x14
    FB_STRIDE = 0x18
    FB_FORMAT = 0x1C
    FRAME = 0x20
    VSYNC = 0x24
    TIME_MS = 0x28
    RANDOM = 0x2C
    KEYS = 0x30
    KEY_EVENT = 0x34
    POINTER_X = 0x38
    POINTER_Y = 0x3C
    POINTER_BUTTONS = 0x40
    DEBUG = 0x44
    EXIT = 0x48
    HEADLESS = 0x4C


class Key(IntEnum):
    """Key codes that are not the ASCII code of a key in lower case. Function key n is FUNCTION + n."""

    BACKSPACE = 0x08
    TAB = 0x09
    RETURN = 0x0D
    UP = 0x101
    DOWN = 0x102
    LEFT = 0x103
    RIGHT = 0x104
    FUNCTION = 0x110


KEY_BITS = {
    Key.UP: 0,
    Key.DOWN: 1,
    Key.LEFT: 2,
    Key.RIGHT: 3,
    ord("z"): 4,
    ord(" "): 4,
    ord("x"): 5,
    ord("a"): 6,
    ord("s"): 7,
    Key.RETURN: 8,
    Key.TAB: 9,
    Key.BACKSPACE: 9,
}
"""Key code to the bit it holds in KEYS."""


class Controls:
    """Keys and pointer: the main thread sets them, the CPU thread reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[int] = set()
        self._events: deque[int] = deque(maxlen=EVENT_QUEUE_LENGTH)
        self._position = (0, 0)
        self._buttons = 0

    def key(self, code: int, pressed: bool) -> None:
        """A key went down or up; a change that is none (key repeat) is ignored."""
        with self._lock:
            self._change(code, pressed)

    def release_all(self) -> None:
        """No key and no button is held any longer, as when the window loses the keyboard."""
        with self._lock:
            for code in sorted(self._held):
                self._change(code, False)
            self._buttons = 0

    def point(self, x: int, y: int) -> None:
        """The pointer is at pixel (x, y) of the picture, or outside it."""
        self._position = (x, y)

    def button(self, number: int, pressed: bool) -> None:
        """Button 0 (left), 1 (middle) or 2 (right) went down or up."""
        with self._lock:
            bit = 1 << number
            self._buttons = self._buttons | bit if pressed else self._buttons & ~bit

    @property
    def held(self) -> int:
        """The held keys as the bits of KEYS."""
        with self._lock:
            mask = 0
            for code in self._held:
                mask |= 1 << KEY_BITS[code] if code in KEY_BITS else 0
            return mask

    @property
    def position(self) -> tuple[int, int]:
        return self._position

    @property
    def buttons(self) -> int:
        return self._buttons

    def next_event(self) -> int:
        """The oldest key event as a value of KEY_EVENT, taken off the queue; 0 when there is none."""
        with self._lock:
            return self._events.popleft() if self._events else 0

    def save(self) -> State:
        with self._lock:
            (x, y), buttons = self._position, self._buttons
            held, events = list[Value](sorted(self._held)), list[Value](self._events)
            return {"held": held, "events": events, "x": x, "y": y, "buttons": buttons}

    def restore(self, state: State) -> None:
        fields = Fields(state, "controls")
        with self._lock:
            self._held = set(fields.numbers("held", EVENT_PRESSED))
            self._events = deque(fields.numbers("events", WORD_MASK + 1), EVENT_QUEUE_LENGTH)
            self._position = (
                fields.number("x", EVENT_PRESSED, -EVENT_PRESSED),
                fields.number("y", EVENT_PRESSED, -EVENT_PRESSED),
            )
            self._buttons = fields.number("buttons", WORD_MASK + 1)

    def _change(self, code: int, pressed: bool) -> None:
        if pressed == (code in self._held):
            return
        if pressed:
            self._held.add(code)
        else:
            self._held.remove(code)
        self._events.append(code | (EVENT_PRESSED if pressed else 0))


class Stopwatch:
    """Running time in milliseconds without the pauses; one thread controls it, any thread reads it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._state: tuple[float, float | None] = (0.0, None)  # seconds before the last start, and that start

    def start(self) -> None:
        before, since = self._state
        self._state = (before, self._now() if since is None else since)

    def stop(self) -> None:
        self._state = (self._seconds(), None)

    def set(self, milliseconds: int) -> None:
        """Go on, or stand still, at that time."""
        _, since = self._state
        self._state = (milliseconds / MS_PER_SECOND, None if since is None else self._now())

    @property
    def milliseconds(self) -> int:
        return int(self._seconds() * MS_PER_SECOND)

    def _seconds(self) -> float:
        before, since = self._state
        return before if since is None else before + self._now() - since


class Output:
    """A byte stream of the host that never fails the guest: after an error everything else is dropped.

    complain: told in words of the error, unless it is a reader that went away.
    """

    def __init__(self, file: ByteFile | None, descriptor: int, complain: Callable[[str], None] | None = None) -> None:
        self._file = file
        self._descriptor = descriptor
        self._complain = complain
        self._failed = False

    def write(self, data: bytes) -> None:
        """Write all of data."""
        try:
            while data and not self._failed:
                data = data[self._write_some(data) :]
        except OSError as error:
            self._failed = True
            if self._complain is not None and not isinstance(error, BrokenPipeError):
                self._complain(f"output of the ROM is lost: {error.strerror or error}")

    def _write_some(self, data: bytes) -> int:
        if self._file is None:
            return os.write(own_stream(self._descriptor), data)
        return self._file.write(data) or len(data)


class Console(Profile, Device):
    """The console machine; see the module for who may call what."""

    name: ClassVar[str] = "console"
    description: ClassVar[str] = "16 MiB of RAM, framebuffer, keys and pointer, in a window or headless"
    repeats = True

    def __init__(self, machine: Machine, options: Options) -> None:
        super().__init__(machine, options)
        self.controls = Controls()
        self._random = random.Random(HEADLESS_SEED if options.seed is None else options.seed)
        self._stopwatch = Stopwatch()
        self._has_display = False
        self._blank = threading.Condition()
        self._frame = 0
        self._paused = False
        self._stopped = False
        self._interrupted = False
        self._muted = False
        self._framebuffer = Framebuffer(machine.memory, RAM, self._say)
        self._stdout = Output(options.stdout, STDOUT_FD, self._say)
        self._stderr = Output(options.stderr, STDERR_FD)
        self._debug = bytearray()

    def load(self) -> None:
        """Map the RAM, copy the segments, set the stack pointer to the end of the RAM. Raises BadProgram."""
        program, memory = self.machine.program, self.machine.memory
        for segment in program.segments:
            check_in_ram(program.name, segment)
        memory.map(RAM.start, len(RAM), Access.READ | Access.WRITE | Access.EXECUTE)
        for segment in program.segments:
            memory.write(segment.address, segment.data)
        if self.machine.guest.abi is not None:
            self.machine.regs[self.machine.guest.abi.stack] = RAM.stop
        self.machine.pc = program.entry
        self._stopwatch.start()

    def devices(self) -> Sequence[tuple[range, Device]]:
        return [(range(MMIO_BASE, MMIO_BASE + MMIO_SIZE), self)]

    def trap(self, trap: Trap) -> Outcome:
        """Nothing on this machine handles a trap."""
        self._flush_debug()
        return Died(trap)

    def interrupt(self) -> None:
        with self._blank:
            self._interrupted = True
            self._blank.notify_all()

    def close(self) -> None:
        """Hand out what DEBUG still holds, and wake whoever waits."""
        self.stop()
        self._flush_debug()

    def save(self) -> State:
        self._flush_debug()
        return {
            "frame": self._frame, "milliseconds": self._stopwatch.milliseconds, "random": save_random(self._random),
            "controls": self.controls.save(), "framebuffer": self._framebuffer.save(),
        }  # fmt: skip

    def restore(self, state: State) -> None:
        """What a user holds now, in front of a window, stays so."""
        self._flush_debug()
        fields = Fields(state, "console")
        frame = fields.number("frame", FRAMES_END)
        self._stopwatch.set(fields.number("milliseconds", FRAMES_END))
        restore_random(self._random, fields.fields("random"))
        if not self._has_display:
            self.controls.restore(fields.state("controls"))
        self._framebuffer.restore(fields.state("framebuffer"))
        with self._blank:
            self._frame = frame
            self._blank.notify_all()

    def rewind(self, state: State) -> None:
        self.restore(state)

    def mute(self, muted: bool) -> None:
        self._debug.clear()
        self._muted = muted

    def stand_still(self) -> None:
        self.pause()

    def go_on(self) -> None:
        self.resume()

    def attach_display(self) -> None:
        """There is a window: real time, VSYNC waits for `next_frame`, and RANDOM differs from run to run."""
        self._has_display = True
        if self.options.seed is None:
            self._random.seed()

    def next_frame(self) -> None:
        """The window has shown a frame: counts it, and a ROM that waits for the vertical blank goes on."""
        with self._blank:
            self._frame += 1
            self._blank.notify_all()

    def pause(self) -> None:
        """Stop the clock. Call it before the CPU thread is paused: a wait for the vertical blank ends at once."""
        self._stopwatch.stop()
        with self._blank:
            self._paused = True
            self._blank.notify_all()

    def resume(self) -> None:
        """The clock runs again, and VSYNC waits again."""
        with self._blank:
            self._paused = False
        self._stopwatch.start()

    def stop(self) -> None:
        """From now on nothing waits."""
        with self._blank:
            self._stopped = True
            self._blank.notify_all()

    def picture(self) -> Picture | None:
        """The picture at the last VSYNC; for a ROM that never used VSYNC, what is in memory now. None: no picture."""
        return self._framebuffer.picture()

    def read(self, offset: int, width: int) -> int:
        """The register at offset; width in bytes. Raises AccessFault for anything but an aligned 32-bit register."""
        check_word(offset, width)
        if offset in PALETTE:
            start = offset - PALETTE.start
            return int.from_bytes(self._framebuffer.palette[start : start + REGISTER_BYTES], "little")
        if offset in SETTINGS:
            return self._framebuffer[SETTINGS[offset]]
        reader = READERS.get(offset)
        if reader is None:
            raise AccessFault(f"console register {offset:#x} cannot be read")
        return reader(self) & WORD_MASK

    def write(self, offset: int, width: int, value: int) -> Outcome | None:
        """Store to the register at offset; an Outcome ends the run. Raises AccessFault as `read` does."""
        check_word(offset, width)
        if offset in PALETTE:
            struct.pack_into("<I", self._framebuffer.palette, offset - PALETTE.start, value & WORD_MASK)
            return None
        if offset in SETTINGS:
            self._framebuffer[SETTINGS[offset]] = value & WORD_MASK
            return None
        writer = WRITERS.get(offset)
        if writer is None:
            raise AccessFault(f"console register {offset:#x} cannot be written")
        return writer(self, value)

    def _vsync(self, value: int) -> None:
        self._flush_debug()
        self._framebuffer.complete()
        with self._blank:
            if self._has_display:
                if not self._muted:
                    self._wait_for_blank()
            else:
                self._frame += 1

    def _wait_for_blank(self) -> None:
        frame = self._frame
        self._blank.wait_for(lambda: self._stopped or self._paused or self._interrupted or self._frame != frame)
        self._interrupted = False

    def _time_ms(self) -> int:
        if self._has_display:
            return self._stopwatch.milliseconds
        return self._frame * MS_PER_SECOND // FRAMES_PER_SECOND

    def _pointer(self, axis: int) -> int:
        pixels = self._framebuffer[PICTURE_SIZE[axis]]
        return max(0, min(self.controls.position[axis], pixels - 1))

    def _random_word(self) -> int:
        return self._random.getrandbits(8 * REGISTER_BYTES)

    def _debug_byte(self, value: int) -> None:
        """Lines are written whole: one system call for each byte would make printf slow."""
        self._debug.append(value & 0xFF)
        if value & 0xFF == ord("\n") or len(self._debug) >= DEBUG_BUFFER_BYTES:
            self._flush_debug()

    def _flush_debug(self) -> None:
        data = bytes(self._debug)
        self._debug.clear()
        if not self._muted:
            self._stdout.write(data)

    def _exit(self, value: int) -> Outcome:
        self._flush_debug()
        return Exited(value & 0xFF)

    def _say(self, text: str) -> None:
        """One line on stderr."""
        if not self._muted:
            self._stderr.write(f"{self.machine.program.name}: {text}\n".encode())


SETTINGS: dict[int, Setting] = {
    Register.FB_ADDR: Setting.ADDRESS,
    Register.FB_WIDTH: Setting.WIDTH,
    Register.FB_HEIGHT: Setting.HEIGHT,
    Register.FB_STRIDE: Setting.STRIDE,
    Register.FB_FORMAT: Setting.FORMAT,
}
PICTURE_SIZE = (Setting.WIDTH, Setting.HEIGHT)

READERS: dict[int, Callable[[Console], int]] = {
    Register.ID: lambda console: ID_VALUE,
    Register.VERSION: lambda console: VERSION_VALUE,
    Register.RAM_SIZE: lambda console: RAM.stop,
    Register.FRAME: lambda console: console._frame,
    Register.TIME_MS: Console._time_ms,
    Register.RANDOM: Console._random_word,
    Register.KEYS: lambda console: console.controls.held,
    Register.KEY_EVENT: lambda console: console.controls.next_event(),
    Register.POINTER_X: lambda console: console._pointer(0),
    Register.POINTER_Y: lambda console: console._pointer(1),
    Register.POINTER_BUTTONS: lambda console: console.controls.buttons,
    Register.HEADLESS: lambda console: int(not console._has_display),
}
WRITERS: dict[int, Callable[[Console, int], Outcome | None]] = {
    Register.VSYNC: Console._vsync,
    Register.DEBUG: Console._debug_byte,
    Register.EXIT: Console._exit,
}
"""What an access to each register does; the palette and the framebuffer's settings are handled before."""


def check_word(offset: int, width: int) -> None:
    """Refuse everything but aligned 32-bit accesses."""
    if width != REGISTER_BYTES or offset % REGISTER_BYTES:
        raise AccessFault(f"{width}-byte access to console register page offset {offset:#x}, not an aligned 4-byte one")


def check_in_ram(name: str, segment: Segment) -> None:
    """Raise BadProgram unless the segment lies in the RAM."""
    if segment.address < RAM.start or segment.address + segment.size > RAM.stop:
        end = segment.address + segment.size
        where = f"{segment.address:#010x} to {end:#010x}"
        raise BadProgram(f"{name}: segment at {where} lies outside the console's RAM: link it with console.ld")
