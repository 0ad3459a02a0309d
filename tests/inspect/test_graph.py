"""The graph of units: its nodes, its edges and their weights, and Graphviz's language."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dynarec.inspect.graph import LOOP, Edge, graph, hottest, loops, to_dot
from dynarec.inspect.model import Exit, Label, Recording, Unit
from tests.inspect.recordings import full, recorded


def made(*exits: Exit, rounds: int | None = 100) -> Unit:
    """A unit with such exits."""
    return replace(recorded().units[0], exits=exits, rounds=rounds, died=None, faulted=())


def jump(target: int = 0x9000, taken: int | None = 10, linked: int | None = None, kind: str = "jump") -> Exit:
    return Exit(kind, target, 1, 0, taken, 0, linked)


def recording_of(*units: Unit) -> Recording:
    numbered = tuple(replace(unit, serial=number, key=0x1000 * number) for number, unit in enumerate(units, 1))
    return replace(recorded(), units=numbered, labels=(Label(0x1000, 4, "one", True),))


def test_nodes_are_the_living_units() -> None:
    recording = full()
    assert [node.unit for node in graph(recording).nodes] == list(recording.live)


def test_edges() -> None:
    recording = recording_of(
        made(jump(linked=2), jump(0x2000, 5), jump(0x7000, 1), jump(0, 2, kind="indirect"), jump(kind="budget")),
        made(jump(0x1000, None), rounds=None),
    )
    assert graph(recording).edges == (
        Edge(1, 2, 0x9000, "jump", (0,), 10, True),
        Edge(1, 2, 0x2000, "jump", (1,), 5, False),
        Edge(1, None, 0x7000, "jump", (2,), 1, False),
        Edge(1, None, 0, "indirect", (3,), 2, False),
        Edge(1, 1, 0x1000, LOOP, (), 82, True),
        Edge(2, 1, 0x1000, "jump", (0,), None, False),
    )


def test_exits_to_one_place_are_one_edge() -> None:
    recording = recording_of(made(jump(0x2000, 3), jump(0x2000, 4), rounds=7), made(rounds=0))
    assert graph(recording).edges == (Edge(1, 2, 0x2000, "jump", (0, 1), 7, False),)
    unknown = recording_of(made(jump(0x2000, 3), jump(0x2000, None), rounds=7), made(rounds=0))
    assert graph(unknown).edges[0].count is None


def test_rounds_that_end_early_are_loops() -> None:
    """A round ends in an exit, in a fault, or at the head."""
    unit = replace(made(jump(taken=10), jump(taken=30, kind="round", linked=1)), faulted=((0, 5),))
    assert loops(unit) == 85
    edge = graph(recording_of(unit)).edges[1]
    assert (edge.kind, edge.exits, edge.count) == (LOOP, (1,), 85)


@pytest.mark.parametrize("rom", ["ledger", "words"])
def test_what_comes_in_goes_out(rom: str) -> None:
    """In a run of a program: every round of a unit ends in one of its edges."""
    recording = recorded(rom)
    edges = graph(recording, recording.units).edges
    for unit in recording.units:
        out = sum(edge.count or 0 for edge in edges if edge.source == unit.serial)
        assert out + sum(times for _, times in unit.faulted) == unit.rounds


def test_some_units_and_their_neighbours() -> None:
    recording = recording_of(
        made(jump(0x2000)), made(jump(0x3000)), made(jump(0x4000)), made(jump(0x5000)), made(jump(0x6000))
    )
    chosen = [recording.units[2]]
    assert [node.serial for node in graph(recording, chosen).nodes] == [3]
    assert graph(recording, chosen).edges[0].target is None
    near = graph(recording, chosen, neighbours=True)
    assert [node.serial for node in near.nodes] == [2, 3, 4]
    assert [(edge.source, edge.target) for edge in near.edges if edge.kind != LOOP] == [(2, 3), (3, 4), (4, None)]


def test_the_hottest() -> None:
    recording = full()
    shares = [recording.share(unit) for unit in hottest(recording, 5)]
    assert shares == sorted(map(recording.share, recording.units), reverse=True)[:5]


def test_dot() -> None:
    recording = replace(recording_of(made(jump(0x2000)), made()), labels=(Label(0x1000, 4, 'a "b"\\', True),))
    text = to_dot(graph(recording))
    assert text.startswith("digraph units {\n")
    assert text.endswith("}\n")
    assert text.count("{") == text.count("}")
    assert r'label="a \"b\"\\\n' in text
    assert re.search(r'u1 -> u2 \[label="10" penwidth=[\d.]+ style=dashed\];', text)
    assert "u2 -> u2" in text
