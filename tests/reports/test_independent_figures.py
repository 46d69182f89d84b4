"""The figures equal those that pandas and scipy compute from the same records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.reports import ModelRow, PairRow, summarize
from llm_sync.reports.statistics import mcnemar, wilson

pandas = pytest.importorskip("pandas")
stats = pytest.importorskip("scipy.stats")

_ANSWER = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["yes", "YES ", "no", "maybe"]),
        "latency_ms": st.sampled_from([1.0, 50.0, 50.0, 900.0]) | st.floats(0.1, 1e5),
        "cost_estimate": st.none() | st.floats(0, 10),
        "attempts": st.integers(1, 4),
        "truncated": st.booleans(),
        "cached": st.booleans(),
    }
)
_FAILURE = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["ContentBlockedError", "RateLimitError", "RequestTimeoutError"]),
        "attempts": st.none() | st.integers(1, 4),
        "billed": st.none() | st.floats(0, 10),
    }
)
_RUN = st.lists(st.tuples(*[st.none() | _ANSWER | _FAILURE] * 2), min_size=1, max_size=40).filter(
    lambda run: all(any(line[place] for line in run) for place in (0, 1))
)


def record(index: int, model: str, what: dict[str, Any]) -> dict[str, Any]:
    """The record of an answer or a failure."""
    more: dict[str, Any] = {"model": model, "input": {"want": "yes"}}
    if "text" in what:
        return {**answer(index, **what), **more}  # type: ignore[no-any-return]
    billed = {} if what["billed"] is None else {"billed": {"cost_estimate": what["billed"]}}
    error = {"type": what["type"], "message": "no", "attempts": what["attempts"]}
    return {**failure(index, error=error, **more), **billed}  # type: ignore[no-any-return]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(_RUN)
def test_of_random_runs(output: Callable[..., str], run: list[tuple[Any, Any]]) -> None:
    """Counts, accuracy, Wilson's interval, quantiles, sums and McNemar's test, with failures, ties and lines that one lacks."""
    cases = [(index, model, what) for index, line in enumerate(run) for model, what in zip("ab", line, strict=True) if what]
    path = output([record(*case) for case in cases])
    names = ["type", "text", "latency_ms", "cost_estimate", "billed", "attempts", "truncated", "cached"]
    frame = pandas.DataFrame(
        [{"line": index, "model": model, **dict.fromkeys(names), **what} for index, model, what in cases]
    ).astype({"latency_ms": float, "cost_estimate": float, "billed": float, "attempts": float})
    frame["passed"] = frame.text.str.strip().str.casefold().eq("yes")
    with summarize(path, expect="want") as report:
        assert pandas.DataFrame(report.to_dicts()).set_index("model").requests.to_dict() == frame.model.value_counts().to_dict()
        for row in report.models:
            check_model(row, frame[frame.model == row.model])
        if len(report.models) > 1:
            check_pair(report.pair("p/a", "p/b"), frame[frame.text.notna()])
    Path(path).unlink()


def check_model(row: ModelRow, mine: Any) -> None:
    """Compare a model's row with its records."""
    answers = mine[mine.text.notna()]
    failures = mine.type.dropna().value_counts().to_dict()
    assert row.blocked == failures.pop("ContentBlockedError", 0)
    assert (row.failed, row.cut, row.answered + row.cut) == (failures, answers.truncated.eq(True).sum(), len(answers))
    assert (row.scored, row.passed) == (len(answers), answers.passed.sum())
    if row.scored:
        interval = stats.binomtest(int(row.passed), row.scored).proportion_ci(method="wilson")
        assert (row.accuracy_low, row.accuracy_high) == pytest.approx((interval.low, interval.high), abs=1e-12)
        assert row.accuracy == pytest.approx(answers.passed.mean())
        assert row.passed_of_all == pytest.approx(answers.passed.sum() / len(mine))
    latencies = answers[answers.cached.eq(False)].latency_ms
    quantiles = [None if latencies.empty else pytest.approx(latencies.quantile(share)) for share in (0.5, 0.95)]
    assert [row.latency_p50_ms, row.latency_p95_ms] == quantiles
    costs = pandas.concat([mine.cost_estimate, mine.billed]).dropna()
    assert row.cost == (None if costs.empty else pytest.approx(costs.sum()))
    assert row.retries == mine.attempts.fillna(1).sub(1).sum()


def check_pair(pair: PairRow, answers: Any) -> None:
    """Compare a pair's row with the answers to the lines that both answered."""
    both = answers.pivot_table(index="line", columns="model", values="passed", aggfunc="first").dropna()
    both = both.astype(bool) if set(both) == {"a", "b"} else pandas.DataFrame({"a": [], "b": []}, dtype=bool)
    counts = len(both), (both.a & ~both.b).sum(), (both.b & ~both.a).sum()
    assert (pair.both_scored, pair.only_a, pair.only_b) == counts
    discordant = pair.only_a + pair.only_b
    p_value = stats.binomtest(pair.only_a, discordant).pvalue if discordant else None
    assert pair.p_value == (None if p_value is None else pytest.approx(p_value))
    assert pair.difference == (pytest.approx(both.b.mean() - both.a.mean()) if len(both) else None)


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_of_large_numbers(first: int, second: int) -> None:
    """Wilson's interval, and McNemar's exact test on the discordant items of very many."""
    if not first + second:
        return
    interval = stats.binomtest(first, first + second).proportion_ci(method="wilson")
    assert wilson(first, first + second) == pytest.approx((interval.low, interval.high), abs=1e-9)
    p_value = stats.binomtest(first, first + second).pvalue
    assert mcnemar(first, second) == pytest.approx(p_value, rel=1e-6, abs=1e-290)  # scipy gives 0 for smaller ones
