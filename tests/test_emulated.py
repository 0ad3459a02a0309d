"""Whole programs on emulated hosts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import dynarec
from dynarec import DynarecError, Machine
from dynarec.emulated import EmulatedMachine, profiled, run_emulated
from dynarec.emulated.cache import Block
from dynarec.emulated.targets import ARM64_INSTRUCTION, ARM64_NEAR, find_target
from dynarec.host import HOSTS, make_host
from dynarec.machine.base import Access, Died, Exited, Options, TrapKind
from dynarec.translate import Translation
from guest_isa.rv32 import GUEST
from tests.bench.recorded import check_count
from tests.differential.programs import SPECS
from tests.guest_isa.words import encode
from tests.machine.elf import Part, R, W, X, build

ROMS = Path(__file__).parent.parent / "roms"
PROGRAMS = {program["name"]: program for program in json.loads((ROMS / "bench" / "programs.json").read_text())}
CHOSEN = ("aes", "calls", "sha256", "tree", "vm")
CODE = 0x1_0000
A0, A1, A7, T0, T1 = 10, 11, 17, 5, 6
EXIT = 93
SMALL_CACHE = 4096


class Output:
    """Collects what the program writes."""

    def __init__(self) -> None:
        self.data = b""

    def read(self, size: int = -1, /) -> bytes:
        return b""

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)

    def fileno(self) -> int:
        raise OSError("no descriptor")


def assemble(*insns: tuple[str, dict[str, int]]) -> bytes:
    """A program from names and operands; all have four bytes."""
    words = b"".join(encode(SPECS[name], numbers).to_bytes(4, "little") for name, numbers in insns)
    return build([Part(CODE, words, flags=R | W | X)], entry=CODE)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", CHOSEN)
def test_programs_do_on_emulated_hosts_what_they_do_on_this_one(name: str, host: str) -> None:
    program, output, here = PROGRAMS[name], Output(), Output()
    path, args = ROMS / "bench" / f"{name}.elf", [str(program["small"])]
    options = Options(args, stdout=output)
    with profiled(path, args) as guide:
        machine = EmulatedMachine.load(path, host, options=options, count_instructions=True, guide=guide)
        assert machine.run() == Exited(0)
    assert output.data == f"{name} {program['small_checksum']}\n".encode()
    with dynarec.Machine.load(path, args=args, tier="interp", stdout=here) as native:
        assert native.run().status == 0
        assert (native.instructions, here.data) == (machine.instructions, output.data)
    check_count(name, host, machine.cpu.executed)


@pytest.mark.parametrize("host", HOSTS)
def test_run_emulated(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, guest, executed = run_emulated(ROMS / "hello.elf", host)
    assert status == 0
    assert 0 < guest < executed
    assert "Hello" in capfd.readouterr().out


@pytest.mark.parametrize("host", HOSTS)
def test_budgets_are_exact(host: str) -> None:
    machine = EmulatedMachine.load(ROMS / "hello.elf", host, options=Options(stdout=Output()))
    for slices in range(1, 40):
        before = machine.instructions
        assert machine.run(slices) is None
        assert machine.instructions == before + slices


LONG = 200
"""Guest instructions: more than a link on x86-64 can charge, or give back anywhere."""
LONG_LOOP = (
    ("addi", {"rd": T0, "rs1": T0, "imm": 1}),
    ("andi", {"rd": T1, "rs1": T0, "imm": 3}),
    ("beq", {"rs1": T1, "rs2": 0, "offset": 4 * LONG + 8}),
    *[("addi", {"rd": A0, "rs1": A0, "imm": 1})] * LONG,
    ("jal", {"rd": 0, "offset": -4 * (LONG + 3)}),
    ("addi", {"rd": A1, "rs1": A1, "imm": 1}),
    ("jal", {"rd": 0, "offset": -4 * (LONG + 5)}),
)


def check_slices(machine: EmulatedMachine) -> None:
    """Stopped again and again, it is where the interpreter is."""
    with Machine.load(machine.program, tier="interp") as expected:
        for size in (1, 100, 1000, 5000, 3, 777, 20_000):
            assert machine.run(size) is None
            assert expected.run(size).instructions == size
            assert (machine.pc, *machine.cpu.state[1:32]) == (
                expected.pc,
                *(expected.regs[f"x{n}"] for n in range(1, 32)),
            )


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("limit", [64, 127, 128, 150, 300])
def test_units_of_any_length_are_linked(host: str, limit: int) -> None:
    machine = EmulatedMachine.load(assemble(*LONG_LOOP), host)
    machine._translator.limit = limit
    check_slices(machine)


@pytest.mark.parametrize("host", HOSTS)
def test_units_far_from_each_other_are_linked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No conditional branch of arm64 reaches from one to the other."""
    machine = EmulatedMachine.load(assemble(*LONG_LOOP), host)
    cache, install, linked = machine.cache, machine.cache.install, []

    def install_far_off(translation: Translation) -> Block:
        block = install(translation)
        cache._end += 2 * ARM64_NEAR
        linked.append(block)
        return block

    monkeypatch.setattr(cache, "install", install_far_off)
    check_slices(machine)
    assert any(link.to is not None and link.to is not block for block in linked for link in block.links)


