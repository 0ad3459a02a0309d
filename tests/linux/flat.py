"""Makes the two files that a kernel without an MMU starts programs from: a flat executable, and an initial RAM disk."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

HEADER = struct.Struct(">4s15I")
VERSION, IN_RAM = 4, 1
"""The version of flat executables; the flag that the text is copied too, so that data follows it at once."""
STACK_BYTES = 8192
ABSOLUTE = 1
"""R_RISCV_32."""

CPIO_FIELDS, CPIO_ALIGN = 13, 4
DIRECTORY, FILE, CHARACTERS = 0o040755, 0o100755, 0o020600


def flat(elf: bytes) -> bytes:
    """A bFLT from an ELF file that is linked to 0 (`shell.ld`) and still has its relocations."""
    file = ELFFile(io.BytesIO(elf))
    sections = {section.name: section for section in file.iter_sections()}
    text, data, zeros = (sections[name] for name in (".text", ".data", ".bss"))
    image = bytearray(text.data().ljust(data["sh_addr"], b"\0") + data.data())
    relocations = sorted(
        relocation["r_offset"]
        for section in sections.values()
        if isinstance(section, RelocationSection) and file.get_section(section["sh_info"]).name in (".text", ".data")
        for relocation in section.iter_relocations()
        if relocation["r_info_type"] == ABSOLUTE
    )
    for place in relocations:  # the kernel expects addresses to be as in its header
        image[place : place + 4] = image[place : place + 4][::-1]
    start = HEADER.size
    end = start + len(image)
    header = HEADER.pack(
        b"bFLT", VERSION, start + file["e_entry"], start + data["sh_addr"], end,
        start + zeros["sh_addr"] + zeros["sh_size"], STACK_BYTES, end, len(relocations), IN_RAM, *(0,) * 6,
    )  # fmt: skip
    return header + image + b"".join(place.to_bytes(4, "big") for place in relocations)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the disk. device: major and minor number of a character device."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def initial_disk(init: bytes, motd: str) -> bytes:
    """What the kernel's documentation says that there must be: /dev/console and /init."""
    return cpio([
        Entry("dev", DIRECTORY), Entry("dev/console", CHARACTERS, device=(5, 1)), Entry("etc", DIRECTORY),
        Entry("proc", DIRECTORY), Entry("sys", DIRECTORY), Entry("init", FILE, init),
        Entry("etc/motd", FILE, motd.encode()),
    ])  # fmt: skip


def cpio(entries: list[Entry]) -> bytes:
    """An archive in the format "newc" (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    members = [*entries, Entry("TRAILER!!!", 0)]
    return b"".join(_member(number, entry) for number, entry in enumerate(members, 1))


def _member(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    assert len(fields) == CPIO_FIELDS
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return _aligned(header) + _aligned(entry.data)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % CPIO_ALIGN)


def write_disk(shell: Path, disk: Path, motd: str) -> None:
    """The disk with a shell that is an ELF file."""
    disk.write_bytes(initial_disk(flat(shell.read_bytes()), motd))
