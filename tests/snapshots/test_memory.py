"""Guest memory in snapshots: whoever writes it, whatever its permissions, in every order of taking and going back."""

from __future__ import annotations

import functools
import random
from dataclasses import replace

import pytest

from dynarec import loading
from dynarec.core import CoreConfig
from dynarec.engine import Machine, StopReason
from dynarec.errors import DynarecError
from dynarec.guest_pages import Pages
from dynarec.machine.base import Access, Device
from dynarec.snapshot import Snapshot
from dynarec.trace import TRACE_LIMIT
from tests.machine.elf import Part, R, W, X, build
from tests.native.guests import CODE, DATA, EXIT, PAGE, asm, li, load, lui

TIERS = ("jit", "interp")
LARGE_PAGE = 16384
FIELD = range(0x40_0000, 0x40_0000 + 24 * PAGE)
"""Addresses that the test maps, writes and unmaps as it likes, on both sides of borders between large pages."""
GUEST = Access.READ | Access.WRITE | Access.EXECUTE
PERMISSIONS = (Access.READ | Access.WRITE, Access.READ, GUEST, Access.NONE)
STEPS = 400
SEEDS = range(4)
STORE = asm("sw", rs1="a0", rs2="a1", imm=0)
MOST_DIRTY = 16384
"""Host pages (native/snapshot.c)."""


@pytest.fixture(params=[0, LARGE_PAGE], ids=["pages of this system", "pages of 16 KiB"])
def host_page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(loading, "CoreConfig", functools.partial(CoreConfig, host_page=request.param))
    return int(request.param)


Model = dict[int, tuple[Access, bytes]]
"""By the address of a mapped page of the field: what the guest may do with it, and its bytes."""


