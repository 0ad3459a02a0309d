"""The framebuffer: its registers, where a picture lies in guest memory, and a picture as a value of its own.

Pixels are little endian. XRGB8888 is four bytes B, G, R, unused; RGB565 is two bytes with red in the top five bits;
PAL8 is one byte that selects one of 256 XRGB8888 palette entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from dynarec.machine.state import Fields, State, Value

if TYPE_CHECKING:
    import pygame

    from dynarec.machine.base import Memory

MAX_WIDTH = 1920
MAX_HEIGHT = 1080
PALETTE_ENTRIES = 256
PALETTE_ENTRY_BYTES = 4
PALETTE_BYTES = PALETTE_ENTRIES * PALETTE_ENTRY_BYTES


class Format(IntEnum):
    """Pixel formats; the numbers are those of the console's FB_FORMAT register."""

    OFF = 0
    XRGB8888 = 1
    RGB565 = 2
    PAL8 = 3


PIXEL_BYTES = {Format.XRGB8888: 4, Format.RGB565: 2, Format.PAL8: 1}

SURFACE_LAYOUT = {
    Format.XRGB8888: (32, (0xFF0000, 0x00FF00, 0x0000FF, 0)),
    Format.RGB565: (16, (0xF800, 0x07E0, 0x001F, 0)),
    Format.PAL8: (8, (0, 0, 0, 0)),
}
"""Bits per pixel and the masks of red, green, blue and alpha of the pygame surface that holds a format unchanged."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a picture lies in guest memory; stride is the distance of two rows in bytes, 0 when they touch."""

    address: int
    width: int
    height: int
    stride: int
    format: Format

    @property
    def row_bytes(self) -> int:
        return self.width * PIXEL_BYTES[self.format]

    @property
    def pitch(self) -> int:
        """Bytes from the start of a row to the start of the next one."""
        return self.stride or self.row_bytes

    @property
    def size(self) -> int:
        """Bytes from the first pixel to the end of the last one."""
        return self.pitch * (self.height - 1) + self.row_bytes

    def problem(self, ram: range) -> str | None:
        """Why this picture cannot be shown, in words; None when it can. ram: the guest addresses of the RAM."""
        if not (1 <= self.width <= MAX_WIDTH and 1 <= self.height <= MAX_HEIGHT):
            return f"{self.width} x {self.height} pixels, not 1 x 1 to {MAX_WIDTH} x {MAX_HEIGHT}"
        if self.pitch < self.row_bytes:
            return f"stride of {self.pitch} bytes, but a row has {self.row_bytes}"
        if self.address < ram.start or self.address + self.size > ram.stop:
            return f"{self.size} bytes at {self.address:#010x}, outside RAM ({ram.start:#010x} to {ram.stop:#010x})"
        return None


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, independent of the guest's memory.

    stride: bytes from row to row in `pixels`. palette: 256 little-endian XRGB8888 entries, used by PAL8 only.
    pixels: stride * (height - 1) + the bytes of one row, or more.
    """

    width: int
    height: int
    stride: int
    format: Format
    palette: bytes
    pixels: bytes

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def row_bytes(self) -> int:
        return self.width * PIXEL_BYTES[self.format]

    def rows(self) -> Iterator[memoryview]:
        """The rows from the top down, without the bytes between them."""
        view = memoryview(self.pixels)
        return (view[start : start + self.row_bytes] for start in range(0, self.stride * self.height, self.stride))

    def packed(self) -> bytes:
        """The pixels without bytes between the rows."""
        if self.stride == self.row_bytes and len(self.pixels) == self.row_bytes * self.height:
            return self.pixels
        return b"".join(self.rows())

    def palette_rgb(self) -> bytes:
        """The palette as 256 * 3 bytes R, G, B."""
        return rgb_of_xrgb8888(self.palette)

    def rgb(self) -> bytes:
        """width * height * 3 bytes R, G, B, row by row."""
        pixels = self.packed()
        if self.format is Format.XRGB8888:
            return rgb_of_xrgb8888(pixels)
        if self.format is Format.RGB565:
            return rgb_of_rgb565(pixels)
        return rgb_of_pal8(pixels, self.palette_rgb())


class Setting(IntEnum):
    """The framebuffer's registers, in the order of their addresses."""

    ADDRESS = 0
    WIDTH = 1
    HEIGHT = 2
    STRIDE = 3
    FORMAT = 4


