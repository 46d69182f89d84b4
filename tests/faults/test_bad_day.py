"""A provider's bad day, lived through by a whole client: all ends, both sides' counts agree, and it can be lived again."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any, NamedTuple

import pytest
from faults_table import DIALECTS  # type: ignore[import-not-found]

from llm_sync import LLMClient, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.simulator import RequestRecord, Simulator

# What a caller gets whose last attempt met this rule of the script; whatever is not named lets the answer through.
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
    """What a client got, request by request, and what the simulator saw of each."""

    told: list[str]
    ends: list[Any]
    seen: dict[str, list[RequestRecord]]
    summary: dict[str, Any]


def live(count: int, concurrency: int, seed: int = 1) -> Day:
    """``count`` requests over the providers of every dialect, ``concurrency`` at a time for each."""
    with Simulator(script="bad-day", seed=seed) as simulator:
        providers = "\n".join(
            f'  {name}: {{api_key: made-up, base_url: "{simulator.url(name)}", models: ["{model}"], concurrency: {concurrency}}}'
            for name, model in DIALECTS.items()
        )
        # Time-outs are rare and long enough that an answer is not late because the machine is busy.
        defaults = "{max_retries: 3, retry_base: 0.01, retry_cap: 0.1, timeout: 3}"
        begun = time.monotonic()
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
        told = [end_of(end) for end in ends]
        print(f"\n{count} requests, {concurrency} at a time: {time.monotonic() - begun:.1f} s, {dict(Counter(told))}")
        return Day(told, ends, seen, simulator.summary())


def end_of(end: Any) -> str:
    """One word for what a request came to."""
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


def agree(day: Day) -> None:
    """Client and simulator tell the same story of every request, and the simulator's sums are those of its records."""
    assert len(day.ends) == len(day.seen) == len(day.told)
    resent = 0
    for number, (told, end) in enumerate(zip(day.told, day.ends, strict=True)):
        records = day.seen[f"request {number}."]
        attempts = [record for record in records if record.status is not None or record.rules]
        assert all(record.outcome == "expired_keep_alive" for record in records if record not in attempts)
        last = attempts[-1]
        assert told == LASTING.get(last.rules[-1], "answered"), (end, records)
        # A connection that is closed or reset when it is used again has expired: the client asks anew without counting that.
        # Where the end comes late, as on a busy machine, it counts.
        anew = len(records) - end.attempts
        hung_up = sum(record.rules[-1] == "hung-up" for record in attempts)
        assert 0 <= anew <= len(records) - len(attempts) + hung_up, (end, records)
        resent += anew
        if told in ("answered", "truncated"):
            assert (end.usage.input_tokens, end.usage.output_tokens) == (last.input_tokens, last.output_tokens)
    every = [record for records in day.seen.values() for record in records]
    billed = [record for record in every if record.billed]
    providers = day.summary["providers"].values()
    assert len(every) == day.summary["requests"] == sum(end.attempts for end in day.ends) + resent
    assert Counter(record.outcome for record in every) == sum((Counter(each["outcomes"]) for each in providers), Counter())
    assert len(billed) == sum(each["billed"] for each in providers)
    assert sum(record.output_tokens for record in billed) == sum(each["output_tokens"] for each in providers)
    assert day.summary["in_flight"] == day.summary["stream_attempts"] == 0


def met(day: Day) -> Counter[str]:
    """The rules by how often they were met."""
    return Counter(rule for records in day.seen.values() for record in records for rule in record.rules)


def fates(day: Day) -> list[list[tuple[str, ...]]]:
    """The rules that took each request, attempt by attempt."""
    return [[record.rules for record in day.seen[f"request {number}."] if record.rules] for number in range(len(day.ends))]


def test_five_hundred_requests_of_a_bad_day() -> None:
    """One at a time and eight at a time: every request meets the same fate, and it is written down."""
    orderly, crowded = live(500, 1), live(500, 8)
    agree(orderly)
    agree(crowded)
    assert orderly.told == crowded.told
    assert len(set(orderly.told)) > 3  # it is a bad day
    assert fates(orderly) == fates(crowded)
    other = fates(live(100, 8, seed=2))
    assert other != fates(orderly)[:100]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_twenty_thousand_requests_of_a_bad_day() -> None:
    """As above, four and sixteen at a time; every rule of the script is met."""
    some, many = live(20_000, 4), live(20_000, 16)
    agree(some)
    agree(many)
    assert some.told == many.told
    assert fates(some) == fates(many)
    assert set(met(some)) == {*LASTING, *UNNOTICED, *PASSING}
    print(dict(met(some).most_common()))
