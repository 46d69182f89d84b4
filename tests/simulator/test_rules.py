"""Which rule matches which request: conditions, order, and chance that does not depend on order."""

from __future__ import annotations

import json
import random
import statistics
import threading

import pytest

from llm_sync.simulator import Simulator
from llm_sync.simulator.faults import seeded_random
from llm_sync.simulator.faults.context import last_user_text


@pytest.fixture
def scripted(connect):
    """``scripted(rule, …)`` starts a simulator with these rules and returns a connection to it."""
    started = []

    def start(*rules, **options):
        started.append(Simulator(script={"rules": list(rules)}, **options).start())
        return connect(started[-1])

    yield start
    for each in started:
        each.stop()
        assert each.faults == []


def statuses(wire, count, *args, **options):
    """The statuses of the same request, sent several times."""
    return [wire.prompt(*args, **options).status for _ in range(count)]


@pytest.mark.parametrize(
    ("provider", "taken"),
    [
        ("openai", {"openai", "openai-responses"}),
        ("openai-responses", {"openai-responses"}),
        (["gemini", "anthropic"], {"gemini", "anthropic"}),
        ("openrouter", {"openrouter"}),
    ],
)
def test_by_provider(scripted, shapes, provider, taken):
    """``openai`` matches both of its APIs."""
    wire = scripted({"when": {"provider": provider}, "error": "server"})
    assert {dialect for dialect in shapes.headers if wire.prompt(dialect).status >= 500} == taken


def test_by_model(scripted):
    """``model`` matches a name or a pattern, and is case-sensitive."""
    wire = scripted({"when": {"model": ["gpt-4o", "claude-*"]}, "error": "server"})
    names = ("gpt-4o", "gpt-4o-mini", "GPT-4o")
    assert [wire.prompt("openai", model=name).status for name in names] == [500, 200, 200]
    assert wire.prompt("anthropic").status == 500
    assert wire.prompt("gemini").status == 200


def test_by_prompt(scripted, dialect):
    """``prompt`` is searched for in the user's last message, in every dialect."""
    wire = scripted({"when": {"prompt": "(?i)poem$"}, "status": 418})
    assert wire.prompt(dialect, "Write a POEM").status == 418
    assert wire.prompt(dialect, "A poem, please").status == 200


def test_the_last_user_text():
    """The last user text ignores other roles, and any payload can be read."""
    chat = [{"role": "user", "content": "a"}, {"role": "user", "content": [{"text": "b"}, {"text": "c"}]}]
    assert last_user_text({"messages": [*chat, {"role": "assistant", "content": "d"}]}) == "b\nc"
    assert last_user_text({"input": [{"role": "user", "content": "a"}, {"type": "function_call_output", "output": "x"}]}) == "a"
    assert last_user_text({"contents": [{"parts": [{"text": "a"}, {"inlineData": {}}]}]}) == "a"
    for odd in (None, [], 3, {}, {"messages": 5}, {"messages": [3, None]}, {"messages": [{"role": "user"}]}, {"input": {}}):
        assert last_user_text(odd) == ""


def test_by_kind_of_request(scripted, shapes):
    """A rule for listings does not match generations, and the reverse."""
    wire = scripted({"when": {"request": "models"}, "error": "auth"}, {"refusal": True})
    assert wire.send("GET", "/openai/v1/models", headers=shapes.headers["openai"]).status == 401
    assert wire.prompt("openai").body["choices"][0]["message"]["refusal"]
    wire = scripted({"refusal": True})
    assert wire.send("GET", "/openai/v1/models", headers=shapes.headers["openai"]).status == 200


def test_by_number(scripted):
    """``nth`` counts the requests for which the other conditions hold."""
    wire = scripted(
        {"when": {"provider": "openai", "nth": 2}, "status": 501},
        {"when": {"provider": "openai", "nth": [1, 3]}, "status": 502},
        {"when": {"provider": "anthropic", "nth": {"every": 3}}, "status": 503},
    )
    wire.prompt("gemini")
    # the second rule counts what the first has left: the first, third and fourth request
    assert statuses(wire, 5, "openai") == [502, 501, 200, 502, 200]
    assert statuses(wire, 6, "anthropic") == [200, 200, 503, 200, 200, 503]


def test_by_attempt(scripted):
    """The same request again is its next attempt."""
    wire = scripted({"when": {"attempt": [1, 2]}, "error": "overloaded"})
    assert statuses(wire, 4, "openai", "one") == [503, 503, 200, 200]
    assert statuses(wire, 3, "openai", "two") == [503, 503, 200]


def test_the_first_matching_rule_wins(scripted):
    """The first matching rule is applied, unless it continues."""
    wire = scripted(
        {"when": {"prompt": "x"}, "status": 501}, {"when": {"prompt": "x|y"}, "status": 502}, {"name": "rest", "status": 503}
    )
    assert [wire.prompt("openai", text).status for text in "xyz"] == [501, 502, 503]
    assert [record.rules for record in wire.simulator.requests] == [("status",), ("status",), ("rest",)]


def test_rules_that_go_on_add_up(scripted):
    """Continuing rules combine: body, encoding and delivery; of two that change the answer, the later wins."""
    wire = scripted(
        {"name": "a", "error": "auth", "continue": True},
        {"name": "b", "error": {"kind": "overloaded", "retry_after": 3}, "continue": True},
        {"name": "c", "gzip": True, "continue": True},
        {"name": "d", "drip": 100_000},
    )
    got = wire.prompt("anthropic")
    assert (got.status, got.headers["retry-after"], got.headers["content-encoding"]) == (529, "3", "gzip")
    (record,) = wire.simulator.requests
    assert (record.outcome, record.rules) == ("drip", ("a", "b", "c", "d"))


