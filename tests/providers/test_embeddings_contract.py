"""What holds for every wire of embeddings, as it does for every dialect: errors, streams, keys, addresses, unreadable replies."""

from __future__ import annotations

import json
import pickle
import runpy
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers import ProviderFactory
from llm_sync.providers.embeddings.provider import EmbeddingProvider, wire_for

SAMPLES: dict[str, dict[str, Any]] = runpy.run_path(str(Path(__file__).with_name("samples.py")))["SAMPLES"]
OPENAI = {"data": [{"index": 0, "embedding": [0.5, 1]}], "model": "answering", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
VALUES = {"values": [0.5, 1]}
CLOUD = {"auth": "google-cloud", "project": "p"}
# A name for each wire: the type, the entry, the model, and an answer for one text.
WIRES: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    "openai": ("openai", {}, "m", OPENAI),
    "openai-responses": ("openai-responses", {}, "m", OPENAI),
    "openrouter": ("openrouter", {}, "m", OPENAI),
    "compatible": ("openai", {"base_url": "http://127.0.0.1:1/v1"}, "m", OPENAI),
    "azure": ("openai", {"base_url": "https://x.openai.azure.com/openai/v1"}, "m", OPENAI),
    "mistral": ("openai", {"base_url": "https://api.mistral.ai/v1"}, "m", OPENAI),
    "voyage": ("openai", {"base_url": "https://api.voyageai.com/v1"}, "m", OPENAI),
    "cohere": ("openai", {"base_url": "https://api.cohere.com/v2"}, "m", {"embeddings": {"float": [[0.5, 1]]}}),
    "cohere-openai": ("openai", {"base_url": "https://api.cohere.ai/compatibility/v1"}, "m", OPENAI),
    "google-openai": ("openai", {"base_url": "https://generativelanguage.googleapis.com/v1beta/openai"}, "m", OPENAI),
    "gemini": ("gemini", {}, "m", {"embeddings": [VALUES]}),
    "gemini-interactions": ("gemini-interactions", {}, "m", {"embeddings": [VALUES]}),
    "vertex": ("gemini", CLOUD, "m", {"predictions": [{"embeddings": VALUES}]}),
    "titan": ("bedrock", {}, "amazon.titan-embed-text-v2:0", {"embedding": [0.5, 1], "inputTextTokenCount": 3}),
    "nova": ("bedrock", {}, "amazon.nova-2-multimodal-embeddings-v1:0", {"embeddings": [{"embedding": [0.5, 1]}]}),
    "bedrock-cohere": ("bedrock", {}, "cohere.embed-v4:0", {"embeddings": [[0.5, 1]]}),
}
wires = pytest.mark.parametrize("name", WIRES)


@pytest.fixture
def made(provider: Any, reply: Any) -> Any:
    """``made(name, body, status, **headers)``: a provider of embeddings over one reply; options of its entry as ``config``."""

    def make(name: str, body: Any = None, status: int = 200, *, config: Any = None, **headers: str) -> EmbeddingProvider:
        kind, entry, _, answer = WIRES[name]
        entry = {"base_url": "https://bedrock-runtime.us-east-1.amazonaws.com", **entry} if kind == "bedrock" else entry
        return EmbeddingProvider(
            provider(kind, reply(answer if body is None else body, status, **headers), **entry, **(config or {}))
        )

    return make


def asked(name: str, **fields: Any) -> EmbeddingRequest:
    """A request for one text."""
    return EmbeddingRequest(["text"], WIRES[name][2], **fields)


def test_every_type_with_embeddings_is_here() -> None:
    """A new wire has its row above."""
    have = {kind for kind in ProviderFactory.types() if ProviderFactory.dialect_class(kind).embeddings is not None}
    assert have == {kind for kind, *_ in WIRES.values()}


