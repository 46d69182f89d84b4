"""Converts a body of the Responses API to a ModelRequest, and records what cannot be sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, ModelRequest
from llm_sync.models.fields import NUMBER, RESPONSES, SERVICE_TIERS, TEXT, WHOLE, on_wire
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.openai_shape.content_parts import what
from llm_sync.openai_shape.messages import Turns
from llm_sync.openai_shape.responses_input import read_items

# Parameters that chat completions have under the same name.
_SHARED = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "top_logprobs",
        "user",
    }
)
# Sent to providers of type openai-responses only.
_NATIVE_ONLY = frozenset(
    {
        "access_programs",
        "background",
        "context_management",
        "image",
        "include",
        "max_tool_calls",
        "moderation",
        "reasoning",
        "truncation",
    }
)
# Nothing is stored at a provider, so these would change the question. With what to do instead.
_REFUSED = {
    "conversation": "Send the earlier turns in input.",
    "previous_response_id": "Send the earlier turns in input.",
    "prompt": "Write the prompt's text into input.",
}
_STREAMING = ("stream", "stream_options")  # the client strips or refuses streaming switches by its own rule
_PLAIN = on_wire(RESPONSES, (NUMBER, WHOLE, TEXT))
_OWN = ("input", "tools", "tool_choice", "text", "model")
_PARAMETERS = {*_OWN, *_PLAIN, *_SHARED, *_NATIVE_ONLY, *_STREAMING}


class ResponsesRequest(NamedTuple):
    """A parsed body. ``adjustments``: what is sent differently from it; pass them on to the response."""

    request: ModelRequest
    adjustments: tuple[Adjustment, ...]


def speaks_responses(provider_type: str) -> bool:
    """Whether providers of this ``type`` speak the Responses API. Raises ConfigurationError for an unknown type."""
    from llm_sync.providers.factory import ProviderFactory
    from llm_sync.providers.openai.responses import OpenAIResponsesDialect

    return issubclass(ProviderFactory.dialect_class(provider_type), OpenAIResponsesDialect)


def check_parameters(body: Mapping[str, Any], *, native: bool) -> None:
    """Raise InvalidRequestError for a parameter that is unknown, unless the provider is ``native``, or cannot be sent."""
    for name, value in body.items():
        if name in _REFUSED and value is not None:
            raise InvalidRequestError(f"{name} cannot be sent", guidance=_REFUSED[name])
        if not native and name not in _PARAMETERS and value is not None:
            near = difflib.get_close_matches(name, _PARAMETERS, n=1)
            guidance = f"Did you mean {near[0]}?" if near else "Leave it out, or ask a provider of type openai-responses."
            raise InvalidRequestError(f"the parameter {name!r} is unknown", guidance=guidance)


def responses_request(
    body: Mapping[str, Any],
    *,
    native: bool,
    chat: bool,
    strict: bool = False,
    model: str | None = None,
    request_id: str | int | None = None,
) -> ResponsesRequest:
    """The request for a body of the Responses API.

    ``native``: the provider speaks this API; ``chat``: it speaks chat completions. ``strict``: a loss is an error. ``model``
    replaces the body's. Raises InvalidRequestError, which names the parameter.
    """
    adjustments = Adjustments(strict)
    given = {name: value for name, value in body.items() if value is not None}
    fields: dict[str, Any] = {ours: given[name] for name, ours in _PLAIN.items() if name in given}
    if given.get("service_tier") in SERVICE_TIERS:
        fields["service_tier"] = given.pop("service_tier")
    asked = given.get("input")
    if isinstance(asked, str):
        fields["prompt"] = asked
    else:
        fields["messages"] = Turns(adjustments).read(read_items(asked, adjustments, native=native))
    extras: dict[str, Any] = {}
    fields["tools"] = _tools(given.get("tools"), native=native)
    fields["tool_choice"] = given.get("tool_choice")
    if "text" in given:
        fields["response_schema"] = _format(given["text"], extras, adjustments, native=native, chat=chat)
    for name, value in given.items():
        if name not in _PLAIN and name not in _OWN:
            _further(name, value, extras, adjustments, native=native, chat=chat)
    asked_model = model if model is not None else given.get("model")
    request = ModelRequest(model=asked_model, provider_specific=extras, id=request_id, **fields)
    return ResponsesRequest(request, tuple(adjustments.adjustments))


def _further(name: str, value: Any, extras: dict[str, Any], adjustments: Adjustments, *, native: bool, chat: bool) -> None:
    """Handle a parameter that a ModelRequest does not have."""
    if native or (name in _SHARED and chat) or name in _STREAMING:
        extras[name] = value
    elif name == "reasoning" and isinstance(value, Mapping) and value.get("effort") and chat:
        sent = {"reasoning_effort": value["effort"]}
        extras.update(sent)
        adjustments.note(name, dict(value), sent, "chat completions take the effort only")
    else:
        adjustments.lose(name, value, "this provider does not support it")


def _tools(tools: Any, *, native: bool) -> list[Any]:
    if tools is None:
        return []
    if not isinstance(tools, (list, tuple)):
        raise InvalidRequestError(f"tools is {what(tools)}", guidance="Give a list.")
    for index, tool in enumerate(tools):
        kind = tool.get("type", "function") if isinstance(tool, Mapping) else None
        if kind is None or (kind != "function" and not native):
            raise InvalidRequestError(
                f"tools[{index}] is of type {kind!r}, which this provider does not have",
                guidance="Give functions, or ask a provider of type openai-responses.",
            )
    return list(tools)


def _format(text: Any, extras: dict[str, Any], adjustments: Adjustments, *, native: bool, chat: bool) -> Any:
    """The JSON Schema for the answer, unless the provider reads ``text`` itself."""
    if native:
        extras["text"] = text
        return None
    if not isinstance(text, Mapping):
        raise InvalidRequestError(f"text is {what(text)}", guidance="Give an object with format.")
    if text.get("verbosity") and chat:
        extras["verbosity"] = text["verbosity"]
    elif text.get("verbosity"):
        adjustments.lose("text.verbosity", text["verbosity"], "this provider does not support it")
    form = text.get("format")
    if form is None or (isinstance(form, Mapping) and form.get("type") == "text"):
        return None
    if isinstance(form, Mapping) and form.get("type") == "json_schema" and isinstance(form.get("schema"), Mapping):
        return form["schema"]
    raise InvalidRequestError("text.format cannot be sent", guidance="Give a json_schema with a schema.")
