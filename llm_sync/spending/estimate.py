"""The most that one attempt can cost, from what it sends.

A token is at least one byte, so the bytes of the payload bound its input; the answer is bounded by the limit in the payload, and
both by the model's context window. What the provider adds by itself (its own tools, other models) has no bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from llm_sync.config.pricing import Pricing
from llm_sync.errors import InvalidRequestError
from llm_sync.models import PreparedRequest
from llm_sync.spending.model_prices import ModelPrice

IMAGE_TOKENS = 50_000  # more than any provider counts for one image (OpenAI's small models: 48,169)
_OVERHEAD_TOKENS = 1_000  # what dialects and providers add: roles, the instructions for tools
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
# Parameters by which a provider does more than answer: it searches, runs programs, asks other models.
_UNBOUNDED = frozenset(
    {"web_search_options", "search_parameters", "plugins", "models", "mcp_servers", "container", "route", "online"}
)
# Parameters by which a provider reads what it has stored.
_STORED = frozenset({"previous_response_id", "conversation", "cachedContent", "file_id", "fileId", "file_url"})
_FUNCTIONS = frozenset({None, "function", "custom"})


class Bound(NamedTuple):
    """The most tokens in and out, and the most USD."""

    input_tokens: int
    output_tokens: int
    usd: float


class _Input(NamedTuple):
    """What a payload holds beside text. ``data``: characters of images in it. ``stored``: what only the provider knows."""

    images: int = 0
    data: int = 0
    stored: str = ""


def cost_bound(prepared: PreparedRequest, price: ModelPrice, limit_field: str | None = None) -> Bound:
    """The most that an attempt of ``prepared`` can cost; ``limit_field``: what the configuration calls the limit of the answer.

    Raises InvalidRequestError where no price is known, or the request sets no limit, and says what to set.
    """
    if price.pricing is None:
        raise InvalidRequestError(
            f"no price of {prepared.provider}/{prepared.model} is known, so it cannot be used under a budget",
            guidance="Set its pricing in the configuration, or install the list of prices: pip install 'llm-sync[prices]'.",
        )
    if hasattr(prepared.request, "texts"):  # an EmbeddingRequest, which is not imported for this
        return _embedding_bound(prepared, price.pricing, price.per_request)
    payload = json.loads(prepared.body)
    _refuse_unbounded(payload)
    read = _read(payload)
    window = price.context_window
    input_tokens = len(prepared.body) - read.data + read.images * IMAGE_TOKENS + _OVERHEAD_TOKENS
    if read.stored and window is None:
        raise _no_bound(f"it has {read.stored}, whose length is not known before it is sent", "Leave it out.")
    if window is not None:
        input_tokens = window if read.stored else min(input_tokens, window)
    output_tokens = _limit(payload, limit_field) or window
    if output_tokens is None:
        raise _no_bound("it has no max_tokens", "Set max_tokens in the request or in the configuration.")
    usd = price.pricing.most(input_tokens, output_tokens) + price.per_request
    return Bound(input_tokens, output_tokens, usd)


def _embedding_bound(prepared: PreparedRequest, pricing: Pricing, per_request: float) -> Bound:
    """Vectors are no output, and a model's window holds for each of the texts."""
    tokens = len(prepared.body) + _OVERHEAD_TOKENS
    return Bound(tokens, 0, pricing.most(tokens, 0) + per_request)


def _no_bound(reason: str, guidance: str) -> InvalidRequestError:
    return InvalidRequestError(f"what the request can cost at most is not known, as a budget needs: {reason}", guidance=guidance)


def _limit(payload: Mapping[str, Any], own: str | None) -> int | None:
    """The most tokens of the answer, by the payload."""
    places = [payload, payload.get("generationConfig"), payload.get("generation_config")]
    found = [place.get(name) for place in places if isinstance(place, dict) for name in (*_LIMITS, own or "")]
    limits = [int(value) for value in found if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0]
    return max(limits, default=None)


def _refuse_unbounded(payload: Mapping[str, Any]) -> None:
    asked = next((name for name in payload if name in _UNBOUNDED and payload[name]), None)
    tools = payload.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict) or tool.get("type") not in _FUNCTIONS or _is_search(tool):
            asked = asked or "a tool that the provider runs"
    if asked:
        raise _no_bound(f"{asked} makes the provider do more than answer", "Leave it out, or take the budget from this model.")


def _is_search(tool: Mapping[str, Any]) -> bool:
    """Whether one of Gemini's tools is none of the caller's own functions."""
    return "type" not in tool and "name" not in tool and not ({"functionDeclarations", "function_declarations"} & tool.keys())


def _read(payload: Any) -> _Input:
    images, data, stored = 0, 0, ""
    for name, value in _fields(payload):
        if name in _STORED and value:
            stored = name
        elif name in ("file_data", "fileUri", "file_uri", "file_url", "document_url") or (name == "type" and value == "document"):
            stored = stored or "a document"
        elif isinstance(value, str) and _is_image(name, value):
            images += 1
            data += len(value) if name == "data" or value.startswith("data:") else 0
        elif name in ("media_type", "mimeType", "mime_type") and isinstance(value, str) and not value.startswith("image/"):
            stored = stored or "a document"
    return _Input(images, data, stored)


def _is_image(name: str, value: str) -> bool:
    """Whether a field holds an image: a URL, a data URL, or base64 as Anthropic and Gemini take it."""
    return name in ("image_url", "url") or (name == "data" and len(value) > 64)


def _fields(node: Any) -> Iterator[tuple[str, Any]]:
    """Every field of a payload, at any depth, with its name."""
    pending = [node]
    while pending:
        here = pending.pop()
        if isinstance(here, dict):
            for name, value in here.items():
                yield name, value
                pending.append(value)
        elif isinstance(here, list):
            pending += here
