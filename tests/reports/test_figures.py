"""The figures equal those of a slow, plain computation, on random runs."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.reports import summarize
from llm_sync.reports.statistics import mcnemar, paired_interval, wilson

_RECORD = st.one_of(
    st.fixed_dictionaries(
        {
            "text": st.sampled_from(["yes", "no", "maybe"]),
            "latency_ms": st.sampled_from([1.0, 2.0, 2.0, 50.0, 1e6]) | st.floats(0, 1e5),
            "cost_estimate": st.none() | st.floats(0, 10),
            "attempts": st.integers(1, 4),
            "truncated": st.booleans(),
        }
    ),
    st.sampled_from(["ContentBlockedError", "NetworkError", "RateLimitError"]),
)
_RUN = st.lists(st.tuples(_RECORD, _RECORD), min_size=1, max_size=25)


def records(run: list[Any]) -> list[dict[str, Any]]:
    """Each line for two models."""
    made = []
    for index, pair in enumerate(run):
        for model, what in zip("ab", pair, strict=True):
            more = {"model": model, "input": {"want": "yes"}}
            made.append(failure(index, what, **more) if isinstance(what, str) else answer(index, **what))
            made[-1].update(more)
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(_RUN)
def test_figures_of_random_runs(run: list[Any]) -> None:
    """Counts, accuracy, quantiles with ties, sums, and the discordant items of both models."""
    made = records(run)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "out.jsonl")
        path.write_text("".join(json.dumps(record) + "\n" for record in made))
        with summarize(str(path), expect="want") as report:
            models, pair = report.models, report.pair("p/a", "p/b")
    for place, row in enumerate(models):
        mine = [pair[place] for pair in run]
        answers = [each for each in mine if isinstance(each, dict)]
        right = sum(each["text"] == "yes" for each in answers)
        assert row.answered + row.cut == len(answers)
        assert row.cut == sum(each["truncated"] for each in answers)
        assert row.blocked == mine.count("ContentBlockedError")
        failed = Counter(each for each in mine if isinstance(each, str) and each != "ContentBlockedError")
        assert row.failed == dict(failed)
        assert (row.scored, row.passed) == (len(answers), right)
        assert row.accuracy == (right / len(answers) if answers else None)
        assert row.passed_of_all == (right / len(run) if answers else None)
        costs = [each["cost_estimate"] for each in answers if each["cost_estimate"] is not None]
        assert row.cost == (pytest.approx(sum(costs)) if costs else None)
        assert row.unpriced == len(answers) - len(costs)
        assert row.retries == sum(each["attempts"] - 1 for each in answers)
        latencies = [each["latency_ms"] for each in answers]
        if len(latencies) > 1:
            percentiles = statistics.quantiles(latencies, n=100, method="inclusive")
            assert row.latency_p50_ms == pytest.approx(statistics.median(latencies))
            assert row.latency_p95_ms == pytest.approx(percentiles[94])
    both = [(a["text"] == "yes", b["text"] == "yes") for a, b in run if isinstance(a, dict) and isinstance(b, dict)]
    assert (pair.items, pair.both_answered, pair.both_scored) == (len(run), len(both), len(both))
    assert (pair.only_a, pair.only_b) == (both.count((True, False)), both.count((False, True)))
    assert (pair.improved, pair.worsened) == (pair.only_b, pair.only_a)
    if both:
        assert pair.difference == pytest.approx(sum(b - a for a, b in both) / len(both))
        assert pair.difference_low <= pair.difference <= pair.difference_high  # type: ignore[operator]


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_wilson_interval_solves_its_equation(passed: int, others: int) -> None:
    """Both bounds p satisfy (share - p)² = z² p (1 - p) / n, which defines them."""
    total = passed + others
    interval = wilson(passed, total)
    if interval is None:
        assert total == 0
        return
    z = statistics.NormalDist().inv_cdf(0.975)
    for bound in interval:
        assert (passed / total - bound) ** 2 == pytest.approx(z * z * bound * (1 - bound) / total, abs=1e-12)
    assert interval[0] <= passed / total <= interval[1]


def test_known_values() -> None:
    """Of the literature: Newcombe's example for Wilson, and a McNemar test worked out by hand."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar(0, 0) is None
    assert mcnemar(600, 600) == pytest.approx(1.0)


def test_the_bootstrap_repeats_and_agrees_with_the_normal_interval() -> None:
    """The same seed gives the same bounds; for many pairs they are near those of the normal distribution."""
    differences = Counter({1.0: 300, 0.0: 1000, -1.0: 200})
    mean, low, high, method = paired_interval(differences, 7)  # type: ignore[misc]
    assert (mean, low, high, method) == paired_interval(differences, 7)
    assert method == "bootstrap"
    spread = math.sqrt(sum(count * (value - mean) ** 2 for value, count in differences.items()) / 1500 / 1500)
    assert low == pytest.approx(mean - 1.96 * spread, abs=0.004)
    assert high == pytest.approx(mean + 1.96 * spread, abs=0.004)
    assert paired_interval(Counter({1.0: 3000, 0.0: 1}), 7)[3] == "normal"  # type: ignore[index]
