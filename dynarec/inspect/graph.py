"""Units as nodes, and the ways from one to another as weighted edges: to be drawn, or handed to Graphviz."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from dynarec.inspect.model import Recording, Unit

LOOP = "loop"
"""Kind of the edge from a unit to its own head within its own code; the other kinds are those of exits."""
ROUND = "round"
"""The kind of exit that is one, before a round is whole."""
FOLLOWED = "jump"
"""The kind of exit that leads to one known place."""
LEFT_OUT = "budget"
"""Exits of this kind come back to where they are."""


@dataclass(frozen=True, slots=True)
class Node:
    """A unit. name: of its key. share: of the time, 0 to 1."""

    unit: Unit
    name: str
    share: float

    @property
    def serial(self) -> int:
        return self.unit.serial


@dataclass(frozen=True, slots=True)
class Edge:
    """The exits of one unit that lead to one place.

    source, target: serials; target is None where no unit of the graph is known to be. address: of that place; 0 if it
    is computed. kind: that of the exits, or LOOP. exits: their numbers; a loop has none. count: how often that way was
    taken; None if it was not counted. is_linked: generated code goes that way by itself.
    """

    source: int
    target: int | None
    address: int
    kind: str
    exits: tuple[int, ...]
    count: int | None
    is_linked: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by serial, edges by their source and the first of their exits."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph(recording: Recording, units: Iterable[Unit] | None = None, *, neighbours: bool = False) -> Graph:
    """The graph of some units; None: of all that live. neighbours: with those that are one step away."""
    found = {unit.serial: unit for unit in (recording.live if units is None else units)}
    if neighbours:
        found |= _neighbours(recording, found)
    ordered = [found[serial] for serial in sorted(found)]
    keys = _by_key(ordered)
    nodes = (Node(unit, recording.name(unit.key), recording.share(unit)) for unit in ordered)
    edges = (edge for unit in ordered for edge in _edges(unit, found, keys))
    return Graph(tuple(nodes), tuple(edges))


def hottest(recording: Recording, count: int) -> list[Unit]:
    """The units with the largest shares of the time, largest first."""
    return sorted(recording.units, key=lambda unit: (-recording.share(unit), unit.serial))[:count]


def loops(unit: Unit) -> int | None:
    """How often a unit went back to its own head by itself. None if that was not counted.

    A round ends in an exit, in a fault, or there; the exit for a budget that is used up comes before a round.
    """
    taken = _sum(each.taken for each in unit.exits if each.kind not in (LEFT_OUT, ROUND))
    if unit.rounds is None or taken is None:
        return None
    return max(0, unit.rounds - taken - sum(times for _, times in unit.faulted))


def _neighbours(recording: Recording, chosen: dict[int, Unit]) -> dict[int, Unit]:
    keys = _by_key(recording.live)
    found: dict[int, Unit] = {}
    for unit in recording.units:
        targets = {target for edge in _edges(unit, recording.by_serial, keys) if (target := edge.target) is not None}
        if unit.serial in chosen:
            found |= {serial: recording.by_serial[serial] for serial in targets}
        elif not targets.isdisjoint(chosen):
            found[unit.serial] = unit
    return found


def _by_key(units: Iterable[Unit]) -> dict[int, int]:
    """Serials of the living ones, by their keys."""
    return {unit.key: unit.serial for unit in units if unit.alive}


def _edges(unit: Unit, among: Container[int], keys: dict[int, int]) -> Iterator[Edge]:
    """Those that begin in a unit; they end in units whose serials are in `among`."""
    ways: dict[tuple[int | None, int, str], list[int]] = {}
    for number, each in enumerate(unit.exits):
        if each.kind not in (LEFT_OUT, ROUND):
            target = _target(unit, number, among, keys)
            ways.setdefault((target, each.target, each.kind), []).append(number)
    for (target, address, kind), numbers in ways.items():
        exits = [unit.exits[number] for number in numbers]
        count = _sum(each.taken for each in exits)
        yield Edge(
            unit.serial, target, address, kind, tuple(numbers), count, any(each.linked is not None for each in exits)
        )
    early = tuple(number for number, each in enumerate(unit.exits) if each.kind == ROUND)
    if early or loops(unit):
        yield Edge(unit.serial, unit.serial, unit.key, LOOP, early, loops(unit), True)


def _target(unit: Unit, number: int, among: Container[int], keys: dict[int, int]) -> int | None:
    """The unit that an exit leads to: that it is linked to, or that the run loop would find."""
    each = unit.exits[number]
    if each.kind != FOLLOWED:
        return None
    serial = each.linked if each.linked is not None or not unit.alive else keys.get(each.target)
    return serial if serial in among else None


def _sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


# -- Graphviz ---------------------------------------------------------------------------------------------------------

HEAT = ("#ffffff", "#fff3c4", "#ffd98a", "#ffb35c", "#f5793a")
"""Fills of nodes, by share: none, up to 1 %, 5 %, 20 %, more."""
STEPS = (0.0, 0.01, 0.05, 0.2)
WIDEST = 6.0


def to_dot(drawn: Graph) -> str:
    """The graph in the language of Graphviz."""
    most = max((edge.count or 0 for edge in drawn.edges), default=0)
    lines = [
        "digraph units {",
        '  node [shape=box style=filled fontname="monospace" fillcolor=white];',
        '  edge [fontname="monospace" fontsize=10];',
        *(f"  {_node(node)}" for node in drawn.nodes),
        *(f"  {line}" for edge in drawn.edges for line in _edge(edge, most)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    unit = node.unit
    rounds = "" if unit.rounds is None else f"{unit.rounds:,} rounds, "
    size = f"{len(unit.pcs)} instructions, {len(unit.code)} bytes"
    label = "\\n".join([_escaped(node.name), size, f"{rounds}{node.share:.1%}"])
    fill = HEAT[sum(node.share > step for step in STEPS)]
    dead = "" if unit.alive else ' style="filled,dashed"'
    return f'u{unit.serial} [label="{label}" fillcolor="{fill}"{dead}];'


def _edge(edge: Edge, most: int) -> Iterator[str]:
    """A line, and one for the place that it leads to if that is no unit."""
    target = f"u{edge.target}"
    if edge.target is None:
        target = f"x{edge.source}_{edge.exits[0]}"
        text = edge.kind if edge.kind != FOLLOWED else f"{edge.address:#010x}"
        yield f'{target} [label="{text}" shape=plaintext fillcolor=transparent];'
    label = "" if edge.count is None else f'label="{edge.count:,}" '
    width = 1 + (WIDEST - 1) * (edge.count or 0) / most if most else 1.0
    style = "" if edge.is_linked else " style=dashed"
    yield f"u{edge.source} -> {target} [{label}penwidth={width:.2f}{style}];"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
