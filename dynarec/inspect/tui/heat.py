"""Numbers in few columns, and how hot they are."""

from __future__ import annotations

LEVELS = (0.5, 0.2, 0.1, 0.03, 0.01)
"""Shares of the largest one, from which on a level is reached, the hottest first."""
HEAT = tuple(f"heat{level}" for level in range(len(LEVELS) + 2))
"""Roles: nothing, and then hotter and hotter."""
STEP = 1000
LARGEST_PLAIN = 10_000
UNITS = " kMGTPE"


def heat(value: float | None, most: float) -> str:
    """The role of a value, beside the largest one."""
    if not value or most <= 0:
        return HEAT[0]
    return HEAT[len(LEVELS) + 1 - sum(1 for least in LEVELS if value / most < least)]


def short(value: int | None) -> str:
    """A count in at most five letters: "9999", "12.3k", "123M"; "-" for one that is not known."""
    if value is None:
        return "-"
    if value < LARGEST_PLAIN:
        return str(value)
    scaled, unit = float(value), 0
    while scaled >= STEP - 0.5 and unit < len(UNITS) - 1:
        scaled, unit = scaled / STEP, unit + 1
    return f"{scaled:.{1 if scaled < STEP / 10 else 0}f}{UNITS[unit]}"


def percent(share: float) -> str:
    """A share of 0 to 1, in at most five letters."""
    return "-" if not share else "<.01%" if share < 0.0001 else f"{share:.2%}" if share < 0.1 else f"{share:.1%}"


def seconds(nanoseconds: float) -> str:
    """A time from the beginning on."""
    minutes, rest = divmod(nanoseconds / 1e9, 60)
    return f"{int(minutes)}:{rest:06.3f}" if minutes else f"{rest:.3f} s"


def size(count: float) -> str:
    """Bytes: "310 B", "16 KiB", "1.5 MiB"."""
    for name in ("B", "KiB"):
        if count < 1024:
            return f"{count:.{0 if count == int(count) else 1}f} {name}"
        count /= 1024
    return f"{count:.{0 if count == int(count) else 1}f} MiB"
