"""The parts of a request to Gemini: messages, calls with their signatures, tools, and the spelling of settings."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_sync import errors
from llm_sync.models import Message
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.payload import call_arguments, lose_tool_keys, tool_parts

SIGNED = "#signature="  # precedes the signature in a call's id
_NO_CALL_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="  # Google's word for "this call has no signature"


def contents(turns: tuple[Message, ...], model: str, adjustments: Adjustments) -> list[dict[str, Any]]:
    """The messages of a conversation, without system messages."""
    names: dict[str, str] = {}  # of the calls so far, by id; a later message may use an id again
    out: list[dict[str, Any]] = []
    for message in turns:
        if message.role == "system":
            continue
        role = "model" if message.role == "assistant" else "user"
        names.update((call.id, call.name) for call in message.tool_calls)
        parts = _parts(message, names, model, adjustments)
        answers = message.role == "tool" and bool(out) and "functionResponse" in out[-1]["parts"][-1]
        if answers:
            out[-1]["parts"] += parts  # the API wants the results of one turn in one content
        else:
            out.append({"role": role, "parts": parts})
    return out


def _parts(message: Message, names: Mapping[str, str], model: str, adjustments: Adjustments) -> list[dict[str, Any]]:
    if message.role == "tool":
        name = names.get(message.tool_call_id or "")
        if name is None:
            raise errors.InvalidRequestError(
                f"no tool call of the conversation has the id {message.tool_call_id!r}",
                guidance="Put the assistant message with its tool_calls before the tool message.",
            )
        return [{"functionResponse": {"name": name, "response": _result(message.content or "")}}]
    parts: list[dict[str, Any]] = [_image(image) for image in message.images]
    if message.content:
        parts.append({"text": message.content})
    signatures = [call.id.partition(SIGNED)[2] for call in message.tool_calls]
    if signatures and not any(signatures) and model.removeprefix("models/").startswith("gemini-3"):
        signatures[0] = _NO_CALL_SIGNATURE  # the API wants it on the first of parallel calls
    for call, signature in zip(message.tool_calls, signatures, strict=True):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call_arguments(call, adjustments)}}
        if signature:
            part["thoughtSignature"] = signature
        parts.append(part)
    return parts


def _result(content: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = content
    return value if isinstance(value, dict) else {"result": value}


def _image(source: Any) -> dict[str, Any]:
    image = load_image(source)
    if image.url:
        kind = mimetypes.guess_type(urlsplit(image.url).path)[0] or "image/jpeg"
        return {"fileData": {"mimeType": kind, "fileUri": image.url}}
    return {"inlineData": {"mimeType": image.media_type, "data": image.base64}}


def tools(given: Any, adjustments: Adjustments) -> list[dict[str, Any]]:
    """All functions in one declaration, next to the API's own tools."""
    own = [dict(tool) for tool in given if "name" not in tool and "function" not in tool]  # {"googleSearch": {}} …
    declared = []
    for tool in given:
        if "name" in tool or "function" in tool:
            name, description, parameters, rest = tool_parts(tool)
            lose_tool_keys(name, rest, adjustments)
            declared.append({"name": name, "description": description or "", "parametersJsonSchema": parameters})
    return [*own, *([{"functionDeclarations": declared}] if declared else [])]


def camels(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their names in camelCase. Raises InvalidRequestError if one is given in both spellings."""
    out: dict[str, Any] = {}
    for key, value in settings.items():
        if _camel(key) in out:
            raise errors.InvalidRequestError(
                f"provider_specific holds {_camel(key)!r} in two spellings", guidance="Gemini takes either: keep one."
            )
        out[_camel(key)] = value
    return out


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
