"""LLMClient(cache=…): what is asked once, what is stored, and what comes back."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import CacheMissError, ConfigurationError, LLMClient, ModelRequest, ModelResponse
from llm_sync.cli.console.spend_text import spend_lines
from llm_sync.config import ConfigLoader
from llm_sync.events import CacheHit, Event, Finished
from llm_sync.simulator import Simulator
from llm_sync.spending.report import spent_by

OPENAI = "openai/gpt-4o-mini"
Cached = Callable[..., LLMClient]


def files_in(folder: Path) -> list[Path]:
    """The files of all answers."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_an_equal_request_is_answered_from_the_store(cached: Cached, upstream: Simulator) -> None:
    """The second answer is the first, at its time; it costs nothing, and says what it would have cost."""
    first = cached().generate("Say hello", OPENAI)
    again = cached().generate("Say hello", OPENAI)
    assert len(upstream.requests) == 1
    assert (first.cached, first.saved_estimate, first.attempts) == (False, None, 1)
    assert again == dataclasses.replace(
        first, cached=True, cost_estimate=0.0, saved_estimate=first.cost_estimate, attempts=0, latency_ms=again.latency_ms
    )
    assert again.latency_ms == pytest.approx(first.latency_ms, abs=0.01)
    assert first.cost_estimate
    assert again.to_dict()["cached"] is True


def test_without_a_cache_nothing_is_stored(open_client: Callable[..., LLMClient], upstream: Simulator, folder: Path) -> None:
    """The default: two requests are two questions."""
    client = open_client()
    assert [client.generate("x", OPENAI).cached for _ in range(2)] == [False, False]
    assert client.dispatcher.caching is None
    assert len(upstream.requests) == 2
    assert not folder.exists()


@pytest.mark.parametrize("change", [{"prompt": "other"}, {"temperature": 0.5}, {"model": "openai/gpt-4o"}, {"seed": 1}])
def test_another_request_is_asked(cached: Cached, upstream: Simulator, change: dict[str, Any]) -> None:
    """Whatever changes what is sent changes the question."""
    client = cached("providers: {openai: {api_key: test-key, base_url: '<openai>'}}")
    client.generate("x", OPENAI)
    assert not client.generate(**{"prompt": "x", "model": OPENAI, **change}).cached
    assert len(upstream.requests) == 2


def test_what_is_not_sent_makes_no_difference(cached: Cached, upstream: Simulator) -> None:
    """The id is the caller's own label, and each response has that of its request; so have options of the attempt."""
    client = cached()
    client.generate("x", OPENAI, id="a")
    again = client.generate("x", OPENAI, id="b", timeout=7, max_retries=0)
    assert (again.cached, again.id) == (True, "b")
    assert len(upstream.requests) == 1


def test_equal_requests_of_one_call_get_samples_of_their_own(cached: Cached, upstream: Simulator) -> None:
    """n equal requests are asked n times, and the next run gets the same n; a further one is asked."""
    requests = [ModelRequest("x", OPENAI)] * 3
    first = cached().generate_responses_concurrent(requests)
    assert [answer.cached for answer in first] == [False] * 3
    ids = [answer.request_id for answer in first]
    assert len(set(ids)) == 3
    assert [answer.request_id for answer in cached().generate_responses_concurrent(requests)] == ids
    mapped = list(cached().map([*requests, requests[0]]))
    assert [answer.request_id for answer in mapped[:3]] == ids
    assert [answer.cached for answer in mapped] == [True, True, True, False]
    assert len(upstream.requests) == 4


def test_a_single_request_asked_again_is_the_first_sample(cached: Cached, upstream: Simulator) -> None:
    """A notebook's cell that is run five times is paid once."""
    client = cached()
    ids = {client.submit(ModelRequest("x", OPENAI)).result(10).request_id for _ in range(5)}
    ids |= {client.generate_response(ModelRequest("x", OPENAI)).request_id}
    assert (len(ids), len(upstream.requests)) == (1, 1)


