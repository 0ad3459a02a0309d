"""The timer block against a clock that stands still, or is moved by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynarec.machine.devices.clint import MSIP, MTIME, MTIMECMP, Clint

SOFTWARE, TIMER = 8, 128
HALF = 4


@dataclass
class Interrupts:
    ticks: int = 0
    lines: int = 0
    alarms: list[int | None] = field(default_factory=list)

    def set_lines(self, lines: int, up: bool) -> None:
        self.lines = self.lines | lines if up else self.lines & ~lines

    def set(self, ticks: int | None) -> None:
        self.alarms.append(ticks)


def clint(ticks: int = 0) -> tuple[Clint, Interrupts]:
    interrupts = Interrupts(ticks)
    return Clint(interrupts, SOFTWARE, TIMER, interrupts), interrupts  # type: ignore[arg-type]


def test_the_software_interrupt_is_a_bit() -> None:
    device, interrupts = clint()
    device.write(MSIP, 4, 0xFFFF_FFFF)
    assert (device.read(MSIP, 4), interrupts.lines) == (1, SOFTWARE)
    device.write(MSIP, 4, 0)
    assert (device.read(MSIP, 4), interrupts.lines) == (0, 0)


def test_time_is_the_clock_in_halves_and_whole() -> None:
    device, _ = clint(0x1_2345_6789_ABCD)
    assert device.read(MTIME, 4) == 0x6789_ABCD
    assert device.read(MTIME + HALF, 4) == 0x1_2345
    assert device.read(MTIME, 8) == 0x1_2345_6789_ABCD


def test_the_alarm_is_what_is_compared_with() -> None:
    device, interrupts = clint(100)
    device.write(MTIMECMP + HALF, 4, 0)
    device.write(MTIMECMP, 4, 101)
    assert (interrupts.alarms[-1], interrupts.lines, device.compare) == (101, 0, 101)


def test_a_time_that_has_come_raises_the_line_and_a_later_one_lowers_it() -> None:
    device, interrupts = clint(100)
    device.write(MTIMECMP, 8, 100)
    assert (interrupts.alarms[-1], interrupts.lines) == (None, TIMER)
    device.write(MTIMECMP, 8, 5000)
    assert (interrupts.alarms[-1], interrupts.lines) == (5000, 0)


def test_never_sets_no_alarm() -> None:
    device, interrupts = clint()
    device.write(MTIMECMP, 8, (1 << 64) - 1)
    assert (interrupts.alarms[-1], interrupts.lines) == (None, 0)
