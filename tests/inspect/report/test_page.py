"""The page as a file: what it is made of, what it says, what it leaves out."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from dynarec.errors import DynarecError
from dynarec.inspect.code import UnitCode
from dynarec.inspect.model import Recording
from dynarec.inspect.report import write
from dynarec.inspect.report.contents import MOST_EVENTS, contents
from dynarec.inspect.report.listings import Listings
from dynarec.inspect.report.page import render
from tests.inspect import made
from tests.inspect.recordings import full, recorded
from tests.inspect.report.many import many
from tests.inspect.report.reading import Page, unpacked


def test_nothing_in_it_comes_from_elsewhere() -> None:
    page = Page(render(full()))
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), tag
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
    assert not page.all("link")
    assert "http" not in page.block("style")


def test_its_policy_lets_its_own_script_and_style_work_and_nothing_else() -> None:
    page = Page(render(full()))
    policies = [a["content"] or "" for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policies[0].split("; "))
    assert len(policies) == 1
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for kind in ("script", "style"):
        digest = hashlib.sha256(page.block(kind).encode()).digest()
        assert rules[f"{kind}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert set(rules) == {
        "default-src", "script-src", "style-src", "require-trusted-types-for", "base-uri", "form-action"
    }  # fmt: skip


def test_the_same_recording_gives_the_same_page() -> None:
    assert render(full()) == render(full())


HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "<!--<script>",
    "{{script}}",
    "'\"><img src=x onerror='window.pwned = 1'>",
    "\u202egnirts\u202c",
    "\ud800 alone",
    "__proto__",
    "a\x00b\nc\u2028d",
    "x" * 5000,
)


def hostile(recording: Recording) -> Recording:
    """The same with names that try to be more than names, one for each symbol."""
    names = [HOSTILE[index % len(HOSTILE)] for index in range(len(recording.labels))]
    labels = tuple(replace(label, name=name) for label, name in zip(recording.labels, names, strict=True))
    places = {pc: replace(place, file=HOSTILE[place.line % 4]) for pc, place in recording.places.items()}
    texts = dict.fromkeys(HOSTILE[:4], (HOSTILE[0],) * 100)
    subject = replace(recording.subject, program=HOSTILE[0])
    return replace(recording, labels=labels, places=places, texts=texts, subject=subject)


def test_names_stay_names() -> None:
    recording = hostile(full())
    page, plain = Page(render(recording)), Page(render(full()))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.title == f"{HOSTILE[0]}: translation cache"
    assert page.block("script") == plain.block("script")
    assert page.data["subject"]["program"] == HOSTILE[0]


def test_the_data_are_those_of_the_recording() -> None:
    recording = full()
    data = Page(render(recording)).data
    units = data["units"]
    assert units["serial"] == [unit.serial for unit in recording.units]
    assert units["key"] == [f"{unit.key:#010x}" for unit in recording.units]
    assert units["bytes"] == [len(unit.code) for unit in recording.units]
    assert units["rounds"] == [unit.rounds for unit in recording.units]
    assert [data["texts"][number] for number in units["symbol"]] == [
        label.name if (label := recording.label_at(unit.key)) else "" for unit in recording.units
    ]
    assert [died and data["texts"][died[2]] for died in units["died"]] == [
        unit.died and unit.died.reason for unit in recording.units
    ]
    assert data["totals"]["instructions"] == recording.instructions
    assert data["events"]["kind"] == [event.kind for event in recording.events]


def test_the_lines_are_those_of_the_units() -> None:
    recording = recorded()
    page = Page(render(recording))
    assert page.data["absent"] == {"lines": 0, "ir": 0}
    for unit in recording.units:
        lines, code = page.listings[str(unit.serial)], UnitCode(unit, recording.subject.guest)
        assert lines["guest"]["text"] == [line.text for line in code.guest_lines]
        assert [stage["name"] for stage in lines["ir"]] == [stage.name for stage in code.stages]
        assert lines["ir"][-1]["insn"] == [line.insn for line in code.stages[-1].lines]
        assert lines["host"]["op"] == [line.op for line in code.host_lines]
        assert bytes.fromhex("".join(lines["host"]["data"])) == unit.code
        assert lines["again"]


def test_what_does_not_fit_is_left_out_coldest_first_and_told() -> None:
    recording = many(200)
    whole = Listings(recording)
    size = sum(map(len, Listings(recording, most_ir=40).chunks))
    some = Listings(recording, most_bytes=size * 3 // 4, most_ir=40)
    assert whole.absent == {"lines": 0, "ir": 0}
    assert some.absent["lines"] == 200 - len(some.index) > 0
    shown = {serial: lines for chunk in some.chunks for serial, lines in unpacked(chunk).items()}
    assert some.absent["ir"] == sum(not lines["ir"] for lines in shown.values()) > 0
    coldest = min(recording.share(recording.by_serial[serial]) for serial in some.index)
    assert all(recording.share(unit) <= coldest for unit in recording.units if unit.serial not in some.index)


def test_old_events_are_left_out_and_told() -> None:
    recording = full()
    events = recording.events * (MOST_EVENTS // len(recording.events) + 1)
    data = contents(replace(recording, events=events))["events"]
    assert len(data["kind"]) == MOST_EVENTS
    assert data["left_out"] == len(events) - MOST_EVENTS
    assert data["serial"][-1] == events[-1].serial


def test_bytes_of_dead_units_are_there_until_their_generation_is_emptied() -> None:
    old = made.unit(1, 0x1000, died=made.death("store", time=5))
    gone = replace(made.unit(2, 0x1010, died=made.death("evicted", time=9)), born=old.born)
    young = replace(made.unit(3, 0x1020, died=made.death("store", time=30)), born=replace(old.born, time=20))
    live = replace(made.unit(4, 0x1030), born=replace(old.born, time=21))
    cache = replace(made.cache(), generations=(replace(made.cache().generations[0], end=1 << 20),))
    data = contents(made.recording(old, gone, young, live, cache=cache))
    assert data["units"]["there"] == [0, 0, 1, 1]


@pytest.mark.parametrize("recording", [made.recording(), made.recording(made.unit(1, 0x1000))])
def test_small_recordings_make_pages(recording: Recording) -> None:
    assert Page(render(recording)).data["subject"]["program"] == "program.elf"


def test_numbers_that_are_none_become_zero() -> None:
    odd = replace(made.unit(1, 0x1000), phases={"form": float("nan")})
    data = contents(made.recording(odd, cache=made.cache(seconds=float("inf"))))
    assert data["units"]["phases"] == [{"form": 0}]
    assert data["cache"]["stats"]["seconds"] == 0


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    write(recorded(), path)
    assert path.read_text("ascii").endswith("</html>\n")
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(DynarecError, match=r"missing.*cannot be written: No such file"):
        write(recorded(), tmp_path / "missing" / "page.html")
    with pytest.raises(DynarecError, match="is no file"):
        write(recorded(), tmp_path)
    assert not list(tmp_path.iterdir())
