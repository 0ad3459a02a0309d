"""The contract of hosts (dynarec/host/base.py): one suite that every host inherits.

The code of this machine's own host runs in the core, that of the others under Unicorn; each unit must do what the
reference evaluator does. Random units: `DYNAREC_SEED=n` repeats one.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest

from dynarec.host import cpu_has_bmi2, native_host_name
from dynarec.host.arm64 import Arm64
from dynarec.host.base import Host
from dynarec.host.moves import OutOfRegisters
from dynarec.host.x86_64 import X86_64
from dynarec.ir import ops
from dynarec.ir.ops import OpKind, Type
from dynarec.ir.unit import Branch, Interpret, Jump, JumpTo, Op, Operand, Terminal, Unit
from dynarec.opt import PASSES
from tests.host.contract import (
    HOME_COUNT,
    JUMP_SHIFT,
    PAGE,
    READ_ONLY,
    TOP,
    Bench,
    EmulatedRunner,
    NativeRunner,
    as_hosts_get_it,
    random_states,
)
from tests.host.shapes import (
    BEHIND,
    MASK,
    Maker,
    Source,
    computed,
    crowded_unit,
    immediate,
    in_home,
    in_memory,
    shaped_units,
    unit_in_homes,
    units_of_one_value,
    units_with_immediates,
    units_with_parts,
)
from tests.ir.units import EDGES, HOMES, KEY, LAYOUT, MEMORY_BASE, PURE, Shape, clone, random_unit

SEED = int(os.environ.get("DYNAREC_SEED", "1"))
RANDOM_UNITS, STEP = (1500, 1) if "CI" in os.environ else (200, 5)
"""Random units; and which part of the combinations of places is tried: the step is prime to how many each has."""
VALUES = (
    0, 1, 2, 31, 32, 0x7F, 0xFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FF80, 0xFFFF_FFFE, 0xFFFF_FFFF,
)  # fmt: skip
BINARY = [kind for kind in PURE if kind.params == (Type.I32, Type.I32)]
ACCESSES = (*ops.LOADS, *ops.STORES, ops.STORE32_IF)
ROUNDS = 5
UNITS_LEFT_ANYWHERE = 150 if "CI" in os.environ else 25
NOWHERE = 0x40
"""An address without memory."""
UNITS_WITH_PARTS = 150


def named(kinds: tuple[OpKind, ...] | list[OpKind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.name)


def leaving_at(unit: Unit, place: int) -> Unit:
    """A copy that is left at the op at `place` and at none before it; the passes do not see that."""
    copied = clone(unit)
    first = Op(ops.GET, (), LAYOUT["r0"], 0)
    odd = Op(ops.OR, (first, 1), None, 0)
    never, always = Op(ops.EQ, (odd, 0), None, 0), Op(ops.NE, (odd, 0), None, 0)
    for index, op in enumerate(copied.ops[: place + 1]):
        if op.kind is ops.EXIT_IF:
            op.args = (always if index == place else never,)
        elif op.kind.exits:
            at = ops.OFFSET_OPERAND[op.kind] - 1
            address = NOWHERE if index == place else MEMORY_BASE
            op.args = (*op.args[:at], address, 4 * (index % 8), *op.args[at + 2 :])
            if op.kind is ops.STORE32_IF and index == place:
                op.args = (1, *op.args[1:])
    copied.ops[:0] = [first, odd, never, always]
    return copied


def state_with(rng: random.Random, **fields: int) -> tuple[int, ...]:
    """A random state with these fields."""
    (state,) = random_states(rng, 1)
    words = list(state)
    for name, value in fields.items():
        words[LAYOUT[name].index] = value
    return tuple(words)


# Addresses of the boundaries: inside a page, across two that may be accessed, across the end of what may be written,
# across the end of everything, of nothing, the last ones of the address space.
PLACES = (
    MEMORY_BASE, MEMORY_BASE + 0x41, MEMORY_BASE + PAGE - 1, MEMORY_BASE + PAGE - 2, MEMORY_BASE + PAGE - 3,
    MEMORY_BASE + PAGE, READ_ONLY - 1, READ_ONLY - 4, READ_ONLY + 8, READ_ONLY + PAGE - 1, READ_ONLY + PAGE - 2,
    MEMORY_BASE - 1, MEMORY_BASE - 4, 0, 3, 0x7FFF_FFFE, TOP - 2, TOP, TOP + PAGE - 4, TOP + PAGE - 3, TOP + PAGE - 1,
)  # fmt: skip
OFFSETS = (0, 1, 4, 0x7FF, 0x800, 0x1234_5678, 0xFFFF_FFFF, 0xFFFF_F800, 0x8000_0000)
ADDRESS_FIELDS: dict[Source, str] = {in_home: "r0", in_memory: f"r{HOME_COUNT}", computed: "r3"}


def access_unit(kind: OpKind, base: Source, offset: int, value: Source, address: int) -> Unit:
    """An access between instructions that write state, one of them the address's own field."""
    maker = Maker()
    maker.set("r4", maker.op(ops.ADD, maker.get("r5"), 7))
    maker.set("r10", maker.get("r11"))
    maker.insn()
    args: list[Operand] = [base(maker, 0, (address - offset) & ops.MASK32), offset]
    if kind not in ops.LOADS:
        args.append(value(maker, 1, address))
    if kind is ops.STORE32_IF:
        args.insert(0, maker.op(ops.LTU, maker.get("r6"), maker.get("r7")))
    made = maker.op(kind, *args)
    maker.set("r4", 0x1234)
    maker.set(ADDRESS_FIELDS.get(base, "r9"), made if kind in ops.LOADS else 5)
    maker.insn()
    maker.set("r1", maker.get("r4"))
    return maker.end()


