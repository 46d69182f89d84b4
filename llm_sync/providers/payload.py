"""What the dialects share in building payloads: merging ``provider_specific``, reading tools, system texts and arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest, Part, ToolCall
from llm_sync.models.field_checks import number_shown
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.message_parts import parts_of

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def merge(
    payload: dict[str, Any], extra: Mapping[str, Any], adjustments: Adjustments, forbidden: frozenset[str], where: str = ""
) -> None:
    """Merge ``provider_specific`` last into ``payload``, mappings key by key; a replaced field is an adjustment.

    Raises InvalidRequestError for a key in ``forbidden``: those have fields of their own on the request.
    """
    for key, value in extra.items():
        name = f"{where}{key}"
        if not where and key in forbidden:
            raise InvalidRequestError(
                f"provider_specific holds {key!r}, which the request itself carries",
                guidance="Use the request's own field (model, prompt, messages, system_prompt) instead.",
            )
        present = payload.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            payload[key] = dict(present)  # a copy: it may be the caller's own (a schema, a tool's parameters)
            merge(payload[key], value, adjustments, forbidden, f"{name}.")
            continue
        if key in payload and present != value:
            adjustments.note(name, present, value, "provider_specific replaces it")
        payload[key] = value


def encoded(payload: Mapping[str, Any]) -> bytes:
    """The payload as JSON in UTF-8. Raises InvalidRequestError for what JSON cannot hold."""
    try:
        return _ENCODER.encode(payload).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(
            f"the request cannot be written as JSON: {error}",
            guidance="Use strings, finite numbers, lists and mappings only.",
        ) from None


def refuse_further_choices(payload: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Raise InvalidRequestError if one of ``fields`` (dotted names) asks for more than one answer: only the first is read."""
    for field in fields:
        value: Any = payload
        for key in field.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and _exceeds_one(value):
            shown = repr(value) if isinstance(value, str) else number_shown(value)
            raise InvalidRequestError(
                f"{field}={shown} asks for several answers to one request; all would be billed and only the first read",
                guidance="Leave it out and send the request as many times as you need answers.",
            )


def _exceeds_one(value: Any) -> bool:
    """Whether a server could read more than 1 from ``value``; some take a number in quotes."""
    try:
        return isinstance(value, (int, float, str)) and float(value) > 1
    except (ValueError, OverflowError):
        return isinstance(value, int)


def tool_parts(tool: Mapping[str, Any]) -> tuple[str, str | None, Mapping[str, Any], Mapping[str, Any]]:
    """A tool's name, description, parameters (JSON Schema) and further keys, from the plain or OpenAI's wrapped form."""
    wrapped = tool.get("function")
    inner = wrapped if isinstance(wrapped, Mapping) else tool
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError("a tool has no name", guidance='Write {"name": …, "description": …, "parameters": {…}}.')
    parameters = inner.get("parameters", inner.get("input_schema")) or {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping):
        raise InvalidRequestError(f"the parameters of tool {name!r} are not a mapping", guidance="Give a JSON Schema.")
    rest = {
        key: value
        for key, value in inner.items()
        if key not in ("name", "description", "parameters", "input_schema", "type", "cache_control")
    }
    return name, inner.get("description"), parameters, rest


def tool_choice(request: ModelRequest) -> tuple[str, str | None] | None:
    """The choice as ("auto" | "none" | "required" | "named", the tool's name), or None without one."""
    choice = request.tool_choice
    if choice is None:
        return None
    if isinstance(choice, Mapping):
        inner = choice.get("function")
        name = inner.get("name") if isinstance(inner, Mapping) else choice.get("name")
        if isinstance(name, str) and name:
            return "named", name
        kind = choice.get("type")
        choice = kind if isinstance(kind, str) else ""
    if choice == "any":
        choice = "required"
    if choice in ("auto", "none", "required"):
        return choice, None
    known = [tool_parts(tool)[0] for tool in request.tools if "name" in tool or "function" in tool]
    if choice in known:
        return "named", choice
    raise InvalidRequestError(
        f"tool_choice {request.tool_choice!r} is unknown",
        guidance=f"Use auto, none, required or a tool's name ({', '.join(known) or 'there are no tools'}).",
    )


def system_texts(request: ModelRequest, adjustments: Adjustments) -> list[str]:
    """Every system text of a request, for APIs that take them together, before the conversation."""
    return [part.text for part in system_parts(request, adjustments) if part.text]


def system_parts(request: ModelRequest, adjustments: Adjustments) -> list[Part]:
    """The same with the points to cache up to: a message with several parts has several."""
    turns = request.conversation()
    roles = [message.role for message in turns]
    first = next((index for index, role in enumerate(roles) if role != "system"), len(roles))
    if "system" in roles[first:]:
        adjustments.note(
            "messages", "a system message between turns", "a system prompt before them", "this API has one system prompt"
        )
    parts = [Part("text", text=request.system_prompt, cache=bool(request.cache_system))] if request.system_prompt else []
    for message in turns:
        if message.role == "system" and not (message.cache or any(part.cache for part in message.parts)):
            parts += [Part("text", text=message.content)] if message.content else []
        elif message.role == "system":
            parts += parts_of(message)
    return parts


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as JSON text, from either of its two fields."""
    return call.raw_arguments or json.dumps(call.arguments or {}, ensure_ascii=False)


def call_arguments(call: ToolCall, adjustments: Adjustments) -> dict[str, Any]:
    """A call's arguments for APIs that accept only objects."""
    if call.arguments is None:
        adjustments.lose("messages", call.raw_arguments, {}, f"the arguments of tool call {call.id!r} are not a JSON object")
    return call.arguments or {}


def lose_tool_keys(tool: str, rest: Iterable[str], adjustments: Adjustments) -> None:
    """Report further keys of a tool (OpenAI's ``strict`` …) as not sent."""
    for key in rest:
        adjustments.lose(f"tools.{tool}.{key}", "set", None, "this API's tools have no such key")
