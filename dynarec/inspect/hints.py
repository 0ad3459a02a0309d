"""What a recording tells about how a program is recompiled: a short list, in plain words.

A rule looks at a recording and says what it saw; nothing where there is no data. Its thresholds stand before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from dynarec.errors import DynarecError
from dynarec.inspect.code import UnitCode
from dynarec.inspect.model import Recording, Unit
from dynarec.loading import MAX_CACHE_SIZE

MOST = 12
"""Hints of a list."""
SEVERE, NOTABLE = 0.25, 0.05
"""Weights from which on a hint is "high", and "middle"."""
LEAST_WEIGHT = 0.01
"""Of what is seen, but costs nothing that could be measured."""
NANO = 1e9
KEYS = 8
"""Bytes that hold the longest instruction of a guest."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Something worth knowing.

    weight: about what share of the time it is about, 0 to 1. severity: "high", "middle" or "low", by weight.
    text: what was seen. advice: what can be done; "" if that is not known. serials: of units it is about.
    addresses: of the guest, that it is about.
    """

    weight: float
    text: str
    advice: str = ""
    serials: tuple[int, ...] = ()
    addresses: tuple[int, ...] = ()

    @property
    def severity(self) -> str:
        return "high" if self.weight >= SEVERE else "middle" if self.weight >= NOTABLE else "low"


def hints(recording: Recording) -> list[Hint]:
    """What is to be said, the weightiest first; at most a dozen. The same recording gives the same list."""
    found = [hint for rule in RULES for hint in rule(recording)]
    return sorted(found, key=lambda hint: (-hint.weight, hint.text))[:MOST]


# -- where the time goes ----------------------------------------------------------------------------------------------

HOT_SHARE = 0.2
"""Of a function, from which on it is named."""
LEAST_SAMPLES, LEAST_INSTRUCTIONS = 50, 10_000
"""Below these, shares say little."""
TELLS = 0.2
"""What tells where the time goes, and not that it is lost, weighs so much of its share."""


def _hot_functions(recording: Recording) -> Iterator[Hint]:
    if recording.samples < LEAST_SAMPLES and recording.instructions < LEAST_INSTRUCTIONS:
        return
    groups: dict[str, list[Unit]] = defaultdict(list)
    for unit in recording.units:
        label = recording.label_at(unit.key)
        if label is not None and recording.share(unit):
            groups[label.name].append(unit)
    for name, units in groups.items():
        share = sum(map(recording.share, units))
        if share >= HOT_SHARE:
            what = "time" if recording.samples else "instructions"
            text = f"{_percent(share)} of the {what} {_go(recording)} in {_units(units)} of `{name}`"
            advice = f"look at {'its' if len(units) == 1 else 'their'} code first"
            yield _hint(share * TELLS, text, advice, units, [unit.key for unit in units])


def _go(recording: Recording) -> str:
    return "is spent" if recording.samples else "are executed"


TRANSLATING_SHARE, TRANSLATING_SECONDS = 0.1, 0.1
"""Of the time, and at least so long, from which on translating is named."""


def _translating(recording: Recording) -> Iterator[Hint]:
    seconds, run = _translation_seconds(recording), _run_seconds(recording)
    if not run or seconds < TRANSLATING_SECONDS or seconds / run < TRANSLATING_SHARE:
        return
    phases: Counter[str] = Counter()
    for unit in recording.units:
        phases.update(unit.phases)
    longest = max(phases, key=lambda name: (phases[name], name), default="")
    part = f', most of it in "{longest}"' if longest else ""
    share = min(seconds / run, 1.0)
    text = f"{_percent(share)} of the time goes into translation{part}"
    yield Hint(share, text, f"a longer run makes up for it; else translate less: {_less(recording)}")


def _less(recording: Recording) -> str:
    """How to translate less."""
    return "choose --tier auto" if recording.subject.tier == "jit" else "raise `hot` of Machine.load"


SELDOM = 2
"""Rounds up to which a unit was not worth it."""
SELDOM_UNITS = 0.5
"""Share of such units, from which on they are named."""
LEAST_UNITS = 20
SELDOM_SECONDS = 0.02
"""That their translation took, below which it does not matter."""


def _seldom(recording: Recording) -> Iterator[Hint]:
    counted = [unit for unit in recording.units if unit.rounds is not None]
    seldom = [unit for unit in counted if unit.rounds is not None and unit.rounds <= SELDOM]
    if len(counted) < LEAST_UNITS or len(seldom) < SELDOM_UNITS * len(counted):
        return
    share = _cost(recording, seldom)
    if share < LEAST_WEIGHT or share * _run_seconds(recording) < SELDOM_SECONDS:
        return
    text = f"{len(seldom)} of {len(counted)} units were executed {SELDOM} times or less; {_percent(share)} of the time"
    yield _hint(share, f"{text} went into their translation", _less(recording), seldom)


INTERPRETED_SHARE = 0.1
"""Of the instructions, from which on interpreting is named."""
INTERPRETER_COST = 10
"""Times that an interpreted instruction takes of a translated one's, about."""


