"""Between opening and closing the region nothing is on the stack: the compiled critical sections, disassembled.

Apple's "Protecting code compiled just in time" asks for that, and to look at the disassembly: what lies on the stack
there could be changed by another thread and so steer what is written where.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import capstone
import pytest
from capstone import arm64 as arm
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from native import build
from tests.apple.building import APPLE, CROSS_COMPILER, MODEL_FLAGS, NATIVE, macos_problem

CALLS = ("bl", "blr", "blraa", "blrab")
CONDITIONAL = ("cbz", "cbnz", "tbz", "tbnz")
STACK = (arm.ARM64_REG_SP, arm.ARM64_REG_WSP, arm.ARM64_REG_X29, arm.ARM64_REG_W29)
WITNESS = "be_memory_inline_jit_restrict_rwx_to_{}_with_witness_impl"


@dataclass(frozen=True, slots=True)
class Section:
    """A critical section: the functions whose calls begin and end it."""

    source: str
    begins: str
    ends: str


SECTIONS = [
    Section("codemem_apple_witness", WITNESS.format("rw"), WITNESS.format("rx")),
    Section("codemem_apple_toggle", "pthread_jit_write_protect_np", "pthread_jit_write_protect_np"),
    # The callback has the verifier called while the region is open; what follows is the same as in the others.
    Section("codemem_apple_callback", "dr_region_admit", "pthread_mutex_unlock"),
]


@dataclass(frozen=True, slots=True)
class Code:
    """A text section, and the functions that are called in it by the offset of the call."""

    text: bytes
    calls: dict[int, str]


def cross_compile(source: Path, output: Path, *flags: str) -> Code:
    """For Linux, with GCC."""
    if shutil.which(CROSS_COMPILER) is None:
        pytest.skip(f"needs {CROSS_COMPILER}")
    own = ("-std=gnu11", "-O2", "-D_GNU_SOURCE", f"-I{NATIVE}", f"-I{NATIVE / 'arm64'}", *MODEL_FLAGS, *flags)
    subprocess.run([CROSS_COMPILER, *own, "-c", str(source), "-o", str(output)], check=True, timeout=60)
    with output.open("rb") as file:
        elf = ELFFile(file)
        text, relocations, symbols = (elf.get_section_by_name(name) for name in (".text", ".rela.text", ".symtab"))
        assert isinstance(symbols, SymbolTableSection)
        assert isinstance(relocations, RelocationSection)
        assert text is not None
        entries = {entry["r_offset"]: entry["r_info_sym"] for entry in relocations.iter_relocations()}
        return Code(text.data(), {offset: symbols.get_symbol(number).name for offset, number in entries.items()})


def zig_compile(source: Path, output: Path, *flags: str) -> Code:
    """For macOS, with clang: the code that a Mac runs."""
    problem = macos_problem()
    if problem is not None:
        pytest.skip(problem)
    import lief

    own = (*build.flags("arm64", "macos"), f"-I{APPLE}", "-fPIC", *flags)
    zig = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos.11.0")
    subprocess.run([*zig, *own, "-c", str(source), "-o", str(output)], check=True, timeout=120)
    binary = lief.parse(str(output))
    assert isinstance(binary, lief.MachO.Binary)
    section = next(section for section in binary.sections if section.name == "__text")
    # lief counts relocations of an object file from the start of the file
    named = {entry.address - section.offset: entry.symbol for entry in section.relocations}
    return Code(
        bytes(section.content), {at: str(symbol.name).removeprefix("_") for at, symbol in named.items() if symbol}
    )


COMPILERS = {"gcc": cross_compile, "zig": zig_compile}


def disassemble(code: Code) -> dict[int, capstone.CsInsn]:
    """The instructions by their offsets."""
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    engine.detail = True
    engine.skipdata = True
    return {insn.address: insn for insn in engine.disasm(code.text, 0)}


def touches_stack(insn: capstone.CsInsn) -> bool:
    """Whether an instruction accesses memory through the stack or frame pointer, or computes with one of them."""
    accesses = [operand.mem.base for operand in insn.operands if operand.type == arm.ARM64_OP_MEM]
    registers = [operand.reg for operand in insn.operands if operand.type == arm.ARM64_OP_REG]
    return any(register in STACK for register in (*accesses, *registers))


def successors(insn: capstone.CsInsn) -> list[int]:
    """Where control goes after an instruction that is no call and no return."""
    behind = insn.address + insn.size
    if insn.mnemonic == "b":
        return [insn.operands[0].imm]
    if insn.mnemonic.startswith("b.") or insn.mnemonic in CONDITIONAL:
        return [insn.operands[-1].imm, behind]
    return [behind]


def problems(code: Code, section: Section) -> list[str]:
    """What is wrong on any way from where the critical section begins to where it ends."""
    insns = disassemble(code)
    begins = sorted(offset for offset, name in code.calls.items() if name == section.begins)
    assert len(begins) == 1 + (section.begins == section.ends)
    found, seen, ways = [], set(), [begins[0] + 4]
    while ways:
        at = ways.pop()
        if at in seen or code.calls.get(at) == section.ends:
            continue
        seen.add(at)
        insn = insns[at]
        is_call = insn.mnemonic in (*CALLS, "br", "ret") or (insn.mnemonic == "b" and at in code.calls)
        if is_call or touches_stack(insn):
            found.append(f"{at:#x}: {insn.mnemonic} {insn.op_str} {code.calls.get(at, '')}")
        if not is_call:
            ways += successors(insn)
    return found


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.source)
def test_nothing_is_on_the_stack(section: Section, compiler: str, tmp_path: Path) -> None:
    code = COMPILERS[compiler](NATIVE / f"{section.source}.c", tmp_path / "policy.o")
    assert problems(code, section) == []


SPILLS = """
#include "policy.h"

#define dr_copy_records(to, from, behind) \\
    { const uint32_t *volatile kept = from; (dr_copy_records)(to, kept, behind); }
#include "%s.c"
"""
CALLING = """
#include "policy.h"

void copy_elsewhere(uint8_t *to, const uint32_t *start, const uint32_t *end);

#define dr_copy_records copy_elsewhere
#include "%s.c"
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("mistake", [SPILLS, CALLING], ids=["spills", "calls"])
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.source)
def test_what_is_on_the_stack_is_found(section: Section, mistake: str, compiler: str, tmp_path: Path) -> None:
    """The same file with a variable on the stack, or a call, in the critical section."""
    source = tmp_path / "wrong.c"
    source.write_text(mistake % section.source)
    code = COMPILERS[compiler](source, tmp_path / "wrong.o", "-Wno-unused")
    assert problems(code, section)
