"""The parts of a request to Gemini: messages, calls with their signatures, tools, and the spelling of settings."""

from __future__ import annotations

import dataclasses
import json
import mimetypes
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_sync import errors
from llm_sync.models import Message, Part, ToolCall
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.payload import call_arguments, lose_tool_keys, tool_parts
from llm_sync.providers.turns import FORMER_SIGNATURE, Origin, own_state, tagged
from llm_sync.runtime.import_lock import import_lock

_NO_CALL_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="  # Google's word for "this call has no signature"


_OTHER = ("inlineData", "fileData", "executableCode", "codeExecutionResult")  # fields of a part that is no text and no call


class Conversation:
    """Writes the messages of a conversation, without system messages. ``ids``: whether the API takes ids of calls."""

    def __init__(self, origin: Origin, adjustments: Adjustments, *, ids: bool) -> None:
        self._origin = origin
        self._adjustments = adjustments
        self._ids = ids
        self._names: dict[str, str] = {}  # of the calls so far, by id; a later message may use an id again

    def contents(self, turns: tuple[Message, ...]) -> list[dict[str, Any]]:
        """The messages."""
        out: list[dict[str, Any]] = []
        for message in turns:
            if message.role == "system":
                continue
            self._names.update((call.id, call.name) for call in message.tool_calls)
            if message.role == "tool" and out and "functionResponse" in out[-1]["parts"][-1]:
                out[-1]["parts"].append(self._response(message))  # the API wants the results of one turn in one content
            else:
                out.append({"role": "model" if message.role == "assistant" else "user", "parts": self._parts(message)})
        return out

    def _parts(self, message: Message) -> list[dict[str, Any]]:
        if message.role == "tool":
            return [self._response(message)]
        signatures = self._signatures(message)
        kept = _kept_parts(message, own_state(message.state, self._origin))
        if kept is not None:
            return kept
        if message.parts:
            parts = [_part(part) for part in message.parts]
        else:
            parts = [_image(image) for image in message.images]
            parts += [{"text": message.content}] if message.content else []
        for call, signature in zip(message.tool_calls, signatures, strict=True):
            made: dict[str, Any] = {"name": call.name, "args": call_arguments(call, self._adjustments)}
            part: dict[str, Any] = {"functionCall": {"id": call.id, **made} if self._ids else made}
            if signature:
                part["thoughtSignature"] = signature
            parts.append(part)
        return parts

    def _signatures(self, message: Message) -> list[str]:
        signatures = [self._signature(call) for call in message.tool_calls]
        if signatures and not any(signatures) and self._origin.model.removeprefix("models/").startswith("gemini-3"):
            signatures[0] = _NO_CALL_SIGNATURE  # the API wants it on the first of parallel calls
        return signatures

    def _signature(self, call: ToolCall) -> str:
        data = own_state(call.state, self._origin)
        signature = data.get("thoughtSignature") if isinstance(data, Mapping) else None
        return signature if isinstance(signature, str) else ""

    def _response(self, message: Message) -> dict[str, Any]:
        call_id = message.tool_call_id or ""
        answer: dict[str, Any] = {"name": self._names[call_id], "response": _result(message.content or "")}
        return {"functionResponse": {"id": call_id, **answer} if self._ids else answer}


def with_former_signatures(turns: tuple[Message, ...], origin: Origin) -> tuple[Message, ...]:
    """The turns of a conversation that was kept before calls had a state: the signature stood in the id."""
    if not any(FORMER_SIGNATURE in call.id for turn in turns for call in turn.tool_calls):
        return turns
    out = []
    for turn in turns:
        calls = [_former_call(call, origin) for call in turn.tool_calls]
        call_id = turn.tool_call_id and turn.tool_call_id.partition(FORMER_SIGNATURE)[0]
        out.append(dataclasses.replace(turn, tool_calls=calls, tool_call_id=call_id))
    return tuple(out)


def _former_call(call: ToolCall, origin: Origin) -> ToolCall:
    call_id, _, signature = call.id.partition(FORMER_SIGNATURE)
    return dataclasses.replace(call, id=call_id, state=tagged({"thoughtSignature": signature}, origin)) if signature else call


def _kept_parts(message: Message, parts: Any) -> list[dict[str, Any]] | None:
    """The parts of a turn as they came; None without them, or if the turn's text or calls were changed since."""
    if not isinstance(parts, list):
        return None
    out = [dict(part) for part in parts]
    calls = [part for part in out if part.get("functionCall")]
    text = "".join(part.get("text") or "" for part in out)
    same = [(part["functionCall"].get("name"), part["functionCall"].get("args") or {}) for part in calls]
    if text != (message.content or "") or same != [(call.name, call.arguments or {}) for call in message.tool_calls]:
        return None
    for part, call in zip(calls, message.tool_calls, strict=True):
        if "id" in part["functionCall"]:
            part["functionCall"] = {**part["functionCall"], "id": call.id}
    return out


def state_of(parts: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The parts of an answer, without thoughts, if one of them is to go back that neither the text nor the calls hold."""
    kept = [part for part in parts if not part.get("thought")]
    plain = all(part.get("functionCall") or part.keys() <= {"text"} for part in kept)
    return None if plain else kept


def other_kinds(part: Mapping[str, Any]) -> list[str]:
    """What a part holds beside text and calls: the type of its data, or the name of its field."""
    kinds = []
    for name in (name for name in _OTHER if name in part):
        held = part[name]
        kind = held.get("mimeType") if isinstance(held, Mapping) else None
        kinds.append(str(kind or name))
    return kinds


def _result(content: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = content
    return value if isinstance(value, dict) else {"result": value}


def _part(part: Part) -> dict[str, Any]:
    if part.type == "text":
        return {"text": part.text}
    if part.type == "image":
        return _image(part.source)
    with import_lock:  # few requests have one
        from llm_sync.models.documents import load_audio, load_document

    file = load_audio(part.source) if part.type == "audio" else load_document(part.source, part.name)
    if file.url:
        return {"fileData": {"mimeType": file.media_type, "fileUri": file.url}}
    return {"inlineData": {"mimeType": file.media_type, "data": file.base64}}


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
