"""Commands behind `monitor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dynarec.debug.gdb import trace
from dynarec.debug.stoppers import CAUGHT
from tests.debug.build import ELF
from tests.debug.gdb.client import HISTORY, Client, Server, serving
from tests.test_machine import CODE, DATA, ROMS, addi, exit_with, jump, lui, program, sw


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(ELF, history=HISTORY) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.connect() as client:
        yield client


def test_help_names_every_command(client: Client) -> None:
    text = client.monitor("help")
    for name in ("cache", "catch", "delete", "info", "snapshot save", "snapshot restore", "trace on|off", "trace hot"):
        assert name in text
    assert client.monitor("") == text


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("dance", "there is no monitor command 'dance': try monitor help\n"),
        ("snapshot", "monitor snapshot save FILE, or restore FILE\n"),
        ("trace a b", "monitor trace on, off, [N], or hot [N]\n"),
        ("trace many", "'many' is no number\n"),
        ("trace -1", "'-1' is no number\n"),
        ("delete", "monitor delete N: monitor info shows the numbers\n"),
        ("delete 7", "there is no breakpoint 7\n"),
        ("catch", f"monitor catch WHAT [N] [if E]: WHAT is one of {', '.join(CAUGHT)}\n"),
        ("catch 'x", "No closing quotation\n"),
    ],
)
def test_what_is_wrong(client: Client, line: str, answer: str) -> None:
    assert client.monitor(line) == answer


def test_errors_of_files_are_one_line(client: Client, tmp_path: Path) -> None:
    for line in (f"snapshot restore {tmp_path}/none", f"snapshot save {tmp_path}/none/x", f"snapshot restore {ELF}"):
        assert client.monitor(line).count("\n") == 1


def test_cache() -> None:
    with serving(ROMS / "hello.elf", tier="jit") as server, server.connect() as client:
        assert "translated: 0 blocks" in client.monitor("cache")
        client.ask(f"Z0,{server.target.debugger.machine.address('main'):x},2")
        client.ask("c")
        text = client.monitor("cache")
    assert "tier jit" in text
    assert "translated: 0 blocks" not in text


def test_cache_tells_why_units_died() -> None:
    loop = lui(5, DATA >> 12), addi(10, 10, 1), sw(10, 5), jump(-8)
    with serving(program(*loop), tier="jit") as server, server.connect() as client:
        client.ask(f"Z0,{CODE + 4:x},4")
        client.ask("c")
        client.ask("c")
        client.ask(f"M{CODE + 8:x},4:13000000")
        client.ask("c")
        assert f"{CODE + 4:#010x} died after 4 instructions: host-write\n" in client.monitor("cache")


def test_trace(client: Client, server: Server) -> None:
    address = server.target.debugger.machine.address
    assert client.monitor("trace") == ""
    client.monitor("trace on")
    client.ask(f"Z0,{address('walk'):x},2")
    client.ask("c")
    text = client.monitor("trace")
    assert text.splitlines()[0].startswith(f"{address('_start'):#010x} _start")
    assert text.splitlines()[-1].startswith(f"{address('walk'):#010x} walk, program.c:")
    assert client.monitor("trace 1") == text.splitlines()[-1] + "\n"
    client.monitor("trace off")
    client.ask("s")
    assert client.monitor("trace") == text


def test_a_block_that_is_repeated_takes_one_line(client: Client, server: Server) -> None:
    client.monitor("trace on")
    client.ask(f"Z0,{server.target.debugger.machine.address('factorial'):x},2")
    client.ask("c")
    (line,) = (each for each in client.monitor("trace").splitlines() if each.endswith(", 4 times"))
    assert " fill+0x" in line
    assert line[:10] in client.monitor("trace hot 1")


def test_trace_is_of_the_way_forwards(client: Client, server: Server) -> None:
    address = server.target.debugger.machine.address
    client.ask(f"Z0,{address('walk'):x},2")
    client.ask("c")
    client.monitor("trace on")
    for _ in range(20):
        client.ask("s")
    text = client.monitor("trace")
    client.ask("bs")
    client.ask("bc")
    assert client.monitor("trace") == text


def test_trace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones are kept, and all are counted."""
    monkeypatch.setattr(trace, "MOST", 3)
    with serving(program(*[jump(4)] * 3, *exit_with(3))) as server, server.connect() as client:
        client.monitor("trace on")
        client.monitor("catch syscall")
        client.go("c")
        blocks = [f"{CODE + 4 * index:#010x}" for index in range(4)]
        assert client.monitor("trace").split() == blocks[1:]
        assert sorted(client.monitor("trace hot").split()) == sorted(["1"] * 4 + blocks)


def test_snapshot(client: Client, server: Server, tmp_path: Path) -> None:
    """Afterwards there is no way back to what was before it."""
    file = tmp_path / "a snapshot"
    client.ask(f"Z0,{server.target.debugger.machine.address('factorial'):x},2")
    client.ask("c")
    registers = client.ask("g")
    assert "factorial" in client.monitor(f"snapshot save '{file}'")
    client.ask("c")
    assert client.ask("g") != registers
    assert "factorial" in client.monitor(f"snapshot restore '{file}'")
    assert client.ask("g") == registers
    assert "replaylog:begin" in client.ask("bc")
    assert client.ask("g") == registers


def test_snapshot_brings_back_a_program_that_has_ended(client: Client, tmp_path: Path) -> None:
    client.monitor(f"snapshot save {tmp_path}/x")
    assert client.ask("c") == "W0e"
    client.monitor(f"snapshot restore {tmp_path}/x")
    assert client.ask("?").startswith("T05")
    assert client.ask("c") == "W0e"


def test_catch_and_delete() -> None:
    with serving(program(*exit_with(3))) as server, server.connect() as client:
        assert client.monitor("catch syscall 93") == "1: catchpoint syscall 93\n"
        assert client.monitor("catch syscall 64") == "2: catchpoint syscall 64\n"
        said, answer = client.go("c")
        assert said.startswith("system call 93 (0x3, ")
        assert answer.startswith("T05")
        text = client.monitor("info")
        assert "catchpoint at 0x00010008, after 2 instructions" in text
        assert "1: catchpoint syscall 93, 1 hits" in text
        assert client.monitor("delete 1") == ""
        assert client.ask("c") == "W03"


def test_catch_with_a_condition() -> None:
    with serving(program(*exit_with(3))) as server, server.connect() as client:
        assert client.monitor("catch syscall if a0 == 4") == "1: catchpoint syscall\n"
        assert client.ask("c") == "W03"
