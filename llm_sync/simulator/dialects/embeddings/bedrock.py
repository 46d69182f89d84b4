"""Bedrock's ``POST /model/MODEL/invoke`` for embeddings: Titan, Nova and Cohere, each in its form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from llm_sync.simulator.dialects.embeddings.vectors import EmbeddingModel, embedding_model, text_tokens, unit_vector, written

PATH = re.compile(r"/model/(.+)/invoke")
_PREFIX = r"(?:(?:us|eu|apac|global)\.)?"
_TITAN, _NOVA, _COHERE = (
    re.compile(_PREFIX + name) for name in (r"amazon\.titan-embed", r"amazon\.nova.*embed", r"cohere\.embed")
)
_TYPES = ("search_document", "search_query", "classification", "clustering")
_PURPOSES = re.compile(r"GENERIC_(?:INDEX|RETRIEVAL)|(?:TEXT|DOCUMENT|IMAGE|VIDEO|AUDIO)_RETRIEVAL|CLASSIFICATION|CLUSTERING")
_MAX_TEXTS = 96

Refuse = Callable[..., NoReturn]
Reply = tuple[dict[str, Any], int]
"""The body, and the tokens that are billed."""


def embed(name: str, payload: Any, refuse: Refuse) -> Reply:
    """Checks the payload of a model, and answers it."""
    if not isinstance(payload, dict):
        refuse("The request body is not a JSON object.")
    makers = ((_TITAN, _titan), (_NOVA, _nova), (_COHERE, _cohere))
    answer = next((answer for pattern, answer in makers if pattern.match(name)), None)
    if answer is None:
        refuse("The provided model identifier is invalid.")
    return answer(name, payload, refuse)


def _titan(name: str, payload: dict[str, Any], refuse: Refuse) -> Reply:
    known = {"inputText"} if name.endswith("v1") else {"inputText", "dimensions", "normalize", "embeddingTypes"}
    _check_names(payload, known, refuse)
    text = payload.get("inputText")
    if not isinstance(text, str) or not text:
        refuse("Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try again.")
    dimensions = payload.get("dimensions", 1536 if name.endswith("v1") else 1024)
    if dimensions not in (256, 512, 1024, 1536):
        refuse(f"Malformed input request: {dimensions} is not a valid enum value, please reformat your input and try again.")
    tokens = _tokens([text], 8192, refuse)
    return {"embedding": _vector(text, name, dimensions), "inputTextTokenCount": tokens}, tokens


def _nova(name: str, payload: dict[str, Any], refuse: Refuse) -> Reply:
    _check_names(payload, {"schemaVersion", "taskType", "singleEmbeddingParams"}, refuse)
    asked = payload.get("singleEmbeddingParams")
    if payload.get("taskType") != "SINGLE_EMBEDDING" or not isinstance(asked, dict):
        refuse("Malformed input request: taskType SINGLE_EMBEDDING and singleEmbeddingParams are required")
    _check_names(asked, {"embeddingPurpose", "embeddingDimension", "text"}, refuse)
    part = asked.get("text")
    part = part if isinstance(part, dict) else {}
    text = part.get("value")
    if not isinstance(text, str) or not text or part.get("truncationMode") not in ("START", "END", "NONE"):
        refuse("Malformed input request: text needs a value and a truncationMode")
    if _PURPOSES.fullmatch(str(asked.get("embeddingPurpose"))) is None:
        refuse("Malformed input request: embeddingPurpose is not a valid enum value")
    dimensions = asked.get("embeddingDimension", 3072)
    if dimensions not in (256, 384, 1024, 3072):
        refuse("Malformed input request: embeddingDimension is not a valid enum value")
    tokens = _tokens([text], 8192, refuse)
    return {"embeddings": [{"embeddingType": "TEXT", "embedding": _vector(text, name, dimensions)}]}, tokens


def _cohere(name: str, payload: dict[str, Any], refuse: Refuse) -> Reply:
    _check_names(payload, {"texts", "input_type", "truncate", "embedding_types", "output_dimension"}, refuse)
    texts = payload.get("texts")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        refuse("Malformed input request: texts must be a list of texts, none of them empty")
    if len(texts) > _MAX_TEXTS:
        refuse(f"Malformed input request: expected maxItems: {_MAX_TEXTS}, actual: {len(texts)}")
    if payload.get("input_type") not in _TYPES:
        refuse("Malformed input request: required key [input_type] not found, or not a valid enum value")
    model: EmbeddingModel = embedding_model(name)
    dimensions = payload.get("output_dimension") or model.dimensions
    tokens = _tokens(texts, model.window if payload.get("truncate") == "NONE" else None, refuse)
    vectors = [_vector(text, name, dimensions) for text in texts]
    by_type = payload.get("embedding_types") is not None
    kind = "embeddings_by_type" if by_type else "embeddings_floats"
    return {"embeddings": {"float": vectors} if by_type else vectors, "texts": texts, "response_type": kind}, tokens


def _check_names(payload: dict[str, Any], known: set[str], refuse: Refuse) -> None:
    for name in payload:
        if name not in known:
            refuse(
                f"Malformed input request: extraneous key [{name}] is not permitted, please reformat your input and try again."
            )


def _tokens(texts: list[str], window: int | None, refuse: Refuse) -> int:
    tokens = text_tokens(texts)
    if window is not None and max(tokens) > window:
        refuse(f"400 Bad Request: Too many input tokens. Max input tokens: {window}, request input token count: {max(tokens)}")
    return sum(tokens)


def _vector(text: str, name: str, dimensions: int) -> Any:
    return written(unit_vector(text, name, dimensions), None)
