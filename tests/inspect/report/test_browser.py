"""The page as people use it, in a real browser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dynarec.inspect.code import UnitCode
from dynarec.inspect.report import write
from tests.inspect.recordings import full
from tests.inspect.report.browser import DESKTOP, PHONE, chromium, seen
from tests.inspect.report.many import many
from tests.inspect.report.test_page import HOSTILE, hostile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RECORDING = many(300)
MANY = 5000 if "CI" in os.environ else 1500
DRESSES = [(DESKTOP, "light"), (PHONE, "dark"), *([(DESKTOP, "dark"), (PHONE, "light")] if "CI" in os.environ else [])]
VIEWS = ("summary", "units", "unit", "graph", "cache", "time", "flame")
HOTTEST = max(RECORDING.units, key=lambda unit: unit.instructions or 0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write(RECORDING, path)
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Any]:
    """Opens the page at a place."""
    with seen(browser) as window:
        yield lambda where="": window.open(file, where)


def names(page: Page) -> list[str]:
    """The first column of the table as it is shown."""
    return page.locator(".rows .body [role=gridcell]:first-child").all_inner_texts()


@pytest.mark.parametrize(("size", "scheme"), DRESSES)
def test_every_view_opens_in_every_dress(browser: Browser, file: Path, size: tuple[int, int], scheme: str) -> None:
    with seen(browser, size, scheme) as window:
        for view in VIEWS:
            page = window.open(file, f"view={view}")
            assert page.locator("nav [aria-current=page]").get_attribute("data-view") == view
            assert page.locator("main section").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], view


def test_the_table_sorts(page: Any) -> None:
    table = page("view=units")
    serials = [unit.serial for unit in sorted(RECORDING.units, key=lambda unit: (-len(unit.code), unit.serial))]
    table.click("[data-sort=bytes]")
    assert names(table)[:10] == [str(serial) for serial in serials[:10]]
    assert table.locator("[aria-sort=descending]").inner_text().startswith("Bytes")
    table.click("[data-sort=bytes]")
    assert table.locator("[aria-sort=ascending]").inner_text().startswith("Bytes")
    assert int(names(table)[0]) == min(RECORDING.units, key=lambda unit: (len(unit.code), unit.serial)).serial
    assert "sort=bytes" in table.url


@pytest.mark.parametrize(
    ("query", "test"),
    [
        ("dead", lambda unit: not unit.alive),
        ("live", lambda unit: unit.alive),
        ("reason:store", lambda unit: unit.died is not None and unit.died.reason == "store"),
        (f"{HOTTEST.pcs[0]:#x}", lambda unit: unit.holds(HOTTEST.pcs[0])),
        (f"#{HOTTEST.serial}", lambda unit: unit is HOTTEST),
        ("main+0x20", lambda unit: unit.holds(_address("main") + 0x20)),
        ("main dead", lambda unit: "main" in RECORDING.name(unit.key) and not unit.alive),
        ("no.such.name", lambda unit: False),
    ],
)
def test_the_table_filters(page: Any, query: str, test: Any) -> None:
    table = page("view=units&sort=serial")
    table.fill("#filter", query)
    expected = [str(unit.serial) for unit in RECORDING.units if test(unit)]
    assert names(table) == expected[: len(names(table))]
    assert table.locator("output").inner_text().startswith(f"{len(expected)} of 300 units")
    assert bool(names(table)) == bool(expected)


def _address(name: str) -> int:
    return next(label.address for label in RECORDING.labels if label.name == name)


def test_the_keyboard_opens_a_unit(page: Any) -> None:
    table = page("view=summary")
    table.keyboard.press("/")
    table.wait_for_selector("#filter:focus")
    table.keyboard.type("live")
    assert table.locator("output").inner_text().startswith(f"{len(RECORDING.live)} of ")
    table = page("view=units&sort=serial")
    table.keyboard.press("/")
    assert table.evaluate("document.activeElement.id") == "filter"
    table.focus(".rows")
    table.keyboard.press("ArrowDown")
    table.keyboard.press("ArrowDown")
    assert table.locator(".row.cursor [role=gridcell]").first.inner_text() == "3"
    table.keyboard.press("Enter")
    table.wait_for_url(re.compile("#unit=3$"))
    assert table.locator("h2").first.inner_text().startswith("Unit 3:")
    table.go_back()
    assert table.locator("main").get_attribute("data-view") == "units"


def test_selecting_a_line_marks_what_it_came_from_and_what_it_became(page: Any) -> None:
    unit = page(f"unit={HOTTEST.serial}")
    code = UnitCode(HOTTEST, RECORDING.subject.guest)
    line = next(line for line in code.host_lines if line.op >= 0 and code.stages[-1].lines[line.op].insn > 0)
    insn = code.stages[-1].lines[line.op].insn
    unit.click(f".host [data-index='{code.host_lines.index(line)}']")
    assert _marked(unit, "guest") == [insn]
    assert line.op in _marked(unit, "ir")
    assert set(_marked(unit, "host")) >= {at for at, other in enumerate(code.host_lines) if other.op == line.op}
    assert unit.locator("#said").inner_text().startswith(f"{HOTTEST.pcs[insn]:x} {code.guest_lines[insn].text}")


def test_a_guest_line_marks_all_that_it_became_in_each_stage(page: Any) -> None:
    unit = page(f"unit={HOTTEST.serial}")
    code = UnitCode(HOTTEST, RECORDING.subject.guest)
    unit.click(".guest [data-index='0']")
    for stage in code.stages:
        unit.click(f"[data-stage='{stage.name}']")
        assert unit.locator(".ir [role=option]").count() == len(stage.lines)
        assert _marked(unit, "ir") == [at for at, line in enumerate(stage.lines) if line.insn == 0]
    ops = [line.insn for line in code.stages[-1].lines]
    assert _marked(unit, "host") == [
        at for at, line in enumerate(code.host_lines) if line.op >= 0 and ops[line.op] == 0
    ]


def _marked(page: Page, pane: str) -> list[int]:
    lines = page.locator(f".{pane} :is(.chosen, .marked, .kin)")
    return [int(each.get_attribute("data-index") or "") for each in lines.all()]


def test_the_stage_before_a_pass_is_shown_beside_the_one_behind_it(page: Any) -> None:
    unit = page(f"unit={HOTTEST.serial}")
    stages = UnitCode(HOTTEST, RECORDING.subject.guest).stages
    unit.click("[data-stage='forward']")
    unit.check("#changes")
    kept = unit.locator(".ir [role=option]:not(.made)").count()
    assert unit.locator(".ir .gone").count() == len(stages[0].lines) - kept
    assert unit.locator(".ir .made").count() == len(stages[1].lines) - kept
    assert unit.locator(".ir .gone").count() > 0
    unit.click("#theme")
    assert unit.locator(".ir .gone").count() > 0
    unit.focus(".ir .listing")
    unit.keyboard.press("[")
    assert unit.locator("[data-stage='lifted']").get_attribute("aria-checked") == "true"


def test_exits_lead_to_other_units_and_mark_their_code(page: Any) -> None:
    source = next(unit for unit in RECORDING.units if unit.alive and any(_leads(exit_) for exit_ in unit.exits))
    number, target = next((n, exit_.linked) for n, exit_ in enumerate(source.exits) if _leads(exit_))
    unit = page(f"unit={source.serial}")
    unit.click(f"tr[data-exit='{number}'] button")
    assert unit.locator(".host .marked").count() > 0
    assert unit.locator(f".host .marked:not([data-exit='{number}'])").count() == 0
    assert _marked(unit, "guest") == [source.exits[number].executed - 1]
    unit.click(f"tr[data-exit='{number}'] a")
    unit.wait_for_url(re.compile(f"#unit={target}$"))
    assert unit.locator("h2").first.inner_text().startswith(f"Unit {target}:")


def _leads(exit_: Any) -> bool:
    return exit_.linked in RECORDING.by_serial


def test_the_graph_selects_zooms_pans_and_widens(page: Any) -> None:
    graph = page("view=graph")
    assert graph.locator(".node").count() == 30
    hot = graph.locator(f".node[data-unit='{HOTTEST.serial}']")
    hot.click()
    assert "selected" in (hot.get_attribute("class") or "")
    assert graph.url.endswith(f"unit={HOTTEST.serial}")
    before = graph.locator(".graph > g").get_attribute("transform")
    box = graph.locator(".graph").bounding_box()
    graph.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    graph.mouse.wheel(0, -300)
    graph.wait_for_function(
        "before => document.querySelector('.graph > g').getAttribute('transform') !== before", arg=before
    )
    assert _scale(graph) > _scale_of(before)
    zoomed = graph.locator(".graph > g").get_attribute("transform")
    graph.mouse.down()
    graph.mouse.move(box["x"] + 100, box["y"] + 100, steps=4)
    graph.mouse.up()
    assert graph.locator(".graph > g").get_attribute("transform") != zoomed
    assert _scale(graph) == _scale_of(zoomed)
    graph.select_option("#graph-size", "all")
    assert graph.locator(".node").count() == 300
    assert "selected" in (hot.get_attribute("class") or "")


def _scale(page: Page) -> float:
    return _scale_of(page.locator(".graph > g").get_attribute("transform"))


def _scale_of(transform: str | None) -> float:
    found = re.search(r"scale\(([\d.]+)\)", transform or "")
    assert found
    return float(found[1])


def test_units_of_the_graph_do_not_overlap(page: Any) -> None:
    graph = page("view=graph&size=all")
    places = graph.locator(".node").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('transform').match(/[-.0-9]+/g).map(Number))"
    )
    rows: dict[float, list[float]] = {}
    for x, y in places:
        rows.setdefault(y, []).append(x)
    gaps = [b - a for row in rows.values() for a, b in zip(sorted(row), sorted(row)[1:], strict=False)]
    assert len(places) == 300
    assert min(gaps) >= 148


def test_fingers_pinch_the_graph(browser: Browser, file: Path) -> None:
    with seen(browser, PHONE) as window:
        graph = window.open(file, "view=graph")
        before = _scale(graph)
        touch = graph.context.new_cdp_session(graph)
        for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 100), ("touchEnd", 0)):
            points = [{"x": 180 - apart, "y": 400}, {"x": 180 + apart, "y": 400}] if apart else []
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        assert _scale(graph) > before * 1.5


def test_the_cache_map_tells_and_selects_what_lies_there(page: Any) -> None:
    cache = page("view=cache")
    first = min((unit for unit in RECORDING.units if unit.alive), key=lambda unit: unit.offset)
    cache.hover(".map", position={"x": 2, "y": 10})
    assert RECORDING.name(first.key) in cache.locator("#tip").inner_text()
    cache.click(".map", position={"x": 2, "y": 10})
    assert cache.locator("#cache-said a").inner_text() == RECORDING.name(first.key)
    cache.keyboard.press("ArrowRight")
    second = sorted((unit for unit in RECORDING.units if unit.offset > first.offset), key=lambda unit: unit.offset)[0]
    assert cache.locator("#cache-said a").get_attribute("href") == f"#unit={second.serial}"


def test_a_bar_of_the_time_line_narrows_the_events(page: Any) -> None:
    time = page("view=time")
    said = time.locator("section output")
    assert said.inner_text() == f"{len(RECORDING.events)} of {len(RECORDING.events)} events"
    time.locator(".bin[data-bin='10']").click(position={"x": 3, "y": 60})
    assert not said.inner_text().startswith(str(len(RECORDING.events)))
    time.click("text=Whole time")
    time.select_option("#kind", "death")
    assert said.inner_text().startswith(f"{len(RECORDING.dead)} of ")


def test_the_flame_graph_divides_the_whole_width(page: Any) -> None:
    flame = page("view=flame")
    widths = flame.locator(".flame-bar[data-level='1']").evaluate_all(
        "bars => bars.map(b => parseFloat(b.style.width))"
    )
    assert sum(widths) == pytest.approx(100, abs=0.2)
    label = RECORDING.label_at(HOTTEST.key)
    assert label is not None
    flame.locator(f".flame-bar[aria-label^='{label.name}:']").click()
    assert flame.locator(".flame-bar[data-level='1']").inner_text() == label.name
    flame.locator(f".flame-bar[data-unit='{HOTTEST.serial}']").click()
    assert flame.locator("main").get_attribute("data-view") == "unit"


def test_the_theme_changes_and_stays(page: Any) -> None:
    shown = page("view=summary")
    light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    shown.click("#theme")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != light
    again = page("view=units")
    assert again.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_hostile_names_are_shown_and_do_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write(hostile(full()), path)
    with seen(browser) as window:
        for view in VIEWS:
            page = window.open(path, f"view={view}")
            page.wait_for_function("!document.querySelector('main').textContent.includes('Reading its code')")
            assert page.evaluate("window.pwned === undefined && !document.querySelector('main img, main script')")
        window.open(path, "view=units")
        text = page.inner_text("body")
        assert HOSTILE[0] in page.inner_text("h1")
        assert "\u202e" not in text


def test_markup_that_gets_in_by_a_mistake_is_refused(browser: Browser, file: Path) -> None:
    with seen(browser) as window:
        page = window.open(file)
        refused = page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return ''; } catch (error) { return error.name; } }"
        )
        assert refused == "TypeError"
        window.complaints.clear()  # the browser tells what it refused


def test_thousands_of_units_open_and_scroll(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write(many(MANY), path)
    with seen(browser) as window:
        page = window.open(path, "view=units&sort=serial")
        assert page.locator(".rows .body .row").count() < 100
        page.locator(".rows").evaluate("rows => { rows.scrollTop = rows.scrollHeight; }")
        page.wait_for_selector(f".row[aria-rowindex='{MANY + 1}']")
        assert names(page)[-1] == str(MANY)
        page.locator(".rows .body .row").last.click()
        page.wait_for_selector(".guest [role=option]")
        assert page.locator("h2").first.inner_text().startswith(f"Unit {MANY}:")
        print(page.evaluate("performance.now()"), "ms")


def test_paper_is_white(browser: Browser, file: Path) -> None:
    with seen(browser, scheme="dark") as window:
        for view in VIEWS:
            page = window.open(file, f"view={view}")
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark, view
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark, view


def test_a_printed_page_holds_the_rows_that_a_window_does_not(page: Any) -> None:
    table = page("view=units")
    table.emulate_media(media="print")
    table.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert table.locator(".rows .body .row").count() == 60
    assert not table.locator("nav").is_visible()
    table.emulate_media(media="screen")
    table.evaluate("dispatchEvent(new Event('afterprint'))")
    assert table.locator(".rows .body .row").count() < 60