@wires
def test_an_answer_gives_vectors_and_facts(made: Any, name: str) -> None:
    """What a response has of every request; the body without the vectors."""
    chat = made(name)
    response = chat.send(chat.prepare(asked(name, id="mine")))
    assert response.vectors == ([0.5, 1.0],)
    assert (response.id, response.provider, response.attempts, response.latency_ms) == ("mine", "p", 1, 250)
    assert "0.5" not in json.dumps(response.metadata["raw"])
    assert json.loads(json.dumps(response.to_dict()))["vectors"] == [[0.5, 1.0]]


@wires
def test_a_prepared_request_is_data_without_a_key(made: Any, key: str, name: str) -> None:
    """It can be pickled, and holds everything that is sent but the credential."""
    prepared = made(name).prepare(asked(name))
    copy = pickle.loads(pickle.dumps(prepared))  # noqa: S301  (our own)
    assert (copy.body, copy.url, copy.request) == (prepared.body, prepared.url, prepared.request)
    assert key not in repr(vars(prepared))
    assert b"text" in prepared.body


@pytest.mark.parametrize("status", [400, 401, 404, 429, 503])
@wires
def test_errors_are_those_of_the_dialect(made: Any, name: str, status: int) -> None:
    """The same reply means the same for vectors as for answers."""
    kind = WIRES[name][0]
    expected = {
        400: errors.InvalidRequestError,
        401: errors.AuthenticationError,
        404: errors.ModelNotFoundError,
        429: errors.RateLimitError,
        503: errors.ProviderUnavailableError,
    }[status]
    chat = made(name, SAMPLES[kind]["error"](status), status, retry_after="7")
    with pytest.raises(expected) as caught:
        chat.send(chat.prepare(asked(name)))
    assert (caught.value.status, caught.value.provider, caught.value.model) == (status, "p", WIRES[name][2])
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "retryable"),
    [
        (b'data: {"a": 1}\n\n', "text/event-stream", errors.StreamingNotSupportedError, False),
        (b"", "application/json", errors.EmptyResponseError, True),
        (b"<html>a gateway</html>", "text/html", errors.ResponseValidationError, False),
        (b'{"data": [{"index": 0, "embedd', "application/json", errors.ResponseValidationError, True),
        (b"[" * 100_000, "application/json", errors.ResponseValidationError, True),
        (b'{"error": {"message": "overloaded", "type": "server_error"}}', "application/json", errors.LLMConnectorError, None),
        (b"null", "application/json", errors.ResponseValidationError, False),
        (b"[]", "application/json", errors.ResponseValidationError, False),
        (b"{}", "application/json", errors.ResponseValidationError, False),
    ],
)
@wires
def test_what_is_no_answer_is_an_error(made: Any, name: str, body: bytes, content_type: str, kind: Any, retryable: Any) -> None:
    """Streams, empty bodies, pages, cut and deep JSON, errors in a good reply."""
    chat = made(name, body, content_type=content_type)
    with pytest.raises(kind) as caught:
        chat.send(chat.prepare(asked(name)))
    if retryable is not None:
        assert bool(caught.value.retryable) == retryable


@wires
def test_a_key_that_is_echoed_is_not_shown(made: Any, key: str, name: str) -> None:
    """Neither in the message nor in the body of the error."""
    chat = made(name, {"error": {"message": f"bad key {key}", "code": 401}, "message": f"bad key {key}"}, 401)
    with pytest.raises(errors.LLMConnectorError) as caught:
        chat.send(chat.prepare(asked(name)))
    assert key not in str(caught.value) + repr(caught.value.body)


@wires
def test_streaming_is_refused_before_anything_is_sent(made: Any, name: str) -> None:
    """The last guard, which is that of every request."""
    chat = made(name, config={"query": {"stream": "true"}})
    with pytest.raises(errors.StreamingNotSupportedError):
        chat.prepare(asked(name))


@wires
def test_limits_are_those_of_at_least_one_text(made: Any, name: str) -> None:
    """Whatever the size of answers that is allowed."""
    chat = made(name, config={"max_response_bytes": 1024})
    assert wire_for(chat.dialect).limits_for(WIRES[name][2], 100_000).texts == 1
