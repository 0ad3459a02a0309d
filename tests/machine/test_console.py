"""The console's registers, waiting and framebuffer, with a plain bytearray as guest memory."""

from __future__ import annotations

import io
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pygame
import pytest

from dynarec.errors import BadProgram, DynarecError
from dynarec.machine import recognise
from dynarec.machine.base import Access, AccessFault, Died, Exited, Options, Trap, TrapKind
from dynarec.machine.console import (
    EVENT_QUEUE_LENGTH,
    RAM,
    Console,
    Key,
    Register,
    Stopwatch,
)
from dynarec.machine.framebuffer import Format, Picture, fill_surface, new_surface
from dynarec.program import Segment
from dynarec.screenshot import write_numbered_png, write_png

NOTES = {("dynarec", 1): b"console\0"}
PALETTE = 0x400
FB = 0x0010_0000
WAIT_SECONDS = 5


class FakeMemory:
    """One mapped range."""

    def __init__(self) -> None:
        self.start = 0
        self.data = bytearray()
        self.access = Access.NONE

    def map(self, address: int, size: int, access: Access) -> None:
        self.start, self.data, self.access = address, bytearray(size), access

    def read(self, address: int, size: int, checked: bool = False) -> bytes:
        assert self.start <= address <= self.start + len(self.data) - size
        return bytes(self.data[address - self.start :][:size])

    def write(self, address: int, data: bytes, checked: bool = False) -> None:
        self.data[address - self.start : address - self.start + len(data)] = data


@dataclass
class Rig:
    """A loaded console and what it was given."""

    console: Console
    machine: Any
    stdout: io.BytesIO
    stderr: io.BytesIO
    memory: FakeMemory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = self.machine.memory

    def get(self, register: int) -> int:
        return self.console.read(register, 4)

    def put(self, register: int, value: int) -> Any:
        return self.console.write(register, 4, value)

    def show(self, width: int, height: int, number: int, stride: int = 0, address: int = FB) -> None:
        for register, value in zip(
            (Register.FB_ADDR, Register.FB_WIDTH, Register.FB_HEIGHT, Register.FB_STRIDE, Register.FB_FORMAT),
            (address, width, height, stride, number),
            strict=True,
        ):
            self.put(register, value)

    def picture(self) -> Picture:
        picture = self.console.picture()
        assert picture is not None
        return picture


def make_rig(segments: list[Segment] | None = None, seed: int | None = None, stdout: Any = None) -> Rig:
    out, err = stdout or io.BytesIO(), io.BytesIO()
    program = SimpleNamespace(name="rom.elf", entry=0x10000, notes=NOTES, segments=segments or [])
    guest = SimpleNamespace(name="guest", abi=SimpleNamespace(stack="stack"))
    machine = SimpleNamespace(memory=FakeMemory(), regs={}, pc=0, program=program, guest=guest, instructions=0)
    console = Console(cast(Any, machine), Options(stdout=out, stderr=err, seed=seed))
    console.load()
    return Rig(console, machine, out, err)


def segment(address: int, data: bytes, size: int | None = None) -> Segment:
    return Segment(address, data, len(data) if size is None else size, True, True, True)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = make_rig()
    yield rig
    rig.console.close()


def test_recognises_only_the_note() -> None:
    def convention(notes: dict[tuple[str, int], bytes]) -> str | None:
        return recognise.console(cast(Any, SimpleNamespace(notes=notes)), cast(Any, None))

    assert convention(NOTES) == "console ROM"
    assert convention({}) is None
    assert convention({("dynarec", 1): b"consoles\0"}) is None
    assert convention({("dynarec", 2): b"console\0"}) is None


def test_load_fills_ram_and_registers() -> None:
    rig = make_rig([segment(0x10000, b"code", 64)])
    assert (rig.memory.start, len(rig.memory.data)) == (0x1000, 0x0100_0000 - 0x1000)
    assert rig.memory.access == Access.READ | Access.WRITE | Access.EXECUTE
    assert rig.memory.read(0x10000, 5) == b"code\0"
    assert rig.machine.regs == {"stack": 0x0100_0000}
    assert rig.machine.pc == 0x10000


