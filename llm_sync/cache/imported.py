"""Answers that were imported from the output of a batch: its records have the response, not the provider's reply."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llm_sync.cache.entry import Entry
from llm_sync.errors import ResponseValidationError
from llm_sync.models import ModelResponse, PreparedRequest, ToolCall, Usage

_METADATA = ("finish_reason_raw", "thinking", "parsed", "citations")


def response_of(entry: Entry, prepared: PreparedRequest) -> ModelResponse:
    """The response that an imported entry holds, for a request. Raises ResponseValidationError if it holds none."""
    fields = entry.response or {}
    try:
        return ModelResponse(
            text=fields["text"],
            model=fields.get("model") or prepared.model,
            provider=prepared.provider,
            finish_reason=fields["finish_reason"],
            usage=_usage(fields.get("usage") or {}),
            timestamp=entry.stored,
            latency_ms=float(fields.get("latency_ms") or 0.0),
            attempts=0,
            request_id=fields.get("request_id"),
            tool_calls=tuple(_tool_call(call) for call in fields.get("tool_calls") or ()),
            adjustments=prepared.adjustments,
            cost_estimate=fields.get("cost_estimate"),
            metadata={name: value for name, value in (fields.get("metadata") or {}).items() if name in _METADATA},
            id=prepared.request.id,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResponseValidationError(
            f"the imported answer {entry.key[:12]} cannot be read: {type(error).__name__}: {error}",
            guidance="Remove it from the cache, or import it again.",
        ) from None


def _usage(counts: Mapping[str, Any]) -> Usage:
    known = {name: count for name, count in counts.items() if type(count) is int and count >= 0}
    return Usage(**{each.name: known.get(each.name) for each in dataclasses.fields(Usage)})


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    arguments = call.get("arguments")
    return ToolCall(
        str(call.get("id") or ""),
        str(call["name"]),
        arguments if isinstance(arguments, dict) else None,
        str(call.get("raw_arguments") or ""),
        call.get("state"),
    )