class Framebuffer:
    """The registers and the palette, and the picture that they show.

    The CPU thread changes it, any thread calls `picture`: each attribute that `picture` uses is replaced in one step.

    ram: the guest addresses in which a picture may lie. complain: told in words, once, of a set-up that is impossible.
    """

    def __init__(self, memory: Memory, ram: range, complain: Callable[[str], None]) -> None:
        self._memory = memory
        self._ram = ram
        self._complain = complain
        self._complained = False
        self._settings = [0] * len(Setting)
        self.palette = bytearray(PALETTE_BYTES)
        self._layout: Layout | None = None
        self._latched: Picture | None = None

    def __getitem__(self, setting: Setting) -> int:
        return self._settings[setting]

    def __setitem__(self, setting: Setting, value: int) -> None:
        """Writing FORMAT shows the picture or turns it off; the other settings then take effect as they are written."""
        self._settings[setting] = value
        if setting is Setting.FORMAT:
            self._judge()
            if self._latched is not None:
                self._latch()
        elif self._layout is not None:
            self._adjust()

    def complete(self) -> None:
        """The guest says that the picture is complete: from now on `picture` gives complete ones only."""
        self._judge()
        self._latch()

    def picture(self) -> Picture | None:
        """The last complete picture; what is in memory now if none was ever completed. None: the picture is off."""
        layout, latched = self._layout, self._latched
        if layout is None:
            return None
        return latched or self._capture(layout)

    def save(self) -> State:
        state: State = {
            "settings": list[Value](self._settings), "palette": bytes(self.palette),
            "complained": int(self._complained),
        }  # fmt: skip
        layout, latched = self._layout, self._latched
        if layout is not None:
            state["layout"] = [layout.address, layout.width, layout.height, layout.stride, int(layout.format)]
        if latched is not None:
            state["picture"] = {
                "width": latched.width, "height": latched.height, "stride": latched.stride,
                "format": int(latched.format), "palette": latched.palette, "pixels": latched.pixels,
            }  # fmt: skip
        return state

    def restore(self, state: State) -> None:
        fields = Fields(state, "framebuffer")
        self._settings = fields.numbers("settings", 1 << 32, len(Setting))
        self.palette = bytearray(fields.data("palette", PALETTE_BYTES))
        self._complained = fields.flag("complained")
        self._layout = _saved_layout(fields, self._ram) if "layout" in fields else None
        self._latched = _saved_picture(fields.fields("picture")) if "picture" in fields else None

    def _judge(self) -> None:
        """Take the set-up that the settings describe, or turn the picture off when it is impossible."""
        self._layout, problem = self._described()
        if problem is None:
            return
        self._settings[Setting.FORMAT] = Format.OFF
        if not self._complained:
            self._complained = True
            self._complain(f"picture turned off: {problem}")

    def _adjust(self) -> None:
        """Follow a change of one setting; a set-up that is impossible until the next one is written changes nothing."""
        layout, problem = self._described()
        if problem is None:
            self._layout = layout

    def _latch(self) -> None:
        self._latched = None if self._layout is None else self._capture(self._layout)

    def _described(self) -> tuple[Layout | None, str | None]:
        """What the settings describe: a possible layout (None: off) and no problem, or none and the problem."""
        address, width, height, stride, number = self._settings
        if number == Format.OFF:
            return None, None
        if number not in set(Format):
            return None, f"format {number} is unknown"
        layout = Layout(address, width, height, stride, Format(number))
        problem = layout.problem(self._ram)
        return (layout, None) if problem is None else (None, problem)

    def _capture(self, layout: Layout) -> Picture:
        pixels = self._memory.read(layout.address, layout.size)
        return Picture(layout.width, layout.height, layout.pitch, layout.format, bytes(self.palette), pixels)