@pytest.mark.parametrize(("address", "size"), [(0, 16), (0x00FF_FFF0, 17), (0x8000_0000, 4)])
def test_segment_outside_ram_is_refused(address: int, size: int) -> None:
    with pytest.raises(BadProgram, match=r"^rom\.elf: segment at .* outside the console's RAM") as caught:
        make_rig([segment(address, b"", size)])
    assert "\n" not in str(caught.value)


def test_identity_registers(rig: Rig) -> None:
    assert [where for where, _ in rig.console.devices()] == [range(0xF000_0000, 0xF000_1000)]
    assert rig.get(Register.ID) == 0x434E5944
    assert rig.get(Register.VERSION) == 1
    assert rig.get(Register.RAM_SIZE) == 0x0100_0000
    assert rig.get(Register.HEADLESS) == 1
    rig.console.attach_display()
    assert rig.get(Register.HEADLESS) == 0


@pytest.mark.parametrize(("offset", "width"), [(0, 1), (0, 2), (2, 4), (0x401, 4), (0x20, 8)])
def test_only_aligned_words(rig: Rig, offset: int, width: int) -> None:
    with pytest.raises(AccessFault):
        rig.console.read(offset, width)
    with pytest.raises(AccessFault):
        rig.console.write(offset, width, 0)


@pytest.mark.parametrize("offset", [Register.VSYNC, Register.DEBUG, Register.EXIT, 0x50, 0x3FC, 0x800, 0xFFC])
def test_unreadable(rig: Rig, offset: int) -> None:
    with pytest.raises(AccessFault):
        rig.get(offset)


@pytest.mark.parametrize("offset", [Register.ID, Register.FRAME, Register.KEYS, Register.HEADLESS, 0x50, 0x800])
def test_unwritable(rig: Rig, offset: int) -> None:
    with pytest.raises(AccessFault):
        rig.put(offset, 1)


def test_palette_and_settings_read_back(rig: Rig) -> None:
    rig.put(PALETTE, 0x11223344)
    rig.put(PALETTE + 255 * 4, 0xFFFFFFFF)
    assert (rig.get(PALETTE), rig.get(PALETTE + 4), rig.get(PALETTE + 255 * 4)) == (0x11223344, 0, 0xFFFFFFFF)
    for register in range(Register.FB_ADDR, Register.FB_FORMAT, 4):
        rig.put(register, register + 1)
        assert rig.get(register) == register + 1


def test_exit_gives_the_status(rig: Rig) -> None:
    assert rig.put(Register.EXIT, 0x1FE) == Exited(0xFE)


def test_traps_are_deadly(rig: Rig) -> None:
    trap = Trap(TrapKind.ACCESS, 5, "load access fault", 0x10000, 0, 4)
    assert rig.console.trap(trap) == Died(trap)


def test_debug_is_written_by_lines_and_at_the_end(rig: Rig) -> None:
    for byte in b"one\ntw":
        rig.put(Register.DEBUG, 0x100 | byte)
    assert rig.stdout.getvalue() == b"one\n"
    rig.put(Register.EXIT, 0)
    assert rig.stdout.getvalue() == b"one\ntw"


def test_debug_is_written_at_vsync_and_close(rig: Rig) -> None:
    rig.put(Register.DEBUG, ord("a"))
    rig.put(Register.VSYNC, 0)
    assert rig.stdout.getvalue() == b"a"
    rig.put(Register.DEBUG, ord("b"))
    rig.console.close()
    assert rig.stdout.getvalue() == b"ab"