def _interpreted(recording: Recording) -> Iterator[Hint]:
    total = recording.instructions
    count = sum(recording.interpreted.values())
    if total < LEAST_INSTRUCTIONS or count / total < INTERPRETED_SHARE:
        return
    where = max(recording.interpreted, key=lambda pc: (recording.interpreted[pc], -pc))
    reason, advice = _why_interpreted(recording, where)
    share = count / total
    weight = INTERPRETER_COST * share / (INTERPRETER_COST * share + 1 - share)
    text = f"{_percent(share)} of the instructions are interpreted, most at {recording.name(where)}: {reason}"
    yield _hint(weight, text, advice, recording.holding(where), [where])


def _why_interpreted(recording: Recording, pc: int) -> tuple[str, str]:
    """Reason and advice."""
    if recording.subject.tier == "interp":
        return "tier interp translates nothing", "choose another --tier"
    for unit in recording.units:
        if pc in unit.circumstances.left:
            return "it keeps reaching a device", "reach the device less often, or more at a time"
        if any(each.kind == "interpret" and each.target == pc for each in unit.exits):
            return f"{_instruction(recording, unit, pc)} is left to the interpreter", "take it out of the loop"
    if any(True for _ in recording.holding(pc)):
        return "it was executed before it was translated, or faulted", ""
    return "its code is executed too rarely to be translated", "lower `hot` of Machine.load, or choose --tier jit"


def _instruction(recording: Recording, unit: Unit, pc: int) -> str:
    """Its text, such as "`csrr a0, mcycle`"; "the instruction" if that is not known."""
    try:
        code = UnitCode(unit, recording.subject.guest)
    except DynarecError:
        return "the instruction"
    insn = code.guest.isa.decode(int.from_bytes(code.fetch(pc, KEYS), "little"))
    return f"`{insn.text(pc)}`" if insn is not None and code.fetch(pc, 1) else "the instruction"


# -- why units die ----------------------------------------------------------------------------------------------------

DEATHS_FEW = 8
"""Deaths for one reason at one place, from which on they are named."""
WORDS = {
    "store": "a store to its bytes",
    "host-write": "its bytes are written from outside",
    "device": "its accesses reach a device, or no longer do",
    "flush": "the cache is emptied",
}
ADVICE = {
    "store": "keep data that is written out of the pages and lines of code",
    "host-write": "write code once, or only what changes",
    "device": "let one instruction reach either memory or a device, not both in turn",
    "flush": "do not empty the cache",
}


def _fences(recording: Recording) -> Iterator[Hint]:
    by_place: dict[int, list[Unit]] = defaultdict(list)
    for unit in _died_of(recording, "fence.i"):
        assert unit.died is not None
        by_place[unit.died.pc].append(unit)
    for pc, units in by_place.items():
        if len(units) < DEATHS_FEW:
            continue
        times = len({unit.died.when.instructions for unit in units if unit.died is not None})
        where = f" at {recording.name(pc)}" if pc else ""
        text = f"fence.i in a loop{where} kills {_blocks(units)} {_often(recording, times)}"
        advice = "execute fence.i once, when all code is written"
        yield _hint(_cost(recording, units), text, advice, units, [pc] if pc else [])


def _returns(recording: Recording) -> Iterator[Hint]:
    """Blocks that die and are translated again, over and over."""
    groups: dict[tuple[int, str], list[Unit]] = defaultdict(list)
    for unit in recording.dead:
        assert unit.died is not None
        if unit.died.reason in WORDS:
            groups[unit.key, unit.died.reason].append(unit)
    for (key, reason), units in groups.items():
        if len(units) >= DEATHS_FEW:
            yield _return(recording, key, reason, units)


