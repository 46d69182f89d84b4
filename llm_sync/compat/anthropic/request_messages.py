"""Converts messages of Anthropic's shape to our Message objects."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from llm_sync.compat.shim.parameters import shown
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, Part, ToolCall, field_checks
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.openai_shape.content_parts import cache_point

STATE = "llm_sync"  # the key of a block that holds what another provider than Anthropic wants back
_THOUGHTS = ("thinking", "redacted_thinking")
_FILES = ("image", "document")
# Fields of blocks that our turns do not have; empty ones are ignored.
_SPOKEN = frozenset({"type", "text", "source", "title", "id", "name", "input", "tool_use_id", "content", "caller", STATE})


def read_messages(messages: Any, adjustments: Adjustments) -> list[Message]:
    """The turns of ``messages``. Raises InvalidRequestError for what cannot be sent."""
    if not isinstance(messages, (list, tuple)) or not messages:
        raise InvalidRequestError(f"messages is {shown(messages)}", guidance="Give a list of at least one message.")
    return [turn for index, item in enumerate(messages) for turn in _Turn(f"messages[{index}]", adjustments).read(item)]


def read_system(system: Any, adjustments: Adjustments) -> str | Message | None:
    """The system prompt from a string or a list of text blocks: a text, or a message where a block is marked for the cache."""
    if system is None or isinstance(system, str):
        return system or None
    if not isinstance(system, (list, tuple)):
        raise InvalidRequestError(f"system is {shown(system)}", guidance="Give a text or a list of text blocks.")
    turn = _Turn("system", adjustments)
    parts = [part for block in system if (part := turn.text(block, "system")) is not None]
    if any(part.cache for part in parts):
        return Message("system", parts=parts)
    return "\n\n".join(part.text or "" for part in parts) or None


class _Turn:
    """Converts one message; a message with tool results becomes several turns."""

    def __init__(self, where: str, adjustments: Adjustments) -> None:
        self._where = where
        self._adjustments = adjustments
        self._parts: list[Part] = []
        self._calls: list[ToolCall] = []
        self._results: list[Message] = []
        self._last_mark: tuple[bool, str | None] = False, None  # of the last block

    def read(self, item: Any) -> list[Message]:
        """The turns."""
        if not isinstance(item, Mapping):
            raise InvalidRequestError(f"{self._where} is {shown(item)}", guidance="Give an object with role and content.")
        role, content = item.get("role"), item.get("content")
        if isinstance(content, str):
            return [Message(str(role), content)]
        if not isinstance(content, (list, tuple)):
            raise InvalidRequestError(f"{self._where}.content is {shown(content)}", guidance="Give a text or a list of blocks.")
        state = _state(content) if role == "assistant" else None
        for index, block in enumerate(content):
            self._block(block, f"{self._where}.content[{index}]")
        if self._results and not (self._parts or self._calls):
            return self._results
        if role == "assistant":
            return [*self._results, self._answer(state)]
        plain = len(self._parts) == 1 and self._parts[0].type == "text" and not self._parts[0].cache
        if plain or not self._parts:
            return [*self._results, Message(str(role), self._parts[0].text if plain else "")]
        return [*self._results, Message(str(role), parts=self._parts)]

    def _answer(self, state: dict[str, Any] | None) -> Message:
        """The assistant's turn: one text, as it came; the point to cache up to, if it has one, at its end."""
        text = ("\n" if state is None else "").join(part.text or "" for part in self._parts)
        cache, ttl = self._last_mark
        if any(part.cache for part in self._parts[:-1]):
            self._adjustments.note(f"{self._where}.content", "cache_control", None, "an answer is cached up to its end")
        return Message("assistant", text, (), self._calls, state=state, cache=cache, cache_ttl=ttl)

    def text(self, block: Any, where: str) -> Part | None:
        """The text of a text block; None for an empty one."""
        text = block.get("text") if isinstance(block, Mapping) else block
        if not isinstance(text, str):
            raise InvalidRequestError(f"{where} has no text", guidance="Give text blocks.")
        cache, ttl = self._mark(block, where)
        return Part("text", text=text, cache=cache, cache_ttl=ttl) if text else None

    def _block(self, block: Any, where: str) -> None:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if kind == "text" or isinstance(block, str):
            part = self.text(block, where)
            self._parts += [part] if part is not None else []
            return
        if kind in _THOUGHTS:
            return  # they are in the turn's state
        if kind not in _FILES and kind not in ("tool_use", "tool_result"):
            raise InvalidRequestError(
                f"{where} is {f'of type {kind!r}' if kind else shown(block)}, which cannot be sent",
                guidance="Blocks are text, image, document, tool_use and tool_result.",
            )
        cache, ttl = self._mark(block, where)
        if kind in _FILES:
            source = _source(block.get("source"), where)
            name = block.get("title") if kind == "document" else None
            self._parts.append(Part(str(kind), source=source, name=name, cache=cache, cache_ttl=ttl))
        elif kind == "tool_use":
            self._calls.append(_call(block, where))
        else:
            text, call_id = _result(block.get("content"), where), block.get("tool_use_id")
            self._results.append(Message("tool", text, tool_call_id=call_id, cache=cache, cache_ttl=ttl))

    def _mark(self, block: Any, where: str) -> tuple[bool, str | None]:
        """Whether the block is the last one to cache, and for how long; its other fields are left out."""
        if not isinstance(block, Mapping):
            return False, None
        given = dict(block)
        self._last_mark = cache_point(given, where, self._adjustments)
        for name in given.keys() - _SPOKEN:
            if given[name] not in (None, False, [], {}):
                self._adjustments.lose(f"{where}.{name}", given[name], "turns have no such field")
        return self._last_mark


