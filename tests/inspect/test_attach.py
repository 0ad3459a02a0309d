"""Inspecting another process: what is answered, who is refused, and what a hostile client cannot do."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec.errors import DynarecError
from dynarec.inspect import attach, dump
from dynarec.inspect.attach import MOST_REQUEST, REPLY, REQUEST, AttachedSource, Server, serve
from dynarec.inspect.model import Recording
from tests.inspect.recordings import full
from tests.test_machine import LOOP, program

PID = os.getpid()
SEED = 1


class Asked:
    """A source that keeps what it is asked for."""

    name = "it"
    live = True

    def __init__(self) -> None:
        self.asked: list[object] = []

    def record(self) -> Recording:
        return full()

    def erase(self, serial: int) -> None:
        if serial > 100:
            raise DynarecError(f"unit {serial} is not in the cache: choose one that lives")
        self.asked.append(serial)

    def retranslate(self, serial: int, without: Collection[str] = ()) -> None:
        self.asked.append((serial, tuple(without)))

    def close(self) -> None:
        raise AssertionError("who serves a source does not own it")


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the sockets are; the folders of tests have names that are too long for such on some systems."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="dr-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setattr(attach, "REQUEST_SECONDS", 0.2)
        yield Path(folder) / "dynarec"


@pytest.fixture
def source() -> Asked:
    return Asked()


@pytest.fixture
def server(source: Asked) -> Iterator[Server]:
    made = serve(source)
    yield made
    made.close()


def test_recordings(server: Server) -> None:
    attached = AttachedSource(PID)
    assert (attached.name, attached.live) == (f"process {PID}", True)
    assert attached.record() == full()
    assert attached.record() == full()
    attached.close()
    attached.close()


def test_changes(server: Server, source: Asked) -> None:
    attached = AttachedSource(PID)
    attached.erase(7)
    attached.retranslate(8, ["fold", "forward"])
    attached.retranslate(9)
    assert source.asked == [7, (8, ("fold", "forward")), (9, ())]


def test_errors_come_through(server: Server) -> None:
    with pytest.raises(DynarecError, match=f"process {PID}: unit 101 is not in the cache"):
        AttachedSource(PID).erase(101)


def test_a_mistake_does_not_end_the_server(server: Server, source: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(source, "record", lambda: 1 // 0)
        with pytest.raises(DynarecError, match="internal error: ZeroDivisionError"):
            AttachedSource(PID).record()
    assert AttachedSource(PID).record() == full()


def test_only_this_user_may_enter(server: Server, runtime: Path) -> None:
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    assert [path.name for path in runtime.iterdir()] == [f"{PID}.inspect"]


def test_who_does_not_take_a_reply_keeps_no_program_from_ending(
    source: Asked, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(random.Random(SEED).randbytes(1 << 10).hex() for _ in range(1 << 12))
    monkeypatch.setattr(source, "record", lambda: replace(full(), texts={"a.c": lines}))
    monkeypatch.setattr(attach, "REPLY_SECONDS", 3600.0)
    monkeypatch.setattr(attach, "LAST_SECONDS", 0.1)
    server = serve(source)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(os.fspath(server.path))
        request = json.dumps({"protocol": attach.PROTOCOL, "do": "record"}).encode()
        client.sendall(REQUEST.pack(len(request)) + request)
        client.recv(1)
        server.close()
    assert not list(runtime.iterdir())


def test_the_socket_goes_with_the_server(server: Server, runtime: Path) -> None:
    attached = AttachedSource(PID)
    server.close()
    assert list(runtime.iterdir()) == []
    with pytest.raises(DynarecError, match="it has ended"):
        attached.record()
    server.close()


def test_sockets_of_processes_that_are_gone_are_removed(source: Asked, runtime: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    runtime.mkdir(mode=0o700)
    for name in (f"{child.pid}.inspect", f"{PID}.inspect", f"{os.getppid()}.inspect", "other.inspect"):
        (runtime / name).touch()
    server = serve(source)
    names = {path.name for path in runtime.iterdir()}
    assert names == {f"{PID}.inspect", f"{os.getppid()}.inspect", "other.inspect"}
    assert AttachedSource(PID).record() == full()
    server.close()


@pytest.mark.parametrize("pid", [0, 1 << 22, 1 << 40])
def test_no_process(pid: int) -> None:
    with pytest.raises(DynarecError, match=f"there is no process {pid}"):
        AttachedSource(pid)


def test_a_process_that_does_not_serve(runtime: Path) -> None:
    with pytest.raises(DynarecError, match=f"process {PID} cannot be inspected: .* dynarec run --inspect"):
        AttachedSource(PID)
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(runtime / f"{PID}.inspect"))
    with pytest.raises(DynarecError, match="cannot be inspected"):
        AttachedSource(PID)


def test_a_process_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", denied)
    with pytest.raises(DynarecError, match="is another user's"):
        AttachedSource(PID)


def test_a_directory_that_others_may_enter(source: Asked, runtime: Path) -> None:
    runtime.mkdir(mode=0o755)
    for action in (lambda: serve(source), lambda: AttachedSource(PID)):
        with pytest.raises(DynarecError, match="is no directory that only this user may enter: remove it"):
            action()


def test_a_directory_that_is_a_link(source: Asked, runtime: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    runtime.symlink_to(elsewhere)
    for action in (lambda: serve(source), lambda: AttachedSource(PID)):
        with pytest.raises(DynarecError, match="is no directory that only this user may enter"):
            action()
    assert list(elsewhere.iterdir()) == []


def test_a_socket_that_is_a_link(server: Server, runtime: Path) -> None:
    """What a link leads to is not what it is about."""
    real = runtime / "real"
    server.path.rename(real)
    server.path.symlink_to(real)
    with pytest.raises(DynarecError, match="is no socket: remove it"):
        AttachedSource(PID)


def test_another_user_at_the_other_side(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "_user_of", lambda connection: os.getuid() + 1)
    with pytest.raises(DynarecError, match="another user answers there"):
        AttachedSource(PID)
    assert said(server, request({"protocol": 1, "do": "record"})) == b""


def test_a_directory_with_a_long_name(source: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "x" * 100)
    with pytest.raises(DynarecError, match="too long for a socket's name: set XDG_RUNTIME_DIR"):
        serve(source)


def test_without_a_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert attach.directory().name == f"dynarec-{os.getuid()}"


# -- hostile sides ----------------------------------------------------------------------------------------------------


def request(content: object) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return REQUEST.pack(len(data)) + data


def said(server: Server, data: bytes) -> bytes:
    """What the server answers, until it hangs up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(server.path))
        answer = b""
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(data)
            while part := connection.recv(1 << 16):
                answer += part
        return answer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        REQUEST.pack(0),
        REQUEST.pack(MOST_REQUEST + 1) + bytes(100),
        REQUEST.pack((1 << 32) - 1),
        REQUEST.pack(100) + b"{",
        request(b"\xff\xfe"),
        request(b"[" * MOST_REQUEST),
        request(b"1" * MOST_REQUEST),
        request([]),
        request({}),
        request({"protocol": 1, "do": "explode"}),
        request({"protocol": 1, "do": "erase"}),
        request({"protocol": 1, "do": "erase", "serial": "1"}),
        request({"protocol": 1, "do": "retranslate", "serial": 1, "without": "fold"}),
    ],
    ids=range(15),
)
def test_clients_that_make_no_sense_are_hung_up_on(server: Server, source: Asked, data: bytes) -> None:
    assert said(server, data) == b""
    assert source.asked == []
    assert AttachedSource(PID).record() == full()


