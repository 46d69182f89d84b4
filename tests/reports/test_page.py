"""The page as text: what is in it, what is escaped, what is sampled. test_page_in_browser.py opens it."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.errors import ConfigurationError
from llm_sync.reports import summarize
from llm_sync.reports.page import write_page
from llm_sync.reports.page.sample import MAX_TEXT, Sample
from llm_sync.reports.page.timeline import Timeline
from llm_sync.reports.page.visible import visible
from llm_sync.reports.rows import RecordRow

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def of(model: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record of another model."""
    return {**record, "model": model}


def page(output: Callable[..., str], records: list[dict[str, Any]], **options: Any) -> str:
    """The page of these records."""
    target = io.StringIO()
    with summarize(output(records)) as report:
        write_page(report, target, **options)
    return target.getvalue()


def data_of(text: str, element: str = "data") -> Any:
    """What a page holds for its script."""
    match = re.search(f'<script type="application/json" id="{element}">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    return json.loads(match[1])


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def row(number: int, start: float = 0, end: float = 1, **values: Any) -> RecordRow:
    """A row of an answer with times in seconds after START."""
    fields: dict[str, Any] = {"output": "o", "number": number, "column": "p/m", "item": number, "id": None, "index": number}
    fields |= {"line": None, "provider": "p", "model": "m", "status": "answered", "text": "t", "attempts": 1}
    fields |= {"started": START + timedelta(seconds=start), "finished": START + timedelta(seconds=end)}
    return RecordRow(**{**fields, **values})


def test_the_page_has_no_element_that_loads_anything(output: Callable[..., str]) -> None:
    """No link, image, frame or script with an address; and the policy forbids what is not in the file."""
    elements = Elements(page(output, [answer(0), failure(1)])).seen
    addresses = [value for _, attributes in elements for name, value in attributes.items() if name in ("src", "href", "data")]
    assert all(address is not None and address.startswith("#") for address in addresses)
    assert {tag for tag, _ in elements}.isdisjoint({"link", "img", "iframe", "object", "embed", "base"})
    (policy,) = [attributes["content"] for _, attributes in elements if "http-equiv" in attributes]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")


@pytest.mark.parametrize(
    "text",
    [
        "</script><script>alert(1)</script>",
        "<!-- <script>",
        "a & b &lt;",
        "line\u2028end\u2029",
        "\x00\x1b]8;;x\x07",
        "\ud800",
        "]]>",
    ],
)
def test_texts_come_back_from_the_page_as_they_were(output: Callable[..., str], text: str) -> None:
    """The data of the script is the records' text exactly, and the page has no element more for it."""
    ordinary = Elements(page(output, [answer(0, "plain")])).seen
    hostile = page(output, [answer(0, text)])
    assert data_of(hostile)["items"][0][4][0][1] == text
    assert [tag for tag, _ in Elements(hostile).seen] == [tag for tag, _ in ordinary]


def test_names_and_messages_are_text_too(output: Callable[..., str]) -> None:
    """Models, ids, classes, messages, inputs and the title may hold anything."""
    nasty = "<img src=x onerror=alert(1)>"
    records = [
        of(nasty, answer(0, provider=nasty, id=nasty, input={nasty: nasty})),
        failure(1, nasty, provider=nasty, model=nasty, id=nasty),
    ]
    text = page(output, records, title=nasty, certificate={nasty: [nasty]})
    assert "img" not in [tag for tag, _ in Elements(text).seen]
    assert nasty not in text


def test_hidden_characters_are_shown_and_joiners_are_not() -> None:
    """Direction, control and zero-width characters appear as code points; emoji and scripts that need joiners stay whole."""
    assert "U+202E" in visible("a\u202eb")
    assert "U+001B" in visible("\x1b[31m")
    assert visible("\U0001f469\u200d\U0001f4bb مرحبا\n") == "\U0001f469\u200d\U0001f4bb مرحبا\n"
    assert visible("<b>") == "&lt;b&gt;"


def test_the_certificate_is_in_the_page(output: Callable[..., str]) -> None:
    """A reader finds it as a table, a program as JSON."""
    certificate = {"outputs": [{"name": "a</script>.jsonl", "sha256": "12ab"}], "records": 1}
    text = page(output, [answer(0)], certificate=certificate)
    assert data_of(text, "certificate") == certificate
    assert "12ab" in text.partition('id="provenance"')[2].partition("</section>")[0]


def test_failures_are_counted_by_class_and_model_with_an_example(output: Callable[..., str]) -> None:
    """Each class has its number, and a message of one request."""
    records = [failure(0), failure(1), failure(2, model="n"), failure(3, "ContentBlockedError"), answer(4)]
    section = page(output, records).partition('id="failures"')[2].partition("</section>")[0]
    rows = [re.sub("<[^>]+>", " ", line.replace("<wbr>", "")).split() for line in section.split("<tr>")[2:]]
    assert [(line[0], line[-2], line[-1]) for line in rows] == [
        ("RateLimitError", "p/m", "2"),
        ("ContentBlockedError", "p/m", "1"),
        ("RateLimitError", "p/n", "1"),
    ]
    assert "RateLimitError!" in section


def test_a_difference_of_scores_is_worse_than_one_of_words(output: Callable[..., str]) -> None:
    """The list of the largest disagreements begins with lines on which one model passed and another did not."""
    records = [answer(0, "yes", input={"want": "yes"}), of("n", answer(0, "YES", input={"want": "yes"}))]
    records += [answer(1, "a", input={"want": "x"}), of("n", answer(1, "b", input={"want": "x"}))]
    records += [answer(2, "yes", input={"want": "yes"}), of("n", answer(2, "no", input={"want": "yes"}))]
    target = io.StringIO()
    with summarize(output(records), expect="want") as report:
        write_page(report, target)
    section = target.getvalue().partition('id="disagreements"')[2].partition("</section>")[0]
    assert re.findall(r'data-item="(\d+)"', section) == ["2", "1"]


def test_a_long_text_is_cut_and_says_so(output: Callable[..., str]) -> None:
    """An answer of a megabyte costs the page a part of that."""
    text = page(output, [answer(0, "x" * 1_000_000)])
    shown = data_of(text)["items"][0][4][0][1]
    assert shown.startswith("x" * MAX_TEXT)
    assert shown.endswith("[… 980,000 more characters in the output]")
    assert len(text) < 200_000


def test_a_page_without_times_costs_or_answers_says_so(output: Callable[..., str]) -> None:
    """Nothing is drawn of nothing."""
    text = page(output, [failure(0)])
    for words in "No record has a latency.", "The records have no times.", "No two answers to one input line differ.":
        assert words in text


def test_a_sample_is_complete_by_line_and_the_same_each_time() -> None:
    """Of too many input lines some are taken, with all records of each; memory is bounded while it is chosen."""
    items = [(number, (number * 11_400_714_819_323_198_485) % 2**64 - 2**63) for number in range(1000)]
    rows = [row(number, item=item, column=column) for column in "ab" for number, item in items]
    samples = []
    for _ in range(2):
        sample = Sample(max_items=50)
        for each in rows:
            sample.add(each)
        assert not sample.is_whole
        samples.append([[record.number for record in records] for records in sample.items()])
    assert samples[0] == samples[1]
    assert len(samples[0]) == 50
    assert all(len(numbers) == 2 and numbers[0] == numbers[1] for numbers in samples[0])


def test_a_page_of_a_sample_says_so(output: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader sees what is whole and what is not."""
    records = [answer(number) for number in range(30)]
    assert "random sample" not in page(output, records)
    monkeypatch.setattr(Sample.__init__, "__defaults__", (10, 1000, 10_000))
    text = page(output, records)
    assert "random sample: 10 input lines" in text
    assert len(data_of(text)["items"]) == 10


def test_requests_in_flight_add_up_to_the_answers_times() -> None:
    """However long the run is and wide its bins are, the area under the line is the sum of the times."""
    times = Timeline()
    spans = [(number * 1.7 % 5000, number * 1.7 % 5000 + 3 + number % 11) for number in range(6000)]
    for number, (start, end) in enumerate(spans):
        times.add(row(number, start, end))
    stretches = list(times.stretches("p"))
    assert len(stretches) < 5000
    first = stretches[0]
    area = sum((piece.end - piece.start) * piece.in_flight for piece in stretches[1:])
    assert area + (first.end - first.start) * first.in_flight == pytest.approx(sum(end - start for start, end in spans), rel=2e-3)


def test_pauses_of_one_provider_and_of_all_are_told_apart() -> None:
    """A gap in which the others work is the provider's; one in which nobody works is the run's."""
    times = Timeline()
    starts = [(0, "a"), (0, "b"), (1, "b"), (2, "b"), (3, "b"), (4, "a"), (60, "a"), (60, "b")]
    for number, (start, provider) in enumerate(starts):
        times.add(row(number, start, start + 1, provider=provider))
    times.add(row(99, started=None))
    pauses = [(pause.provider, round(pause.start), round(pause.end), pause.everyone) for pause in times.pauses()]
    assert pauses == [("a", 1, 4, False), ("b", 4, 60, False), ("a", 5, 60, True)]
    assert (times.timed, times.untimed) == (8, 1)


def test_without_the_extra_the_error_says_what_to_install(output: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written then."""
    target = io.StringIO()
    for name in [name for name in sys.modules if name.startswith("llm_sync.reports.page.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with summarize(output([answer(0)])) as report, pytest.raises(ConfigurationError, match="jinja2") as raised:
        write_page(report, target)
    assert "llm-sync[report]" in str(raised.value.guidance)
    assert target.getvalue() == ""


def test_later_imports_meet_no_hook_of_the_charts(output: Callable[..., str]) -> None:
    """Python 3.11 and older warn, at each import that fails, of hooks in the form of Python 2."""
    page(output, [answer(0)])
    assert [finder for finder in sys.meta_path if not hasattr(finder, "find_spec")] == []
