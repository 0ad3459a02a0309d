"""How the user machine recognises programs, and the memory and registers they start with."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from dynarec.errors import DynarecError
from dynarec.machine import PROFILES, recognise
from dynarec.machine.address_space import AddressSpace
from dynarec.machine.base import Access, Died, Options, Trap, TrapKind
from dynarec.machine.linux_start import STACK_SIZE, STACK_TOP
from dynarec.machine.user import UserProfile
from dynarec.program import Program, load_program
from tests.machine.elf import Part, R, W, build, simple
from tests.machine.fake import MACHINE_IDS, MARKER, FakeGuest, FakeMachine, Process

CALL = MARKER.before + MARKER.trap + MARKER.after
RWX = Access.READ | Access.WRITE | Access.EXECUTE


def program_of(elf: bytes) -> Program:
    return load_program(elf, MACHINE_IDS)


def test_recognise() -> None:
    guest = FakeGuest()
    assert recognise.user(program_of(simple()), guest) == "static ELF, Linux system calls"
    assert recognise.user(program_of(simple(code=CALL)), guest) == "bare ELF, semihosting"
    htif = program_of(simple({"tohost": (0x20000, 8, 1)}))
    assert recognise.user(htif, guest) == "bare ELF, HTIF tohost at 0x00020000"
    assert recognise.user(htif, FakeGuest(abi=None)) is None


def test_every_machine_has_its_conventions() -> None:
    assert recognise.CONVENTIONS.keys() == PROFILES.keys()


def test_a_guest_without_system_calls_is_refused() -> None:
    machine = FakeMachine(program_of(simple()), guest=FakeGuest(abi=None))
    with pytest.raises(DynarecError, match="no system calls"):
        UserProfile(machine, Options())


def test_linux_stack() -> None:
    process = Process(program_of(simple()), args=["one", "two words"], env={"A": "b"})
    memory, sp = process.memory, process.machine.regs["sp"]
    assert sp % 16 == 0
    assert STACK_TOP - STACK_SIZE < sp < STACK_TOP
    argc, *argv, end, env, env_end = struct.unpack("<7I", memory.read(sp, 28))
    assert (argc, end, env_end) == (3, 0, 0)
    assert [process.system.string(a) for a in argv] == ["program", "one", "two words"]
    assert process.system.string(env) == "A=b"
    aux = dict(struct.iter_unpack("<II", memory.read(sp + 28, 8 * 18)))
    assert (aux[6], aux[9], aux[23]) == (4096, 0x10000, 0)
    assert sp < aux[25] < STACK_TOP
    assert memory.read(aux[25], 16) != bytes(16)
    assert not memory.is_mapped(STACK_TOP - STACK_SIZE - 1, 1)
    assert process.machine.pc == 0x10000


def test_segment_permissions_and_shared_pages() -> None:
    elf = build([Part(0x10000, b"code"), Part(0x10010, b"data", 0x2000, R | W)])
    memory = Process(program_of(elf)).memory
    assert memory.access(0x10000) == RWX
    assert memory.access(0x11000) == Access.READ | Access.WRITE
    assert memory.read(0x10000, 4) + memory.read(0x10010, 5) == b"codedata\0"
    assert not memory.is_mapped(0x13000, 1)


def test_program_at_address_zero() -> None:
    memory = Process(program_of(build([Part(0, b"code")], entry=0))).memory
    assert memory.read(0, 4) == b"code"


def test_stack_moves_away_from_the_program() -> None:
    elf = build([Part(0x10000, b"code"), Part(0x7FF0_0000, b"", 0x10_0000, R | W)])
    process = Process(program_of(elf))
    sp = process.machine.regs["sp"]
    assert sp > 0xF000_0000
    assert process.memory.is_mapped(sp - 0x1000, 0x1000)


def test_no_room_for_a_stack() -> None:
    elf = build([Part(0x10000, b"code"), Part(0x20000, b"", 0xFFFE0000, R | W)])
    with pytest.raises(DynarecError, match="no room for a stack"):
        Process(program_of(elf))


def test_too_many_arguments() -> None:
    with pytest.raises(DynarecError, match="arguments"):
        Process(program_of(simple()), args=["x" * (3 << 20)])


def test_bare_memory() -> None:
    parts = [
        Part(0x1000_0000, CALL + bytes(8)),
        Part(0x2000_0000, b"init", flags=R | W, physical=0x1000_0014),
        Part(0x2000_0004, b"", 0x800, R | W),
    ]
    symbols = {"__stack": (0x2100_0000, 0, 0)}
    process = Process(program_of(build(parts, 0x1000_0000, symbols)))
    memory = process.memory
    assert memory.read(0x1000_0014, 4) == b"init" == memory.read(0x2000_0000, 4)
    assert memory.is_mapped(0x2000_0000, 0x100_0000)
    assert memory.access(0x1000_0000) == RWX
    assert process.machine.regs["sp"] == 0x2100_1000  # 16 MiB above the page-aligned end of the program


def test_bare_stack_far_away() -> None:
    elf = build([Part(0x1000, CALL)], 0x1000, {"_sp": (0x9000_0000, 0, 0)})
    memory = Process(program_of(elf)).memory
    assert memory.is_mapped(0x8F00_0000, 0x100_0000)
    assert not memory.is_mapped(0x4800_0000, 1)
    assert memory.is_mapped(0x2000, 16 << 20)


def test_bare_program_at_the_top_of_memory() -> None:
    elf = build([Part(0xFFFF_0000, CALL, 0x1_0000)], 0xFFFF_0000)
    assert Process(program_of(elf)).memory.read(0xFFFF_0000, 4) == CALL[:4]


@pytest.mark.parametrize(
    ("kind", "status"),
    [(TrapKind.ILLEGAL, 132), (TrapKind.BREAKPOINT, 133), (TrapKind.MISALIGNED, 135), (TrapKind.ACCESS, 139)],
)
def test_deaths(kind: TrapKind, status: int) -> None:
    process = Process(program_of(simple()))
    outcome = process.profile.trap(Trap(kind, 2, "cause", 0x10000, 0, 4))
    assert isinstance(outcome, Died)
    assert outcome.status == status
    assert process.machine.pc == 0x10000


def test_address_space() -> None:
    space = AddressSpace()
    space.take(0x3000, 0x5000)
    space.take(0x5000, 0x6000)
    space.take(0x8000, 0x8001)
    assert [(s.start, s.end) for s in space.spans()] == [(0x3000, 0x6000), (0x8000, 0x9000)]
    assert space.find_below(0xA000, 0x1000) == 0x9000
    assert space.find_below(0x9000, 0x1000) == 0x7000
    assert space.find_below(0x9000, 0x3000) is None
    assert space.free_above(0x6000) == 0x8000
    assert space.free_above(0x3000) == 0x3000
    space.release(0x4000, 0x5000)
    assert [(s.start, s.end) for s in space.spans()] == [(0x3000, 0x4000), (0x5000, 0x6000), (0x8000, 0x9000)]


COMPILER = "riscv64-unknown-elf-gcc"
FLAGS = "-march=rv32imac -mabi=ilp32 --specs=picolibc.specs --crt0=hosted --oslib=semihost -O2"


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"needs {COMPILER} with picolibc")
@pytest.mark.parametrize("ram", [(), ("__ram=0x80200000", "__ram_size=0x200000", "__flash=0x80000000")])
def test_picolibc_layout(tmp_path: Path, ram: tuple[str, ...]) -> None:
    source, target = tmp_path / "t.c", tmp_path / "t.elf"
    source.write_text('#include <stdio.h>\nint main(void) { printf("hello\\n"); return 7; }\n')
    defines = [f"-Wl,--defsym={symbol}" for symbol in ram]
    subprocess.run([COMPILER, *FLAGS.split(), *defines, source, "-o", target], check=True)
    program = load_program(target, MACHINE_IDS)
    process = Process(program)
    lookup = program.symbols.lookup
    source_at, start, stack = lookup("__data_source"), lookup("__data_start"), lookup("__stack")
    size = lookup("__data_size")
    assert source_at
    assert start
    assert stack
    assert size
    assert process.memory.read(source_at, size) == process.memory.read(start, size)
    assert process.memory.is_mapped(start, stack - start)
