"""The simulated embeddings: strict as the providers, the same vector for the same text, in every form."""

from __future__ import annotations

import base64
import json
import math
import struct
import urllib.error
import urllib.request
from typing import Any

import pytest

from llm_sync.simulator import Simulator

OPENAI, GEMINI, VERTEX = "/openai/v1/embeddings", "/gemini/v1beta/models/gemini-embedding-001:", "/v1/projects/p/locations/l"
SMALL = {"model": "text-embedding-3-small"}
TITAN = "/bedrock/model/amazon.titan-embed-text-v2:0/invoke"
PREDICT = f"{VERTEX}/publishers/google/models/text-embedding-005:predict"


def post(upstream: Simulator, path: str, payload: Any) -> tuple[int, Any]:
    """Status and body of a request with every kind of key."""
    headers = {"authorization": "Bearer k", "api-key": "k", "content-type": "application/json"}
    if path.startswith("/gemini/v1beta/models"):
        headers = {"x-goog-api-key": "k", "content-type": "application/json"}
    request = urllib.request.Request(upstream.root + path, json.dumps(payload).encode(), headers)  # noqa: S310  (our own address)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_vector_has_length_one_and_depends_on_text_model_and_dimensions_only(upstream: Simulator) -> None:
    """In digits, in base64 and beside other texts it is the same."""
    asked = {**SMALL, "input": ["b", "a"], "dimensions": 8}
    vectors = [each["embedding"] for each in post(upstream, OPENAI, asked)[1]["data"]]
    written = post(upstream, OPENAI, {**asked, "input": "a", "encoding_format": "base64"})[1]["data"][0]["embedding"]
    assert vectors[1] == pytest.approx(struct.unpack("<8f", base64.b64decode(written)), rel=1e-6)
    assert math.hypot(*vectors[0]) == pytest.approx(1, rel=1e-5)
    assert vectors[0] != vectors[1]


REFUSED: dict[str, tuple[str, Any, int, str]] = {
    "an unknown field": (OPENAI, {**SMALL, "input": "a", "input_type": "query"}, 400, "Unrecognized"),
    "an empty text": (OPENAI, {**SMALL, "input": ["a", ""]}, 400, "invalid"),
    "no texts": (OPENAI, {**SMALL, "input": []}, 400, "invalid"),
    "a text that is a number": (OPENAI, {**SMALL, "input": ["a", 7]}, 400, "invalid"),
    "too many texts": (OPENAI, {**SMALL, "input": ["a"] * 2049}, 400, "maximum length 2048"),
    "too many tokens in a text": (OPENAI, {**SMALL, "input": [[1] * 8193]}, 400, "8192"),
    "too many tokens in all": (OPENAI, {**SMALL, "input": [[1] * 8000] * 38}, 400, "300000"),
    "too many dimensions": (OPENAI, {**SMALL, "input": "a", "dimensions": 1537}, 400, "1536"),
    "dimensions of a model without a choice": (
        OPENAI,
        {"model": "text-embedding-ada-002", "input": "a", "dimensions": 8},
        400,
        "does not support",
    ),
    "another form": (OPENAI, {**SMALL, "input": "a", "encoding_format": "int8"}, 400, "encoding_format"),
    "a model for answers": (OPENAI, {"model": "gpt-4o", "input": "a"}, 403, "not allowed"),
    "Mistral: too many texts": ("/mistral/v1/embeddings", {"model": "mistral-embed", "input": ["a"] * 257}, 400, "split"),
    "Mistral: too many tokens": (
        "/mistral/v1/embeddings",
        {"model": "mistral-embed", "input": ["a " * 8000] * 5},
        400,
        "overall",
    ),
    "Mistral: another's model": ("/mistral/v1/embeddings", {**SMALL, "input": ["a"]}, 400, "1500"),
    "Voyage: an unknown type": (
        "/voyage/v1/embeddings",
        {"model": "voyage-3.5", "input": ["a"], "input_type": "similarity"},
        400,
        "input_type",
    ),
    "Cohere: no type": ("/cohere/v2/embed", {"model": "embed-v4.0", "texts": ["a"]}, 400, "input_type"),
    "Cohere: too many texts": (
        "/cohere/v2/embed",
        {"model": "embed-v4.0", "texts": ["a"] * 97, "input_type": "search_query"},
        400,
        "at most 96",
    ),
    "Gemini: too many texts": (
        f"{GEMINI}batchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": "a"}]}}] * 101},
        400,
        "at most 100",
    ),
    "Gemini: an unknown field": (
        f"{GEMINI}batchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": "a"}]}, "dimensions": 8}]},
        400,
        "Unknown name",
    ),
    "Gemini: an unknown task": (
        f"{GEMINI}batchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": "a"}]}, "taskType": "query"}]},
        400,
        "TaskType",
    ),
    "Bedrock: an unknown field": (TITAN, {"inputText": "a", "dimension": 256}, 400, "extraneous key"),
    "Bedrock: an empty text": (TITAN, {"inputText": ""}, 400, "minLength"),
    "Bedrock: a length there is not": (TITAN, {"inputText": "a", "dimensions": 8}, 400, "enum"),
    "Bedrock: no embeddings": ("/bedrock/model/amazon.nova-lite-v1:0/invoke", {"messages": []}, 400, "identifier is invalid"),
    "Vertex: too many texts": (PREDICT, {"instances": [{"content": "a"}] * 251}, 400, "limit of 250"),
    "Vertex: the other API's method": (PREDICT.replace(":predict", ":batchEmbedContents"), {"requests": []}, 404, "not found"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_provider_refuses_is_refused(upstream: Simulator, name: str) -> None:
    """In the provider's own form, with a text that says why."""
    path, payload, status, words = REFUSED[name]
    got, body = post(upstream, path, payload)
    assert (got, words in json.dumps(body)) == (status, True), body


def test_tokens_are_billed(upstream: Simulator) -> None:
    """The request log has them, with no output."""
    post(upstream, OPENAI, {**SMALL, "input": ["one two", "three"], "dimensions": 2})
    record = upstream.requests[-1]
    assert (record.input_tokens, record.output_tokens) == (3, 0)