def test_chance_goes_by_request_and_attempt_not_by_order(connect):
    """Simulators with one seed treat the same requests alike in any order; another seed gives other outcomes."""
    script = {"rules": [{"when": {"probability": 0.3}, "error": "server"}, {"when": {"share": 0.2}, "error": "auth"}]}
    prompts = [f"request {n}" for n in range(60) for _ in range(3)]  # each three times, as retries are

    def fates(seed, order, threads=1):
        found: dict[str, list[int]] = {}
        with Simulator(script=script, seed=seed) as simulator:
            left, lock = list(order), threading.Lock()

            def work():
                wire = connect(simulator)
                while True:
                    with lock:
                        if not left:
                            return
                        prompt = left.pop()
                    wire.prompt("openai", prompt)

            workers = [threading.Thread(target=work) for _ in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            for record in simulator.requests:
                found.setdefault(record.payload["messages"][0]["content"], []).append(record.status)
        return {prompt: sorted(statuses) for prompt, statuses in found.items()}

    shuffled = random.Random(3).sample(prompts, len(prompts))  # noqa: S311  (not a secret)
    once = fates(7, prompts)
    assert fates(7, shuffled) == once == fates(7, prompts, threads=8)
    assert fates(8, prompts) != once
    counts = [statuses.count(500) for statuses in once.values()]
    assert 25 < sum(counts) < 85  # of 180
    assert {1, 2} <= set(counts)  # drawn anew for each attempt
    shares = [statuses.count(401) for statuses in once.values()]
    assert 2 < sum(count > 0 for count in shares) < 25  # of 60
    assert all(count == 3 - other for count, other in zip(shares, counts, strict=True) if count)  # whole requests


def test_the_scripts_seed_counts_too(scripted):
    """The script's seed matters; the order of keys in a payload does not."""
    one, other = (
        seeded_random.fingerprint("openai", "m", json.loads(text)) for text in ('{"a": 1, "b": [2]}', '{"b": [2], "a": 1}')
    )
    assert one == other != seeded_random.fingerprint("openai", "n", {"a": 1, "b": [2]})
    assert seeded_random.SeededRandom("1", one, 1).for_attempt("x") != seeded_random.SeededRandom("2", one, 1).for_attempt("x")
    assert seeded_random.SeededRandom("1", one, 1).for_request("x") == seeded_random.SeededRandom("1", one, 2).for_request("x")


def test_attempts_are_counted_for_the_newest_requests(monkeypatch):
    """Attempts of the oldest requests are forgotten."""
    monkeypatch.setattr(seeded_random, "_MAX_REQUESTS", 2)
    attempts = seeded_random.AttemptCounter()
    assert [attempts.next(name) for name in (b"a", b"a", b"b", b"c", b"a")] == [1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("spread", "median"),
    [
        ({"seconds": 2}, 2),
        ({"uniform": [1, 3]}, 2),
        ({"normal": {"mean": 2, "deviation": 1}}, 2),
        ({"exponential": {"mean": 2}}, 2 * 0.693),
        ({"lognormal": {"median": 2, "sigma": 0.5}}, 2),
        ({"lognormal": {"median": 2, "sigma": 10}, "most": 3}, 2),
    ],
)
def test_delays_follow_their_distribution(spread, median):
    """Delays follow their distribution: half are below the median, none negative or above the maximum."""
    times = [seeded_random.delay_seconds(spread, (n + 0.5) / 999) for n in range(999)]
    assert statistics.median(times) == pytest.approx(median, rel=0.01)
    assert all(0 <= time <= spread.get("most", 1e9) for time in times)
    for edge in (5e-324, 1e-18, 1 - 2**-53, 1.0 - 1e-16, 0.9999999999999999, 1.0):
        assert 0 <= seeded_random.delay_seconds(spread, edge) < 1e300


def test_latency_is_waited_and_adds_up(scripted):
    """The delays of two continuing rules add up."""
    wire = scripted({"latency": 0.03, "continue": True}, {"latency": {"uniform": [0.03, 0.04]}})
    assert wire.prompt("openai").status == 200
    (record,) = wire.simulator.requests
    assert record.ended - record.arrived >= 0.06
    assert (record.outcome, record.rules) == ("ok", ("latency", "latency"))


def test_billed_can_be_set(scripted):
    """``billed`` overrides whether a request is billed."""
    wire = scripted(
        {"when": {"prompt": "free"}, "billed": False, "gzip": True},
        {"when": {"prompt": "dear"}, "billed": True, "error": "overloaded"},
    )
    for prompt in ("free", "dear", "plain"):
        wire.prompt("openai", prompt)
    assert [record.billed for record in wire.simulator.requests] == [False, True, True]


def test_a_path_of_no_provider_meets_no_rule(scripted):
    """Paths of no provider, and the simulator's own, match no rule."""
    wire = scripted({"error": "server"})
    assert wire.send("GET", "/nowhere").status == 404
    assert wire.send("GET", "/_simulator/summary").status == 200
    assert wire.send("GET", "/openai/v1/nowhere").status == 500


def test_a_payload_nested_too_deeply_is_still_a_request(scripted, shapes):
    """A payload that is too deep for a fingerprint is answered."""
    wire = scripted({"when": {"probability": 0.5}, "error": "server"})
    deep = b'{"model": "gpt-4o", "messages": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert wire.ask("openai", deep).status in (400, 500)
    assert wire.prompt("openai").status in (200, 500)
