"""Boots the kernel, types commands, checks the answers: in each tier, on both boards, by both clocks, and in QEMU."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.pseudo_terminal import Session, on_terminal

SECONDS = 60
PROMPT = b"\n# "
APPEND = "earlycon=uart8250,mmio,0x10000000 console=ttyS0"
MEMORY = "64M"
QEMU = "qemu-system-riscv32"


@dataclass(frozen=True, slots=True)
class Check:
    """A command and a pattern that its whole answer must have."""

    command: str
    answer: str


CHECKS = (
    Check("echo typed words", "typed words"),
    Check("ls", r"(?s)(?=.*\binit\b).*\bdev\b.*"),
    Check("cat /etc/motd", r"A shell without an MMU: try help\."),
    Check("uname", r"Linux .* 6\.\S+ .* riscv32"),
    Check("cpuinfo", r"(?s)processor\t: 0\nhart\t\t: 0\nisa\t\t: rv32ima.*"),
    Check("primes 20000", "2262"),
    Check("uptime", r"\d+\.\d\d \d+\.\d\d"),
    Check("sleep 1", ""),
    Check("spawn echo from a child", "from a child\nended with status 0"),
    Check("spawn nothing", "nothing: not found\nended with status 127"),
    Check("spawn illegal", "killed by signal 4"),
    Check("spawn nowhere", "killed by signal 11"),
    Check("cat /nowhere", "/nowhere: error 2"),
    Check("cat /proc/interrupts", r"(?s).*RISC-V INTC +7 .*clint-timer.*"),
)


ENDINGS = (b"reboot\r", b"\x01x")
"""Other ways to the end, with status 0."""


def ours(folder: Path, tier: str, board: str, clock: str) -> list[str]:
    """The command line of dynarec."""
    return [
        sys.executable, "-m", "dynarec", "run", "--kernel", str(folder / "Image"), "--initrd", str(folder / "disk"),
        "--append", APPEND, "--tier", tier, "--board", board, "--clock", clock, "--memory", MEMORY,
    ]  # fmt: skip


def qemu(folder: Path) -> list[str]:
    """That of QEMU, with a CPU that has no more than ours."""
    return [
        QEMU, "-M", "virt", "-cpu", "rv32,f=false,d=false,mmu=false,h=false", "-bios", "none", "-m", MEMORY,
        "-nographic", "-no-reboot", "-kernel", str(folder / "Image"), "-initrd", str(folder / "disk"),
        "-append", APPEND,
    ]  # fmt: skip


def machines(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Names and command lines of all that the kernel is booted in."""
    for board in ("virt", "mini"):
        for tier in ("auto", "jit", "interp"):
            for clock in ("virtual", "host"):
                yield f"dynarec {board} {tier} {clock}", ours(folder, tier, board, clock)
    if shutil.which(QEMU):
        yield "QEMU virt", qemu(folder)


def boot(folder: Path, only: str) -> None:
    """All machines whose names contain `only`; prints the time to the prompt of each. Raises AssertionError."""
    for name, command in machines(folder):
        if only not in name:
            continue
        seconds = _to_prompt_and_off(command)
        for keys in ENDINGS:
            _ends(command, keys)
        print(f"{name:28} prompt after {seconds:5.2f} s", flush=True)


def _to_prompt_and_off(command: list[str]) -> float:
    started = time.monotonic()
    with on_terminal(command, SECONDS) as session:
        session.expect(PROMPT)
        seconds = time.monotonic() - started
        for check in CHECKS:
            _ask(session, check)
        session.type(b"poweroff\r")
        assert session.ended() == 0
    return seconds


def _ends(command: list[str], keys: bytes) -> None:
    with on_terminal(command, SECONDS) as session:
        session.expect(PROMPT)
        session.type(keys)
        assert session.ended() == 0


def _ask(session: Session, check: Check) -> None:
    session.type(check.command.encode() + b"\r")
    session.expect(check.command.encode())
    text = _plain(session.expect(PROMPT))
    assert re.fullmatch(check.answer, text), f"{check.command}: {text!r} is not {check.answer!r}"


def _plain(output: bytes) -> str:
    return output.decode().replace("\r", "").strip("\n")
