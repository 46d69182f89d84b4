"""Recorded embeddings, judged by the notes beside them, where recordings stand beside the repository."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.client.division import may_divide
from llm_sync.config.models import GOOGLE_CLOUD
from llm_sync.models.embeddings import EmbeddingRequest, EmbeddingResponse
from llm_sync.providers import ProviderFactory
from llm_sync.providers.embeddings.provider import EmbeddingProvider

FOLDER = Path(__file__).parents[3] / "shared" / "wire" / "surfaces"
NAMES = sorted(path.stem for path in FOLDER.glob("embeddings*/*.json"))
PATHS = ("/embeddings", "/embed", "/publishers/", "/models/", "/model/")

pytestmark = pytest.mark.skipif(not NAMES, reason="no recorded exchanges beside the repository")


def read(name: str) -> dict[str, Any]:
    """One recorded exchange."""
    case: dict[str, Any] = json.loads((FOLDER / "embeddings" / f"{name}.json").read_text(encoding="utf-8"))
    return case


def entry(case: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The type and the settings of an entry for the recorded server."""
    address, _, query = case["request"]["url"].partition("?")
    base = next(address.rpartition(path)[0] for path in PATHS if path in address)
    kind = "gemini" if "googleapis" in address else "openrouter" if "openrouter" in address else "openai"
    kind = "bedrock" if "bedrock" in address else kind
    more = {"auth": GOOGLE_CLOUD, "project": "PROJECT"} if "aiplatform" in address else {}
    return kind, {"base_url": base, "query": dict([query.split("=")]) if query else {}, **more}


def texts_of(body: Mapping[str, Any]) -> list[str]:
    """The texts of a recorded request; tokens as some text."""
    if "requests" in body:
        return [each["content"]["parts"][0]["text"] for each in body["requests"]]
    if "instances" in body:
        return [each["content"] for each in body["instances"]]
    texts = body.get("input") or body.get("texts") or body["inputText"]
    return [text if isinstance(text, str) else "tokens" for text in ([texts] if isinstance(texts, str) else texts)]


def model_of(case: Mapping[str, Any]) -> str:
    """The model that was asked."""
    tail = case["request"]["url"].partition("/models/")[2] or case["request"]["url"].partition("/model/")[2]
    return str(case["request"]["body"].get("model") or tail.partition(":")[0].removesuffix("/invoke"))


def answered(provider: Callable[..., Any], reply: Callable[..., Any], name: str) -> tuple[Any, Any]:
    """What is made of one exchange, and what was sent for it."""
    case = read(name)
    kind, settings = entry(case)
    if kind not in ProviderFactory.types():
        pytest.skip(f"there is no type {kind}")
    headers = {key.lower().replace("-", "_"): value for key, value in case["response"]["headers"].items()}
    chat = provider(kind, reply(case["response"]["body"], case["response"]["status"], **headers), **settings)
    made = EmbeddingProvider(chat)
    asked = EmbeddingRequest(texts_of(case["request"]["body"]), model_of(case))
    try:
        return made.send(made.prepare(asked)), chat.web.sent[0]
    except errors.LLMConnectorError as error:
        return error, chat.web.sent[0]


def vectors_in(body: Any) -> list[list[float]]:
    """The vectors of a recorded body, found by hand."""
    if "predictions" in body:
        found = [each["embeddings"]["values"] for each in body["predictions"]]
    elif isinstance(body.get("embeddings"), dict):
        found = body["embeddings"]["float"]
    elif "embeddings" in body:
        found = [each["values"] for each in body["embeddings"]]
    elif "embedding" in body:
        found = [body["embedding"]]
    else:
        found = [each["embedding"] for each in sorted(body["data"], key=lambda each: each["index"])]
    decoded = [base64.b64decode(each) if isinstance(each, str) else each for each in found]
    return [list(struct.unpack(f"<{len(each) // 4}f", each)) if isinstance(each, bytes) else each for each in decoded]


# What the note beside each recording means: tokens in, and what else the answer says.
ANSWERS: dict[str, tuple[int | None, dict[str, Any]]] = {
    "bedrock_titan": (3, {}),
    "cohere_v2": (7, {}),
    "gemini_batch_embed": (None, {}),
    "gemini_embedding_2_usage": (8, {}),
    "mistral": (11, {"model": "mistral-embed"}),
    "ollama_v1": (10, {"model": "all-minilm"}),
    "openai_base64": (7, {"model": "text-embedding-ada-002"}),
    "openai_dimensions": (2, {}),
    "openai_float": (2, {"model": "text-embedding-ada-002-v2"}),
    "openrouter": (7, {"cost_estimate": 1.4e-07, "request_id": "gen-emb-1787150070-o0rsA0WVJRMlQB41n9uP"}),
    "vertex_predict": (12, {"truncated": False}),
    "vllm_v1": (11, {}),
    "voyage": (0, {"model": "voyage-3.5"}),
}
# The class of each error, whether another attempt may help, and whether fewer texts may.
ERRORS: dict[str, tuple[type[errors.LLMConnectorError], bool, bool]] = {
    "azure_err_401": (errors.AuthenticationError, False, False),
    "cohere_err_404": (errors.ModelNotFoundError, False, False),
    "llamacpp_err_500_past_batch": (errors.ContextLengthExceededError, False, True),
    "llamacpp_err_501_no_flag": (errors.InvalidRequestError, False, False),
    "mistral_err_400_model": (errors.ModelNotFoundError, False, False),
    "mistral_err_400_too_many_inputs": (errors.InvalidRequestError, False, True),
    "openai_err_400_dimensions": (errors.InvalidRequestError, False, False),
    "openrouter_err_400_model": (errors.ModelNotFoundError, False, False),
    "voyage_err_400": (errors.ModelNotFoundError, False, False),
}


def test_every_recording_is_judged() -> None:
    """A recording that is added has to be given its meaning here."""
    assert set(NAMES) == {*ANSWERS, *ERRORS}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_recorded_answers(provider: Any, reply: Any, name: str) -> None:
    """Each answer gives the recorded numbers, the tokens and the further facts that its note names."""
    got, sent = answered(provider, reply, name)
    case, (tokens, facts) = read(name), ANSWERS[name]
    assert isinstance(got, EmbeddingResponse), got
    assert list(got.vectors) == vectors_in(case["response"]["body"])
    assert (got.usage.input_tokens, got.usage.output_tokens) == (tokens, None if tokens is None else 0)
    assert {field: getattr(got, field) for field in facts} == facts
    assert sent.url == case["request"]["url"]


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_recorded_errors(provider: Any, reply: Any, name: str) -> None:
    """Each error has the class, and the hope, that its note means."""
    got, _ = answered(provider, reply, name)
    kind, retryable, divisible = ERRORS[name]
    assert (type(got), bool(got.retryable), may_divide(got)) == (kind, retryable, divisible), got
