"""Host code generators, one package a host; every host has the same file names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dynarec.errors import DynarecError

if TYPE_CHECKING:
    from dynarec.host.base import Hardening, Host
    from guest_isa.guest import Guest

HOSTS = ("x86_64", "arm64")
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def native_host_name() -> str:
    """The host that this Python runs on."""
    machine = os.uname().machine.lower()
    if machine not in _MACHINES:
        raise DynarecError(f"this machine is {machine}; dynarec generates code for {' and '.join(HOSTS)}")
    return _MACHINES[machine]


_BIT_MANIPULATION = {"bmi2", "bmi1", "abm", "popcnt"}
"""What came with BMI2 or before it, in the words of Linux; `abm` is LZCNT."""


def cpu_has_bmi2() -> bool:
    """Whether this x86-64 CPU has BMI2, BMI1, LZCNT and POPCNT, as Linux tells."""
    try:
        with open("/proc/cpuinfo") as info:
            flags = next((line for line in info if line.startswith("flags")), "")
    except OSError:
        return False
    return set(flags.split()) >= _BIT_MANIPULATION


def make_host(name: str, guest: Guest, *, bmi2: bool = False, harden: frozenset[Hardening] = frozenset()) -> Host:
    """The code generator of the named host for a guest. bmi2: x86-64 only; harden: arm64 only."""
    jump_shift = guest.isa.parcel.bit_length() - 1
    if name == "x86_64":
        from dynarec.host.x86_64 import X86_64

        if harden:
            raise DynarecError("x86_64 code cannot be hardened: --harden is for arm64")
        return X86_64(guest.homes, jump_shift, bmi2)
    if name == "arm64":
        from dynarec.host.arm64 import Arm64

        return Arm64(guest.homes, jump_shift, harden)
    raise DynarecError(f"unknown host {name!r}: there is {' and '.join(HOSTS)}")


def make_native_host(guest: Guest, harden: frozenset[Hardening] = frozenset()) -> Host:
    """The code generator for this machine, with what its CPU offers."""
    name = native_host_name()
    return make_host(name, guest, bmi2=name == "x86_64" and cpu_has_bmi2(), harden=harden)
