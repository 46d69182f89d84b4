"""What summarize counts, and the rows that it gives."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.errors import InvalidRequestError
from llm_sync.reports import summarize
from llm_sync.reports.certificate import certificate
from llm_sync.reports.columns import answer_table


def test_each_record_has_one_status(output: Callable[..., str]) -> None:
    """Answered, cut, blocked and failed by class add up to the requests."""
    records = [
        answer(0),
        answer(1, truncated=True),
        failure(2, "ContentBlockedError"),
        failure(3),
        failure(4),
        failure(5, "NetworkError"),
    ]
    with summarize(output(records)) as report:
        (model,) = report.models
        assert [row.status for row in report.rows()] == ["answered", "cut", "blocked", "failed", "failed", "failed"]
    assert (model.requests, model.answered, model.cut, model.blocked) == (6, 1, 1, 1)
    assert model.failed == {"RateLimitError": 2, "NetworkError": 1}


def test_a_failure_is_no_wrong_answer(output: Callable[..., str]) -> None:
    """Accuracy is of the answers; the share of all expectations stands beside it."""
    records = [answer(0, input={"want": "YES "}), answer(1, "no", input={"want": "yes"}), failure(2, input={"want": "yes"})]
    with summarize(output(records), expect="want") as report:
        (model,) = report.models
        assert [row.passed for row in report.rows()] == [True, False, None]
    assert (model.scored, model.passed, model.expected) == (2, 1, 3)
    assert (model.accuracy, model.passed_of_all) == (0.5, 1 / 3)
    assert (model.accuracy_low, model.accuracy_high) == pytest.approx((0.0945, 0.9055), abs=1e-4)


def test_tokens_cost_times_and_retries(output: Callable[..., str]) -> None:
    """Sums of what is known; a billed failure costs, too; a cached answer has no latency."""
    records = [
        answer(0, latency_ms=100.0, attempts=3),
        answer(10, latency_ms=300.0, cost_estimate=None),
        answer(50, latency_ms=900.0, cached=True, cost_estimate=0.0, attempts=0),
        failure(3, billed={"input_tokens": 5, "output_tokens": None, "cost_estimate": 0.25}),
    ]
    with summarize(output(records)) as report:
        (model,) = report.models
    assert (model.input_tokens, model.output_tokens, model.cost, model.unpriced) == (14, 6, 0.75, 1)
    assert (model.latency_p50_ms, model.latency_p95_ms) == (200.0, pytest.approx(290.0))
    assert (model.retries, model.cached, model.wall_seconds) == (2, 1, pytest.approx(10.1))


def test_tiers_and_the_attempts_of_failures_in_both_forms(output: Callable[..., str]) -> None:
    """Tiers are counted by name, and failed requests have retries, too."""
    refused = {"type": "RateLimitError", "message": "slow down", "attempts": 4}
    ours = {"index": 2, "provider": "q", "model": "m", "outcome": "answered", "attempts": 1, "tier": "batch"}
    body = {"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    theirs = [
        {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None, "llm_sync": ours},
        {
            "custom_id": "b",
            "response": None,
            "error": {"code": "x", "message": "slow down"},
            "llm_sync": {**ours, "index": 3, "outcome": "RateLimitError", "attempts": 3},
        },
    ]
    mine = [answer(0), failure(1, error=refused)]
    mine[0]["response"]["tier"] = "flex"
    with summarize(output([*mine, *theirs])) as report:
        own, openai = report.models
    assert (own.tiers, own.retries, own.failed) == ({"flex": 1}, 3, {"RateLimitError": 1})
    assert (openai.tiers, openai.retries, openai.failed) == ({"batch": 1}, 2, {"RateLimitError": 1})


def test_records_of_one_line_are_one_item(output: Callable[..., str]) -> None:
    """By id over models and outputs, by position without ids; equal ids of one model are different items."""
    first = output([answer(0), answer(0, provider="r"), answer(1, id="q0"), answer(2, id=None)], "a.jsonl")
    second = output([answer(7, id="q0"), answer(2, id=None)], "b.jsonl")
    with summarize([first, second]) as report:
        items = [[(row.column, row.index) for row in item] for item in report.items()]
        assert report.models[0].column == "p/m [a.jsonl]"
    a, b = "p/m [a.jsonl]", "p/m [b.jsonl]"
    assert items == [[(a, 0), ("r/m", 0), (b, 7)], [(a, 1)], [(a, 2), (b, 2)]]


def asked(provider: str, error: str | None = None, attempts: int = 1) -> dict[str, Any]:
    """A step of a record's route."""
    return {"provider": provider, "model": "m", "error": error, "attempts": attempts}