class Field:
    """A machine, and what its memory must be."""

    def __init__(self, machine: Machine, rng: random.Random) -> None:
        self.machine = machine
        self.rng = rng
        self.model: Model = {}
        self.kept: list[tuple[Snapshot, Model]] = []

    def page(self) -> int:
        return self.rng.choice(FIELD[::PAGE])

    def pages(self) -> tuple[int, int]:
        start = self.page()
        return start, PAGE * self.rng.randrange(1, 1 + min(6, (FIELD.stop - start) // PAGE))

    def map(self) -> None:
        start, size = self.pages()
        access = self.rng.choice(PERMISSIONS)
        self.machine.memory.map(start, size, access)
        self.model |= {page: (access, bytes(PAGE)) for page in range(start, start + size, PAGE)}

    def unmap(self) -> None:
        start, size = self.pages()
        self.machine.memory.unmap(start, size)
        for page in range(start, start + size, PAGE):
            self.model.pop(page, None)

    def protect(self) -> None:
        page, access = self.page(), self.rng.choice(PERMISSIONS)
        if page in self.model:
            self.machine.memory.protect(page, PAGE, access)
            self.model[page] = (access, self.model[page][1])

    def write(self) -> None:
        """From the host, past the permissions that there are."""
        page, offset = self.page(), self.rng.randrange(PAGE - 8)
        access, data = self.model.get(page, (Access.NONE, b""))
        if access:
            new = self.rng.choice((bytes(8), self.rng.randbytes(8)))
            self.machine.memory.write(page + offset, new)
            self.model[page] = (access, data[:offset] + new + data[offset + 8 :])

    def store(self) -> None:
        """By the guest. Pages that share one of the host's share what they let through, so they tell nothing here."""
        page, offset, value = self.page(), 4 * self.rng.randrange(PAGE // 4), self.rng.getrandbits(32)
        access, data = self.model.get(page, (Access.NONE, b""))
        if not access & Access.WRITE:
            return
        regs = self.machine.regs
        regs.pc, regs.a0, regs.a1 = CODE, page + offset, value
        assert self.machine.run(1).reason is StopReason.BUDGET
        new = value.to_bytes(4, "little")
        self.model[page] = (access, data[:offset] + new + data[offset + 4 :])

    def keep(self) -> None:
        self.kept.append((self.machine.snapshot(), dict(self.model)))

    def go_back(self) -> None:
        if self.kept:
            snapshot, model = self.rng.choice(self.kept)
            self.machine.restore(snapshot)
            self.model = dict(model)

    def check(self) -> None:
        memory = self.machine.memory
        for page in FIELD[::PAGE]:
            access, data = self.model.get(page, (None, b""))
            assert memory.is_mapped(page, PAGE) == (access is not None), hex(page)
            assert memory.flags(page) & GUEST == (access or Access.NONE), hex(page)
            if access:
                assert memory.read(page, PAGE) == data, hex(page)

    def step(self) -> None:
        actions = (self.map, self.unmap, self.protect, self.write, self.store, self.keep, self.go_back)
        self.rng.choices(actions, (2, 1, 2, 8, 8, 2, 2))[0]()


def of_pages(pages: Pages) -> Model:
    """What a snapshot says of the field."""
    found: Model = {}
    for first, count, access in pages.runs:
        for number in range(first, first + count):
            if number * PAGE in FIELD:
                found[number * PAGE] = (Access(access & GUEST), pages[number])
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("host_page")
def test_any_order(tier: str, seed: int) -> None:
    with load(STORE, tier=tier) as machine:
        field = Field(machine, random.Random(seed))
        for _ in range(STEPS):
            field.step()
            field.check()
    for snapshot, model in field.kept:
        assert of_pages(snapshot.pages) == model


@pytest.mark.usefixtures("host_page")
def test_what_did_not_change_is_shared() -> None:
    with load(STORE) as machine:
        machine.memory.map(FIELD.start, len(FIELD), Access.READ | Access.WRITE)
        machine.memory.write(FIELD.start, b"x" * len(FIELD))
        first = machine.snapshot()
        machine.memory.write(FIELD.start, b"y")
        machine.memory.write(FIELD.start + PAGE, b"x")  # which it is already
        second = machine.snapshot()
    numbers = first.pages.numbers
    assert numbers == second.pages.numbers
    moved = [each for each in numbers if first.pages.place(each) != second.pages.place(each)]
    assert moved == [FIELD.start // PAGE]


@pytest.mark.parametrize("tier", TIERS)
def test_more_pages_than_are_tracked(tier: str) -> None:
    """Too many are written for one to be noticed at a time; all is as it was all the same, and then they are again."""
    size = (MOST_DIRTY + 64) * PAGE
    with load(STORE, tier=tier) as machine:
        machine.memory.map(FIELD.start, size, Access.READ | Access.WRITE)
        before = machine.snapshot()
        machine.memory.write(FIELD.start, b"x" * size)
        full = machine.snapshot()
        machine.regs.pc, machine.regs.a0, machine.regs.a1 = CODE, FIELD.start + size - 4, 0x1234
        machine.run(1)
        machine.restore(before)
        assert machine.memory.read(FIELD.start, size) == bytes(size)
        machine.restore(full)
        assert machine.memory.read(FIELD.start, size) == b"x" * size


STORES = 40
SCATTERED = (
    lui("a0", FIELD.start)
    + lui("a2", 2 * PAGE)
    + asm("sw", rs1="a0", rs2="a1", imm=0)
    + asm("add", rd="a0", rs1="a0", rs2="a2")
    + asm("jal", rd=0, offset=-8)
)


@pytest.mark.parametrize("tier", TIERS)
def test_a_page_faults_once(tier: str) -> None:
    """The first store to each page is noticed, and none behind it."""
    with load(SCATTERED, tier=tier) as machine:
        machine.memory.map(FIELD.start, 2 * STORES * PAGE, Access.READ | Access.WRITE)
        machine.run(3 * STORES)
        machine.snapshot()
        machine.pc = CODE
        before = machine.stats().faults
        machine.run(3 * STORES)
        noticed = machine.stats().faults - before
        machine.pc = CODE
        machine.run(3 * STORES)
        assert machine.stats().faults - before == noticed
        # A unit needs the budget of a whole round, so the last stores are the interpreter's.
        assert noticed in (range(STORES - TRACE_LIMIT // 3, STORES + 1) if tier == "jit" else [0])


@pytest.mark.parametrize("tier", TIERS)
def test_stores_to_a_watched_word_are_still_reported(tier: str) -> None:
    """The guest maps something else over it in between: what it had comes back as it was."""
    code = lui("a1", DATA) + li("a0", 0x7FF) + asm("sw", rs1="a1", rs2="a0", imm=0) + asm("jal", rd=0, offset=0)
    parts = [Part(CODE, code.ljust(PAGE, b"\0"), flags=R | W | X), Part(DATA, size=PAGE, flags=R | W)]
    with Machine.load(build(parts, CODE, {"tohost": (DATA, 8, 1)}), tier=tier) as machine:
        machine.run(1)
        snapshot = machine.snapshot()
        machine.memory.map(DATA, PAGE, Access.READ)
        for _ in range(2):
            machine.restore(snapshot)
            stop = machine.run(100)
            assert (stop.reason, stop.status) == (StopReason.EXITED, 0xFF)


def test_memory_where_there_is_a_device() -> None:
    with load(EXIT) as machine:
        snapshot = machine.snapshot()
        machine.add_device(DATA, Device())
        with pytest.raises(DynarecError, match="other added devices: none, and here 0x20000"):
            machine.restore(snapshot)
        with pytest.raises(DynarecError, match="has a device"):
            machine.restore(replace(snapshot, devices={f"{DATA:#x}": {}}))


@pytest.mark.usefixtures("host_page")
def test_a_device_where_there_was_memory() -> None:
    """Pages beside it that were noted as written, with one of the host's, and are nobody's, are not in its way."""
    with load(EXIT) as machine:
        machine.memory.map(FIELD.start, PAGE, Access.READ | Access.WRITE)
        machine.snapshot()
        machine.memory.write(FIELD.start, b"x")
        machine.memory.unmap(FIELD.start, PAGE)
        machine.add_device(FIELD.start, Device())
        machine.snapshot()


@pytest.mark.parametrize(
    "runs",
    [[(0, 0, 1)], [(1 << 20, 1, 1)], [(5, 1 << 20, 1)], [(5, 2, 1), (6, 1, 1)], [(5, 1, 0)], [(5, 1, 8)], [(5, 1, 64)]],
)
def test_impossible_runs(runs: list[tuple[int, int, int]]) -> None:
    with pytest.raises(DynarecError):
        Pages.make(runs)


def test_bytes_where_there_is_no_page() -> None:
    pages = Pages.make([(5, 2, 1), (9, 1, 3)])
    pages.put(6, b"x" * PAGE)
    pages.put(9, bytes(PAGE))
    for number in (0, 4, 7, 8, 10, 1 << 20, (1 << 32) - 1):
        with pytest.raises(DynarecError, match="no memory"):
            pages.put(number, b"x" * PAGE)
    assert pages.runs == [(5, 2, 1), (9, 1, 3)]
    assert pages[6] == b"x" * PAGE
    assert pages[5] == pages[0] == pages[(1 << 32) - 1] == bytes(PAGE)
