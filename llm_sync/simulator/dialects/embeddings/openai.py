"""OpenAI's ``POST /embeddings``, and what Azure, Google's endpoint for OpenAI's clients and OpenRouter make of it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from llm_sync.simulator.dialects.base import Call, random_id
from llm_sync.simulator.dialects.embeddings.vectors import embedding_model, text_tokens, unit_vector, written
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.server.response import ListedError

PATH = "/embeddings"
_KEYS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})
_MAX_TEXTS, _MAX_TOKENS = 2048, 300_000
_CHAT = re.compile(r"gpt-|o\d|chatgpt|codex")
_USD = 0.00000002  # per token, at OpenRouter

Reply = tuple[dict[str, Any], tuple[int, int]]
"""The body, and the tokens that are billed."""


def embed(call: Call, refuse: Refuse, *, max_texts: int = _MAX_TEXTS, provider: str = "openai", lenient: bool = False) -> Reply:
    """Checks the payload and answers it. ``lenient``: unknown fields are ignored."""
    payload = call.payload
    for key in payload:
        if key not in _KEYS and not lenient:
            refuse(f"Unrecognized request argument supplied: {key}")
    _check_model(call, provider, refuse)
    texts = _texts(payload, max_texts, refuse)
    encoding = payload.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        message = f"Invalid value for 'encoding_format' = {encoding}. Must be one of 'float' or 'base64'."
        refuse(message, param="encoding_format", code="invalid_value")
    model = embedding_model(call.model)
    dimensions = _dimensions(payload, call.model, refuse)
    tokens = text_tokens(texts)
    for count in tokens:
        if count > model.window:
            raise ListedError("context", window=model.window, requested=count)
    if sum(tokens) > _MAX_TOKENS:
        message = f"Invalid 'input': maximum request size is {_MAX_TOKENS} tokens per request, this one has {sum(tokens)}."
        refuse(message, param="input", code="max_tokens_per_request")
    data = [
        {"object": "embedding", "index": index, "embedding": written(unit_vector(text, call.model, dimensions), encoding)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}
    return {"object": "list", "data": data, "model": call.model, "usage": usage}, (sum(tokens), 0)


def embed_by_openrouter(call: Call, refuse: Refuse, upstream: str) -> Reply:
    """The same with an id, the upstream provider, and the cost."""
    body, tokens = embed(call, refuse, provider="openrouter", lenient=True)
    body["usage"] |= {"cost": round(tokens[0] * _USD, 12), "is_byok": False}
    return {**body, "provider": upstream, "id": random_id(f"gen-emb-{int(time.time())}-", 20)}, tokens


def _check_model(call: Call, provider: str, refuse: Refuse) -> None:
    if not call.model:
        refuse("you must provide a model parameter")
    if is_unknown_model(provider, call.model):
        raise ListedError("not_found")
    if _CHAT.match(call.model):
        refuse("You are not allowed to generate embeddings from this model", status=403)


def _texts(payload: dict[str, Any], max_texts: int, refuse: Refuse) -> Sequence[Any]:
    given = payload.get("input")
    if given is None:
        refuse("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    texts = given if isinstance(given, list) and not _is_tokens(given) else [given]
    if len(texts) > max_texts:
        message = f"Invalid 'input': array too long. Expected an array with maximum length {max_texts}, but got an array with "
        refuse(f"{message}length {len(texts)} instead.", param="input", code="array_above_max_length")
    if not texts or not all(text and (isinstance(text, str) or _is_tokens(text)) for text in texts):
        refuse("'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.")
    return texts


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _dimensions(payload: dict[str, Any], name: str, refuse: Refuse) -> int:
    model, asked = embedding_model(name), payload.get("dimensions")
    if asked is None:
        return model.dimensions
    if model.choices == ():
        refuse("This model does not support specifying dimensions.", param="dimensions")
    if type(asked) is not int:
        refuse(f"Invalid type for 'dimensions': expected an integer, but got {asked!r} instead.", param="dimensions")
    if asked < 1:
        refuse(f"{asked} is less than the minimum of 1 - 'dimensions'")
    if asked > model.dimensions:
        refuse(f"Invalid value for 'dimensions' = {asked}. Must be less than or equal to {model.dimensions}.", param="dimensions")
    return asked
