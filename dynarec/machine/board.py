"""The boards of machine `virt`: where their devices are, and the device tree that tells a kernel so."""

from __future__ import annotations

from dataclasses import dataclass

from dynarec.machine.devicetree import CELL, Node, Property
from dynarec.machine.recognise import RAM_START
from guest_isa.privileged import Privileged

PAGE = 0x1000
UART_SOURCE = 10
"""Its number at the interrupt controller."""
CLINT_SIZE, PLIC_SIZE, UART_SIZE = 0x1_0000, 0x60_0000, 0x100
PLIC_SOURCES = 31
UART_CLOCK = 3_686_400
CPU_CONTROLLER, CONTROLLER, FINISHER = 1, 2, 3
"""Phandles."""
POWER_OFF, REBOOT = 0x5555, 0x7777


@dataclass(frozen=True, slots=True)
class Board:
    """Addresses of devices, and the clock: ticks a second, and instructions a tick when time is virtual.

    plic: None where the serial port has no interrupt and there is no controller.
    """

    clint: int
    plic: int | None
    uart: int
    finisher: int
    ticks_per_second: int
    instructions_per_tick: int

    @property
    def instructions_per_second(self) -> int:
        """How fast virtual time passes."""
        return self.ticks_per_second * self.instructions_per_tick


BOARDS = {
    "virt": Board(0x0200_0000, 0x0C00_0000, 0x1000_0000, 0x0010_0000, 10_000_000, 100),
    "mini": Board(0x1100_0000, None, 0x1000_0000, 0x1110_0000, 1_000_000, 1000),
}
"""QEMU's board virt, and that of mini-rv32ima. In virtual time both retire 1,000 million instructions a second."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the tree says beside the board: bytes of RAM, the kernel's command line, start and end of the initrd."""

    memory: int
    append: str
    initrd: tuple[int, int] | None = None


def device_tree(board: Board, privileged: Privileged, contents: Contents) -> Node:
    """The tree of a board with one CPU."""
    memory: dict[str, Property] = {"device_type": "memory", "reg": _reg(RAM_START, contents.memory)}
    finisher = {"regmap": FINISHER, "offset": 0}
    return Node(
        "",
        {"#address-cells": 2, "#size-cells": 2, "compatible": "riscv-virtio", "model": "dynarec,virt"},
        [
            Node("chosen", _chosen(board, contents)),
            Node(f"memory@{RAM_START:x}", memory),
            _cpus(board, privileged),
            Node("soc", {"#address-cells": 2, "#size-cells": 2, "compatible": "simple-bus", "ranges": None},
                 list(_devices(board, privileged))),
            Node("poweroff", {"compatible": "syscon-poweroff", "value": POWER_OFF, **finisher}),
            Node("reboot", {"compatible": "syscon-reboot", "value": REBOOT, **finisher}),
        ],
    )  # fmt: skip


def fit(root: Node, contents: Contents) -> None:
    """Say in a tree that somebody else has made how much RAM there is, and what is for the kernel, where it differs."""
    memory = next((node for node in root.children if _is_memory(node)), None)
    if memory is not None:
        sizes = [_number(root.properties.get(f"#{kind}-cells"), default) for kind, default in _CELLS]
        reg = RAM_START.to_bytes(CELL * sizes[0], "big") + contents.memory.to_bytes(CELL * sizes[1], "big")
        memory.properties = {**memory.properties, "reg": reg}
    chosen = root.child("chosen")
    if chosen is None:
        chosen = Node("chosen", {})
        root.children.append(chosen)
    chosen.properties = {**chosen.properties, **_for_kernel(contents)}


_CELLS = (("address", 2), ("size", 1))
"""Their numbers of cells, and the default (Devicetree Specification 0.4, 2.3.5)."""
MOST_CELLS = 4


def _is_memory(node: Node) -> bool:
    return node.properties.get("device_type") == b"memory\0"


def _number(value: Property, default: int) -> int:
    """A count of cells; anything odd is the default."""
    number = int.from_bytes(value, "big") if isinstance(value, bytes) else default
    return number if 0 < number <= MOST_CELLS else default


def _reg(address: int, size: int) -> tuple[int, ...]:
    return 0, address, 0, size


def _chosen(board: Board, contents: Contents) -> dict[str, Property]:
    return {"stdout-path": f"/soc/serial@{board.uart:x}", **_for_kernel(contents)}


def _for_kernel(contents: Contents) -> dict[str, Property]:
    chosen: dict[str, Property] = {}
    if contents.append:
        chosen["bootargs"] = contents.append
    if contents.initrd is not None:
        chosen["linux,initrd-start"], chosen["linux,initrd-end"] = contents.initrd
    return chosen


def _cpus(board: Board, privileged: Privileged) -> Node:
    names = privileged.boards
    controller = Node(
        "interrupt-controller",
        {
            "compatible": names.controller, "#interrupt-cells": 1, "#address-cells": 0, "interrupt-controller": None,
            "phandle": CPU_CONTROLLER,
        },
    )  # fmt: skip
    cpu = Node("cpu@0", {"device_type": "cpu", "reg": 0, "status": "okay", **names.cpu}, [controller])
    cells: dict[str, Property] = {"#address-cells": 1, "#size-cells": 0}
    return Node("cpus", {**cells, "timebase-frequency": board.ticks_per_second}, [cpu])


def _line(bit: int) -> int:
    """The number of an interrupt line, from its bit."""
    return bit.bit_length() - 1


def _devices(board: Board, privileged: Privileged) -> list[Node]:
    names = privileged.boards
    port: dict[str, Property] = {
        "compatible": "ns16550a", "reg": _reg(board.uart, UART_SIZE), "clock-frequency": UART_CLOCK,
    }  # fmt: skip
    timer = (CPU_CONTROLLER, _line(privileged.software), CPU_CONTROLLER, _line(privileged.timer))
    nodes = [
        Node(f"test@{board.finisher:x}", {
            "compatible": ("sifive,test1", "sifive,test0", "syscon"), "reg": _reg(board.finisher, PAGE),
            "phandle": FINISHER,
        }),
        Node(f"clint@{board.clint:x}", {
            "compatible": names.timer, "reg": _reg(board.clint, CLINT_SIZE), "interrupts-extended": timer,
        }),
    ]  # fmt: skip
    if board.plic is not None:
        port |= {"interrupts": UART_SOURCE, "interrupt-parent": CONTROLLER}
        nodes.append(_controller(board.plic, privileged))
    return [Node(f"serial@{board.uart:x}", port), *nodes]


def _controller(address: int, privileged: Privileged) -> Node:
    properties: dict[str, Property] = {
        "compatible": privileged.boards.interrupts, "reg": _reg(address, PLIC_SIZE), "phandle": CONTROLLER,
        "interrupts-extended": (CPU_CONTROLLER, _line(privileged.external)), "interrupt-controller": None,
        "#interrupt-cells": 1, "#address-cells": 0, "riscv,ndev": PLIC_SOURCES,
    }  # fmt: skip
    return Node(f"plic@{address:x}", properties)