def _saved_layout(fields: Fields, ram: range) -> Layout:
    address, width, height, stride, number = fields.numbers("layout", 1 << 32, len(Setting))
    if number not in PIXEL_BYTES:
        raise fields.bad("layout", "has a format that there is not")
    layout = Layout(address, width, height, stride, Format(number))
    problem = layout.problem(ram)
    if problem is not None:
        raise fields.bad("layout", f"cannot be shown: {problem}")
    return layout


def _saved_picture(fields: Fields) -> Picture:
    width, height = fields.number("width", MAX_WIDTH + 1, 1), fields.number("height", MAX_HEIGHT + 1, 1)
    number = fields.number("format", len(Format), Format.XRGB8888)
    layout = Layout(0, width, height, fields.number("stride", 1 << 32), Format(number))
    if layout.stride < layout.row_bytes:
        raise fields.bad("stride", "is shorter than a row")
    pixels = fields.data("pixels", layout.size)
    return Picture(width, height, layout.stride, layout.format, fields.data("palette", PALETTE_BYTES), pixels)


def rgb_of_xrgb8888(pixels: bytes) -> bytes:
    """R, G, B bytes of XRGB8888 pixels."""
    return interleave(pixels[2::4], pixels[1::4], pixels[0::4])


def rgb_of_pal8(pixels: bytes, palette_rgb: bytes) -> bytes:
    """R, G, B bytes of PAL8 pixels; palette_rgb has 256 * 3 bytes."""
    return interleave(*(pixels.translate(palette_rgb[channel::3]) for channel in range(3)))


def rgb_of_rgb565(pixels: bytes) -> bytes:
    """R, G, B bytes of RGB565 pixels."""
    low, high = pixels[0::2], pixels[1::2]
    green = or_bytes(high.translate(GREEN_FROM_HIGH), low.translate(GREEN_FROM_LOW))
    return interleave(high.translate(RED_FROM_HIGH), green.translate(WIDEN_6_BITS), low.translate(BLUE_FROM_LOW))


def interleave(red: bytes, green: bytes, blue: bytes) -> bytes:
    """R, G, B, R, G, B ... of three planes of the same length."""
    out = bytearray(len(red) * 3)
    out[0::3], out[1::3], out[2::3] = red, green, blue
    return bytes(out)


def or_bytes(first: bytes, second: bytes) -> bytes:
    """The bitwise or, byte by byte, of two strings of the same length, as one operation on big integers."""
    return (int.from_bytes(first, "little") | int.from_bytes(second, "little")).to_bytes(len(first), "little")


def widened(value: int, bits: int) -> int:
    """A colour value of 5 or 6 bits as 8 bits: scaled and rounded down, as SDL does it."""
    return value * 0xFF // ((1 << bits) - 1)


RED_FROM_HIGH = bytes(widened(high >> 3, 5) for high in range(256))
BLUE_FROM_LOW = bytes(widened(low & 0x1F, 5) for low in range(256))
GREEN_FROM_HIGH = bytes((high & 0x07) << 3 for high in range(256))
GREEN_FROM_LOW = bytes(low >> 5 for low in range(256))
WIDEN_6_BITS = bytes(widened(value & 0x3F, 6) for value in range(256))


def new_surface(picture: Picture) -> pygame.Surface:
    """A surface of the picture's size and pixel format; its pixels are undefined until `fill_surface`."""
    import pygame

    depth, masks = SURFACE_LAYOUT[picture.format]
    return pygame.Surface(picture.size, 0, depth, masks)


def fill_surface(surface: pygame.Surface, picture: Picture) -> None:
    """Copy the picture to a surface that `new_surface` made for a picture of the same size and format."""
    if picture.format is Format.PAL8:
        rgb = picture.palette_rgb()
        surface.set_palette([tuple(rgb[start : start + 3]) for start in range(0, len(rgb), 3)])
    target, pitch = surface.get_buffer(), surface.get_pitch()
    if pitch == picture.row_bytes:
        target.write(picture.packed(), 0)
        return
    for number, row in enumerate(picture.rows()):
        target.write(bytes(row), number * pitch)
