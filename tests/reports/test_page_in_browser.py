"""The page in a real Chromium: charts, filters, search, keys, and texts that try to be more than text."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_browser import CHROMIUM, DRIVER, Browser  # type: ignore[import-not-found]
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.reports import summarize
from llm_sync.reports.page import write_page

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium or chromedriver is absent (Debian: chromium, chromium-driver)"
)

HOSTILE = [
    "<script>window.executed = 1</script><img src=x onerror='window.executed = 1'>",
    "</script><script>window.executed = 1</script>",
    "<!--<script>",
    "&lt;b&gt; &#60;script&#62; <b>bold</b>",
    "javascript:window.executed=1 ${window.executed=1} {{ window.executed=1 }}",
    "abc\u202edef\u2066ghi\u200b",
    "\x1b]8;;http://example.invalid/\x07link\x1b]8;;\x07\x1b[31m",
    "a\x00b\ud800c\u2028d\u2029",
    "<svg onload='window.executed=1'>" * 40_000,
]
COUNT = "Number(document.getElementById('shown').textContent.split(' ')[0].replaceAll(',', ''))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests here."""
    one = Browser(tmp_path_factory.mktemp("chromium"))
    yield one
    one.close()


@pytest.fixture
def opened(browser: Browser, output: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Opens the page of some records; at the end the console was empty, and nothing was asked for but the file."""
    path = tmp_path / "page.html"

    def show(records: list[dict[str, Any]], width: int = 1200, **options: Any) -> Browser:
        with summarize(output(records), expect=options.pop("expect", None)) as report, path.open("w", encoding="utf-8") as file:
            write_page(report, file, **options)
        browser.appear(width, "light")
        browser.open(path)
        return browser

    yield show
    assert browser.run("return window.executed ?? null") is None
    assert browser.log() == []
    assert browser.requests() == [path.as_uri()]


def of(model: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record of another model."""
    return {**record, "model": model}


def lines(count: int) -> list[dict[str, Any]]:
    """Two models: n disagrees on each third line, is cut on line 1, fails on line 2, and is the slower one."""
    records: list[dict[str, Any]] = []
    for index in range(count):
        given = {"want": "yes", "question": f"question number {index}"}
        records.append(answer(index, "yes", input=given))
        other = answer(index, "no" if index % 3 == 0 else "yes", truncated=index == 1, latency_ms=5000.0 + index, input=given)
        records.append(of("n", failure(index, input=given) if index == 2 else other))
    return records


def choose(browser: Browser, name: str, value: str) -> None:
    """Set a filter as a user does."""
    browser.run(
        "const f = document.getElementById('filters').elements[arguments[0]]; f.value = arguments[1];"
        "f.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def first_lines(browser: Browser, most: int = 3) -> list[str]:
    """The labels at the top of the list."""
    return browser.run(
        f"return [...document.querySelectorAll('#list .rows button')].slice(0, {most}).map((node) => node.textContent)"
    )


def test_the_charts_are_drawn(opened: Callable[..., Browser]) -> None:
    """Cost, latency and timeline have lines and points with a size on the screen, and a description for those who do not see."""
    browser = opened(lines(40), expect="want")
    sizes = browser.run(
        "return [...document.querySelectorAll('figure svg')].map((svg) => {"
        "const b = [...svg.querySelectorAll('.series path, .series circle')].map((n) => n.getBoundingClientRect());"
        "return [svg.getAttribute('aria-label').length, b.length, Math.max(...b.map((r) => Math.max(r.width, r.height)))]})"
    )
    assert len(sizes) == 3
    for description, shapes, largest in sizes:
        assert description > 20
        assert shapes >= 1
        assert largest >= 8


def test_labels_of_points_cover_no_other_point(opened: Callable[..., Browser]) -> None:
    """Models of about the same cost and accuracy can still be told apart."""
    browser = opened([of(f"a-model-{n}", answer(0, cost_estimate=0.5 + n / 20)) for n in range(4)])
    overlaps = browser.run(
        "const svg = document.querySelector('figure svg'), boxes = [...svg.querySelectorAll('.series circle, .series text')]"
        ".map((node) => node.getBoundingClientRect()); let count = 0;"
        "boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {"
        "if (a.left < b.right && b.left < a.right && a.top + 4 < b.bottom && b.top + 4 < a.bottom) count++ }));"
        "return [boxes.length, count]"
    )
    assert overlaps == [8, 0]


@pytest.mark.parametrize(
    ("show", "model", "count"),
    [
        ("all", "", 30),
        ("disagree", "", 10),
        ("wrong", "", 10),
        ("wrong", "0", 0),
        ("cut", "", 1),
        ("failed", "1", 1),
        ("failed", "0", 0),
    ],
)
def test_filters(opened: Callable[..., Browser], show: str, model: str, count: int) -> None:
    """Each leaves the lines it names, of any model or of one."""
    browser = opened(lines(30), expect="want")
    choose(browser, "show", show)
    choose(browser, "model", model)
    browser.wait(f"{COUNT} === arguments[0]", count)


def test_search_and_order(opened: Callable[..., Browser]) -> None:
    """A text is searched in inputs and answers, whatever its case; an order puts the largest first."""
    browser = opened(lines(30), expect="want")
    choose(browser, "text", "NUMBER 17")
    browser.wait(f"{COUNT} === 1")
    assert first_lines(browser) == ["q17"]
    choose(browser, "text", "")
    browser.wait(f"{COUNT} === 30")
    choose(browser, "order", "latency")
    browser.wait("document.querySelector('#list .rows button').textContent === 'q29'")
    assert first_lines(browser) == ["q29", "q28", "q27"]
    choose(browser, "order", "disagreement")
    browser.wait("document.querySelectorAll('#list .rows button')[1].textContent === 'q3'")
    assert first_lines(browser) == ["q0", "q3", "q6"]


def test_a_table_is_sorted_by_its_heads(opened: Callable[..., Browser]) -> None:
    """A click on a number's head puts the largest first, a second the smallest; the state is there for screen readers."""
    browser = opened(lines(30), expect="want")
    click = "document.querySelectorAll('#models th .sort')[arguments[0]].click();"
    read = "return [...document.querySelectorAll('#models tbody th')].map((n) => n.textContent.trim())"
    state = "return document.querySelectorAll('#models thead th')[arguments[0]].getAttribute('aria-sort')"
    assert browser.run(click + read, 5) == ["p/n", "p/m"]  # failed
    assert browser.run(state, 5) == "descending"
    assert browser.run(click + read, 5) == ["p/m", "p/n"]
    assert browser.run(click + read, 0) == ["p/m", "p/n"]
    assert browser.run(state, 5) is None


def test_differences_are_marked(opened: Callable[..., Browser]) -> None:
    """Words that another model has otherwise are marked, and those alone."""
    browser = opened([answer(0, "it is three, I think"), of("n", answer(0, "it is four, I think"))])
    assert browser.run("return [...document.querySelectorAll('#list mark')].map((node) => node.textContent)") == ["four"]


def test_keys_move_through_the_list_and_open_the_texts(opened: Callable[..., Browser]) -> None:
    """Arrows, Home and End move the focus through lines that are not in the page yet; Enter opens, Escape closes."""
    browser = opened(lines(500))
    focused = "return document.activeElement.textContent"
    browser.run("document.querySelector('#list .rows button').focus()")
    browser.press("ArrowDown", 40)
    assert browser.run(focused) == "q1"
    browser.press("End", 35)
    assert browser.run(focused) == "q499"
    browser.press("ArrowUp", 38)
    assert browser.run(focused) == "q498"
    browser.run("document.activeElement.click()")
    assert browser.run("return document.querySelector('dialog[open] h2').textContent") == "q498"
    browser.press("Escape", 27)
    browser.wait("document.querySelector('dialog[open]') === null")
    assert browser.run(focused) == "q498"
    browser.press("Home", 36)
    assert browser.run(focused) == "q0"


def test_few_of_many_lines_are_in_the_page(opened: Callable[..., Browser]) -> None:
    """Wherever one scrolls, some rows are there, and never all; a screen reader knows how many there are."""
    browser = opened(lines(3000))
    rows = "document.querySelectorAll('#list .rows .row').length"
    for share in 0, 0.5, 1:
        browser.run("const l = document.getElementById('list'); l.scrollTop = l.scrollHeight * arguments[0]", share)
        browser.wait(f"{rows} > 3 && {rows} < 60")
        number = "Number([...document.querySelectorAll('#list .rows .row')].at(-1).getAttribute('aria-rowindex'))"
        browser.wait(f"Math.abs({number} - 3000 * arguments[0]) < 40", share)
    assert browser.run("return document.getElementById('list').getAttribute('aria-rowcount')") == "3001"


@pytest.mark.parametrize("width", [400, 1600])
def test_the_page_fits_its_window(opened: Callable[..., Browser], width: int) -> None:
    """Nothing is wider than the window but what scrolls in itself."""
    long_name = "x" * 120
    browser = opened([of(long_name, answer(0, long_name * 5)), failure(1, long_name)], width)
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_hostile_texts_execute_nothing(opened: Callable[..., Browser]) -> None:
    """As answers, inputs, ids, models, classes and messages; in the list, in the dialog and in the search."""
    records = []
    for index, text in enumerate(HOSTILE):
        given = {text[:60]: text}
        records.append(of(HOSTILE[0], answer(index, text, id=f"{index}{text[:50]}", input=given)))
        records.append(of(HOSTILE[1], failure(index, text[:80], id=f"{index}{text[:50]}", input=given)))
        records[-1]["error"]["message"] = text
    browser = opened(records, title=HOSTILE[0], certificate={HOSTILE[1]: HOSTILE[0]})
    for place in range(len(HOSTILE)):
        browser.run("detail.open(arguments[0])", place)
    shown = browser.run("detail.open(5); return document.querySelector('dialog .columns .text').textContent")
    assert shown == "abcU+202EdefU+2066ghiU+200B"
    shown = browser.run("detail.open(7); return document.querySelector('dialog .columns .text').textContent")
    assert shown == "aU+0000bU+D800cU+2028dU+2029"
    browser.run("detail.dialog.close()")
    choose(browser, "text", "<script>")
    browser.wait(f"{COUNT} === 3")
    assert browser.run("return document.querySelectorAll('main img, main b, #list svg, dialog svg, main script').length") == 0


def test_the_policy_stops_a_request_and_a_foreign_script(browser: Browser, output: Callable[..., str], tmp_path: Path) -> None:
    """If text became markup all the same, it could neither run nor send."""
    path = tmp_path / "page.html"
    with summarize(output([answer(0)])) as report, path.open("w", encoding="utf-8") as file:
        write_page(report, file)
    browser.open(path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        browser.run(
            "const s = document.createElement('script'); s.textContent = 'window.executed = 1'; document.body.append(s);"
            "const i = document.createElement('img'); i.onerror = () => { window.refused = true }; i.src = arguments[0];"
            "document.body.append(i);",
            f"http://127.0.0.1:{server.getsockname()[1]}/",
        )
        browser.wait("window.refused")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert browser.run("return window.executed ?? null") is None
    assert "".join(browser.log()).count("Content Security Policy") >= 2


def test_the_first_lines_are_printed(opened: Callable[..., Browser]) -> None:
    """On paper there is no scrolling: the list is written out, and says where it ends."""
    browser = opened(lines(150))
    count = "return document.querySelectorAll('#list .rows .row').length"
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(count) == 100
    assert "The first 100" in browser.run("return document.getElementById('list').textContent")
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(count) < 60
