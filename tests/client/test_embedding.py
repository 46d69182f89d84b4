"""client.embed against simulated providers: groups, refused texts, and what it shares with every other request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import (
    BatchError,
    BudgetExceededError,
    CacheMissError,
    ContextLengthExceededError,
    Embeddings,
    InvalidRequestError,
    LLMClient,
    ResponseValidationError,
)
from llm_sync.config import ConfigLoader
from llm_sync.events import CacheHit, Event, Finished
from llm_sync.models.embeddings import PreparedEmbedding
from llm_sync.simulator import Response, Simulator

MODEL = "openai/text-embedding-3-small"
Respond = Callable[[Any], Response | None]


class Service:
    """Simulated providers; ``respond`` may answer in their place. ``sizes``: the texts of each request so far."""

    def __init__(self) -> None:
        self.respond: Respond = lambda record: None
        self.simulator = Simulator(on_request=self._respond)

    def _respond(self, record: Any) -> Response | None:
        return self.respond(record)

    @property
    def sizes(self) -> list[int]:
        """How many texts each request had, in the order of arrival."""
        return [len(record.payload.get("input") or record.payload["requests"]) for record in self.simulator.requests]

    def client(self, **options: Any) -> LLMClient:
        """A client of it."""
        names = ("openai", "anthropic", "gemini")
        priced = "models: [{name: text-embedding-3-small, pricing: {input: 1000000, output: 0}}]"
        entries = [f"{name}: {{api_key: k-0123456789, retry_base: 0, base_url: {self.simulator.url(name)}}}" for name in names]
        entries[0] = f"{entries[0][:-1]}, {priced}}}"
        return LLMClient(ConfigLoader().load_text(f"providers: {{{', '.join(entries)}}}"), **options)


@pytest.fixture
def service() -> Iterator[Service]:
    """Providers of embeddings, which must not have failed inside."""
    made = Service()
    with made.simulator:
        yield made
        assert made.simulator.faults == []


@pytest.fixture
def client(service: Service) -> Iterator[LLMClient]:
    """A client of them."""
    with service.client() as made:
        yield made


def test_vectors_come_in_the_order_of_the_texts_however_they_are_grouped(service: Service, client: LLMClient) -> None:
    """Groups keep to the number that was chosen, and each text has the vector that it has alone."""
    texts = [f"text {number}" for number in range(10)]
    grouped = client.embed(texts, MODEL, dimensions=4, texts_per_request=3)
    assert service.sizes == [3, 3, 3, 1]
    assert list(grouped) == [client.embed(text, MODEL, dimensions=4)[0] for text in texts]
    assert (grouped.dimensions, grouped.requests, grouped.usage.input_tokens, grouped.provider) == (4, 4, 20, "openai")
    assert grouped.cost_estimate == 20.0


def test_groups_keep_to_the_providers_limit(service: Service, client: LLMClient) -> None:
    """Gemini takes a hundred texts at once; the simulator refuses more."""
    assert len(client.embed(["a"] * 150, "gemini/gemini-embedding-001", dimensions=2)) == 150
    assert service.sizes == [100, 50]


def test_one_text_alone_and_none(service: Service, client: LLMClient) -> None:
    """A string is one text, not its letters; without texts nothing is sent."""
    assert len(client.embed("abc", MODEL, dimensions=2)) == 1
    assert client.embed([], MODEL) == Embeddings((), "text-embedding-3-small", "openai", None, llm_sync.Usage(), None, 0)
    assert len(service.simulator.requests) == 1


@pytest.mark.parametrize(
    ("texts", "model", "options"),
    [
        (["a", ""], MODEL, {}),
        (["a", None], MODEL, {}),
        (["a", "\ud800"], MODEL, {}),
        ({"a": 1}, MODEL, {}),
        (["a"], None, {}),
        (["a"], "anthropic/claude-haiku-4-5", {}),
        (["a"], f"{MODEL},gemini/gemini-embedding-001", {}),
        (["a"], MODEL, {"dimensions": 0}),
        (["a"], MODEL, {"texts_per_request": 0}),
        (["a"], MODEL, {"timeout": -1}),
        (["a"], MODEL, {"provider_specific": {"encoding_format": "ubinary"}}),
    ],
)
def test_mistakes_are_reported_before_anything_is_sent(
    service: Service, client: LLMClient, texts: Any, model: Any, options: Any
) -> None:
    """A text without a vector, a model without embeddings, an option that is none."""
    with pytest.raises(InvalidRequestError):
        client.embed(texts, model, **options)
    assert service.simulator.requests == []


def test_a_refused_text_costs_the_others_nothing(service: Service, client: LLMClient) -> None:
    """The group is divided until the text stands alone; the others have their vectors, in the error and in the result."""
    texts = ["a", "b", "word " * 9000, "c", "d"]
    with pytest.raises(BatchError, match="for 1 of 5 texts") as caught:
        client.embed(texts, MODEL, dimensions=2)
    kinds = [type(each) for each in caught.value.results]
    assert kinds == [list, list, ContextLengthExceededError, list, list]
    got = client.embed(texts, MODEL, dimensions=2, return_exceptions=True)
    assert list(got.errors) == [2]
    assert [vector is None for vector in got] == [False, False, True, False, False]


def test_what_no_division_helps_is_not_divided(service: Service, client: LLMClient) -> None:
    """A wrong number of dimensions is refused once; texts that are all refused alike are not all tried."""
    with pytest.raises(InvalidRequestError, match="dimensions"):
        client.embed(["a"] * 8, MODEL, dimensions=9999)
    assert len(service.simulator.requests) == 1
    service.respond = lambda record: Response(400, {"error": {"message": "bad weather"}})
    with pytest.raises(BatchError, match="64 of 64"):
        client.embed([f"{number}" for number in range(64)], MODEL)
    assert len(service.simulator.requests) < 15


def test_groups_of_other_lengths_are_an_error(service: Service, client: LLMClient) -> None:
    """A second server behind the address, with another model, is found out."""

    def respond(record: Any) -> Response:
        dimensions = 2 if record.payload["input"] == ["a"] else 3
        return Response(200, {"data": [{"index": 0, "embedding": [1.0] * dimensions}]})

    service.respond = respond
    got = client.embed(["a", "b"], MODEL, texts_per_request=1, return_exceptions=True)
    assert got[0] == [1.0, 1.0]
    assert isinstance(got.errors[1], ResponseValidationError)


def test_attempts_events_and_middleware_are_those_of_every_request(service: Service, client: LLMClient) -> None:
    """An overload is retried; the events tell the tokens; middleware runs on the worker, with the request as data."""
    events: list[Event] = []
    seen: list[tuple[Any, bool]] = []
    caller = threading.current_thread()

    def middleware(request: Any, send: Any) -> Any:
        seen.append((request, threading.current_thread() is caller))
        return send(request)

    client.add_listener(events.append)
    client.add_middleware(middleware)
    overloaded = iter([Response(503, {"error": {"message": "overloaded"}})])
    service.respond = lambda record: next(overloaded, None)
    client.embed(["a", "b"], MODEL, dimensions=2)
    finished = [event for event in events if isinstance(event, Finished)]
    assert [(event.usage.input_tokens, event.cost) for event in finished if event.usage] == [(2, 2.0)]
    ((request, in_caller),) = seen
    assert isinstance(request, PreparedEmbedding)
    assert (list(request.request.texts), in_caller) == (["a", "b"], False)
    assert len(service.simulator.requests) == 2
    assert client.status()["openai"].done == 1


def test_budgets_count_vectors(service: Service, state: Path) -> None:
    """The bytes of a request bound what it costs, as there is no output; then it is refused before it is sent."""
    with service.client(max_cost=1e4) as client:
        client.embed(["a"], MODEL, dimensions=2)
        with pytest.raises(BudgetExceededError):
            client.embed(["word " * 4000], MODEL, dimensions=2)
    assert len(service.simulator.requests) == 1


def test_equal_requests_are_asked_once_with_a_cache(service: Service, tmp_path: Path) -> None:
    """The stored reply is read anew; offline, what is not stored is a miss."""
    events: list[Event] = []
    with service.client(cache=str(tmp_path / "cache")) as client:
        client.add_listener(events.append)
        first, second = (client.embed(["a", "b"], MODEL, dimensions=2) for _ in range(2))
    assert (first.vectors, first.cached, second.cached, second.cost_estimate) == (second.vectors, 0, 1, 0.0)
    assert len([event for event in events if isinstance(event, CacheHit)]) == 1
    assert len(service.simulator.requests) == 1
    with service.client(cache={"dir": str(tmp_path / "cache"), "offline": True}) as client:
        assert client.embed(["a", "b"], MODEL, dimensions=2).vectors == first.vectors
        with pytest.raises(CacheMissError):
            client.embed(["c"], MODEL, dimensions=2)


def test_the_module_has_it_too(service: Service, tmp_path: Path) -> None:
    """llm_sync.embed uses the shared client of a configuration."""
    path = tmp_path / "x.yaml"
    path.write_text(f"providers: {{openai: {{api_key: k-0123456789, base_url: {service.simulator.url('openai')}}}}}")
    try:
        assert llm_sync.embed("a", MODEL, config=str(path), dimensions=3).dimensions == 3
    finally:
        llm_sync.close()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("model", "texts", "dimensions"),
    [
        ("amazon.titan-embed-text-v2:0", 1, 256),
        ("amazon.nova-2-multimodal-embeddings-v1:0", 1, 256),
        ("us.cohere.embed-v4:0", 96, 8),
    ],
)
def test_bedrock_has_a_form_for_each_maker(service: Service, model: str, texts: int, dimensions: int) -> None:
    """By InvokeModel: one text in a request, or 96 of Cohere's."""
    entry = f"{{api_key: k-0123456789, base_url: {service.simulator.url('bedrock')}}}"
    with LLMClient(ConfigLoader().load_text(f"providers: {{bedrock: {entry}}}")) as client:
        got = client.embed(["a", "b"], f"bedrock/{model}", dimensions=dimensions, input_type="clustering" if texts > 1 else None)
        assert client.embed("b", f"bedrock/{model}", dimensions=dimensions)[0] == got[1]
    assert (len(got), got.dimensions, got.requests) == (2, dimensions, 2 if texts == 1 else 1)
