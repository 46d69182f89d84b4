"""Converts the messages of a chat-completion body to our Message objects."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, Message, ToolCall, field_checks, grammar
from llm_sync.openai_shape.turn_state import call_state, take_state


class Adjustments:
    """Records what is sent differently from what a body asks. Under ``strict`` a loss is an error."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self.adjustments: list[Adjustment] = []

    def note(self, name: str, asked: Any, sent: Any, reason: str) -> None:
        """Record that a value is sent in another form; nothing is lost."""
        self.adjustments.append(Adjustment(name, asked, sent, reason))

    def lose(self, name: str, asked: Any, reason: str, sent: Any = None) -> None:
        """Record that a value is not sent as asked. Raises InvalidRequestError under strict."""
        if self._strict:
            raise InvalidRequestError(f"{name} cannot be sent as asked: {reason}", guidance="Leave it out, or drop strict.")
        self.note(name, asked, sent, reason)


class Turns:
    """Converts messages; what ours cannot express goes to ``adjustments``."""

    def __init__(self, adjustments: Adjustments) -> None:
        self._adjustments = adjustments

    def read(self, found: Any) -> tuple[Message, ...]:
        """The turns of the body."""
        if not isinstance(found, (list, tuple)) or not found:
            raise InvalidRequestError(f"messages is {what(found)}", guidance="Give a list of at least one message.")
        turns = [self._message(item, f"messages[{index}]") for index, item in enumerate(found)]
        made = [turn for turn in turns if turn is not None]
        if made and all(turn.role == "system" for turn in made):  # many scripts send their only question this way
            place = max(index for index, turn in enumerate(turns) if turn is not None)
            self._adjustments.note(f"messages[{place}].role", "system", "user", "a conversation ends with a turn to answer")
            made[-1] = dataclasses.replace(made[-1], role="user")
        return tuple(made)

    def _message(self, item: Any, place: str) -> Message | None:
        """The turn; None for an empty one, which is not sent."""
        if not isinstance(item, Mapping):
            raise InvalidRequestError(f"{place} is {grammar.type_name(item)}", guidance="Give an object with role and content.")
        given = {name: value for name, value in item.items() if value not in (None, [], {})}
        role = given.pop("role", None)
        content = given.pop("content", None)
        text, images = self._content(content, place)
        calls = [
            _call(call, f"{place}.tool_calls")
            for call in field_checks.listed(f"{place}.tool_calls", given.pop("tool_calls", None))
        ]
        answers = given.pop("tool_call_id", None)
        if role == "developer":
            role = "system"
        elif role == "function":
            role, answers = "tool", _call_id(given.pop("name", None))
        legacy = given.pop("function_call", None)
        if legacy is not None:
            calls.append(_called(_call_id(_name_in(legacy)), legacy, f"{place}.function_call"))
        refusal = given.pop("refusal", None)
        state = take_state(given, content, calls) if role == "assistant" else None
        if role in ("system", "assistant") and not given and not (calls or answers or images or (text or refusal or "").strip()):
            self._adjustments.note(place, f"an empty {role} message", None, "nothing stands in it")
            return None
        for name, value in given.items():
            if name == "audio":
                raise InvalidRequestError(f"{place} holds audio", guidance="Give its text: llm-sync sends text and images.")
            self._adjustments.lose(f"{place}.{name}", value, "messages have no such field")
        text = text or refusal or ("" if role == "tool" else None)
        return Message(role, text, images, calls, answers, state)

    def _content(self, content: Any, place: str) -> tuple[str | None, list[str]]:
        """A message's text and its images."""
        if content is None or isinstance(content, str):
            return content, []
        if not isinstance(content, (list, tuple)):
            raise InvalidRequestError(
                f"{place}.content is {grammar.type_name(content)}", guidance="Give a string or a list of parts."
            )
        texts: list[str] = []
        images: list[str] = []
        for index, part in enumerate(content):
            kind = part.get("type") if isinstance(part, Mapping) else None
            value = part.get(kind) if isinstance(kind, str) else None
            if kind in ("text", "refusal") and isinstance(value, str):
                if images:
                    self._adjustments.lose(
                        f"{place}.content", "text after an image", "images follow the text", "images after the text"
                    )
                texts.append(value)
            elif kind == "image_url" and isinstance(value, (str, Mapping)):
                url = value if isinstance(value, str) else value.get("url")
                if not isinstance(url, str) or not url[:8].lower().startswith(("http://", "https://", "data:")):
                    raise InvalidRequestError(f"{place}.content[{index}] has no URL", guidance="Give an http, https or data URL.")
                detail = value.get("detail") if isinstance(value, Mapping) else None
                if detail not in (None, "auto"):
                    self._adjustments.lose(f"{place}.content[{index}].image_url.detail", detail, "images have no such field")
                images.append(url)
            elif kind != "thinking":  # Mistral's; it is in the turn's state
                raise InvalidRequestError(
                    f"{place}.content[{index}] is {f'of type {kind!r}' if kind else what(part)}, which cannot be sent",
                    guidance="Parts are text (with text) and image_url (with a URL).",
                )
        if len(texts) > 1:
            self._adjustments.note(f"{place}.content", f"{len(texts)} text parts", "one", "a message has one text")
        return "\n".join(texts), images


def _call(call: Any, place: str) -> ToolCall:
    if not isinstance(call, Mapping) or call.get("type", "function") != "function" or not isinstance(call.get("id"), str):
        raise InvalidRequestError(
            f"{place} holds something that is not a function call",
            guidance='Give {"id": …, "type": "function", "function": {…}}.',
        )
    read = _called(call["id"], call.get("function"), place)
    state = call_state(call)
    return dataclasses.replace(read, state=state) if state else read


def _called(call_id: str, function: Any, place: str) -> ToolCall:
    name = _name_in(function)
    arguments = function.get("arguments") if isinstance(function, Mapping) else None
    if name is None or not isinstance(arguments, (str, Mapping, type(None))):
        raise InvalidRequestError(f"{place} has no name, or arguments that are not JSON text", guidance="Give both as they came.")
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    try:
        parsed = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        parsed = None
    return ToolCall(call_id, name, parsed if isinstance(parsed, dict) else None, raw)


def _name_in(function: Any) -> str | None:
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) and name else None


def _call_id(name: Any) -> str:
    """The id of a legacy function call, which has none. Only one function was called at a time, so its name identifies it."""
    return f"call_{name}"


def what(value: Any) -> str:
    """Describes an unexpected value for an error message."""
    if value is None:
        return "missing"
    return f"an empty {field_checks.kind(value)}" if value in ([], {}, "") else grammar.type_name(value)
