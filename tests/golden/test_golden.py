"""Generated code is what the golden listings say, and the same in every process."""

from __future__ import annotations

import difflib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dynarec.host import HOSTS, make_host
from dynarec.program import Program, load_program
from dynarec.translate import Translator
from guest_isa.rv32 import ELF_MACHINE, GUEST
from tests.golden.listing import listing, path_of, without_text

ROOT = Path(__file__).parent.parent.parent
ROM = ROOT / "roms" / "bench" / "json.elf"
MOST_LINES = 60
CONTEXT = 4


@pytest.mark.parametrize("host", HOSTS)
def test_host_code_is_what_it_was(host: str) -> None:
    golden, now = path_of(host).read_text(encoding="utf-8"), listing(host)
    if without_text(golden) != without_text(now):
        lines = difflib.unified_diff(golden.splitlines(), now.splitlines(), lineterm="", n=CONTEXT)
        shown = "\n".join(list(lines)[:MOST_LINES])
        pytest.fail(f"the code of {host} has changed; if it is meant to: python -m tests.golden --update\n{shown}")


@pytest.mark.parametrize("host", HOSTS)
def test_every_instruction_is_listed(host: str) -> None:
    names = {line.split()[0] for line in path_of(host).read_text(encoding="utf-8").splitlines()[1:] if line[:1].strip()}
    for spec in GUEST.isa:
        assert names & {spec.name, *(alias.name for alias in spec.aliases)}, spec.name


def digest(host: str) -> str:
    """Of the code at every symbol of a program."""
    program = load_program(ROM, {ELF_MACHINE: GUEST.name})
    translator = Translator(GUEST, make_host(host, GUEST), lambda address, size: code_at(program, address, size))
    found = hashlib.sha256()
    for address in sorted({symbol.address for symbol in program.symbols}):
        if code_at(program, address, 2):
            found.update(translator.translate(address).code.code)
    return found.hexdigest()


def code_at(program: Program, address: int, size: int) -> bytes:
    """Executable bytes of the program."""
    for segment in program.segments:
        offset = address - segment.address
        if segment.executable and 0 <= offset < len(segment.data):
            return bytes(segment.data[offset : offset + size])
    return b""


@pytest.mark.parametrize("host", HOSTS)
def test_same_code_in_every_process(host: str) -> None:
    command = f"from tests.golden.test_golden import digest; print(digest({host!r}))"
    seeds = {os.environ.get("PYTHONHASHSEED", "random"), "1", "2"} - {"random"}
    for seed in seeds:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest(host)
