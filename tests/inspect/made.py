"""Recordings made by hand, to say exactly what is in them."""

from __future__ import annotations

from dynarec.inspect.model import (
    Cache,
    Circumstances,
    Death,
    Exit,
    Generation,
    Label,
    Moment,
    Recording,
    Subject,
    Unit,
)

SECOND = 1_000_000_000
NOW = Moment(SECOND, 0)
JUMP_TO_SELF = b"\x01\xa0"
"""rv32: c.j ."""


def exit_(kind: str, executed: int, taken: int | None = None, target: int = 0, missed: int = 0) -> Exit:
    """An exit that is not linked."""
    return Exit(kind, target, executed, 0, taken, missed, None)


def unit(
    serial: int,
    key: int,
    insns: int = 1,
    *,
    exits: tuple[Exit, ...] = (),
    rounds: int | None = None,
    instructions: int | None = None,
    samples: int = 0,
    seconds: float = 0.0,
    died: Death | None = None,
    pcs: tuple[int, ...] | None = None,
    source: bytes | None = None,
    circumstances: Circumstances | None = None,
) -> Unit:
    """A unit of instructions of 2 bytes each, one behind the other."""
    trace = pcs if pcs is not None else tuple(key + 2 * index for index in range(insns))
    return Unit(
        serial=serial,
        key=key,
        tier="trace",
        ranges=((key, 2 * insns),),
        source=source if source is not None else JUMP_TO_SELF * insns,
        pcs=trace,
        charged=len(trace),
        offset=16 * serial,
        code=b"",
        host_insns=0,
        marks=(),
        op_insns=(),
        exits=exits,
        circumstances=circumstances or Circumstances("x86_64", (), 64),
        phases={"form": seconds},
        batch=0,
        born=Moment(0, 0),
        died=died,
        rounds=rounds,
        instructions=instructions,
        samples=samples,
    )


def death(reason: str, pc: int = 0, time: int = 0, instructions: int = 0) -> Death:
    return Death(Moment(time, instructions), reason, 0, pc)


def cache(**stats: int | float) -> Cache:
    """A cache of 2 MiB in 3 generations."""
    return Cache(2 << 20, "dualmap", (Generation(0, 1, 0),) * 3, 0, stats, {}, {})


def recording(*units: Unit, **others: object) -> Recording:
    """A recording of one second. others: fields of Recording, and tier."""
    tier = str(others.pop("tier", "jit"))
    subject = Subject("program.elf", "", "rv32", "user", "x86_64", tier, 0x1000)
    fields: dict[str, object] = {
        "subject": subject, "taken": NOW, "counted": True, "cache": cache(),
        "labels": (Label(0x1000, 0x100, "main", True), Label(0x1100, 0x100, "draw_span", True)), **others,
    }  # fmt: skip
    return Recording(units=units, **fields)  # type: ignore[arg-type]
