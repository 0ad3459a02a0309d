"""The guest as a client learns of it, in XML (GDB manual, "Target Descriptions" and the formats behind the packets)."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from guest_isa.profile import GdbRegister, GdbTarget

HEADER = '<?xml version="1.0"?>\n'
REGISTER_BITS = 32
"""Of each register as it is sent, even if the guest has only some of them."""
THREAD = 1
"""The number of the guest's CPU, and of the process that it is to clients."""


def target_xml(target: GdbTarget) -> str:
    """The architecture and its registers. Without `osabi`, GDB steps by breakpoints of its own."""
    features = "".join(
        f"<feature name={quoteattr(feature.name)}>\n{''.join(map(_register, feature.registers))}</feature>\n"
        for feature in target.features
    )
    return (
        f'{HEADER}<!DOCTYPE target SYSTEM "gdb-target.dtd">\n<target version="1.0">\n'
        f"<architecture>{target.architecture}</architecture>\n<osabi>none</osabi>\n{features}</target>\n"
    )


def _register(register: GdbRegister) -> str:
    """LLDB needs the names and numbers behind `type`: it knows no guest by itself."""
    attributes = {
        "name": register.name,
        "bitsize": REGISTER_BITS,
        "regnum": register.number,
        "type": register.kind,
        "altname": register.alias,
        "dwarf_regnum": "" if register.dwarf is None else register.dwarf,
        "gcc_regnum": "" if register.dwarf is None else register.dwarf,
        "generic": register.role,
    }
    text = " ".join(f"{name}={quoteattr(str(value))}" for name, value in attributes.items() if value != "")
    return f"<reg {text}/>\n"


def memory_map(size: int) -> str:
    """The whole address space: what is mapped changes, and GDB asks once."""
    return f'{HEADER}<memory-map><memory type="ram" start="0x0" length="{size:#x}"/></memory-map>\n'


def threads(name: str) -> str:
    """The one CPU."""
    return f'{HEADER}<threads><thread id="{THREAD:x}" name={quoteattr(name)}/></threads>\n'