def test_an_answer_by_a_route_is_listed_under_the_model_that_gave_it(output: Callable[..., str]) -> None:
    """Apart from what the same model was asked directly, and with the model that was named; in both forms."""
    went_on = [asked("p", "RateLimitError"), asked("r")]
    ours = {"index": 2, "provider": "p", "model": "m", "outcome": "answered", "attempts": 1, "route": went_on}
    body = {"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    records = [
        answer(0, route=[asked("p")]),
        answer(0, provider="r"),
        answer(1, route=went_on),
        {"custom_id": "c", "response": {"status_code": 200, "body": body}, "error": None, "llm_sync": ours},
    ]
    with summarize(output(records)) as report:
        models = {model.column: (model.provider, model.route_of, model.answered) for model in report.models}
        assert [row.route_of for row in report.rows()] == [None, None, "p/m", "p/m"]
    assert models == {"p/m": ("p", None, 1), "r/m": ("r", None, 1), "r/m (by route of p/m)": ("r", "p/m", 2)}


def test_a_failure_of_a_route_is_listed_under_the_model_whose_error_it_is(output: Callable[..., str]) -> None:
    """Models that were passed over, and those that failed before, have none of it."""
    down = "ProviderUnavailableError"
    records = [
        failure(0, down, route=[asked("p", down), asked("r", down), asked("s", down, attempts=0)]),
        failure(1, "ContentBlockedError", route=[asked("p", down), asked("r", "ContentBlockedError")]),
        failure(2, down, route=[asked("p", down)]),
    ]
    with summarize(output(records)) as report:
        routed, named = report.models
    assert (routed.column, routed.failures, routed.blocked) == ("r/m (by route of p/m)", 1, 1)
    assert (named.column, named.failures) == ("p/m", 1)


def test_rows_are_read_again_in_order(output: Callable[..., str]) -> None:
    """A row has all that its record says, each time."""
    with summarize(output([answer(n, f"text {n}") for n in range(5)])) as report:
        assert [row.text for row in report.rows()] == [row.text for row in report.rows()] == [f"text {n}" for n in range(5)]


def test_gzip_and_openai_results(output: Callable[..., str], tmp_path: Path) -> None:
    """An output in OpenAI's form, packed, has the same figures."""
    ours = {"index": 0, "provider": "p", "model": "m", "outcome": "truncated", "cost_estimate": 1.5, "attempts": 2}
    body = {"model": "m-1", "choices": [{"message": {"content": "hi"}, "finish_reason": "length"}]}
    body["usage"] = {"prompt_tokens": 4, "completion_tokens": 1}  # type: ignore[assignment]
    record = {"id": "1", "custom_id": "c", "response": {"status_code": 200, "body": body}, "error": None, "llm_sync": ours}
    path = tmp_path / "out.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode()))
    with summarize(str(path)) as report:
        (row,) = report.rows()
    assert (row.id, row.text, row.status, row.input_tokens, row.cost, row.attempts) == ("c", "hi", "cut", 4, 1.5, 2)


@pytest.mark.parametrize("content", ["nonsense\n", "[]\n", '{"id": 1}\n', '{"response": {}, "error": null}\n'])
def test_a_file_that_is_no_output_is_refused(tmp_path: Path, content: str) -> None:
    """With its name, and the line."""
    path = tmp_path / "other"
    path.write_text(content)
    with pytest.raises(InvalidRequestError, match="1 of .*other.* is not a record"):
        summarize(str(path))


def test_an_unfinished_output_is_refused(tmp_path: Path) -> None:
    """Its journal is there, the output is not."""
    (tmp_path / "out.part").write_text("")
    with pytest.raises(InvalidRequestError, match="is not finished"):
        summarize(str(tmp_path / "out"))


def test_expectations_that_fit_nothing_are_refused(output: Callable[..., str]) -> None:
    """A misspelt column is no accuracy of nothing."""
    with pytest.raises(InvalidRequestError, match="no record has a kept field 'wnat'.* are: want"):
        summarize(output([answer(0, input={"want": "x"})]), expect="wnat")


ODD: list[Any] = ["\ud800", [1], {"a": 1}, 10**40, float("inf"), float("nan"), True]
IN_RESPONSE = ("cost_estimate", "latency_ms", "attempts", "text", "model", "timestamp", "usage", "metadata", "finish_reason")
IN_RECORD = ("index", "id", "provider", "model", "settings", "line_hash", "line", "input", "response")


@pytest.mark.parametrize(("name", "is_outer"), [(name, False) for name in IN_RESPONSE] + [(name, True) for name in IN_RECORD])
def test_a_value_of_another_kind_is_refused_or_counted(output: Callable[..., str], name: str, is_outer: bool) -> None:
    """An output that was edited never ends in anything else, whatever is made of its records."""
    for odd in ODD:
        record = answer(0, input={"expected": "yes"})
        (record if is_outer else record["response"])[name] = odd
        path = output([record, answer(1)])
        with (
            contextlib.suppress(InvalidRequestError),
            summarize(path, expect="expected", check="contains") as report,
        ):
            assert report.records == 2
            certificate(report)
            list(answer_table(report).rows)