def _return(recording: Recording, key: int, reason: str, units: list[Unit]) -> Hint:
    pcs = Counter(unit.died.pc for unit in units if unit.died is not None and unit.died.pc)
    pc = max(pcs, key=lambda pc: (pcs[pc], -pc), default=0)
    by = f", by the instruction at {recording.name(pc)}" if pc else ""
    text = f"the unit at {recording.name(key)} dies and comes back, {len(units)} times: {WORDS[reason]}{by}"
    return _hint(_cost(recording, units), text, ADVICE[reason], units, [key, pc] if pc else [key])


EVICTIONS_FEW = 2
"""Evictions, from which on the cache may be too small."""


def _too_small(recording: Recording) -> Iterator[Hint]:
    evicted = _died_of(recording, "evicted")
    evictions = int(recording.cache.stats.get("evictions", 0))
    last = {unit.key: unit.serial for unit in recording.units}
    back = [unit for unit in evicted if last[unit.key] > unit.serial]
    if evictions < EVICTIONS_FEW or not back:
        return
    count = len(recording.cache.generations)
    what = f"its {count} generations were" if count > 1 else "it was"
    text = f"the cache is too small: {what} evicted {evictions} times, {_units(back)} came back"
    larger = 2 * recording.cache.size
    advice = f"try --cache-size {_size(larger)}" if larger <= MAX_CACHE_SIZE else ""
    yield _hint(_cost(recording, back), text, advice, back)


def _hooks_change(recording: Recording) -> Iterator[Hint]:
    for reason, name in (("breakpoint", "breakpoints"), ("hook", "hooks")):
        units = _died_of(recording, reason)
        if len(units) >= DEATHS_FEW:
            text = f"{name} that come and go have killed {len(units)} units"
            advice = "leave them where they are, and let conditions decide"
            yield _hint(_cost(recording, units), text, advice, units)


def _died_of(recording: Recording, reason: str) -> list[Unit]:
    return [unit for unit in recording.dead if unit.died is not None and unit.died.reason == reason]


# -- what makes units slow --------------------------------------------------------------------------------------------

CUT_SHARE = 0.05
"""Share of units that are cut by hooks, from which on they are named."""


def _cut_by_hooks(recording: Recording) -> Iterator[Hint]:
    units = [unit for unit in recording.live if unit.circumstances.hooked]
    share = sum(map(recording.share, units))
    if share < CUT_SHARE:
        return
    addresses = sorted({pc for unit in units for pc, _ in unit.circumstances.hooked})
    text = f"{_units(units)} with {_percent(share)} of the work {_are(units)} cut by hooks or breakpoints"
    yield _hint(share * TELLS, text, "hook fewer addresses", units, addresses)


COMPARING = 0.3
"""About the part of a unit's time that comparing its bytes takes."""


def _mixed_pages(recording: Recording) -> Iterator[Hint]:
    checked = [unit for unit in recording.units if unit.circumstances.checked]
    for page in _pages_of_both(recording, checked):
        units = [unit for unit in checked if _in_page(unit, page)]
        share = sum(map(recording.share, units))
        text = f"page {page:#x} is code and data alike: its units compare their bytes whenever they are entered"
        advice = "keep data that is written 4096 bytes away from code"
        yield _hint(share * COMPARING, text, advice, units, [page])


PAGE = 4096


def _pages_of_both(recording: Recording, checked: list[Unit]) -> list[int]:
    """By the log; by the units where it has no room for them any more. A small guest's memory is all such pages."""
    pages = {event.value for event in recording.events if event.kind == "mixed"}
    if recording.cache.stats.get("mixed_pages", 0) > len(pages):
        pages |= {start & -PAGE for unit in checked for start, _ in unit.ranges}
    return sorted(pages)


def _in_page(unit: Unit, page: int) -> bool:
    return any(start < page + PAGE and page < start + size for start, size in unit.ranges)


MISSES_FEW = 1000
MISSING_SHARE = 0.2
"""Of an indirect jump, from which on its misses are named."""
MISS_SECONDS = 100e-9
"""What the run loop takes, about, to find where to go."""