def test_a_hit_reaches_no_queue_and_no_worker(cached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read in the caller's thread: no thread is started, no event of the queue is emitted."""
    cached().generate("x", OPENAI)
    client = cached()
    events: list[Event] = []
    client.add_listener(events.append)
    monkeypatch.setattr("llm_sync.dispatch.worker.Worker.start", lambda _: pytest.fail("a worker was started"))
    answer = client.generate("x", OPENAI)
    assert client.submit(ModelRequest("x", OPENAI)).result(0).cached
    assert [type(event) for event in events] == [CacheHit, CacheHit]
    (hit, _) = events
    assert isinstance(hit, CacheHit)
    assert (hit.model, hit.queued, hit.usage, hit.saved) == ("gpt-4o-mini", False, answer.usage, answer.saved_estimate)
    status = client.status()["openai"]
    assert (status.done, status.cached, status.requests_per_minute) == (2, 2, 0)


def test_status_counts_thousands_of_hits(cached: Cached) -> None:
    """Beyond those that are counted one by one, too."""
    client = cached()
    for _ in range(1 + 1500):
        client.generate("x", OPENAI)
    status = client.status()["openai"]
    assert (status.done, status.cached) == (1501, 1500)


def test_middleware_sees_hits(cached: Cached, upstream: Simulator) -> None:
    """A middleware may change every answer: none goes past it. The hit is then counted once, as an answer that cost nothing."""
    seen: list[ModelResponse] = []
    cached().generate("x", OPENAI)
    client = cached()

    def noting(request: Any, send: Any) -> ModelResponse:
        seen.append(send(request))
        return seen[-1]

    client.add_middleware(noting)
    events: list[Event] = []
    client.add_listener(events.append)
    assert client.generate("x", OPENAI).cached
    assert len(seen) == len(upstream.requests) == 1
    (finished,) = [event for event in events if isinstance(event, Finished)]
    assert (finished.cost, finished.usage) == (0.0, None)
    assert [event.queued for event in events if isinstance(event, CacheHit)] == [True]
    status = client.status()["openai"]
    assert (status.done, status.cached) == (1, 1)


def test_a_hit_costs_no_budget(cached: Cached, open_client: Callable[..., LLMClient], folder: Path, upstream: Simulator) -> None:
    """Nothing is reserved for it, and a budget that is spent does not keep it back; what has to be sent is refused."""
    models = "[{name: gpt-4o-mini, pricing: {input: 1, output: 2}}]"
    text = f"providers: {{openai: {{api_key: test-key, base_url: '<openai>', models: {models}}}}}"
    cached(text).generate("x", OPENAI, max_tokens=50)
    client = open_client(text, cache=folder, max_cost=0.000001)
    assert client.generate("x", OPENAI, max_tokens=50).cached
    with pytest.raises(llm_sync.BudgetExceededError):
        client.generate("y", OPENAI, max_tokens=50)
    assert len(upstream.requests) == 1


def test_spend_counts_hits_and_what_they_saved(
    cached: Cached, open_client: Callable[..., LLMClient], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those under a tag or a budget, with no tokens and no cost of theirs; the budget's sum stays."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    models = "[{name: gpt-4o-mini, pricing: {input: 1, output: 2}}]"
    text = f"providers: {{openai: {{api_key: test-key, base_url: '<openai>', models: {models}}}}}"
    paid = cached(text).generate("x", OPENAI, max_tokens=50)
    assert spent_by("tag") == []  # neither tag nor budget
    for settings in ({"tag": "t"}, {"max_cost": 1.0, "tag": "t"}):
        client = open_client(text, cache=folder, **settings)
        assert client.generate("x", OPENAI, max_tokens=50).cached
    (row,) = spent_by("tag")
    assert (row.key, row.requests, row.cached, row.spent, row.input_tokens) == ("t", 2, 2, 0, 0)
    assert row.saved == pytest.approx(2 * paid.cost_estimate)
    assert [each.cached for each in spent_by("budget")] == [1, 1]
    lines = spend_lines("tag", [row], [])
    assert lines[-1].startswith("the cache has answered 2 of them, which saved 0.0")


def test_offline_only_the_store_answers(cached: Cached, upstream: Simulator, folder: Path) -> None:
    """A miss is an error that names the nearest stored request and what differs; nothing is sent."""
    cached().generate("Say hello to Ada", OPENAI)
    (path,) = files_in(folder)
    client = cached(offline=True)
    assert client.generate("Say hello to Ada", OPENAI).cached
    with pytest.raises(
        CacheMissError, match=r'messages\[0\].content: "Say hello to Ada" is stored, "Say hello to Bob" is asked'
    ) as error:
        client.generate("Say hello to Bob", OPENAI)
    assert error.value.nearest == path.stem
    assert (error.value.provider, error.value.model, error.value.attempts) == ("openai", "gpt-4o-mini", 0)
    outcomes = client.generate_responses_concurrent([ModelRequest("no", OPENAI)], return_exceptions=True)
    assert isinstance(outcomes[0], CacheMissError)
    assert isinstance(client.submit(ModelRequest("no", OPENAI)).exception(1), CacheMissError)
    assert len(upstream.requests) == 1


def test_offline_needs_no_key(write_config: Callable[[str], str], folder: Path) -> None:
    """Neither that of api_key nor a header's: what is stored is served where nobody has any."""
    text = write_config("providers: {openai: {api_key: '${NO_KEY}', base_url: '<openai>', headers: {x-team: '${NO_TEAM}'}}}")
    loader = ConfigLoader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_KEY", "sk-test-0123456789")
        patch.setenv("NO_TEAM", "blue")
        with LLMClient(loader.load_text(text), cache=folder) as client:
            client.generate("x", OPENAI)
    with LLMClient(loader.load_text(text), cache={"dir": folder, "offline": True}) as client:
        assert client.generate("x", OPENAI).cached
        with pytest.raises(CacheMissError):
            client.generate("y", OPENAI)
    with LLMClient(loader.load_text(text), cache=folder) as client:
        assert client.generate("x", OPENAI).cached
        with pytest.raises(llm_sync.AuthenticationError, match="NO_TEAM"):
            client.generate("y", OPENAI)


def test_an_old_answer_is_asked_again(cached: Cached, upstream: Simulator, folder: Path) -> None:
    """Beyond max_age; the new answer replaces it. Offline an old one is better than none."""
    cached().generate("x", OPENAI)
    (path,) = files_in(folder)
    text = path.read_text()
    year = json.loads(text)["stored"][:4]
    path.write_text(text.replace(f'"stored": "{year}', '"stored": "2001'))
    assert cached(max_age="9999w").generate("x", OPENAI).cached
    assert cached(max_age="30d", offline=True).generate("x", OPENAI).timestamp.year == 2001
    assert not cached(max_age="30d").generate("x", OPENAI).cached
    assert cached(max_age="30d").generate("x", OPENAI).cached
    assert len(upstream.requests) == 2


def test_the_answer_of_a_job_takes_the_place_of_one_that_is_too_old(cached: Cached, folder: Path) -> None:
    """As that of a call does: else each run would buy it again."""
    client = cached(max_age="30d")
    answer = client.generate("x", OPENAI)
    (path,) = files_in(folder)
    store = client.dispatcher.caching
    assert store is not None
    prepared = client.dispatcher.prepare(ModelRequest("x", OPENAI))
    assert not store.store_response(prepared, answer.to_dict(), answer.timestamp)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "stored": "2001-01-01T00:00:00+00:00"}))
    assert store.store_response(prepared, answer.to_dict(), answer.timestamp)
    assert client.generate("x", OPENAI).cached


