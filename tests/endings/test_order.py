"""Whatever the latencies, failures, cancellations and windows: results in input order, each request answered once."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import pytest
from endings_apparatus import PATIENCE_S, answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_sync import InvalidRequestError, LLMConnectorError, ModelRequest, ModelResponse, ProviderConnectionError

KINDS = ["good", "good", "good", "refused", "broken", "once down"]
REQUESTS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(KINDS), st.integers(0, 3)), max_size=24)
FAILURES = {"refused": InvalidRequestError, "broken": ProviderConnectionError}

_runs = itertools.count()


@pytest.fixture
def asked(serve, open_client):
    """``asked(requests)``: ModelRequests with ids of their own, and the client and server to ask."""
    down: set[str] = set()

    def script(peer, seen):
        kind, delay = seen.text.split()[1:]
        time.sleep(int(delay) / 1000)
        if kind == "refused":
            peer.reply(b'{"error": {"message": "no"}}', "400 Bad Request")
        elif kind == "broken":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + answer("a", "half"))
            peer.close()
        elif kind == "once_down" and seen.text not in down:
            down.add(seen.text)
            peer.reply(b"{}", "503 Down")
        else:
            return None
        return True

    upstream = serve(script)
    client = open_client(upstream, concurrency=3, max_retries=1)

    def make(requests):
        run = next(_runs)
        upstream.log.clear()
        texts = [f"{run}-{n} {kind.replace(' ', '_')} {delay}" for n, (_, kind, delay) in enumerate(requests)]
        return [ModelRequest(text, f"{r[0]}/m", id=text) for text, r in zip(texts, requests, strict=True)], client, upstream

    return make


def right(request, outcome):
    """Whether an outcome is the one of this request."""
    kind = request.id.split()[1]
    if kind in FAILURES:
        return type(outcome) is FAILURES[kind]
    return isinstance(outcome, ModelResponse) and outcome.id == request.id and outcome.text == f"echo {request.id}"


def times_sent(request):
    """How often the server must have seen it: retryable failures twice."""
    return 2 if request.id.split()[1] in ("once_down", "broken") else 1


slowly = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@slowly
@given(requests=REQUESTS, window=st.integers(1, 30))
def test_map_in_place(asked, requests, window):
    """map with exceptions in place: one outcome for each request, in order, each request sent as often as it must."""
    made, client, upstream = asked(requests)
    outcomes = list(client.map(iter(made), window=window, return_exceptions=True))
    assert len(outcomes) == len(made)
    assert all(right(request, outcome) for request, outcome in zip(made, outcomes, strict=True))
    assert Counter(upstream.texts()) == {request.id: times_sent(request) for request in made}


@slowly
@given(requests=REQUESTS, window=st.integers(1, 30), taken=st.integers(0, 24))
def test_map_until_a_failure_or_enough(asked, requests, window, taken):
    """map that is left early, or ends at its first failure: what was given is in order, nothing is sent twice or left over."""
    made, client, upstream = asked(requests)
    outcomes = []
    answers = client.map(iter(made), window=window)
    try:
        outcomes.extend(itertools.islice(answers, taken))
    except LLMConnectorError as error:
        outcomes.append(error)
    answers.close()
    status = client.status()
    assert sum(each.queued for each in status.values()) == 0
    assert all(right(request, outcome) for request, outcome in zip(made, outcomes, strict=False))
    failures = [n for n, request in enumerate(made) if request.id.split()[1] in FAILURES]
    assert len(outcomes) == min([taken, len(made), *(n + 1 for n in failures)])
    _settle(client)
    sent = Counter(upstream.texts())
    assert all(sent[request.id] in (0, times_sent(request)) for request in made)
    assert sum(1 for request in made if sent[request.id]) <= len(outcomes) + window


@slowly
@given(requests=REQUESTS, cancelled=st.sets(st.integers(0, 23)))
def test_cancellations(asked, requests, cancelled):
    """Futures, some cancelled while others run: a cancelled one was never sent, each other one has its own outcome."""
    made, client, upstream = asked(requests)
    futures = [client.submit(request) for request in made]
    unsent = {n for n in sorted(cancelled & set(range(len(made)))) if futures[n].cancel()}
    for n, (request, future) in enumerate(zip(made, futures, strict=True)):
        if n not in unsent:
            assert right(request, future.exception(PATIENCE_S) or future.result(0))
    expected = {request.id: times_sent(request) for n, request in enumerate(made) if n not in unsent}
    assert Counter(upstream.texts()) == expected


def _settle(client):
    """Until nothing is queued or in flight."""
    until = time.monotonic() + PATIENCE_S
    while any(each.in_flight or each.queued for each in client.status().values()):
        assert time.monotonic() < until
        time.sleep(0.001)