LINKS = {
    "x86_64": {
        5: ["sub dword ptr [rbp - 4], 5", "jns 0x100"],
        -5: ["add dword ptr [rbp - 4], 5", "jmp 0x100"],
        0: ["jmp 0x100", "nop dword ptr [rax + rax]"],
    },
    "arm64": {
        5: ["subs w26, w26, #5", "b.pl #0x100"],
        -5: ["add w26, w26, #5", "b #0x100"],
        0: ["b #0x100", "b #0x100"],
    },
}


@pytest.mark.parametrize("name", HOSTS)
def test_links_charge_and_go(name: str) -> None:
    host = make_host(name, GUEST)
    for charge, wanted in LINKS[name].items():
        code = find_target(host).branch(charge, 0x100)
        assert [text.replace("\t", " ") for _, _, text in host.disassemble(code)] == wanted


def test_counting_is_exact() -> None:
    """All instructions of arm64 have the same size, so that blocks tell how many they have."""
    import unicorn

    machine = EmulatedMachine.load(
        ROMS / "hello.elf", "arm64", options=Options(stdout=Output()), count_instructions=True
    )
    one_by_one = [0]

    def step(engine: object, address: int, size: int, data: object) -> None:
        assert size == ARM64_INSTRUCTION
        one_by_one[0] += 1

    machine.cpu.engine.hook_add(unicorn.UC_HOOK_CODE, step)
    machine.run()
    assert machine.cpu.executed == one_by_one[0]


@pytest.mark.parametrize("host", HOSTS)
def test_small_cache_is_flushed_and_goes_on(host: str) -> None:
    output = Output()
    options = Options([str(PROGRAMS["vm"]["small"])], stdout=output)
    machine = EmulatedMachine.load(ROMS / "bench" / "vm.elf", host, options=options, code_size=SMALL_CACHE)
    assert machine.run() == Exited(0)
    assert output.data.split()[1].decode() == PROGRAMS["vm"]["small_checksum"]


@pytest.mark.parametrize("host", HOSTS)
def test_changed_code_is_translated_anew(host: str) -> None:
    """A loop replaces an instruction of its own, behind a link: addi a0, a0, 1 becomes addi a0, a0, 16."""
    patched = encode(SPECS["addi"], {"rd": A0, "rs1": A0, "imm": 16})
    program = assemble(
        ("auipc", {"rd": T0, "upper": 0}),
        ("lui", {"rd": A1, "upper": patched + 0x800 & ~0xFFF}),
        ("addi", {"rd": A1, "rs1": A1, "imm": patched & 0xFFF}),
        ("addi", {"rd": T1, "rs1": 0, "imm": 4}),
        ("jal", {"rd": 0, "offset": 4}),
        ("addi", {"rd": A0, "rs1": A0, "imm": 1}),
        ("addi", {"rd": T1, "rs1": T1, "imm": -1}),
        ("sltiu", {"rd": A7, "rs1": T1, "imm": 3}),
        ("beq", {"rs1": A7, "rs2": 0, "offset": -12}),
        ("sw", {"rs1": T0, "rs2": A1, "imm": 20}),
        ("fence.i", {}),
        ("bne", {"rs1": T1, "rs2": 0, "offset": -24}),
        ("addi", {"rd": A7, "rs1": 0, "imm": EXIT}),
        ("ecall", {}),
    )
    machine = EmulatedMachine.load(program, host)
    assert machine.run() == Exited(2 + 2 * 16)


@pytest.mark.parametrize("host", HOSTS)
def test_fault_ends_the_program_with_its_state(host: str) -> None:
    program = assemble(
        ("addi", {"rd": A0, "rs1": 0, "imm": 7}),
        ("lw", {"rd": A1, "rs1": 0, "imm": 16}),
        ("addi", {"rd": A0, "rs1": 0, "imm": 8}),
    )
    machine = EmulatedMachine.load(program, host)
    ending = machine.run()
    assert isinstance(ending, Died)
    assert (ending.trap.kind, ending.trap.pc, ending.trap.value) == (TrapKind.ACCESS, CODE + 4, 16)
    assert (machine.regs["a0"], machine.pc, machine.instructions) == (7, CODE + 4, 1)


def test_memory_is_that_of_a_guest() -> None:
    machine = EmulatedMachine.load(ROMS / "hello.elf", "arm64")
    memory, page = machine.memory, 0x7000_0000
    memory.map(page, 0x3000, Access.READ | Access.WRITE)
    memory.write(page, b"abc")
    memory.protect(page + 0x1000, 0x1000, Access.READ)
    assert memory.read(page, 3) == b"abc"
    assert memory.is_mapped(page, 0x3000)
    with pytest.raises(DynarecError, match="write of 4 bytes at 0x70001000"):
        memory.write(page + 0xFFE, b"1234", checked=True)
    memory.unmap(page + 0x1000, 0x1000)
    assert not memory.is_mapped(page, 0x3000)
    with pytest.raises(DynarecError, match="read of 8 bytes"):
        memory.read(page + 0xFFC, 8)
    memory.map(page, 0x1000, Access.READ)
    assert memory.read(page, 3) == b"\0\0\0"


def test_without_unicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(DynarecError, match="pip install unicorn"):
        run_emulated(ROMS / "hello.elf", "arm64")
