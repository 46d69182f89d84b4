"""A provider's bad day: all requests end, the counts of client and simulator agree, and a second run has the same outcomes."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import pytest
from faults_table import DIALECTS  # type: ignore[import-not-found]

from llm_sync import LLMClient, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.simulator import RequestRecord, Simulator

# The outcome of a request whose last attempt ran into this rule of the script; other rules let the answer through.
LASTING = {
    "down": "ProviderUnavailableError",
    "failing": "ProviderUnavailableError",
    "too-long": "ContextLengthExceededError",
    "unwanted": "ContentBlockedError",
    "declined": "ContentBlockedError",
    "filtered": "ContentBlockedError",
    "thought-too-long": "TruncatedResponseError",
    "cut-short": "truncated",
    "speechless": "EmptyResponseError",
}
UNNOTICED = ("pace", "waiting", "padded", "compressed", "idle-too-long")
PASSING = (
    "busy", "overload", "hiccup", "late-error", "gateway", "gateway-timeout", "hung-up", "torn", "short", "stuck", "vanished",
)  # fmt: skip


class Day(NamedTuple):
    """The outcome of each request, and the simulator's records of it."""

    outcomes: list[str]
    ends: list[Any]
    seen: dict[str, list[RequestRecord]]
    summary: dict[str, Any]


def run_day(count: int, concurrency: int, seed: int = 1) -> Day:
    """Make ``count`` requests to providers of every dialect, ``concurrency`` at a time for each."""
    with Simulator(script="bad-day", seed=seed) as simulator:
        providers = "\n".join(
            f'  {name}: {{api_key: made-up, base_url: "{simulator.url(name)}", models: ["{model}"], concurrency: {concurrency}}}'
            for name, model in DIALECTS.items()
        )
        # Timeouts are rare, and long enough that no answer is late because the machine is busy.
        # One retry more than the script takes: an attempt on a connection that has just been closed counts, too.
        defaults = "{max_retries: 4, retry_base: 0.01, retry_cap: 0.1, timeout: 3}"
        started = time.monotonic()
        with LLMClient(ConfigLoader().load_text(f"defaults: {defaults}\nproviders:\n{providers}\n")) as client:
            names = [f"{name}/{model}" for name, model in DIALECTS.items()]
            requests = (ModelRequest(f"request {n}.", names[n % len(names)], max_tokens=400, id=str(n)) for n in range(count))
            ends = list(client.map(requests, return_exceptions=True))
            status = client.status().values()
            assert sum(each.queued + each.in_flight for each in status) == 0
            assert sum(each.done + sum(each.failed.values()) for each in status) == count
        simulator.wait_for_connections(0)
        assert simulator.faults == []
        seen = defaultdict(list)
        for record in simulator.requests:
            seen[prompt_of(record)].append(record)
        outcomes = [end_of(end) for end in ends]
        print(f"\n{count} requests, {concurrency} at a time: {time.monotonic() - started:.1f} s, {dict(Counter(outcomes))}")
        return Day(outcomes, ends, seen, simulator.summary())


def end_of(end: Any) -> str:
    """The outcome of a request as one word."""
    if isinstance(end, Exception):
        return type(end).__name__
    return "truncated" if end.truncated else "answered"


def prompt_of(record: RequestRecord) -> str:
    """The user's text, in any dialect."""
    payload = record.payload
    turns = payload.get("messages") or payload.get("contents") or payload.get("input")
    last = turns if isinstance(turns, str) else turns[-1]
    if isinstance(last, dict):
        last = last.get("content") or last["parts"][0]["text"]
    return last if isinstance(last, str) else last[0]["text"]


def assert_counts_agree(day: Day) -> None:
    """Assert that client and simulator agree on every request, and that the simulator's sums are those of its records."""
    assert len(day.ends) == len(day.seen) == len(day.outcomes)
    unread_attempts = 0
    for number, (outcome, end) in enumerate(zip(day.outcomes, day.ends, strict=True)):
        records = day.seen[f"request {number}."]
        attempts = [record for record in records if record.status is not None or record.rules]
        assert all(record.outcome == "expired_keep_alive" for record in records if record not in attempts)
        last = attempts[-1]
        assert outcome == LASTING.get(last.rules[-1], "answered"), (end, records)
        # Every request that the simulator read is an attempt. One that reached a closed connection was not read.
        unread = end.attempts - len(records)
        assert unread >= 0, (end, records)
        unread_attempts += unread
        if outcome in ("answered", "truncated"):
            assert (end.usage.input_tokens, end.usage.output_tokens) == (last.input_tokens, last.output_tokens)
    print(f"{unread_attempts} attempts on connections that had just been closed")
    every = [record for records in day.seen.values() for record in records]
    billed = [record for record in every if record.billed]
    providers = day.summary["providers"].values()
    assert len(every) == day.summary["requests"] == sum(end.attempts for end in day.ends) - unread_attempts
    assert Counter(record.outcome for record in every) == sum((Counter(each["outcomes"]) for each in providers), Counter())
    assert len(billed) == sum(each["billed"] for each in providers)
    assert sum(record.output_tokens for record in billed) == sum(each["output_tokens"] for each in providers)
    assert day.summary["in_flight"] == day.summary["stream_attempts"] == 0


def rule_counts(day: Day) -> Counter[str]:
    """How often each rule applied."""
    return Counter(rule for records in day.seen.values() for record in records for rule in record.rules)


def rules_by_request(day: Day) -> list[list[tuple[str, ...]]]:
    """The rules that applied to each request, by attempt."""
    return [[record.rules for record in day.seen[f"request {number}."] if record.rules] for number in range(len(day.ends))]


def assert_same_rules(one: Day, other: Day) -> None:
    """Assert that the same rules applied to each request of both days, attempt by attempt.

    An attempt on a connection that had just been closed meets no rule, and counts as one of those that a request has. So a
    request that fails to the end may have met a rule less often for each such attempt.
    """
    for number, rules in enumerate(zip(rules_by_request(one), rules_by_request(other), strict=True)):
        (shorter, _), (longer, _) = sorted(zip(rules, (one, other), strict=True), key=lambda each: len(each[0]))
        assert longer[: len(shorter)] == shorter, (number, rules)
        day = one if len(rules[0]) < len(rules[1]) else other
        unmet = day.ends[number].attempts - len(shorter)
        assert len(longer) - len(shorter) <= unmet, (number, rules)


def test_five_hundred_requests_of_a_bad_day() -> None:
    """One at a time and eight at a time, every request has the same outcome; another seed has others."""
    orderly, crowded = run_day(500, 1), run_day(500, 8)
    assert_counts_agree(orderly)
    assert_counts_agree(crowded)
    assert orderly.outcomes == crowded.outcomes
    assert len(set(orderly.outcomes)) > 3  # it is a bad day
    assert_same_rules(orderly, crowded)
    other = rules_by_request(run_day(100, 8, seed=2))
    assert other != rules_by_request(orderly)[:100]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_twenty_thousand_requests_of_a_bad_day() -> None:
    """Four and sixteen at a time, every request has the same outcome, and every rule of the script applies."""
    some, many = run_day(20_000, 4), run_day(20_000, 16)
    assert_counts_agree(some)
    assert_counts_agree(many)
    assert some.outcomes == many.outcomes
    assert_same_rules(some, many)
    assert set(rule_counts(some)) == {*LASTING, *UNNOTICED, *PASSING}
    print(dict(rule_counts(some).most_common()))