def test_another_protocol(server: Server) -> None:
    answer = said(server, request({"protocol": 2, "do": "record"}))
    status, size = REPLY.unpack_from(answer)
    assert (status, size) == (1, len(answer) - REPLY.size)
    assert b"speaks protocol 1, not 2" in answer


def test_a_client_that_says_nothing_does_not_stop_others(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(server.path))
        assert AttachedSource(PID).record() == full()


def test_a_client_that_does_not_listen(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "REPLY_SECONDS", 0.2)
    monkeypatch.setattr(dump, "encode", lambda recording: bytes(1 << 22))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(server.path))
        deaf.sendall(request({"protocol": 1, "do": "record"}))
        AttachedSource(PID).erase(1)


def test_many_clients_at_once(server: Server) -> None:
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(AttachedSource(PID).record() == full())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"", "gives no answer"),
        (b"\0", "gives no answer"),
        (REPLY.pack(0, 1 << 62), "gives no answer"),
        (REPLY.pack(0, 100) + b"x", "gives no answer"),
        (REPLY.pack(0, 4) + b"dump", "is no dump"),
        (REPLY.pack(1, 9) + b"\x1b[2Jwhat\n", "\ufffd\\[2Jwhat"),
        (REPLY.pack(7, 3) + b"\xff\xff\xff", "\ufffd\ufffd\ufffd"),
    ],
)
def test_servers_that_make_no_sense(runtime: Path, reply: bytes, words: str) -> None:
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / f"{PID}.inspect"))
        listener.listen()

        def answer() -> None:
            listener.accept()[0].close()  # it only looks whether somebody is there
            connection, _ = listener.accept()
            connection.recv(MOST_REQUEST)
            connection.sendall(reply)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DynarecError, match=words):
            AttachedSource(PID).record()
        thread.join()


# -- real processes ---------------------------------------------------------------------------------------------------


def test_a_run_is_inspected(tmp_path: Path, runtime: Path) -> None:
    rom = tmp_path / "loop.elf"
    rom.write_bytes(program(LOOP))
    command = [sys.executable, "-m", "dynarec", "run", str(rom), "--inspect"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == f"dynarec: look into it with: dynarec inspect --attach {run.pid}\n"
        attached = AttachedSource(run.pid)
        while not (first := attached.record()).units:
            time.sleep(0.01)
        second = attached.record()
        assert (second.units[0].rounds or 0) > (first.units[0].rounds or 0) > 0
        attached.erase(first.units[0].serial)
        while len((third := attached.record()).live) == 0 or third.live[0].serial == first.units[0].serial:
            time.sleep(0.01)
        attached.retranslate(third.live[0].serial, ["fold"])
        while len((last := attached.record()).live) == 0 or last.live[0].serial == third.live[0].serial:
            time.sleep(0.01)
        assert last.live[0].circumstances.without == ("fold",)
        run.send_signal(signal.SIGINT)
        assert run.wait() == 130
    with pytest.raises(DynarecError, match=f"process {run.pid} cannot be inspected: it has ended"):
        attached.record()
    assert list(runtime.iterdir()) == []
