"""client.dispatcher: requests as data, prepared in the caller's thread, sent when the program says so."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from llm_sync import (
    ClientClosedError,
    InvalidRequestError,
    LLMClient,
    ModelNotFoundError,
    ModelRequest,
    ModelResponse,
    QueueFullError,
    RateLimitError,
)
from llm_sync.client.middleware import Next
from llm_sync.config import ConfigLoader
from llm_sync.models import Adjustment, PreparedRequest
from llm_sync.simulator import Response, Simulator

OpenClient = Callable[..., LLMClient]

OPENAI = "openai/gpt-4o-mini"
PATIENCE_S = 10.0


def test_a_prepared_request_is_what_is_sent(client: LLMClient, upstream: Simulator) -> None:
    """Where to, by whom, the JSON body, the options and the adjustments; preparing it sends nothing."""
    request = ModelRequest("Say hello", OPENAI, max_tokens=9, seed=3, id="a")
    prepared = client.dispatcher.prepare(request, timeout=7, max_retries=0, changed=[Adjustment("n", 2, 1, "one at a time")])
    assert (prepared.provider, prepared.dialect, prepared.model, prepared.method) == ("openai", "openai", "gpt-4o-mini", "POST")
    assert prepared.url == f"{upstream.url('openai')}/chat/completions"
    assert b'"content":"Say hello"' in prepared.body
    assert (prepared.options.timeout, prepared.options.max_retries) == (7, 0)
    assert (prepared.request.id, prepared.request.model) == ("a", "gpt-4o-mini")
    assert upstream.requests == []
    response = client.dispatcher.submit(prepared).result(PATIENCE_S)
    assert response.id == "a"
    assert response.adjustments[0].parameter == "n"
    assert client.dispatcher.ask(prepared).id == "a"  # as often as wanted
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("request_", "error"),
    [(ModelRequest("x", "nobody/m"), ModelNotFoundError), (ModelRequest("x", OPENAI, tools=[{}]), InvalidRequestError)],
)
def test_preparing_raises_what_is_wrong(client: LLMClient, request_: ModelRequest, error: type[Exception]) -> None:
    """In the caller's thread."""
    with pytest.raises(error):
        client.dispatcher.prepare(request_)


def test_what_is_no_request_is_a_type_error(client: LLMClient) -> None:
    """A prompt by itself is not one."""
    with pytest.raises(TypeError, match="a request is a ModelRequest, not str"):
        client.dispatcher.prepare("hello")  # type: ignore[arg-type]


def test_a_prepared_request_cannot_be_changed(client: LLMClient) -> None:
    """Threads share it."""
    prepared = client.dispatcher.prepare(ModelRequest("x", OPENAI))
    with pytest.raises(dataclasses.FrozenInstanceError):
        prepared.url = "https://elsewhere.example"  # type: ignore[misc]


def test_preparing_happens_in_the_callers_thread(client: LLMClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The payload is built there; a worker only sends."""
    from llm_sync.providers.openai.chat_completions import OpenAIDialect

    threads: list[threading.Thread] = []
    build = OpenAIDialect.prepare_request

    def building(self: OpenAIDialect, request: ModelRequest, adjustments: Any) -> Any:
        threads.append(threading.current_thread())
        return build(self, request, adjustments)

    monkeypatch.setattr(OpenAIDialect, "prepare_request", building)
    client.generate("x", OPENAI)
    client.submit(ModelRequest("x", OPENAI)).result(PATIENCE_S)
    list(client.map([ModelRequest("x", OPENAI)]))
    assert threads == [threading.current_thread()] * 3


def test_a_full_queue_refuses(open_client: OpenClient, upstream: Simulator) -> None:
    """With block=False, as client.submit."""
    client = open_client('providers: {openai: {api_key: k-0123456789, base_url: "<openai>", max_queue: 1}}')
    prepared = client.dispatcher.prepare(ModelRequest("x", OPENAI))
    with upstream.hold() as hold:
        first = client.dispatcher.submit(prepared)
        hold.wait(1)
        second = client.dispatcher.submit(prepared)
        with pytest.raises(QueueFullError):
            client.dispatcher.submit(prepared, block=False)
    assert first.result(PATIENCE_S).text
    assert second.result(PATIENCE_S).text


def test_a_closed_client_takes_no_prepared_request(client: LLMClient) -> None:
    """However long ago it was prepared."""
    prepared = client.dispatcher.prepare(ModelRequest("x", OPENAI))
    client.close()
    with pytest.raises(ClientClosedError):
        client.dispatcher.submit(prepared)


def test_cooling_down_tells_the_seconds() -> None:
    """0 until the provider asks for a pause."""
    hint = Response(429, {"error": {"message": "too fast"}}, (("retry-after", "50"),))
    with Simulator(on_request=lambda record: hint) as limited:
        entries = f"openai: {{api_key: k, base_url: {limited.url()}, max_retries: 0}}, idle: {{type: openai, api_key: k}}"
        with LLMClient(ConfigLoader().load_text(f"providers: {{{entries}}}")) as client:
            assert client.dispatcher.cooling_down("openai") == 0.0
            with pytest.raises(RateLimitError):
                client.generate("x", OPENAI)
            assert 40 < client.dispatcher.cooling_down("openai") <= 60
            assert client.dispatcher.cooling_down("idle") == 0.0


def test_the_middleware_of_one_call_is_outside_of_the_clients(client: LLMClient) -> None:
    """So that a journal sees every answer, wherever it came from."""
    order: list[str] = []

    def named(name: str) -> Callable[[PreparedRequest, Next], ModelResponse]:
        def middleware(request: PreparedRequest, send: Next) -> ModelResponse:
            order.append(name)
            return send(request)

        return middleware

    client.add_middleware(named("first"))
    client.dispatcher.add_middleware(named("second"))
    client.dispatcher.submit(client.dispatcher.prepare(ModelRequest("x", OPENAI)), middleware=named("own")).result(PATIENCE_S)
    assert order == ["own", "first", "second"]
    client.generate("x", OPENAI)
    assert order[3:] == ["first", "second"]
