"""The steps of Google's Interactions: a conversation written as steps, tools, and what goes back of an answer's steps."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_sync.models import Message, Part
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.message_parts import parts_of
from llm_sync.providers.payload import call_arguments, lose_tool_keys, tool_parts
from llm_sync.providers.turns import Origin, own_state
from llm_sync.runtime.import_lock import import_lock

_PLAIN = ("model_output", "function_call")  # steps that a Message holds
_OWN = ("thought", *_PLAIN)
_RESOLUTIONS = {"low": "low", "high": "high", "original": "high"}


class Conversation:
    """Writes the steps of a conversation, without system messages."""

    def __init__(self, origin: Origin, adjustments: Adjustments) -> None:
        self._origin = origin
        self._adjustments = adjustments
        self._names: dict[str, str] = {}  # of the calls so far, by id; a later message may use an id again

    def steps(self, turns: tuple[Message, ...]) -> list[dict[str, Any]]:
        """The steps: one for each turn, and one for each call and result."""
        out: list[dict[str, Any]] = []
        for message in turns:
            self._names.update((call.id, call.name) for call in message.tool_calls)
            if message.role == "tool":
                out.append(self._result(message))
            elif message.role == "assistant":
                out += self._answer(message)
            elif message.role != "system":
                out.append({"type": "user_input", "content": _contents(message)})
        return out

    def _answer(self, message: Message) -> list[dict[str, Any]]:
        kept = _kept_steps(message, own_state(message.state, self._origin))
        if kept is not None:
            return kept
        contents = _contents(message)
        steps: list[dict[str, Any]] = [{"type": "model_output", "content": contents}] if contents else []
        for call in message.tool_calls:
            arguments = call_arguments(call, self._adjustments)
            steps.append({"type": "function_call", "id": call.id, "name": call.name, "arguments": arguments})
        return steps

    def _result(self, message: Message) -> dict[str, Any]:
        call_id = message.tool_call_id or ""
        return {
            "type": "function_result",
            "call_id": call_id,
            "name": self._names.get(call_id, ""),
            "result": _value(message.content or ""),
        }


def _value(content: str) -> Any:
    """The result of a tool: an object as one, everything else as text."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return value if isinstance(value, dict) else content


def _contents(message: Message) -> list[dict[str, Any]]:
    return [_content(part) for part in parts_of(message, mark=False) if part.type != "text" or part.text]


def _content(part: Part) -> dict[str, Any]:
    if part.type == "text":
        return {"type": "text", "text": part.text}
    if part.type == "image":
        image = load_image(part.source)
        resolution = {"resolution": _RESOLUTIONS[part.detail]} if part.detail in _RESOLUTIONS else {}
        kind = image.media_type or mimetypes.guess_type(urlsplit(image.url or "").path)[0] or "image/jpeg"
        return {"type": "image", **_source(image, kind), **resolution}
    with import_lock:  # few requests have one
        from llm_sync.models.documents import load_audio, load_document

    file = load_audio(part.source) if part.type == "audio" else load_document(part.source, part.name)
    return {"type": part.type, **_source(file, file.media_type)}


def _source(file: Any, media_type: str) -> dict[str, Any]:
    return {"uri": file.url, "mime_type": media_type} if file.url else {"data": file.base64, "mime_type": media_type}


def _kept_steps(message: Message, steps: Any) -> list[dict[str, Any]] | None:
    """The steps of a turn as they came; None without them, or if the turn's text or calls were changed since.

    A thought without a signature stays behind: the API refuses it, and says nothing of the reason.
    """
    if not isinstance(steps, list):
        return None
    out = [dict(step) for step in steps if step.get("type") != "thought" or step.get("signature")]
    calls = [step for step in out if step.get("type") == "function_call"]
    same = [(call.get("name"), call.get("arguments") or {}) for call in calls]
    if text_of(out) != (message.content or "") or same != [(call.name, call.arguments or {}) for call in message.tool_calls]:
        return None
    for step, call in zip(calls, message.tool_calls, strict=True):
        step["id"] = call.id
    return out


def state_of(steps: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The steps of an answer if the API wants any of them back that a Message does not hold."""
    return steps if any(step["type"] not in _PLAIN for step in steps) else None


def text_of(steps: list[dict[str, Any]]) -> str:
    """The text of all outputs of the model."""
    spoken = [content for step in steps if step.get("type") == "model_output" for content in step.get("content") or ()]
    return "".join(content.get("text") or "" for content in spoken if content.get("type") == "text")


def other_kinds(steps: list[dict[str, Any]]) -> list[str]:
    """What an answer holds beside text and calls: the type of each other step, and of each other content."""
    kinds = [step["type"] for step in steps if step["type"] not in _OWN]
    spoken = [content for step in steps if step["type"] == "model_output" for content in step.get("content") or ()]
    return kinds + [content.get("mime_type") or content["type"] for content in spoken if content["type"] != "text"]


def tool(given: Mapping[str, Any], adjustments: Adjustments) -> dict[str, Any]:
    """A function, or a tool of the API's own: ``{"type": "google_search"}``, also as Gemini has it, ``{"googleSearch": {}}``."""
    if "name" in given or "function" in given:
        if given.get("type", "function") not in ("function", "custom"):
            return dict(given)
        name, description, parameters, rest = tool_parts(given)
        lose_tool_keys(name, rest, adjustments)
        described = {"description": description} if description else {}
        return {"type": "function", "name": name, **described, "parameters": parameters}
    if "type" not in given and len(given) == 1:
        ((name, settings),) = given.items()
        return {"type": re.sub(r"[A-Z]", lambda hump: "_" + hump[0].lower(), name), **(settings or {})}
    return dict(given)