@pytest.mark.parametrize(
    "fault", [{"truncated": 3}, {"refusal": True}, {"error": "bad_request"}, {"truncated": 0}, {"empty": True}]
)
def test_errors_refusals_and_cut_answers_are_stored_only_if_asked(fault: dict[str, Any], folder: Path) -> None:
    """Without ``errors`` they are asked again, with it they are served: the same outcome, unpaid."""
    with Simulator(script={"rules": [fault]}) as simulator:
        config = ConfigLoader().load_text(f"providers: {{openai: {{api_key: test-key, base_url: {simulator.url('openai')}}}}}")

        def outcome(**settings: Any) -> Any:
            with LLMClient(config, cache={"dir": str(folder), **settings}) as client:
                return client.generate_responses_concurrent([ModelRequest("x", OPENAI, max_tokens=99)], return_exceptions=True)[0]

        first = outcome()
        assert files_in(folder) == []
        outcome(errors=True)
        assert len(simulator.requests) == 2
        again = outcome(errors=True)
        assert len(simulator.requests) == 2
        assert type(again) is type(first)
        assert again.attempts == 0
        if isinstance(first, ModelResponse):
            assert (again.text, again.cached) == (first.text, True)
        else:
            assert again.message == first.message
        outcome()
        assert len(simulator.requests) == 3


