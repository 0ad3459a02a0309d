"""Clients that come, go, and misbehave: whatever one does, the next one is served."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from dynarec.debug.gdb import connection
from dynarec.debug.gdb import server as server_module
from dynarec.debug.gdb.packets import MAX_PACKET, Mark, frame
from dynarec.debug.gdb.server import Listener
from dynarec.debug.gdb.target import Target
from dynarec.debug.launch import Launch
from dynarec.engine import Machine
from dynarec.errors import DynarecError
from tests.debug.build import ELF
from tests.debug.gdb.client import SECONDS, Client, Server, serving
from tests.test_machine import CODE, DATA, ROMS, addi, exit_with, jump, lui, program, sw

COUNTER = lui(5, DATA >> 12), addi(10, 10, 1), sw(10, 5), jump(-8)
INTERRUPTED = "T02"
ABORT = struct.pack("ii", 1, 0)
"""Of SO_LINGER: the connection is broken, not closed."""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(program(*COUNTER)) as server:
        yield server


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def executed(server: Server) -> int:
    return server.target.debugger.machine.instructions


def runs(server: Server) -> None:
    """Wait until the program has gone on."""
    first = executed(server)
    wait_for(lambda: executed(server) > first)


def is_served(server: Server) -> None:
    """Another client gets right answers."""
    with server.connect() as client:
        assert client.ask("p20") == struct.pack("<I", server.target.debugger.machine.pc).hex()


# -- acknowledgements -------------------------------------------------------------------------------------------------


def test_acknowledgements(server: Server) -> None:
    with Client(server.listener.address[1]) as client:
        client.send(frame(b"qC"))
        assert [client.hear(), client.hear()] == [Mark.ACK, b"QC1"]
        client.send(b"-")
        assert client.hear() == b"QC1"
        client.send(b"+$qC#00")
        assert client.hear() == Mark.NACK
        client.send(frame(b"QStartNoAckMode"))
        assert [client.hear(), client.hear()] == [Mark.ACK, b"OK"]
        client.send(b"+" + frame(b"qC"))
        assert client.hear() == b"QC1"


def test_a_wrong_checksum_without_acknowledgements(server: Server) -> None:
    with server.connect() as client:
        client.send(b"$qC#00")
        assert client.hear() is None
    is_served(server)


def test_an_oversize_packet(server: Server) -> None:
    with server.connect() as client:
        client.send(b"$" + bytes(2 * MAX_PACKET))
        assert client.hear() is None
    is_served(server)


def test_a_browser(server: Server) -> None:
    """It is turned away before it can say something in a packet."""
    with Client(server.listener.address[1]) as client:
        client.send(b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n$qC#b4")
        assert client.hear() is None
    is_served(server)


def test_the_longest_packet(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(b"X10000,0:" + bytes(MAX_PACKET - 9)) == "E01"


def test_rubbish_before_a_packet(server: Server) -> None:
    with server.connect() as client:
        client.send(b"hello\r\n%\x00\xff$never$")
        client.send(frame(b"qC"))
        assert client.answer() == b"QC1"


# -- interrupts -------------------------------------------------------------------------------------------------------


def test_ctrl_c(server: Server) -> None:
    """However soon it comes; while the program does not run, it means nothing."""
    with server.connect() as client:
        for _ in range(20):
            client.send(frame(b"vCont;c") + b"\x03")
            assert client.answer().decode().startswith(INTERRUPTED)
            client.send(b"\x03")
            assert client.ask("qC") == "QC1"
        client.send(frame(b"c"))
        runs(server)
        client.send(b"\x03")
        assert client.answer().decode().startswith(INTERRUPTED)
        assert client.ask("s").startswith("T05")


def test_ctrl_c_going_back() -> None:
    with serving(program(*COUNTER), history=16 << 20) as server, server.connect() as client:
        client.send(frame(b"c"))
        runs(server)
        client.send(b"\x03")
        client.answer()
        client.send(frame(b"bc") + b"\x03")
        assert client.answer().startswith(b"T0")


# -- going and coming -------------------------------------------------------------------------------------------------


def test_a_second_client_is_turned_away(server: Server) -> None:
    with server.connect() as first:
        with Client(server.listener.address[1]) as second:
            assert second.hear() is None
        assert first.ask("qC") == "QC1"
    is_served(server)


@pytest.mark.parametrize("abort", [False, True], ids=["closed", "broken"])
def test_a_client_that_vanishes_while_the_program_runs(server: Server, abort: bool) -> None:
    """The program is stopped, and waits for the next one."""
    with server.connect() as client:
        client.send(frame(b"c"))
        runs(server)
        if abort:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    with server.connect() as client:
        assert client.ask("?").startswith(INTERRUPTED)


def test_a_client_that_vanishes_within_a_packet(server: Server) -> None:
    with server.connect() as client:
        client.send(b"$m100")
    is_served(server)


def test_a_client_that_says_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_PACKET", 0.05)
    with Client(server.listener.address[1]) as client:
        assert client.hear() is None
    monkeypatch.undo()
    is_served(server)


def test_a_client_that_does_not_listen(server: Server) -> None:
    """It asks for more than it takes."""
    with server.connect() as client, suppress(OSError):
        while True:
            client.send(frame(f"m{CODE:x},1000".encode()))
    is_served(server)


def test_a_client_that_takes_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is let go after a while, and the next one waits for that."""
    monkeypatch.setattr(connection, "SEND_SECONDS", 1)
    monkeypatch.setattr(server_module, "PATIENCE", SECONDS)
    with serving(ROMS / "kernel.elf") as server, server.connect() as client:
        for _ in range(connection.MOST_WAITING):
            client.send(frame(b"m80000000,7fff"))
        is_served(server)


