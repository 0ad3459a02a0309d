"""`dynarec debug --gdb`, from the command line."""

from __future__ import annotations

import pytest

from tests.debug.build import ELF
from tests.debug.gdb.client import Client
from tests.debug.gdb.sessions import debugging
from tests.test_cli import dynarec, one_line
from tests.test_machine import HELLO


@pytest.mark.parametrize("where", ["", "x", "-1", "65536", "localhost", "localhost:", ":x", "::1:0", "a:b:1", "1 2"])
def test_no_address(where: str) -> None:
    assert "give [HOST:]PORT" in one_line(dynarec("debug", ELF, f"--gdb={where}"))


def test_a_port_that_is_taken() -> None:
    with debugging(ELF) as process:
        line = one_line(dynarec("debug", ELF, "--gdb", process.port))
        assert f"--gdb 127.0.0.1:{process.port}: Address already in use" in line


def test_no_program() -> None:
    assert "none.elf" in one_line(dynarec("debug", "none.elf", "--gdb", "0"))


def test_output_and_status() -> None:
    """The program's own status is told to the client; the server has done what it was asked."""
    with debugging(HELLO, "--", "one") as process:
        with Client(process.port) as client:
            client.quiet()
            assert client.ask("c") == "W00"
        assert process.end() == (0, "Hello from a RISC-V program of 32 bits\nargument 1: one\n")


@pytest.mark.parametrize("host", ["localhost:", "127.0.0.1:", ":", "0.0.0.0:"])
def test_hosts(host: str) -> None:
    with debugging(ELF, where=f"{host}0") as process, Client(process.port) as client:
        client.quiet()
        assert client.ask("qC") == "QC1"
