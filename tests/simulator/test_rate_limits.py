"""Enforced rate limits: token buckets, concurrency, and their headers."""

from __future__ import annotations

import json
import threading

import pytest

from llm_sync.simulator import Simulator
from llm_sync.simulator.faults import rate_limits
from llm_sync.simulator.faults.rate_limits import RateLimiter


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self):
        return self.now


def limited(**settings):
    """A simulator with a rate limit."""
    return Simulator(script={"rules": [{"rate_limit": settings}]})


def test_a_bucket_fills_evenly():
    """A burst passes at once, then one request a second at 60 per minute; the bucket never holds more than the burst."""
    clock = Clock()
    limit = RateLimiter({"requests_per_minute": 60, "burst": 3}, clock)
    assert [limit.enter("a") for _ in range(3)] == [None] * 3
    exceeded = limit.enter("a")
    assert exceeded is not None
    assert exceeded.wait == pytest.approx(1)
    assert (exceeded.state.limit, exceeded.state.remaining, exceeded.requested) == (60, 0, 1)
    clock.now += 1
    assert limit.enter("a") is None
    assert limit.enter("a") is not None
    assert limit.enter("b") is None
    clock.now += 3600
    assert [limit.enter("a") is None for _ in range(4)] == [True, True, True, False]


def test_waiting_for_the_given_time_is_enough():
    """A request passes after exactly the time that the limit has given."""
    clock = Clock()
    limit = RateLimiter({"requests_per_minute": 7, "burst": 1}, clock)
    for _ in range(50):
        assert limit.enter("a") is None
        exceeded = limit.enter("a")
        clock.now += exceeded.wait + 1e-9


def test_tokens_are_taken_as_they_are_billed():
    """A request larger than the bucket never passes, and gets no time to wait."""
    clock = Clock()
    limit = RateLimiter({"tokens_per_minute": 600}, clock)
    assert limit.enter("a") is None
    assert limit.spend("a", 500) is None
    exceeded = limit.spend("a", 200)
    assert exceeded.wait == pytest.approx(10)
    assert exceeded.state.kind == "tokens"
    assert limit.spend("a", 601).wait is None


def test_concurrency_is_what_is_in_flight():
    """A request that ends makes room for another."""
    limit = RateLimiter({"concurrency": 1})
    assert limit.enter("a") is None
    assert limit.enter("a").wait == 1.0
    assert limit.enter("b") is None
    limit.leave("a")
    assert limit.enter("a") is None
    limit.leave("never came")
    assert limit.enter("never came") is None


def test_names_are_bounded(monkeypatch):
    """The number of tracked models and keys is bounded; those with requests in flight are kept."""
    monkeypatch.setattr(rate_limits, "_MAX_USAGES", 3)
    limit = RateLimiter({"concurrency": 1})
    limit.enter("busy")
    for n in range(10):
        limit.enter(str(n))
        limit.leave(str(n))
    assert len(limit._usages) <= 4
    assert limit.enter("busy") is not None


def test_the_limit_says_how_it_stands(connect):
    """Answers within the limit have the dialect's rate limit headers."""
    with limited(requests_per_minute=60, burst=10) as simulator:
        wire = connect(simulator)
        for left in (9, 8):
            headers = wire.prompt("openai").headers
            assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("60", str(left))
            assert headers["x-ratelimit-reset-requests"].endswith("s")
        headers = wire.prompt("anthropic").headers
        assert headers["anthropic-ratelimit-requests-remaining"] == "9"
        assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        assert wire.prompt("openrouter").headers["x-ratelimit-remaining"] == "9"
        assert not any("ratelimit" in name for name in wire.prompt("gemini").headers)
        (first, *_) = simulator.requests
        assert (first.outcome, first.rules) == ("ok", ("rate_limit",))