@pytest.mark.parametrize("kind", ["overloaded", "rate_limit", "auth", "quota"])
def test_errors_that_pass_are_never_stored(kind: str, folder: Path) -> None:
    """A store that answered "overloaded" would be down for ever, and a quota is another one tomorrow."""
    with Simulator(script={"rules": [{"error": kind}]}) as simulator:
        config = ConfigLoader().load_text(f"providers: {{openai: {{api_key: test-key, base_url: {simulator.url('openai')}}}}}")
        with LLMClient(config, cache={"dir": str(folder), "errors": True}) as client, pytest.raises(llm_sync.ProviderError):
            client.generate("x", OPENAI, max_retries=0)
    assert files_in(folder) == []


def test_a_client_pickles_with_its_cache(cached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process goes on with the same folder."""
    monkeypatch.setenv("A_KEY", "sk-test-0123456789")
    client = cached("providers: {openai: {api_key: '${A_KEY}', base_url: '<openai>'}}")
    client.generate("x", OPENAI)
    with pickle.loads(pickle.dumps(client)) as twin:  # noqa: S301  (made here)
        assert twin.generate("x", OPENAI).cached


def test_the_configuration_may_turn_it_on(write_config: Callable[[str], str], upstream: Simulator, tmp_path: Path) -> None:
    """At the defaults, a provider or a model, the innermost counts; a relative folder starts at the file's."""
    path = tmp_path / "c.yaml"
    path.write_text(
        write_config(
            "defaults: {cache: mine}\nproviders:\n"
            "  openai: {api_key: test-key, base_url: '<openai>', models: [gpt-4o-mini, {name: gpt-4o, cache: false}]}\n"
            "  anthropic: {api_key: test-key, base_url: '<anthropic>', cache: {dir: theirs, max_age: 12h}}\n"
        )
    )
    for _ in range(2):
        with LLMClient.from_config(str(path)) as client:
            cached = [client.generate("x", model).cached for model in (OPENAI, "openai/gpt-4o", "anthropic/claude-haiku-4-5")]
    assert cached == [True, False, True]
    assert len(files_in(tmp_path / "mine")) == len(files_in(tmp_path / "theirs")) == 1
    with LLMClient.from_config(str(path), cache=False) as client:
        assert not client.generate("x", OPENAI).cached
    with LLMClient.from_config(str(path), cache={"offline": True}) as client:  # in the folders of the configuration
        assert client.generate("x", OPENAI).cached


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "cache is 3"),
        ({"folder": "x"}, "no setting 'folder'"),
        ({"max_age": "soon"}, "max_age of the cache is 'soon'"),
        ({"max_bytes": -1}, "max_bytes of the cache is -1"),
        ("", "the folder of the cache is ''"),
        ("a\0b", "the folder of the cache"),
        ({"dir": 7}, "the folder of the cache is 7"),
    ],
)
def test_wrong_settings_are_refused(open_client: Callable[..., LLMClient], value: Any, message: str) -> None:
    """When the client is made."""
    with pytest.raises(ConfigurationError, match=message):
        open_client(cache=value)


@pytest.mark.parametrize(
    ("cache", "problem"),
    [
        ("7", "defaults.cache: expected"),
        ("{max_age: soon}", "defaults.cache.max_age: expected seconds, or a text such as 12h or 30d"),
        ("{size: 1}", "defaults.cache.size: unknown key"),
        ("{dir: ''}", "defaults.cache.dir"),
        ("{errors: maybe}", "defaults.cache.errors"),
    ],
)
def test_wrong_settings_of_a_configuration_are_reported_by_field(cache: str, problem: str) -> None:
    """With everything else that is wrong."""
    with pytest.raises(ConfigurationError, match=problem):
        ConfigLoader().load_text(f"defaults: {{cache: {cache}}}\nproviders: {{openai: {{}}}}")