def access_state(rng: random.Random, base: Source, offset: int, address: int) -> tuple[int, ...]:
    """A state in which the access of `access_unit` is to `address`."""
    start = (address - offset) & ops.MASK32
    if base is computed:
        start ^= MASK
    name = ADDRESS_FIELDS.get(base)
    return state_with(rng, **({name: start} if name else {}))


def exits_unit(leave: Jump | Interpret, at: int, condition: str, insns: int = 3) -> Unit:
    """Instructions that each write state; the side exit is in instruction `at`."""
    maker = Maker()
    for number in range(insns):
        if number:
            maker.insn()
        if number == at and isinstance(leave, Interpret):
            maker.op(ops.EXIT_IF, condition_of(maker, condition), attr=leave)
        maker.set(f"r{number}", maker.op(ops.ADD, maker.get(f"r{number}"), 1))
        maker.set(f"r{HOME_COUNT + number}", maker.op(ops.ADD, maker.get(f"r{HOME_COUNT + number}"), 3))
        if number == at and isinstance(leave, Jump):
            maker.op(ops.EXIT_IF, condition_of(maker, condition), attr=leave)
    return maker.end()


def condition_of(maker: Maker, name: str) -> Operand:
    """A condition on fields 6, with a home, and 11, without."""
    a, b = maker.get("r6"), maker.get("r11")
    kept = {"value": ops.LTS, "zero": ops.EQ, "negative": ops.LTS}.get(name)
    if name in ("zero", "negative"):
        assert kept is not None
        return maker.op(kept, a, 0)
    if name == "value":
        condition = maker.op(ops.LTS, a, b)
        maker.set("r7", maker.op(ops.BIT, condition))
        return condition
    if name in ("never", "always"):
        return int(name == "always")
    return maker.op(ops.OPS[name], a, b)


CONDITIONS = ("zero", "negative", "value", "never", "always", *(kind.name for kind in ops.COMPARES))


@pytest.fixture(scope="class")
def bench(request: pytest.FixtureRequest) -> Bench:
    """The host of the test class, and where its code runs."""
    contract: type[Contract] = request.cls
    host = contract.make_host()
    native = native_host_name() == host.name and not contract.emulated
    return Bench(host, NativeRunner(host) if native else EmulatedRunner(host))