class BrokenFile(io.BytesIO):
    """An output that always fails."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, data: Any, /) -> int:
        raise self._error


@pytest.mark.parametrize(
    ("error", "lines"), [(OSError(28, "No space left on device"), 1), (BrokenPipeError(32, "Broken pipe"), 0)]
)
def test_failing_stdout_does_not_stop_the_rom(error: OSError, lines: int) -> None:
    rig = make_rig(stdout=BrokenFile(error))
    for byte in b"x\ny\n":
        rig.put(Register.DEBUG, byte)
    assert len(rig.stderr.getvalue().splitlines()) == lines


def test_headless_time_is_virtual(rig: Rig) -> None:
    assert (rig.get(Register.FRAME), rig.get(Register.TIME_MS)) == (0, 0)
    for _ in range(61):
        assert rig.put(Register.VSYNC, 0) is None
    assert (rig.get(Register.FRAME), rig.get(Register.TIME_MS)) == (61, 1016)


def test_random_is_repeatable_headless_and_with_a_seed() -> None:
    def words(seed: int | None, display: bool) -> list[int]:
        rig = make_rig(seed=seed)
        if display:
            rig.console.attach_display()
        return [rig.get(Register.RANDOM) for _ in range(4)]

    assert words(None, False) == words(None, False)
    assert words(1, False) == words(1, True) != words(2, True)
    assert words(None, True) != words(None, True)


def test_keys_held_and_events(rig: Rig) -> None:
    keys = rig.console.controls
    for code in (Key.UP, ord("z"), ord(" "), ord("q"), Key.TAB, Key.TAB):
        keys.key(code, True)
    assert rig.get(Register.KEYS) == 1 << 0 | 1 << 4 | 1 << 9
    keys.key(ord("z"), False)
    assert rig.get(Register.KEYS) == 1 << 0 | 1 << 4 | 1 << 9  # space still holds A
    keys.release_all()
    assert rig.get(Register.KEYS) == 0
    events = iter(lambda: rig.get(Register.KEY_EVENT), 0)
    down = 1 << 31
    pressed = [down | code for code in (0x101, ord("z"), ord(" "), ord("q"), 9)]
    assert list(events) == [*pressed, ord("z"), 9, ord(" "), ord("q"), 0x101]


def test_event_queue_is_bounded(rig: Rig) -> None:
    for _ in range(EVENT_QUEUE_LENGTH):
        rig.console.controls.key(ord("a"), True)
        rig.console.controls.key(ord("a"), False)
    assert len(list(iter(lambda: rig.get(Register.KEY_EVENT), 0))) == EVENT_QUEUE_LENGTH


def test_pointer_is_clamped_to_the_picture(rig: Rig) -> None:
    rig.console.controls.point(400, -3)
    assert (rig.get(Register.POINTER_X), rig.get(Register.POINTER_Y)) == (0, 0)
    rig.show(320, 240, Format.PAL8)
    assert (rig.get(Register.POINTER_X), rig.get(Register.POINTER_Y)) == (319, 0)
    rig.console.controls.point(7, 9)
    assert (rig.get(Register.POINTER_X), rig.get(Register.POINTER_Y)) == (7, 9)
    rig.console.controls.button(0, True)
    rig.console.controls.button(2, True)
    rig.console.controls.button(0, False)
    assert rig.get(Register.POINTER_BUTTONS) == 4


def start_vsync(rig: Rig) -> threading.Thread:
    thread = threading.Thread(target=rig.put, args=(Register.VSYNC, 0), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("wake", ["next_frame", "stop", "pause", "close"])
def test_vsync_waits_until_woken(rig: Rig, wake: str) -> None:
    rig.console.attach_display()
    thread = start_vsync(rig)
    thread.join(0.05)
    assert thread.is_alive()
    getattr(rig.console, wake)()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert rig.get(Register.FRAME) == (1 if wake == "next_frame" else 0)


def test_vsync_waits_again_after_resume(rig: Rig) -> None:
    rig.console.attach_display()
    rig.console.pause()
    start_vsync(rig).join(WAIT_SECONDS)
    rig.console.resume()
    thread = start_vsync(rig)
    thread.join(0.05)
    assert thread.is_alive()
    rig.console.stop()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def test_stopwatch_leaves_pauses_out() -> None:
    now = 10.0
    watch = Stopwatch(lambda: now)
    assert watch.milliseconds == 0
    watch.start()
    now = 11.5
    watch.stop()
    watch.stop()
    now = 20.0
    assert watch.milliseconds == 1500
    watch.start()
    watch.start()
    now = 20.25
    assert watch.milliseconds == 1750


def test_display_time_is_real(rig: Rig) -> None:
    rig.console.attach_display()
    before = rig.get(Register.TIME_MS)
    time.sleep(0.02)
    assert rig.get(Register.TIME_MS) >= before + 19


# Pictures


def test_no_picture_until_format_is_written(rig: Rig) -> None:
    rig.put(Register.FB_WIDTH, 4)
    assert rig.console.picture() is None
    rig.show(4, 2, Format.PAL8)
    assert rig.picture().size == (4, 2)
    rig.put(Register.FB_FORMAT, Format.OFF)
    assert rig.console.picture() is None


def test_without_vsync_the_picture_is_what_is_in_memory_now(rig: Rig) -> None:
    rig.show(2, 1, Format.PAL8)
    rig.memory.write(FB, b"\1\2")
    assert rig.picture().pixels == b"\1\2"
    rig.memory.write(FB, b"\3")
    assert rig.picture().pixels == b"\3\2"


def test_with_vsync_the_picture_is_the_completed_one(rig: Rig) -> None:
    rig.show(2, 1, Format.PAL8)
    rig.put(PALETTE, 5)
    rig.memory.write(FB, b"\1\2")
    rig.put(Register.VSYNC, 0)
    rig.memory.write(FB, b"\3\4")
    rig.put(PALETTE, 6)
    rig.put(Register.FB_ADDR, FB + 16)
    picture = rig.picture()
    assert (picture.pixels, picture.palette[0]) == (b"\1\2", 5)
    assert rig.picture() is picture
    rig.put(Register.VSYNC, 0)
    assert (rig.picture().pixels, rig.picture().palette[0]) == (b"\0\0", 6)


@pytest.mark.parametrize(
    ("setup", "problem"),
    [
        ((0, 1, 3), "0 x 1 pixels"),
        ((1, 1081, 3), "1 x 1081 pixels"),
        ((1921, 1, 3), "1921 x 1 pixels"),
        ((4, 4, 4), "format 4 is unknown"),
        ((4, 4, 1, 15), "stride of 15 bytes"),
        ((4, 4, 3, 0, 0xFFF), "outside RAM"),
        ((4, 4, 3, 0, 0x00FF_FFF1), "outside RAM"),
        ((4, 2, 3, 0xFFFF_FFFF), "outside RAM"),
    ],
)
def test_impossible_set_up_is_refused_once(rig: Rig, setup: tuple[int, ...], problem: str) -> None:
    for _ in range(2):
        rig.show(*setup)
        rig.put(Register.VSYNC, 0)
    assert rig.console.picture() is None
    assert rig.get(Register.FB_FORMAT) == Format.OFF
    lines = rig.stderr.getvalue().decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("rom.elf: picture turned off: ")
    assert problem in lines[0]


def test_picture_may_end_where_ram_ends(rig: Rig) -> None:
    rig.show(4, 2, Format.PAL8, stride=8, address=RAM.stop - 12)
    assert len(rig.picture().pixels) == 12
    assert rig.stderr.getvalue() == b""


def test_size_may_change_register_by_register(rig: Rig) -> None:
    rig.show(4, 4, Format.XRGB8888, stride=16)
    rig.put(Register.FB_WIDTH, 8)  # impossible until the stride follows
    assert rig.picture().size == (4, 4)
    rig.put(Register.FB_STRIDE, 32)
    assert rig.picture().size == (8, 4)
    assert rig.stderr.getvalue() == b""


# Formats: each sample is what lies in memory (with bytes between the rows) and the colours that must be seen

PALETTE_SAMPLE = b"".join(struct.pack("<I", 0xFF00_0000 | n << 16 | (255 - n) << 8 | n // 2) for n in range(256))
SAMPLES = {
    Format.XRGB8888: Picture(
        3,
        2,
        16,
        Format.XRGB8888,
        PALETTE_SAMPLE,
        struct.pack("<8I", 0x00FF0000, 0xFF00FF00, 0x0000007F, 0xAAAAAAAA, 0x123456, 0xFFFFFF, 0, 0)[:28],
    ),
    Format.RGB565: Picture(
        3, 2, 8, Format.RGB565, PALETTE_SAMPLE, struct.pack("<7H", 0xF800, 0x07E0, 0x001F, 0xAAAA, 0x8410, 0xFFFF, 0)
    ),
    Format.PAL8: Picture(3, 2, 5, Format.PAL8, PALETTE_SAMPLE, bytes([0, 1, 255, 9, 9, 128, 2, 3])),
}
COLOURS = {
    Format.XRGB8888: [(255, 0, 0), (0, 255, 0), (0, 0, 127), (0x12, 0x34, 0x56), (255, 255, 255), (0, 0, 0)],
    Format.RGB565: [(255, 0, 0), (0, 255, 0), (0, 0, 255), (131, 129, 131), (255, 255, 255), (0, 0, 0)],
    Format.PAL8: [(0, 255, 0), (1, 254, 0), (255, 0, 127), (128, 127, 64), (2, 253, 1), (3, 252, 1)],
}
shown = pytest.mark.parametrize("shown", list(SAMPLES), ids=lambda shown: shown.name)


def colours(surface: Any) -> list[tuple[int, ...]]:
    width, height = surface.get_size()
    return [tuple(surface.get_at((x, y)))[:3] for y in range(height) for x in range(width)]


@shown
def test_rgb(shown: Format) -> None:
    assert SAMPLES[shown].rgb() == bytes(value for colour in COLOURS[shown] for value in colour)


@shown
def test_surface(shown: Format) -> None:
    surface = new_surface(SAMPLES[shown])
    fill_surface(surface, SAMPLES[shown])
    assert colours(surface) == COLOURS[shown]


@shown
def test_png(shown: Format, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", SAMPLES[shown])
    assert colours(pygame.image.load(str(tmp_path / "a.png"))) == COLOURS[shown]


def test_every_rgb565_value_is_the_same_in_file_and_surface(tmp_path: Path) -> None:
    pixels = struct.pack("<65536H", *range(65536))
    picture = Picture(256, 256, 512, Format.RGB565, PALETTE_SAMPLE, pixels)
    surface = new_surface(picture)
    fill_surface(surface, picture)
    write_png(tmp_path / "a.png", picture)
    assert colours(pygame.image.load(str(tmp_path / "a.png"))) == colours(surface)


def test_numbered_png_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "rom-001.png").write_bytes(b"keep")
    names = [write_numbered_png(tmp_path, "rom", SAMPLES[Format.PAL8]).name for _ in range(2)]
    assert names == ["rom-002.png", "rom-003.png"]
    assert (tmp_path / "rom-001.png").read_bytes() == b"keep"


def test_unwritable_png_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "a.png"):
        with pytest.raises(DynarecError, match=r"^cannot write the picture .*: .*: choose another place$"):
            write_png(path, SAMPLES[Format.PAL8])
    with pytest.raises(DynarecError):
        write_numbered_png(tmp_path / "missing", "rom", SAMPLES[Format.PAL8])


def test_output_goes_to_descriptor_one_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    rig = make_rig()
    console = Console(rig.machine, Options())
    for byte in b"hi\n":
        console.write(Register.DEBUG, 4, byte)
    assert capfd.readouterr().out == "hi\n"