def _misses(recording: Recording) -> Iterator[Hint]:
    for unit in recording.units:
        for each in unit.exits:
            if each.kind != "indirect" or each.taken is None or each.missed < MISSES_FEW:
                continue
            share = each.missed / max(each.taken, each.missed)
            if share >= MISSING_SHARE:
                pc = _pc_of(unit, each.executed)
                text = f"the indirect jump at {_at(recording, pc)} misses its cache {_percent(share)} of the time"
                advice = "targets whose addresses are equal in their low bits share a place: move or align functions"
                yield _hint(_loop_cost(recording, each.missed), text, advice, [unit], [pc])


def _unlinked(recording: Recording) -> Iterator[Hint]:
    for unit in recording.live:
        for each in unit.exits:
            if each.kind != "jump" or each.linked is not None or each.missed < MISSES_FEW:
                continue
            pc = _pc_of(unit, each.executed)
            text = f"the jump at {_at(recording, pc)} to {_at(recording, each.target)} is not linked: it"
            text += f" left the cache {each.missed:,} times"
            weight = _loop_cost(recording, each.missed)
            yield _hint(weight, text, "see what is at its target: a hook?", [unit], [pc, each.target])


def _pc_of(unit: Unit, executed: int) -> int:
    """Of the instruction that a round executes last when it retires so many."""
    return unit.pcs[min(max(executed, 1), len(unit.pcs)) - 1] if unit.pcs else unit.key


def _loop_cost(recording: Recording, turns: int) -> float:
    run = _run_seconds(recording)
    return turns * MISS_SECONDS / run if run else 0.0


OPEN_SHARE = 0.05
"""Of the time that the code region is open for writing, from which on that is named."""


def _batches(recording: Recording) -> Iterator[Hint]:
    batches = [event for event in recording.events if event.kind == "batch"]
    run = _run_seconds(recording)
    share = sum(event.value for event in batches) / NANO / run if run else 0.0
    if share >= OPEN_SHARE:
        text = f"{_percent(share)} of the time goes into {len(batches)} writes to the code region"
        yield Hint(
            min(share, 1.0), f"{text} (policy {recording.cache.policy})", "see `dynarec doctor`; try another --wx"
        )


RULES: tuple[Callable[[Recording], Iterator[Hint]], ...] = (
    _hot_functions,
    _translating,
    _seldom,
    _interpreted,
    _fences,
    _returns,
    _too_small,
    _hooks_change,
    _cut_by_hooks,
    _mixed_pages,
    _misses,
    _unlinked,
    _batches,
)


# -- words and numbers ------------------------------------------------------------------------------------------------


def _hint(weight: float, text: str, advice: str, units: Iterable[Unit], addresses: Iterable[int] = ()) -> Hint:
    weight = min(max(weight, LEAST_WEIGHT), 1.0)
    serials = tuple(sorted(unit.serial for unit in units))
    return Hint(weight, text, advice, serials, tuple(dict.fromkeys(addresses)))


def _run_seconds(recording: Recording) -> float:
    """That the machine ran; where that is not known, since the recorder began."""
    return float(recording.cache.stats.get("run_seconds", 0) or recording.taken.time / NANO)


def _translation_seconds(recording: Recording) -> float:
    known = recording.cache.stats.get("translation_seconds")
    return float(known) if known is not None else sum(unit.seconds for unit in recording.units)


def _cost(recording: Recording, units: Iterable[Unit]) -> float:
    """The share of the time that their translation took."""
    run = _run_seconds(recording)
    return sum(unit.seconds for unit in units) / run if run else 0.0


def _often(recording: Recording, times: int) -> str:
    rate = times / _run_seconds(recording) if _run_seconds(recording) else 0.0
    return f"{rate:,.0f} times a second" if rate >= 1 else f"{times} times"


def _at(recording: Recording, address: int) -> str:
    """ "0x101f2 (main+0x10)" """
    name = recording.name(address) if recording.label_at(address) else ""
    return f"{address:#x} ({name})" if name else f"{address:#x}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _units(units: list[Unit]) -> str:
    return f"{len(units)} unit{'s' * (len(units) != 1)}"


def _blocks(units: list[Unit]) -> str:
    """How many, where one that was translated anew is no other."""
    count = len({unit.key for unit in units})
    return f"{count} unit{'s' * (count != 1)}"


def _are(units: list[Unit]) -> str:
    return "is" if len(units) == 1 else "are"


def _size(size: int) -> str:
    """As --cache-size takes it."""
    for unit, suffix in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
