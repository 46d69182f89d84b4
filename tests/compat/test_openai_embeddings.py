"""openai's embeddings over llm-sync, of both generations: what is sent, what comes back, what is refused."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pytest

from llm_sync.compat import openai
from llm_sync.compat.openai.types import CreateEmbeddingResponse, Embedding  # type: ignore[attr-defined]

MODEL = "text-embedding-3-small"


def test_one_text_has_one_vector(client: Any, upstream: Any) -> None:
    """In the original's shape, with tokens, and with the cost and the vectors of llm-sync beside them."""
    answer = client.embeddings.create(model=MODEL, input="a cat", dimensions=3)
    assert isinstance(answer, CreateEmbeddingResponse)
    assert isinstance(answer.data[0], Embedding)
    assert (answer.object, answer.model, answer.data[0].object, answer.data[0].index) == ("list", MODEL, "embedding", 0)
    assert answer.data[0].embedding == answer.llm_sync[0].vectors[0]
    assert len(answer.data[0].embedding) == 3
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert (upstream.bodies[0]["input"], upstream.bodies[0]["dimensions"]) == (["a cat"], 3)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_has_a_vector_for_each_text_in_order(client: Any, upstream: Any, kind: Any) -> None:
    """One request, and the same vector as for the text alone."""
    several = client.embeddings.create(model=MODEL, input=kind(["a cat", "a dog"]), dimensions=3)
    alone = client.embeddings.create(model=MODEL, input="a dog", dimensions=3)
    assert [each.index for each in several.data] == [0, 1]
    assert several.data[1].embedding == alone.data[0].embedding
    assert [body["input"] for body in upstream.bodies] == [["a cat", "a dog"], ["a dog"]]


def test_vectors_come_in_the_format_that_is_asked_for(client: Any) -> None:
    """Base64 of little-endian floats of four bytes, or numbers."""
    numbers = client.embeddings.create(model=MODEL, input="a cat", dimensions=3, encoding_format="float").data[0].embedding
    packed = client.embeddings.create(model=MODEL, input="a cat", dimensions=3, encoding_format="base64").data[0].embedding
    assert struct.unpack("<3f", base64.b64decode(packed)) == pytest.approx(numbers)


def test_what_is_openais_own_goes_to_its_like(client: Any, upstream: Any) -> None:
    """So does extra_body; what is not given is not sent."""
    client.embeddings.create(model=MODEL, input="x", user="ada", dimensions=openai.NOT_GIVEN)
    client.embeddings.create(model=MODEL, input="x", extra_body={"user": "eve"})
    assert [body["user"] for body in upstream.bodies] == ["ada", "eve"]
    assert "dimensions" not in upstream.bodies[0]


@pytest.fixture
def gemini(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client whose configuration names a provider of another shape."""
    monkeypatch.setenv("LLM_SYNC_CONFIG", "c.yaml")
    config = f"providers: {{gemini: {{api_key: k, base_url: '{upstream.url('gemini')}', models: [gemini-embedding-001]}}}}"
    Path("c.yaml").write_text(config)
    return openai.OpenAI()


def test_another_shape_gets_no_user(gemini: Any, upstream: Any) -> None:
    """An adjustment says so; what is unknown is refused."""
    answer = gemini.embeddings.create(model="gemini-embedding-001", input="x", dimensions=3, user="ada")
    assert [(each.parameter, each.sent) for each in answer.adjustments] == [("user", None)]
    assert "ada" not in str(upstream.bodies)
    with pytest.raises(openai.BadRequestError, match="truncate cannot be sent to a provider of type gemini"):
        gemini.embeddings.create(model="gemini-embedding-001", input="x", extra_body={"truncate": "END"})


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is set before a client is made, which reads it."""
    monkeypatch.setenv("LLM_SYNC_STRICT", "1")


def test_with_strict_another_shape_refuses_a_user(strict: None, gemini: Any) -> None:
    """Nothing is left out of a request."""
    with pytest.raises(openai.BadRequestError, match="user cannot be sent"):
        gemini.embeddings.create(model="gemini-embedding-001", input="x", user="ada")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": [1, 2]}, "input is a list of tokens"),
        ({"input": [[1, 2]]}, "input is a list of tokens"),
        ({"input": []}, "Give a text or a list of texts"),
        ({"input": ["x", ""]}, r"texts\[1\] is empty"),
        ({"input": "x", "encoding_format": "int8"}, "encoding_format is 'int8'"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
    ],
)
def test_what_has_no_vector_is_a_bad_request(client: Any, upstream: Any, arguments: Any, message: str) -> None:
    """Nothing is sent."""
    with pytest.raises(openai.BadRequestError, match=message):
        client.embeddings.create(model=MODEL, **arguments)
    assert upstream.bodies == []


def test_the_error_of_one_text_is_that_of_the_call(client: Any, upstream: Any) -> None:
    """As the original's: no vectors of the others, and the provider's status and message."""
    refused = {"error": {"message": "too long", "type": "invalid_request_error", "param": "input", "code": "too_long"}}
    upstream.judge = lambda record: upstream_refusal(refused) if "bad" in record.payload["input"] else None
    with pytest.raises(openai.BadRequestError, match="too long") as caught:
        client.embeddings.create(model=MODEL, input=["good", "bad"])
    assert caught.value.status_code == 400


def upstream_refusal(body: Any) -> Any:
    """A 400."""
    from llm_sync.simulator import Response

    return Response(400, body)


def test_what_the_original_does_not_know_is_a_type_error(client: Any) -> None:
    """So is a call without what it needs."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'texts'"):
        client.embeddings.create(model=MODEL, input="x", texts=[])
    with pytest.raises(TypeError, match="'input' and 'model', got no 'input'"):
        client.embeddings.create(model=MODEL)
    with pytest.raises(openai.OpenAIError, match=r"embeddings\.with_raw_response\.create is not supported"):
        client.embeddings.with_raw_response.create(model=MODEL, input="x")


def test_embeddings_of_2023(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """``openai.Embedding.create``, read by items, with the exceptions of ``openai.error``."""
    monkeypatch.setattr(openai, "api_key", "sk-module-0123456789")
    monkeypatch.setattr(openai, "api_base", upstream.url())
    answer = openai.Embedding.create(engine=MODEL, input=["a cat"], dimensions=2)
    assert len(answer["data"][0]["embedding"]) == 2
    with pytest.raises(openai.error.InvalidRequestError):
        openai.Embedding.create(model=MODEL, input=[])


def test_resources_of_the_module_stay_resources(client: Any, upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also once a client has used them, which imports modules of this package."""
    monkeypatch.setattr(openai, "api_key", "sk-module-0123456789")
    monkeypatch.setattr(openai, "base_url", upstream.url())
    client.embeddings.create(model=MODEL, input="x")
    client.responses.create(model="gpt-4o-mini", input="x")
    assert openai.embeddings.create(model=MODEL, input="x", dimensions=2).data
    assert openai.responses.create(model="gpt-4o-mini", input="x").output_text
