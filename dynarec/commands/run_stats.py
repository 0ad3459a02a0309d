"""The numbers of a run, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.engine import Stop
    from dynarec.stats import Stats

MICRO = 1e6
MILLI = 1e3


def as_text(stats: Stats) -> str:
    """A line for each matter."""
    exits = ", ".join(f"{count:,} {kind}" for kind, count in stats.exits.items())
    each = stats.translation_seconds * MICRO / max(1, stats.translated_instructions)
    lines = {
        "guest instructions": f"{stats.instructions:,} ({stats.interpreted:,} interpreted)",
        "wall time": f"{stats.run_seconds:.3f} s, {stats.mips:.1f} MIPS",
        "translated": f"{stats.translated:,} blocks of {stats.translated_instructions:,} guest instructions, "
        f"{stats.stale:,} outdated",
        "of earlier runs": f"{stats.kept:,} blocks",
        "translation time": f"{stats.translation_seconds:.3f} s, {each:.1f} us a guest instruction",
        "pauses": _histogram(stats.pauses, stats.longest_pause),
        "work in these": _histogram(stats.pause_work, stats.longest_pause_work),
        "code cache": f"{stats.blocks:,} blocks, {stats.code_bytes:,} bytes ({stats.code_dead:,} of dead blocks), "
        f"{stats.evictions:,} evictions, {stats.flushes:,} flushes",
        "deaths": ", ".join(f"{count:,} {reason}" for reason, count in stats.deaths.items() if count) or "none",
        "links": f"{stats.links:,} made, {stats.unlinks:,} undone",
        "exits": exits,
        "faults": f"{stats.faults:,}",
        "policy": f"{stats.policy}, {stats.toggles:,} toggles; tier {stats.tier}",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:>{width}}: {text}" for name, text in lines.items())


def _histogram(counts: Sequence[int], longest: float) -> str:
    """How often the guest stood still for how long."""
    if not any(counts):
        return "none"
    parts = [f"{count:,} below {1 << index:,} us" for index, count in enumerate(counts) if count]
    return f"{', '.join(parts)}; longest {longest * MILLI:.2f} ms"


def write_json(path: Path, stats: Stats, stop: Stop | None) -> None:
    """One JSON object: the fields of `Stats` by name, `mips`, and `stop` with `reason`, `pc` and `status`.

    `stop` is null for a run that was interrupted. Raises DynarecError when the file cannot be written.
    """
    end = None if stop is None else {"reason": stop.reason.value, "pc": stop.pc, "status": stop.status}
    content = {**stats._asdict(), "mips": stats.mips, "stop": end}
    try:
        path.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        reason = error.strerror or error
        raise DynarecError(f"cannot write the statistics {path}: {reason}: choose another place") from error
