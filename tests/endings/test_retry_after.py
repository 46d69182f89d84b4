"""What a provider says about when to come back, through the whole client: waited out, refused, or passed over."""

from __future__ import annotations

import json
import logging
import threading
import time
from email.utils import formatdate

import pytest
from endings_apparatus import PATIENCE_S

from llm_sync import ClientClosedError, ModelRequest, RateLimitError
from llm_sync.events import Waiting
from llm_sync.runtime.cancellation import CallControl

RETRY_INFO = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down", "details": [
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}}  # fmt: skip


class Clock:
    """Time that passes only while a request waits; every wait is noted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        """What time it is."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """In place of CallControl.wait."""
        self.waits.append(round(seconds, 6))
        self.now += seconds
        return False


@pytest.fixture
def clock(monkeypatch):
    """See Clock."""
    made = Clock()
    monkeypatch.setattr(CallControl, "wait", lambda control, seconds: made.wait(seconds))
    return made


def on(clock, client, provider):
    """Let one provider's waits pass in the clock's time, with chance always at its middle."""
    endpoint = client._endpoints[provider]
    endpoint.gate._clock = clock
    endpoint.gate._random = lambda: 0.5
    endpoint.provider._retry.clock = clock
    endpoint.provider._retry.random = lambda: 0.5


def refusing(headers=(), body=b"{}", times=1):
    """A script that answers the first so many requests to a or g with 429."""
    left = [times]

    def script(peer, seen):
        if seen.provider == "b" or not left[0]:
            return None
        left[0] -= 1
        peer.reply(body, "429 Too Many Requests", [header() if callable(header) else header for header in headers])
        return True

    return script


BACKOFF = 0.0005  # half of retry_base
WAITED = {
    "seconds": (["Retry-After: 2"], 2.1),  # and half of the tenth that spreads the workers
    "milliseconds": (["retry-after-ms: 1500"], 1.575),
    "the longer of both": (["retry-after-ms: 300", "Retry-After: 1"], 1.05),
    "a fraction": (["Retry-After: 0.5"], 0.525),
    "now": (["Retry-After: 0"], BACKOFF),
    "nothing": ([], BACKOFF),
    "NaN": (["Retry-After: NaN"], BACKOFF),
    "infinity": (["Retry-After: inf"], BACKOFF),
    "negative": (["Retry-After: -5"], BACKOFF),
    "garbage": (["Retry-After: soon", "retry-after-ms: ¿qué?"], BACKOFF),
    "an epoch taken for seconds": (["Retry-After: 1767225600"], BACKOFF),
    "a date that was": (["Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"], BACKOFF),
}


@pytest.mark.parametrize(("headers", "expected"), WAITED.values(), ids=WAITED)
def test_waits_right(serve, open_client, clock, headers, expected):
    """The hint, in its unit, is waited out once; what is none falls back to the ordinary back-off; then it is answered."""
    upstream = serve(refusing(headers))
    client = open_client(upstream)
    on(clock, client, "a")
    response = client.generate("x")
    assert (response.text, response.attempts) == ("echo x", 2)
    assert clock.waits == [expected]
    assert client.status()["a"].retries == 1


def test_waits_until_a_date(serve, open_client, clock):
    """An HTTP date is waited for by the wall clock, to its whole second."""
    upstream = serve(refusing([lambda: f"Retry-After: {formatdate(time.time() + 20, usegmt=True)}"]))
    client = open_client(upstream)
    on(clock, client, "a")
    assert client.generate("x").attempts == 2
    assert len(clock.waits) == 1
    assert 18.5 * 1.05 < clock.waits[0] <= 20 * 1.05


def test_waits_by_gemini_retry_info(serve, open_client, clock):
    """Gemini says it in the body, rounded down."""
    upstream = serve(refusing(body=json.dumps(RETRY_INFO).encode()))
    client = open_client(upstream, "g")
    on(clock, client, "g")
    assert client.generate("x").attempts == 2
    assert clock.waits == [8.4]


def test_an_hour_ends_the_request(serve, open_client, clock):
    """Longer than max_retry_after: the error at once with the hint; later requests are refused unsent; others are not."""
    upstream = serve(refusing(["Retry-After: 3600"]))
    client = open_client(upstream)
    on(clock, client, "a")
    with pytest.raises(RateLimitError, match="max_retry_after") as caught:
        client.generate("x")
    assert (caught.value.retry_after, caught.value.attempts) == (3600, 1)
    with pytest.raises(RateLimitError, match="nothing is sent until") as caught:
        client.generate("y")
    assert (caught.value.attempts, caught.value.retry_after) == (0, pytest.approx(3600))
    assert client.generate("z", "b/m").text == "echo z"
    assert client.status()["a"].cooling_down_until is not None
    clock.now += 3601
    assert client.generate("later").text == "echo later"
    assert upstream.texts() == ["x", "z", "later"]
    assert clock.waits == []


def test_the_queue_waits_with_the_first(serve, open_client, clock):
    """While a provider cools down, no worker of its sends anything; afterwards each goes with a spread of its own."""
    upstream = serve(refusing(["Retry-After: 10"]))
    client = open_client(upstream)
    on(clock, client, "a")
    client._endpoints["a"].gate.cool_down(10, RateLimitError("told to another worker"))
    assert client.generate("x").attempts == 2
    assert clock.waits == [10.5, 10.5]


@pytest.fixture
def waiting():
    """``waiting(reason)``: an event that is set when a request begins such a wait."""
    log, level = logging.getLogger("llm_sync.requests"), logging.getLogger("llm_sync.requests").level
    wanted: dict[str, threading.Event] = {}

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = record.event  # type: ignore[attr-defined]
            if isinstance(event, Waiting) and event.reason in wanted:
                wanted[event.reason].set()

    handler = Told()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield lambda reason: wanted.setdefault(reason, threading.Event())
    log.removeHandler(handler)
    log.setLevel(level)


def test_for_real_another_provider_goes_on(serve, open_client, waiting):
    """A second's wait takes a second, in real time, and meanwhile another provider answers."""
    upstream, began = serve(refusing(["Retry-After: 1"])), waiting("retry")
    client = open_client(upstream)
    started = time.monotonic()
    held = client.submit(ModelRequest("x", "a/m"))
    assert began.wait(PATIENCE_S)
    assert client.generate("quick", "b/m", wait_timeout=PATIENCE_S).text == "echo quick"
    assert not held.done()
    assert held.result(PATIENCE_S).text == "echo x"
    assert time.monotonic() - started >= 1.0
    assert upstream.log[-1].at - upstream.log[0].at >= 1.0


@pytest.mark.parametrize("reason", ["retry", "cool-down", "pace"])
def test_close_during_a_wait_returns_promptly(serve, open_client, waiting, reason):
    """Waiting for a retry, for another worker's cool-down or for its turn: all futures end, and nothing more is sent."""
    upstream, began = serve(refusing(["Retry-After: 50"] if reason == "retry" else [], times=reason == "retry")), waiting(reason)
    client = open_client(upstream, requests_per_minute=1 if reason == "pace" else 6000)
    if reason == "pace":
        client.generate("takes the turn")
    elif reason == "cool-down":
        client._endpoints["a"].gate.cool_down(50, RateLimitError("told to another worker"))
    sent = len(upstream.texts())
    futures = [client.submit(ModelRequest(f"n{number}", "a/m")) for number in range(3)]
    assert began.wait(PATIENCE_S)
    started = time.monotonic()
    client.close(cancel_pending=True)
    assert time.monotonic() - started < PATIENCE_S  # far less than each of the waits
    with pytest.raises(ClientClosedError):
        futures[0].result(0)
    assert futures[1].cancelled()
    assert futures[2].cancelled()
    assert len(upstream.texts()) == sent + (reason == "retry")