def test_over_the_limit_is_the_dialects_429(connect, dialect):
    """Beyond the limit, requests get the dialect's 429 with a time to wait, and are not billed."""
    with limited(requests_per_minute=1, burst=1) as simulator:
        wire = connect(simulator)
        assert wire.prompt(dialect).status == 200
        got = wire.prompt(dialect)
        assert got.status == 429
        if dialect.startswith("openai"):
            assert "on requests per min (RPM): Limit 1, Used 1, Requested 1. Please try again in " in got.body["error"]["message"]
            assert (got.body["error"]["type"], got.body["error"]["code"]) == ("requests", "rate_limit_exceeded")
            assert got.headers["x-ratelimit-remaining-requests"] == "0"
        elif dialect == "anthropic":
            assert 55 < float(got.headers["retry-after"]) <= 60
        elif dialect == "gemini":
            delay = next(detail["retryDelay"] for detail in got.body["error"]["details"] if "retryDelay" in detail)
            assert 55 <= int(delay.rstrip("s")) <= 60
        elif dialect == "gemini-interactions":
            assert "Please try again in " in got.body["error"]["message"]
        elif dialect == "bedrock":
            assert "retry-after" not in got.headers
        else:
            assert got.headers["x-ratelimit-remaining"] == "0"
        assert [(record.outcome, record.billed) for record in simulator.requests] == [("ok", True), ("rate_limit", False)]


def test_tokens_over_the_limit(connect):
    """A request that can never pass says so and has no time to wait."""
    with limited(tokens_per_minute=200) as simulator:
        wire = connect(simulator)
        got = [wire.prompt("openai", limit=limit) for limit in [20] * 12][-1]
        assert got.status == 429
        assert "tokens per min (TPM)" in got.body["error"]["message"]
        assert got.headers["x-ratelimit-reset-tokens"]
    with limited(tokens_per_minute=5) as simulator:
        got = connect(simulator).prompt("openai")
        assert got.body["error"]["message"].startswith(
            "Request too large for gpt-4o-mini on tokens per min (TPM): Limit 5, Used "
        )
        assert "try again" not in got.body["error"]["message"]


@pytest.mark.parametrize(
    ("per", "statuses"), [("provider", [429, 429, 200]), ("model", [429, 200, 200]), ("all", [429, 429, 429])]
)
def test_what_is_limited_together(connect, per, statuses):
    """``per`` limits a provider, a model, or all requests together."""
    with limited(requests_per_minute=1, burst=1, per=per) as simulator:
        wire = connect(simulator)
        wire.prompt("openai")
        got = [wire.prompt("openai"), wire.prompt("openai-responses", model="gpt-4o"), wire.prompt("gemini")]
        assert [each.status for each in got] == statuses


def test_keys_can_be_limited_apart(connect, shapes):
    """``per: key`` limits each key separately."""
    with limited(requests_per_minute=1, burst=1, per="key") as simulator:
        wire = connect(simulator)
        ask = [wire.ask("openai", shapes.question("openai"), headers={"Authorization": f"Bearer {key}"}) for key in "aab"]
        assert [got.status for got in ask] == [200, 429, 200]


def test_one_at_a_time(connect):
    """With concurrency 1, a second request is refused until the first is answered."""
    with limited(concurrency=1, hint="seconds", retry_after=7) as simulator, simulator.hold(lambda r: False):
        rules = simulator._script.rules
        entered, go = threading.Event(), threading.Event()
        limit = rules[0].action.limiter
        enter = limit.enter

        def wait(name):
            refused = enter(name)
            if refused is None and not entered.is_set():
                entered.set()
                go.wait(10)
            return refused

        limit.enter = wait
        first = []
        thread = threading.Thread(target=lambda: first.append(connect(simulator).prompt("openai")))
        thread.start()
        assert entered.wait(10)
        got = connect(simulator).prompt("openai")
        assert (got.status, got.headers["retry-after"]) == (429, "7")
        go.set()
        thread.join(10)
        assert first[0].status == 200
        assert connect(simulator).prompt("openai").status == 200


def test_a_slow_delivery_holds_its_place(connect):
    """A request is in flight until its last byte is sent."""
    script = {"rules": [{"rate_limit": {"concurrency": 1}, "continue": True}, {"when": {"prompt": "slow"}, "silence": "headers"}]}
    with Simulator(script=script) as simulator:
        slow = connect(simulator)
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "slow"}]})
        slow.connection.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer k"})
        assert slow.connection.getresponse().status == 200  # its body never comes
        assert connect(simulator).prompt("openai").status == 429
        slow.connection.close()
        simulator.wait_for_requests(2, ended=True)
        simulator.wait_for_connections(1)
        assert connect(simulator).prompt("openai").status == 200
