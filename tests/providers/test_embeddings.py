"""Embeddings over an in-memory HTTP double: what is sent, and what hostile answers come to."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models.embeddings import EmbeddingRequest
from llm_sync.providers.embeddings.limits import TextLimits, grouped
from llm_sync.providers.embeddings.provider import EmbeddingProvider

MISTRAL, VOYAGE, COHERE = "https://api.mistral.ai/v1", "https://api.voyageai.com/v1", "https://api.cohere.com/v2"


def item(index: Any, embedding: Any) -> dict[str, Any]:
    """One item of OpenAI's list."""
    return {"object": "embedding", "index": index, "embedding": embedding}


def listed(*items: Any, **more: Any) -> dict[str, Any]:
    """OpenAI's list."""
    return {"object": "list", "data": list(items), "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}, **more}


@pytest.fixture
def ask(provider: Any, reply: Any) -> Any:
    """``ask(body, *texts, kind=…, **fields)``: the response; ``ask.sent`` is the payload."""

    def asked(body: Any, *texts: str, kind: str = "openai", config: Any = None, strict: bool = False, **fields: Any) -> Any:
        chat = provider(kind, reply(body), **(config or {}))
        made = EmbeddingProvider(chat, strict=strict)
        try:
            return made.send(made.prepare(EmbeddingRequest(texts or ("a", "b"), fields.pop("model", "m"), **fields)))
        finally:
            asked.sent = chat.web.sent[0] if chat.web.sent else None  # type: ignore[attr-defined]

    return asked


def test_vectors_are_matched_by_index_alone(ask: Any) -> None:
    """A server that answers in another order, or writes an index as a float, gives each text its own vector."""
    assert ask(listed(item(1, [0, 1.0]), item(0.0, [1, 0.5]))).vectors == ([1.0, 0.5], [0.0, 1.0])


def test_base64_and_digits_are_read_alike(ask: Any) -> None:
    """A server may answer with digits where base64 was asked for, and the reverse, even within one answer."""
    written = base64.b64encode(struct.pack("<2f", 0.5, -2.0)).decode()
    assert ask(listed(item(0, written), item(1, [0.5, -2]))).vectors == ([0.5, -2.0], [0.5, -2.0])


HOSTILE = {
    "an index twice": listed(item(0, [1.0]), item(0, [2.0])),
    "an index that is none of the texts": listed(item(0, [1.0]), item(2, [2.0])),
    "a negative index": listed(item(0, [1.0]), item(-1, [2.0])),
    "no index": listed({"embedding": [1.0]}, {"embedding": [2.0]}),
    "an index that is a boolean": listed(item(False, [1.0]), item(True, [2.0])),
    "items that are no objects": listed("a", None),
    "other lengths": listed(item(0, [1.0]), item(1, [1.0, 2.0])),
    "no data": {"object": "list"},
    "data that is no list": listed(data={"0": [1.0]}),
    "only empty vectors": listed(item(0, []), item(1, [])),
    "more vectors than texts": listed(item(0, [1.0]), item(1, [2.0]), item(2, [3.0])),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_in_which_it_is_not_clear_whose_vector_is_whose_is_an_error(ask: Any, name: str) -> None:
    """Nothing of it is used, but its tokens count: the provider bills them."""
    with pytest.raises(errors.ResponseValidationError) as caught:
        ask(HOSTILE[name])
    assert caught.value.response.usage.input_tokens in (5, None)
    assert caught.value.fields


BROKEN = {
    "missing": None,
    "NaN": '{"object":"list","data":[{"index":0,"embedding":[1.0,2.0]},{"index":1,"embedding":[NaN,1.0]}]}',
    "null": listed(item(0, [1.0, 2.0]), item(1, [None, 1.0])),
    "infinite": listed(item(0, [1.0, 2.0]), item(1, [1e308 * 10, 1.0])),
    "too large": '{"data":[{"index":0,"embedding":[1.0,2.0]},{"index":1,"embedding":[1' + "0" * 400 + ",1]}]}",
    "infinite in base64": listed(item(0, [1.0, 2.0]), item(1, base64.b64encode(struct.pack("<2f", float("nan"), 1)).decode())),
    "no base64": listed(item(0, [1.0, 2.0]), item(1, "not base64!")),
    "half a number": listed(item(0, [1.0, 2.0]), item(1, "AAAAAAA=")),
    "words": listed(item(0, [1.0, 2.0]), item(1, ["1.0", "2.0"])),
    "booleans": listed(item(0, [1.0, 2.0]), item(1, [True, 1.0])),
    "an object": listed(item(0, [1.0, 2.0]), item(1, {"values": [1.0]})),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_vector_that_cannot_be_used_is_its_own_texts_problem(ask: Any, name: str) -> None:
    """The other texts of the request, which are paid for, keep their vectors."""
    response = ask(BROKEN[name] or listed(item(0, [1.0, 2.0])))
    assert response.vectors == ([1.0, 2.0], None)
    assert [type(error) for error in response.problems.values()] == [errors.ResponseValidationError]
    assert list(response.problems) == [1]


def test_other_dimensions_than_were_asked_for_are_an_error(ask: Any) -> None:
    """A server that ignores the number of dimensions gives vectors that fit to no others."""
    with pytest.raises(errors.ResponseValidationError, match="3, as asked"):
        ask(listed(item(0, [1.0, 2.0]), item(1, [1.0, 2.0])), dimensions=3)


@pytest.mark.parametrize(
    ("kind", "config", "body"),
    [
        ("gemini", {}, {"embeddings": [{"values": [1.0]}]}),
        ("openai", {"base_url": COHERE}, {"embeddings": {"float": [[1.0]]}, "id": "x"}),
    ],
)
def test_fewer_vectors_without_an_index_are_an_error(ask: Any, kind: str, config: Any, body: Any) -> None:
    """Where only the order tells, a missing vector leaves open whose are there."""
    with pytest.raises(errors.ResponseValidationError, match="2 vectors"):
        ask(body, kind=kind, config=config)


PAYLOADS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "openai": ("openai", {}, "/v1/embeddings", {"dimensions": 2, "encoding_format": "base64"}),
    "compatible": ("openai", {"base_url": "http://127.0.0.1:8080/v1"}, "/v1/embeddings", {"dimensions": 2}),
    "mistral": ("openai", {"base_url": MISTRAL}, "/v1/embeddings", {"output_dimension": 2}),
    "voyage": (
        "openai",
        {"base_url": VOYAGE},
        "/v1/embeddings",
        {"output_dimension": 2, "input_type": "query", "encoding_format": "base64", "truncation": False},
    ),
    "cohere": (
        "openai",
        {"base_url": COHERE},
        "/v2/embed",
        {"output_dimension": 2, "input_type": "search_query", "embedding_types": ["float"], "truncate": "NONE"},
    ),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_what_is_sent(ask: Any, name: str) -> None:
    """Each wire has its own names for dimensions and input types; none lets a provider cut a text in silence."""
    kind, config, path, fields = PAYLOADS[name]
    with pytest.raises(errors.ResponseValidationError):
        ask({}, "a", kind=kind, config=config, dimensions=2, input_type="query")
    texts = "texts" if name == "cohere" else "input"
    assert ask.sent.url.endswith(path)
    assert ask.sent.body == {"model": "m", texts: ["a"], **fields}


def test_gemini_asks_for_each_text_by_itself(ask: Any) -> None:
    """Model, task and dimensions stand beside each text, as does what is provider_specific."""
    body = {"embeddings": [{"values": [1.0]}]}
    ask(body, "a", kind="gemini", dimensions=1, input_type="document", provider_specific={"title": "t"})
    assert ask.sent.body["requests"] == [
        {
            "model": "models/m",
            "content": {"parts": [{"text": "a"}]},
            "taskType": "RETRIEVAL_DOCUMENT",
            "outputDimensionality": 1,
            "title": "t",
        }
    ]


@pytest.mark.parametrize(
    "extras",
    [{"encoding_format": "base64_int8"}, {"output_dtype": "binary"}, {"input": ["other"]}, {"stream": True}, {"model": "x"}],
)
def test_what_would_not_be_read_is_refused_before_sending(ask: Any, extras: Any) -> None:
    """Vectors in another form, other texts, and streams are not asked for."""
    with pytest.raises((errors.InvalidRequestError, errors.StreamingNotSupportedError)):
        ask(listed(), provider_specific=extras)
    assert ask.sent is None


def test_a_type_without_embeddings_refuses(provider: Any) -> None:
    """It says so when it is asked, and nothing is sent."""
    with pytest.raises(errors.InvalidRequestError, match="'anthropic' has no embeddings"):
        EmbeddingProvider(provider("anthropic", b""))


def test_a_text_that_was_cut_is_reported(ask: Any) -> None:
    """Google Cloud says which texts it read in part; strict makes that an error."""
    values = {"values": [1.0], "statistics": {"truncated": True, "token_count": 9}}
    config = {"auth": "google-cloud", "project": "p"}
    body = {"predictions": [{"embeddings": values}]}
    response = ask(body, "a", kind="gemini", config=config)
    assert (response.truncated, response.cut_texts, response.usage.input_tokens) == (True, (0,), 9)
    with pytest.raises(errors.TruncatedResponseError):
        ask(body, "a", kind="gemini", config=config, strict=True)


def test_texts_are_grouped_by_number_and_by_bytes() -> None:
    """A text that is larger than a whole request goes alone; the order stays."""
    limits = TextLimits(3, tokens=10)
    assert list(grouped(["a"] * 4, limits)) == [["a"] * 3, ["a"]]
    assert list(grouped(["äääää", "b", "c" * 99, "d"], limits)) == [["äääää"], ["b"], ["c" * 99], ["d"]]
    assert list(grouped([], limits)) == []


def test_an_answer_that_would_be_too_large_is_not_asked_for(provider: Any) -> None:
    """Fewer texts go into a request where max_response_bytes has no room for their vectors."""
    wire = EmbeddingProvider(provider("openai", b"", max_response_bytes=1_000_000)).wire
    assert wire.limits_for("m", None).texts < 60 < wire.limits_for("m", 256).texts
