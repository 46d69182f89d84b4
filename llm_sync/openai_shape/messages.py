"""Converts the messages of a chat-completion body to our Message objects."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, Part, ToolCall, field_checks, grammar
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.openai_shape.content_parts import PartReader, cache_point, what
from llm_sync.openai_shape.turn_state import call_state, take_state


class Turns:
    """Converts messages; what ours cannot express goes to ``adjustments``."""

    def __init__(self, adjustments: Adjustments) -> None:
        self._adjustments = adjustments

    def read(self, found: Any) -> tuple[Message, ...]:
        """The turns of the body."""
        if not isinstance(found, (list, tuple)) or not found:
            raise InvalidRequestError(f"messages is {what(found)}", guidance="Give a list of at least one message.")
        turns = [self.message(item, f"messages[{index}]") for index, item in enumerate(found)]
        made = [turn for turn in turns if turn is not None]
        if made and all(turn.role == "system" for turn in made):  # many scripts send their only question this way
            place = max(index for index, turn in enumerate(turns) if turn is not None)
            self._adjustments.note(f"messages[{place}].role", "system", "user", "a conversation ends with a turn to answer")
            made[-1] = dataclasses.replace(made[-1], role="user")
        return tuple(made)

    def message(self, item: Any, place: str) -> Message | None:
        """The turn; None for an empty one, which is not sent."""
        if not isinstance(item, Mapping):
            raise InvalidRequestError(f"{place} is {grammar.type_name(item)}", guidance="Give an object with role and content.")
        given = {name: value for name, value in item.items() if value not in (None, [], {})}
        role = given.pop("role", None)
        content = given.pop("content", None)
        text, parts = self._content(content, place, keeps_parts=role not in ("assistant", "tool", "function"))
        calls = [
            _call(call, f"{place}.tool_calls")
            for call in field_checks.listed(f"{place}.tool_calls", given.pop("tool_calls", None))
        ]
        answers = given.pop("tool_call_id", None)
        name = given.pop("name", None)
        if role == "developer":
            role = "system"
        elif role == "function":
            role, answers = "tool", _call_id(name)
        legacy = given.pop("function_call", None)
        if legacy is not None:
            calls.append(_called(_call_id(_name_in(legacy)), legacy, f"{place}.function_call"))
        refusal = given.pop("refusal", None)
        cache, ttl = cache_point(given, place, self._adjustments)
        state = take_state(given, content, calls) if role == "assistant" else None
        if role in ("system", "assistant") and not given and not (calls or answers or parts or (text or refusal or "").strip()):
            self._adjustments.note(place, f"an empty {role} message", None, "nothing stands in it")
            return None
        for field, value in given.items():
            if field == "audio":
                raise InvalidRequestError(f"{place} holds audio", guidance="Give its text: spoken answers are not sent back.")
            self._adjustments.lose(f"{place}.{field}", value, "messages have no such field")
        text = None if parts else text or refusal or ("" if role == "tool" else None)
        name = name if isinstance(name, str) and role != "tool" else None
        return Message(role, text, (), calls, answers, state, parts, cache, ttl, name)

    def _content(self, content: Any, place: str, *, keeps_parts: bool) -> tuple[str | None, list[Part]]:
        """A message's text, or its parts if it has others, several, or points to cache up to; then the text is "".

        ``keeps_parts``: texts stay apart. Those of answers are one, as they were when they came.
        """
        if content is None or isinstance(content, str):
            return content, []
        if not isinstance(content, (list, tuple)):
            raise InvalidRequestError(
                f"{place}.content is {grammar.type_name(content)}", guidance="Give a string or a list of parts."
            )
        reader = PartReader(self._adjustments)
        read = [reader.part(part, f"{place}.content[{index}]") for index, part in enumerate(content)]
        parts = [part for part in read if part is not None]
        texts = [part.text for part in parts if part.text is not None]
        if any(part.cache or part.type != "text" for part in parts) or (keeps_parts and len(parts) > 1):
            return "", parts
        if len(texts) > 1:
            self._adjustments.note(f"{place}.content", f"{len(texts)} text parts", "one", "a message has one text")
        return "\n".join(texts), []


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