def test_breakpoints_of_a_client_that_vanished_are_gone(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(f"Z0,{CODE + 4:x},4") == "OK"
        assert client.monitor("catch syscall") != ""
    with server.connect() as client:
        assert client.ask("qC") == "QC1"
        assert not server.target.debugger.stoppers


def test_detach_and_reconnect(server: Server) -> None:
    """The program runs meanwhile, and stops for the next client."""
    with server.connect() as client:
        client.ask(f"Z0,{CODE + 4:x},4")
        client.ask("c")
        assert client.ask("D") == "OK"
        assert client.hear() is None
    runs(server)
    with server.connect() as client:
        assert client.ask("?").startswith(INTERRUPTED)
        assert client.ask(f"m{DATA:x},4") != "00000000"
        count = executed(server)
        assert client.ask("qC") == "QC1"
        assert executed(server) == count


def test_detach_and_stay(server: Server) -> None:
    with server.connect() as client:
        client.ask("s")
        assert client.ask("D1") == "OK"
        assert client.hear() is None
    with server.connect() as client:
        assert executed(server) == 1
        assert client.ask("?").startswith("T05")


def test_reconnect_at_once(server: Server) -> None:
    for _ in range(10):
        with server.connect() as client:
            assert client.ask("D") == "OK"


# -- the end ----------------------------------------------------------------------------------------------------------


def test_kill_ends_the_server(server: Server) -> None:
    with server.connect() as client:
        client.send(frame(b"k"))
        assert client.hear() is None
    wait_for(lambda: server.status == 0)


def test_the_server_ends_with_the_program_and_its_client() -> None:
    with serving(program(*exit_with(3))) as server:
        with server.connect() as client:
            assert client.ask("c") == "W03"
            assert client.ask("?") == "W03"
            assert server.status is None
        wait_for(lambda: server.status == 0)


def test_the_server_ends_with_a_program_that_has_no_client() -> None:
    with serving(program(*exit_with(3))) as server:
        with server.connect() as client:
            assert client.ask("D") == "OK"
        wait_for(lambda: server.status == 0)


def test_a_program_that_traps_without_client_waits_for_one() -> None:
    with serving(program(0, *COUNTER)) as server:
        with server.connect() as client:
            assert client.ask("D") == "OK"
        wait_for(lambda: server.target.debugger.stopped.trap is not None)
        with server.connect() as client:
            assert client.ask("?").startswith("T04")


# -- what cannot be ---------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken(server: Server) -> None:
    host, port = server.listener.address
    with pytest.raises(DynarecError, match=f"--gdb {host}:{port}: Address already in use: choose another"):
        Listener(host, port)


def test_a_host_that_there_is_not() -> None:
    with pytest.raises(DynarecError, match=r"--gdb no\.such\.host\.invalid:0: .*choose another"):
        Listener("no.such.host.invalid", 0)


def test_a_guest_that_gdb_does_not_know() -> None:
    def load() -> Machine:
        machine = Machine.load(ELF)
        machine.guest = machine.guest._replace(gdb=None)
        return machine

    with pytest.raises(DynarecError, match="neither GDB nor LLDB knows this guest"):
        Target(Launch(load, "program"))
