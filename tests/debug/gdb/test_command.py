"""`dynarec debug --gdb`, from the command line."""

from __future__ import annotations

import pytest

from dynarec.debug.gdb.server import parse_address
from dynarec.errors import DynarecError
from tests.debug.build import ELF
from tests.debug.gdb.client import Client
from tests.debug.gdb.sessions import debugging
from tests.test_cli import dynarec, one_line
from tests.test_machine import HELLO


@pytest.mark.parametrize("where", ["", "x", "-1", "65536", "localhost", "localhost:", ":x", "::1:0", "a:b:1", "1 2"])
def test_no_address(where: str) -> None:
    with pytest.raises(DynarecError, match=r"give \[HOST:\]PORT"):
        parse_address(where)


@pytest.mark.parametrize(
    ("where", "address"),
    [
        *(("0", ("127.0.0.1", 0)), (":65535", ("127.0.0.1", 65535)), ("localhost:1234", ("localhost", 1234))),
        *(("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:1234", ("::1", 1234))),
    ],
)
def test_addresses(where: str, address: tuple[str, int]) -> None:
    """The host is this one, unless another is named."""
    assert parse_address(where) == address


def test_no_address_on_the_command_line() -> None:
    assert "--gdb here: give [HOST:]PORT" in one_line(dynarec("debug", ELF, "--gdb", "here"))


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


def test_a_host_by_name() -> None:
    with debugging(ELF, where="localhost:0") as process, Client(process.port) as client:
        client.quiet()
        assert client.ask("qC") == "QC1"
