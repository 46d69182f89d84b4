"""Embeddings: ``client.embeddings.create``, and ``openai.Embedding.create`` of 0.28."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

from llm_sync.compat.openai.calls import texts_given
from llm_sync.compat.openai.response_objects import CreateEmbeddingResponse
from llm_sync.compat.shim import sending
from llm_sync.compat.shim.calls import CallContext
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table, shown
from llm_sync.compat.shim.targets import Target, resolve_target
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment
from llm_sync.models.embeddings import Embeddings

FLOAT, BASE64 = "float", "base64"


def embed(context: CallContext, table: Table, arguments: Mapping[str, Any], kind: type[Any] = CreateEmbeddingResponse) -> Any:
    """The vectors of one text or a list of texts, as an object of class ``kind``."""
    with translate_errors(context.map_error):
        reading, context = context.read(table, arguments)
        given = reading.given
        texts = texts_given("input", given.pop("input", None))
        form = given.pop("encoding_format", FLOAT)
        if form not in (FLOAT, BASE64):
            raise InvalidRequestError(f"encoding_format is {shown(form)}", guidance="Give float or base64.")
        target = resolve_target(context.settings, given.pop("model", None))
        dimensions = given.pop("dimensions", None)
        made = sending.not_sent(table.call, reading)
        extras = _extras(given, target, made)
        vectors = sending.embed(
            target, texts, context.timeout, context.max_retries, dimensions=dimensions, provider_specific=extras
        )
        answer = kind.read(_body(vectors, form))
        # Bypass __setattr__, as for every answer.
        answer.__dict__.update(adjustments=(*made, *vectors.adjustments), llm_sync=(vectors,))
        return answer


def _extras(given: Mapping[str, Any], target: Target, made: list[Adjustment]) -> dict[str, Any]:
    """What goes into the body as it is: to a provider that speaks OpenAI's shape. Others get no ``user``, and nothing unknown."""
    extras = dict(given)
    if target.chat or not extras:
        return extras
    user = extras.pop("user", None)
    if user is not None:
        reason = f"providers of type {target.type} take none"
        if target.strict:
            raise InvalidRequestError(f"user cannot be sent: {reason}", guidance="Leave it out, or drop strict.")
        made.append(Adjustment("user", user, None, reason))
    if extras:
        raise InvalidRequestError(
            f"{', '.join(sorted(extras))} cannot be sent to a provider of type {target.type}", guidance="Leave it out."
        )
    return extras


def _body(vectors: Embeddings, form: str) -> dict[str, Any]:
    tokens = vectors.usage.input_tokens
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector) if form == BASE64 else vector}
            for index, vector in enumerate(vectors)
        ],
        "model": vectors.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _encoded(vector: list[float]) -> str:
    """Base64 of the numbers as little-endian floats of four bytes, as OpenAI sends them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