class Contract:
    """What every host must do. A test class gives the host; `emulated`: even where the core could run it."""

    emulated = False

    @staticmethod
    def make_host() -> Host:
        raise NotImplementedError

    # -- values -------------------------------------------------------------------------------------------------------

    @named(PURE)
    def test_operands_and_results_in_every_place(self, bench: Bench, kind: OpKind) -> None:
        rng = random.Random(kind.name)
        for unit in itertools.islice(shaped_units(kind, rng), 0, None, STEP):
            bench.check(unit, random_states(rng, 2))

    @named([ops.ADD, ops.SUB, ops.AND, ops.OR, ops.XOR, ops.ZEXT8, ops.ZEXT16])
    def test_operands_that_are_shifted_and_inverted(self, bench: Bench, kind: OpKind) -> None:
        rng = random.Random(kind.name)
        for unit in units_with_parts(kind, rng, UNITS_WITH_PARTS):
            bench.check(unit, random_states(rng, 2))

    @named([kind for kind in PURE if Type.I1 not in kind.params])
    def test_operands_that_are_one_value(self, bench: Bench, kind: OpKind) -> None:
        rng = random.Random(kind.name)
        for unit in units_of_one_value(kind):
            bench.check(unit, random_states(rng, 2))

    @named(PURE)
    def test_boundary_values(self, bench: Bench, kind: OpKind) -> None:
        rng = random.Random(kind.name)
        unit = unit_in_homes(kind)
        operands = itertools.product(VALUES, repeat=min(len(kind.params), 2))
        bench.check(unit, (state_with(rng, **{f"r{n}": each for n, each in enumerate(values)}) for values in operands))

    @named(BINARY)
    def test_immediates(self, bench: Bench, kind: OpKind) -> None:
        rng = random.Random(kind.name)
        for unit in units_with_immediates(kind):
            bench.check(unit, [state_with(rng, r0=rng.choice(VALUES)), *random_states(rng, 1)])

    @pytest.mark.parametrize("values", [2, 3, 4, 8, 14])
    @named(PURE)
    def test_many_values_at_a_time(self, bench: Bench, kind: OpKind, values: int) -> None:
        rng = random.Random(f"{kind.name} {values}")
        for _ in range(3):
            bench.check(crowded_unit(kind, rng, values), random_states(rng, 2))

    # -- memory -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("lowers", [True, False], ids=["lowered", "as lifted"])
    @named(ACCESSES)
    def test_accesses_in_every_shape(self, bench: Bench, kind: OpKind, lowers: bool) -> None:
        rng = random.Random(kind.name)
        shapes = itertools.product((in_home, in_memory, immediate, computed), (in_home, in_memory, immediate, computed))
        for (base, value), offset in itertools.product(shapes, OFFSETS):
            if kind in ops.LOADS and value is not in_home:
                continue
            address = rng.choice(PLACES)
            unit = access_unit(kind, base, offset, value, address)
            bench.check(unit, [access_state(rng, base, offset, address)], code=bench.emit(unit, lowers))

    @named(ACCESSES)
    def test_boundaries_of_memory(self, bench: Bench, kind: OpKind) -> None:
        """Faults leave the state of the instruction that faults, its pc, and the budget of those before it."""
        rng = random.Random(kind.name)
        for base, address in itertools.product((in_home, in_memory, immediate), PLACES):
            unit = access_unit(kind, base, 0, in_home, address)
            bench.check(unit, [access_state(rng, base, 0, address) for _ in range(2)])

    def test_accesses_share_addresses(self, bench: Bench) -> None:
        """As many addresses as a structure has members, each used twice."""
        rng = random.Random(0)
        maker = Maker()
        base = maker.get("r0")
        for number in range(40):
            maker.insn()
            maker.set(f"r{1 + number % 11}", maker.op(ops.LOAD32, base, 4 * number))
        for number in range(40):
            maker.insn()
            maker.op(ops.STORE32, base, 4 * number, maker.get(f"r{1 + number % 11}"))
        bench.check(maker.end(), [state_with(rng, r0=MEMORY_BASE + 16)])

    @pytest.mark.parametrize("kind", [ops.CLZ, ops.CTZ, ops.POPCNT], ids=lambda kind: kind.name)
    def test_counts_that_go_where_a_temporary_might_be(self, bench: Bench, kind: ops.OpKind) -> None:
        """Nobody looks at the home of the field before it is set, so that it is free until then."""
        for held in range(4):
            maker = Maker()
            values = [maker.op(ops.ADD, maker.get(f"r{number}"), number) for number in range(1, 2 + held)]
            maker.set("r5", maker.op(kind, values[-1]))
            for number, value in enumerate(values):
                maker.set(f"r{HOME_COUNT + number}", value)
            bench.check(
                maker.end(Jump(BEHIND)), [state_with(random.Random(0), r1=EDGES[1]), state_with(random.Random(1))]
            )

    # -- leaving ------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_side_exits(self, bench: Bench, condition: str) -> None:
        rng = random.Random(condition)
        leaves: tuple[Jump | Interpret, ...] = (Jump(BEHIND + 8), Jump(KEY), Interpret())
        for leave, at in itertools.product(leaves, range(3)):
            unit = exits_unit(leave, at, condition)
            states = [state_with(rng, r6=rng.choice(EDGES), r11=rng.choice(EDGES)) for _ in range(4)]
            bench.check(unit, states)
            bench.check(unit, states, rounds=ROUNDS)

    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_branches(self, bench: Bench, condition: str) -> None:
        rng = random.Random(condition)
        ways = ((BEHIND, BEHIND + 4), (KEY, BEHIND), (BEHIND, KEY))
        for (taken, fallthrough), insns in itertools.product(ways, (1, 3)):
            unit = exits_unit(Jump(BEHIND + 8), insns, condition, insns)
            maker = Maker(unit)
            unit.insns.pop()
            maker.end(Branch(condition_of(maker, condition), taken, fallthrough))
            states = [state_with(rng, r6=rng.choice(EDGES), r11=rng.choice(EDGES)) for _ in range(4)]
            bench.check(unit, states, rounds=ROUNDS)

    @pytest.mark.parametrize("terminal", [Jump(BEHIND), Jump(KEY), Jump(0), Jump(0xFFFF_FFFE), Interpret()], ids=str)
    def test_terminals(self, bench: Bench, terminal: Terminal) -> None:
        rng = random.Random(0)
        for insns in (1, 2, 4):
            unit = exits_unit(Jump(BEHIND), insns, "never", insns)
            unit.terminal = terminal
            bench.check(unit, random_states(rng, 2))
            bench.check(unit, random_states(rng, 2), rounds=ROUNDS)

    @pytest.mark.parametrize("target", [in_home, in_memory, immediate, computed], ids=lambda source: source.__name__)
    def test_computed_jumps(self, bench: Bench, target: Source) -> None:
        """To a unit in the table, to one that would have its slot, to none."""
        rng = random.Random(0)
        slots = 1 << 16
        for address in (KEY, KEY + slots, KEY - slots, KEY + 2, 0, 0xFFFF_FFFE, KEY | 0x8000_0000):
            unit = exits_unit(Jump(BEHIND), 2, "never", 2)
            maker = Maker(unit)
            unit.insns.pop()
            # The fields that the unit counts up are not those of the target.
            maker.end(JumpTo(target(maker, 2, address)))
            names: dict[Source, str] = {in_home: "r2", in_memory: f"r{HOME_COUNT + 2}", computed: "r5"}
            value = address ^ MASK if target is computed else address
            state = state_with(rng, **({names[target]: value} if target in names else {}))
            bench.check(unit, [state], rounds=ROUNDS)

    @pytest.mark.parametrize("target", [in_home, in_memory, immediate, computed], ids=lambda source: source.__name__)
    @pytest.mark.parametrize("mask", [MASK, MASK << JUMP_SHIFT & MASK, 0xFFFF_F000], ids=hex)
    def test_computed_side_exits(self, bench: Bench, target: Source, mask: int) -> None:
        """From the middle of the unit, to the unit itself and to none; the target may have to be masked."""
        for address in (KEY, KEY + 1, BEHIND, 0xFFFF_FFFF):
            unit = exits_unit(Jump(BEHIND), 3, "never", 3)
            maker = Maker(unit)
            value = target(maker, 2, address)
            leave = value if mask == MASK else maker.op(ops.AND, value, mask)
            maker.op(ops.EXIT_IF, maker.op(ops.NE, value, BEHIND), attr=JumpTo(leave))
            maker.insn()
            maker.set("r4", maker.op(ops.ADD, maker.get("r4"), 1))
            maker.end(Jump(BEHIND))
            names: dict[Source, str] = {in_home: "r2", in_memory: f"r{HOME_COUNT + 2}", computed: "r5"}
            start = address ^ MASK if target is computed else address
            state = state_with(random.Random(0), **({names[target]: start} if target in names else {}))
            bench.check(unit, [state])
            bench.check(unit, [state], rounds=ROUNDS)

    def test_loop_with_more_fields_than_homes(self, bench: Bench) -> None:
        """Fields of a loop may borrow homes: exact wherever the loop is left, also by a fault."""
        rng = random.Random(0)
        for computes, leave in ((False, Jump(BEHIND + 8)), (False, Interpret()), (True, Jump(BEHIND + 8))):
            maker = Maker()
            for number in range(8, 12):
                maker.set(f"r{number}", maker.op(ops.ADD, maker.get(f"r{number}"), number))
                maker.insn()
            address = maker.op(ops.ADD, maker.get("r11"), MEMORY_BASE + PAGE)
            maker.set("r10", maker.op(ops.LOAD32, address, 0))
            maker.insn()
            to = JumpTo(maker.op(ops.ADD, maker.get("r0"), maker.get("r8"))) if computes else leave
            maker.op(ops.EXIT_IF, maker.op(ops.EQ, maker.get("r0"), maker.get("r9")), attr=to)
            maker.set("r8", maker.get("r1"))
            unit = maker.end(Jump(KEY))
            if isinstance(leave, Jump):
                exit_if = next(op for op in unit.ops if op.kind is ops.EXIT_IF)
                unit.ops.remove(exit_if)
                unit.ops.append(exit_if)
            for steps in range(1, ROUNDS):
                near_end = state_with(rng, r11=PAGE - 11 * steps - 2, r0=1, r9=0)
                leaves = state_with(rng, r11=0, r0=9 * steps, r9=0)
                bench.check(unit, [near_end, leaves], rounds=ROUNDS)

    # -- any unit -----------------------------------------------------------------------------------------------------

    def test_random_units(self, bench: Bench) -> None:
        seeds = [SEED] if "DYNAREC_SEED" in os.environ else range(SEED, SEED + RANDOM_UNITS)
        print(f"seeds {seeds}")
        crowded = 0
        for seed in seeds:
            rng = random.Random(seed)
            unit = as_hosts_get_it(random_unit(rng, Shape(rng.choice((2, 8, 20)), reuse=rng.choice((0.5, 0.8, 0.95)))))
            changed = clone(unit)
            for each in PASSES:
                if rng.random() < 0.7:
                    each.run(changed)
            try:
                code = bench.emit(changed, lowers=rng.random() < 0.8)
            except OutOfRegisters:
                # The translator makes such a unit shorter.
                crowded += 1
                continue
            states = random_states(rng, 2)
            bench.check(unit, states, rng.choice((1, 3)), code, lambda seed=seed: f"DYNAREC_SEED={seed}")  # type: ignore[misc]
        assert crowded * 50 <= len(seeds)

    def test_leaving_anywhere(self, bench: Bench) -> None:
        """At each side exit and each access in turn: whatever is deferred, the state is as if nothing were."""
        seeds = [SEED] if "DYNAREC_SEED" in os.environ else range(SEED, SEED + UNITS_LEFT_ANYWHERE)
        print(f"seeds {seeds}")
        deferred = 0
        for seed in seeds:
            rng = random.Random(seed)
            unit = as_hosts_get_it(random_unit(rng, Shape(20, reuse=0.9)))
            for place, op in enumerate(unit.ops):
                if not op.kind.exits:
                    continue
                left = leaving_at(unit, place)
                changed = clone(left)
                for each in PASSES:
                    if each.name not in ("forward", "fold") or rng.random() < 0.8:
                        each.run(changed)
                deferred += sum(len(op.deferred) for op in changed.ops)
                try:
                    code = bench.emit(changed)
                except OutOfRegisters:
                    continue
                bench.check(left, random_states(rng, 1), 1, code, lambda seed=seed: f"DYNAREC_SEED={seed}")  # type: ignore[misc]
        assert deferred > len(seeds)

    def test_same_unit_gives_same_code(self, bench: Bench) -> None:
        rng = random.Random(SEED)
        for _ in range(20):
            unit = as_hosts_get_it(random_unit(rng))
            first, second = bench.emit(unit), bench.emit(unit)
            assert first == second

    def test_counters_are_refused(self, bench: Bench) -> None:
        unit = Maker().unit
        unit.ops.append(Op(ops.CALL, (0,), "time"))
        with pytest.raises(ValueError, match="interpreter"):
            bench.host.emit(unit)


class TestX86_64(Contract):  # noqa: N801
    @staticmethod
    def make_host() -> Host:
        return X86_64(HOMES, JUMP_SHIFT)


class TestX86_64Bmi2(Contract):  # noqa: N801
    emulated = not cpu_has_bmi2()

    @staticmethod
    def make_host() -> Host:
        return X86_64(HOMES, JUMP_SHIFT, bmi2=True)


class TestX86_64Emulated(Contract):  # noqa: N801
    emulated = True

    @staticmethod
    def make_host() -> Host:
        return X86_64(HOMES, JUMP_SHIFT, bmi2=True)


class TestArm64(Contract):
    @staticmethod
    def make_host() -> Host:
        return Arm64(HOMES, JUMP_SHIFT)


class TestX86_64Counting(Contract):  # noqa: N801
    @staticmethod
    def make_host() -> Host:
        host = X86_64(HOMES, JUMP_SHIFT)
        host.counting = True
        return host


class TestArm64Counting(Contract):
    @staticmethod
    def make_host() -> Host:
        host = Arm64(HOMES, JUMP_SHIFT)
        host.counting = True
        return host