def _call(block: Mapping[str, Any], where: str) -> ToolCall:
    arguments = block.get("input") or {}
    if not isinstance(arguments, Mapping):
        raise InvalidRequestError(f"{where}.input is {shown(arguments)}", guidance="Give the object as it came.")
    plain_arguments = field_checks.plain(f"{where}.input", arguments)
    raw = json.dumps(plain_arguments, ensure_ascii=False)
    return ToolCall(str(block.get("id") or ""), str(block.get("name") or ""), plain_arguments, raw, _own_state(block))


def _state(content: Any) -> dict[str, Any] | None:
    """What is to go back with an assistant's turn: the blocks of another provider's answer, or Anthropic's own as they are."""
    thoughts = [block for block in content if isinstance(block, Mapping) and block.get("type") in _THOUGHTS]
    for block in thoughts:
        own = _own_state(block)
        if own is not None:
            return own
    if not thoughts or not all(block.get("signature") or block.get("data") for block in thoughts):
        return None  # nothing was thought, or by a model whose thoughts have no signature
    blocks = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
    return {"dialect": "anthropic", "host": None, "model": None, "data": blocks}


def _own_state(block: Mapping[str, Any]) -> dict[str, Any] | None:
    state = block.get(STATE)
    return dict(state) if isinstance(state, Mapping) else None


def _source(source: Any, where: str) -> str:
    """The content of an image or a document, as a URL."""
    kind = source.get("type") if isinstance(source, Mapping) else None
    if kind == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    if kind == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    if kind == "text" and isinstance(source.get("data"), str):
        return f"data:text/plain;base64,{base64.b64encode(source['data'].encode('utf-8', 'replace')).decode('ascii')}"
    raise InvalidRequestError(f"{where} has no base64 and no url", guidance="Give the file's bytes or its URL: no file ids.")


def _result(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = [block.get("text") if isinstance(block, Mapping) else None for block in content]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError(f"{where} holds more than text", guidance="Give what the tool said as text.")
    return "\n".join(str(text) for text in texts)
