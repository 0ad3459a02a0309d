"""What each packet is answered with."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from guest_isa.rv32 import GUEST
from tests.debug.build import ELF
from tests.debug.gdb.client import HISTORY, Client, Server, serving
from tests.debug.stopped import Stopped
from tests.test_machine import CODE, DATA, EBREAK, LOOP, addi, exit_with, jump, lui, lw, program, sw

PC, PRIVILEGE = 32, 4161


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, int]]:
    """Addresses in `program.c`."""
    stopped = Stopped(ELF)
    yield {name: stopped.machine.address(name) for name in ("_start", "main", "add", "walk", "total", "first")}
    stopped.machine.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(ELF) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.connect() as client:
        yield client


def pc(client: Client) -> int:
    return int.from_bytes(bytes.fromhex(client.ask(f"p{PC:x}")), "little")


def words(client: Client) -> list[str]:
    """The parts of the current stop reply."""
    return client.ask("?").split(";")


def test_what_is_supported(client: Client) -> None:
    answer = client.ask("qSupported:multiprocess+;swbreak+;error-message+").split(";")
    assert {"PacketSize=10000", "QStartNoAckMode+", "swbreak+", "hwbreak+", "qXfer:features:read+"} <= set(answer)
    assert "ReverseStep+" not in answer
    assert client.ask("vCont?") == "vCont;c;C;s;S;r"


@pytest.mark.parametrize("packet", ["", "vMustReplyEmpty", "qNothing", "Qx", "jThreadsInfo", "y", "b", "bc", "\xff"])
def test_the_unknown_has_an_empty_answer(client: Client, packet: str) -> None:
    assert client.ask(packet) == ""


WILD = [
    "m",
    "m1",
    "m,",
    "mx,1",
    "m-1,4",
    "m1,1,1",
    "m_10000,4",
    "m10000,4;",
    "m_1,1",
    "m0,4",
    "mffffffff,2",
    "p",
    "pz",
    "p99",
    "P0",
    "P1=",
    "P1=1",
    "P1=112233445566",
    "P99=00000000",
    "P20=01000000",
    "P=",
    "G",
    "G00",
    "M10000,4:00",
    "M10000:00",
    "M10000,1:0",
    "M10000,1:zz",
    "M0,1:00",
    "X10000,4:a",
    "X0,1:a",
    "Z",
    "Z0",
    "Z0,",
    "Z0,x,1",
    "Z9,0,4",
    "Z2,11358,0",
    "Z2,ffffffff,ffff",
    "Z0,100000000,4",
    "z",
    "z0,1",
    "vCont",
    "vCont;",
    "vCont;x",
    "vCont;r1",
    "cx",
    "vCont;c100",
    "vCont;C",
    "Czz",
    "qXfer:features:read:target.xml:0",
    "qXfer:features:read:other.xml:0,10",
    "qXfer:features:read:target.xml:fffff,1",
    "qCRC:0,10",
    "qSearch:memory:0;10;a",
    "qSearch:memory:10000;10;",
    "qMemoryRegionInfo:",
    "qMemoryRegionInfo:100000000",
    "qRcmd,0",
    "qRcmd,zz",
    "vRun;;61",
    "x1",
    "x0,4",
]


def test_wild_packets_are_errors_and_change_nothing(client: Client) -> None:
    before = client.ask("g")
    for packet in WILD:
        assert client.ask(packet) == "E01", packet
    assert client.ask("g") == before


def test_errors_as_texts(client: Client) -> None:
    client.ask("qSupported:error-message+")
    assert client.ask("p99") == "E.there is no register 0x99"
    assert client.ask("QEnableErrorStrings") == "OK"
    assert client.ask("p99") == f"E01;{b'there is no register 0x99'.hex()}"


# -- what there is ----------------------------------------------------------------------------------------------------


def document(client: Client, kind: str, annex: str = "", piece: int = 200) -> str:
    """A whole document, read in pieces."""
    text = ""
    while True:
        answer = client.ask(f"qXfer:{kind}:read:{annex}:{len(text):x},{piece:x}")
        text += answer[1:]
        if answer[:1] != "m":
            assert answer[:1] == "l"
            return text


def test_target_description(client: Client) -> None:
    root = ElementTree.fromstring(document(client, "features", "target.xml"))
    assert root.findtext("architecture") == "riscv:rv32"
    assert root.findtext("osabi") == "none"
    registers = {each.attrib["name"]: each.attrib for each in root.iter("reg")}
    assert [each.attrib["name"] for each in root.iter("feature")] == [
        f"org.gnu.gdb.riscv.{name}" for name in ("cpu", "csr", "virtual")
    ]
    assert {registers[name]["generic"] for name in ("pc", "sp", "s0", "ra", "a0")} == {"pc", "sp", "fp", "ra", "arg1"}
    for number in range(32):
        (found,) = (each for each in registers.values() if each.get("altname") == f"x{number}")
        assert found["regnum"] == found["dwarf_regnum"] == str(number)
    assert registers["pc"]["regnum"] == str(PC)
    assert {"mstatus", "mie", "mtvec", "mscratch", "mepc", "mcause", "mtval", "priv"} <= registers.keys()


def test_every_register_is_of_the_guest() -> None:
    assert GUEST.gdb is not None
    assert all(each.state in (None, "pc") or each.state in GUEST.layout for each in GUEST.gdb.registers)
    numbers = [each.number for each in GUEST.gdb.registers]
    assert numbers == sorted(set(numbers))


def test_other_documents(client: Client) -> None:
    memory = ElementTree.fromstring(document(client, "memory-map"))
    assert [each.attrib for each in memory] == [{"type": "ram", "start": "0x0", "length": "0x100000000"}]
    threads = ElementTree.fromstring(document(client, "threads"))
    assert [each.attrib for each in threads] == [{"id": "1", "name": "program.elf"}]
    assert document(client, "exec-file") == str(ELF)
    assert client.ask("qXfer:nothing:read::0,10") == ""


def test_one_thread(client: Client) -> None:
    assert (client.ask("qfThreadInfo"), client.ask("qsThreadInfo"), client.ask("qC")) == ("m1", "l", "QC1")
    assert {client.ask(packet) for packet in ("Hg0", "Hc-1", "T1")} == {"OK"}
    assert client.ask("qAttached") == "1"


def test_what_lldb_asks(client: Client) -> None:
    host = dict(each.split(":") for each in client.ask("qHostInfo").split(";") if each)
    assert host["watchpoint_exceptions_received"] == "before"
    assert bytes.fromhex(host["triple"]).startswith(b"riscv32-")
    process = client.ask("qProcessInfo").split(";")
    assert {"pid:1", "ptrsize:4", "endian:little"} <= set(process)
    assert client.ask("qWatchpointSupportInfo:").startswith("num:")
    assert client.ask("QThreadSuffixSupported") == "OK"
    assert client.ask("p20;thread:1;") == client.ask("p20")
    assert client.ask("QListThreadsInStopReply") == "OK"
    assert {"threads:1", f"thread-pcs:{pc(client):x}"} <= set(client.ask("?").split(";"))
    assert client.ask("qThreadStopInfo1") == client.ask("?")


# -- registers and memory ---------------------------------------------------------------------------------------------


def test_registers(client: Client, places: dict[str, int]) -> None:
    assert pc(client) == places["_start"]
    assert client.ask("P0a=78563412") == "OK"
    assert client.ask("pa") == "78563412"
    assert client.ask("P0=01000000") == "OK"
    assert client.ask("p0") == "00000000"
    assert client.ask(f"p{PRIVILEGE:x}") == "00000000"
    everything = client.ask("g")
    assert everything[80:88] == "78563412"
    assert client.ask("G" + everything[:80] + "00000000" + everything[88:]) == "OK"
    assert client.ask("pa") == "00000000"


def test_writing_the_pc_takes_effect(client: Client, places: dict[str, int]) -> None:
    assert client.ask(f"P20={struct.pack('<I', places['main']).hex()}") == "OK"
    client.ask("vCont;s:1")
    assert places["main"] < pc(client) < places["main"] + 8
    client.ask(f"s{places['add']:x}")
    assert places["add"] < pc(client) < places["add"] + 8


def test_memory(client: Client, places: dict[str, int]) -> None:
    at = places["total"]
    assert client.ask(f"m{at:x},4") == "03000000"
    assert client.ask(f"M{at:x},2:0a0b") == "OK"
    assert client.ask(f"X{at + 2:x},2:#}}") == "OK"
    assert client.ask(f"m{at:x},4") == "0a0b237d"
    assert client.ask(f"x{at:x},4") == "\x0a\x0b#}"
    assert client.ask("x0,0") == "OK"
    assert client.ask(f"X{at:x},0:") == "OK"


def test_memory_up_to_its_end(client: Client) -> None:
    region = dict(each.split(":") for each in client.ask("qMemoryRegionInfo:10000").split(";") if each)
    end = int(region["start"], 16) + int(region["size"], 16)
    assert "x" in region["permissions"]
    assert len(client.ask(f"m{end - 2:x},100")) == 4 or "permissions" in client.ask(f"qMemoryRegionInfo:{end:x}")
    assert "permissions" not in client.ask("qMemoryRegionInfo:0")
    assert client.ask("mfffffff0,100") == "E01"


def test_checksum_of_memory(client: Client) -> None:
    """The protocol's CRC is zlib's with the bits of bytes and results the other way round, and without complements."""
    data = bytes.fromhex(client.ask("m10000,40"))
    assert client.ask("qCRC:10000,40") == f"C{crc(data):08x}"


def crc(data: bytes) -> int:
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return int(f"{zlib.crc32(mirrored) ^ 0xFFFF_FFFF:032b}"[::-1], 2)


def test_search(client: Client, places: dict[str, int]) -> None:
    start = places["add"]
    pattern = bytes.fromhex(client.ask(f"m{start + 100:x},8")).decode("latin-1")
    found = client.ask(f"qSearch:memory:{start:x};200;{pattern}")
    assert found == f"1,{start + 100:x}"
    assert client.ask(f"qSearch:memory:{start:x};40;no such text") == "0"


# -- going on ---------------------------------------------------------------------------------------------------------


def test_breakpoint(client: Client, places: dict[str, int]) -> None:
    client.ask("qSupported:swbreak+")
    for kind in ("0", "1"):
        assert client.ask(f"Z{kind},{places['add']:x},0") == "OK"
        assert client.ask(f"Z{kind},{places['add']:x},0") == "OK"
        answer = client.ask("vCont;c").split(";")
        assert answer[0] == f"T0520:{struct.pack('<I', places['add']).hex()}"
        assert {"thread:1", "swbreak:"} <= set(answer)
        assert client.ask(f"z{kind},{places['add']:x},0") == "OK"
        assert client.ask(f"z{kind},{places['add']:x},0") == "OK"
    assert client.ask("vCont;c:1") == "W0e"
    assert client.ask("vCont;c") == "W0e"


def test_a_breakpoint_that_is_taken_away_and_set_again_is_the_same(client: Client, server: Server) -> None:
    client.ask("Z0,10000,4")
    (number,) = server.target.debugger.stoppers
    client.ask("z0,10000,4")
    client.ask("Z0,10000,4")
    client.ask("vCont;c")
    client.ask("z0,10000,4")
    assert list(server.target.debugger.stoppers) == [number]
    client.ask("s")
    assert not server.target.debugger.stoppers


@pytest.mark.parametrize(("kind", "word"), [("2", "watch"), ("4", "awatch"), ("3", "rwatch")])
def test_watchpoint(client: Client, places: dict[str, int], kind: str, word: str) -> None:
    """It stops before the access, and goes on behind it."""
    assert client.ask(f"Z{kind},{places['total']:x},4") == "OK"
    assert f"{word}:{places['total']:x}" in client.ask("c").split(";")
    at = pc(client)
    assert client.ask(f"m{places['total']:x},4") == "03000000"
    assert client.ask("s").startswith("T05")
    assert pc(client) > at
    assert client.ask(f"m{places['total']:x},4") == ("06000000" if kind == "2" else "03000000")


def test_steps(client: Client) -> None:
    at = pc(client)
    assert client.ask("vCont;s:1;c").startswith("T05")
    assert pc(client) == at + 4
    assert client.ask("s").startswith("T05")
    assert pc(client) != at + 4


def test_steps_in_a_range(client: Client, places: dict[str, int]) -> None:
    """One at least; then while the pc is inside."""
    client.ask(f"Z0,{places['main']:x},2")
    client.ask("c")
    start = pc(client)
    client.ask(f"vCont;r{start:x},{start + 12:x}:1")
    assert pc(client) >= start + 12
    here = pc(client)
    client.ask(f"vCont;r{start:x},{start + 4:x}:1")
    assert here < pc(client) <= here + 4


def test_a_step_onto_itself() -> None:
    with serving(program(LOOP)) as server, server.connect() as client:
        for _ in range(3):
            assert client.ask("vCont;s:1").startswith("T05")
            assert pc(client) == CODE


def test_a_trap_is_a_signal() -> None:
    """And a program that gets it dies of it; with another one it tries again."""
    with serving(program(lw(10, 0, 0), EBREAK)) as server, server.connect() as client:
        said, answer = client.go("c")
        assert said == "load access fault at 0x00010000, value 0x0\n"
        assert answer.startswith("T0b")
        assert client.go("C05")[1].startswith("T0b")
        assert client.ask("C0b") == "X0b"
        assert client.ask("?") == client.ask("vCont;c") == "X0b"


def test_a_breakpoint_of_the_program_is_stepped_over() -> None:
    with serving(program(EBREAK, *exit_with(3))) as server, server.connect() as client:
        assert client.go("c")[1].startswith("T05")
        assert client.ask(f"c{CODE + 4:x}") == "W03"


@pytest.mark.parametrize("tier", ["interp", "jit"])
def test_a_breakpoint_in_every_tier(tier: str) -> None:
    """In a loop that is translated, it is hit each time."""
    loop = lui(5, DATA >> 12), addi(10, 10, 1), sw(10, 5), jump(-8)
    with serving(program(*loop), tier=tier) as server, server.connect() as client:
        at = CODE + 8
        client.ask(f"Z0,{at:x},4")
        for count in range(1, 4):
            client.ask("c")
            assert pc(client) == at
            assert client.ask("pa") == struct.pack("<I", count).hex()


# -- backwards --------------------------------------------------------------------------------------------------------


def test_backwards(places: dict[str, int]) -> None:
    with serving(ELF, history=HISTORY) as server, server.connect() as client:
        assert {"ReverseStep+", "ReverseContinue+"} <= set(client.ask("qSupported:").split(";"))
        client.ask(f"Z0,{places['walk']:x},2")
        client.ask("c")
        registers = client.ask("g")
        client.ask("s")
        client.ask("s")
        client.ask("bs")
        client.ask("bs")
        assert client.ask("g") == registers
        assert "replaylog:begin" in client.ask("bc").split(";")
        assert pc(client) == places["_start"]
        client.ask("c")
        assert client.ask("g") == registers


def test_backwards_to_a_write(places: dict[str, int]) -> None:
    with serving(ELF, history=HISTORY) as server, server.connect() as client:
        client.ask(f"Z2,{places['total']:x},4")
        client.ask("c")
        first = client.ask("g")
        client.ask("c")
        assert f"watch:{places['total']:x}" in client.ask("bc").split(";")
        assert client.ask("g") == first
        assert client.ask(f"m{places['total']:x},4") == "03000000"


# -- beginnings and ends ----------------------------------------------------------------------------------------------


def test_kill_and_run_again(server: Server, places: dict[str, int]) -> None:
    with server.connect() as client:
        assert client.ask("!") == "OK"
        client.ask(f"Z0,{places['main']:x},2")
        client.ask("c")
        assert client.ask("vKill;1") == "OK"
        assert client.ask("?") == "X09"
        assert client.ask("vRun;").startswith("T05")
        assert pc(client) == places["_start"]
        assert client.ask("c") == "W0e"
        assert client.ask("vRun;666f6f").startswith("T05")
        assert client.ask(f"Z0,{places['main']:x},2") == "OK"
        assert client.ask("c").startswith("T05")
        client.send(b"$R00#b2")
        assert client.ask("?").startswith("T05")
        assert pc(client) == places["_start"]
