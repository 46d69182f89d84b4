"""Converts messages of Anthropic's shape to our Message objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_sync.compat.shim.parameters import shown
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ToolCall, field_checks
from llm_sync.openai_shape.messages import Adjustments

STATE = "llm_sync"  # the key of a block that holds what another provider than Anthropic wants back
_THOUGHTS = ("thinking", "redacted_thinking")
# Fields of blocks that our turns do not have; empty ones are ignored.
_SPOKEN = frozenset({"type", "text", "source", "id", "name", "input", "tool_use_id", "content", "caller", STATE})


def read_messages(found: Any, adjustments: Adjustments) -> list[Message]:
    """The turns of ``messages``. Raises InvalidRequestError for what cannot be sent."""
    if not isinstance(found, (list, tuple)) or not found:
        raise InvalidRequestError(f"messages is {shown(found)}", guidance="Give a list of at least one message.")
    return [turn for index, item in enumerate(found) for turn in _Turn(f"messages[{index}]", adjustments).read(item)]


def read_system(found: Any, adjustments: Adjustments) -> str | None:
    """The system prompt from a string or a list of text blocks."""
    if found is None or isinstance(found, str):
        return found or None
    if not isinstance(found, (list, tuple)):
        raise InvalidRequestError(f"system is {shown(found)}", guidance="Give a text or a list of text blocks.")
    turn = _Turn("system", adjustments)
    return "\n\n".join(turn.text(block, "system") for block in found) or None


class _Turn:
    """Converts one message; a message with tool results becomes several turns."""

    def __init__(self, where: str, adjustments: Adjustments) -> None:
        self._where = where
        self._adjustments = adjustments
        self._texts: list[str] = []
        self._images: list[str] = []
        self._calls: list[ToolCall] = []
        self._results: list[Message] = []

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
        if self._images and self._texts and not self._images_first(content):
            self._adjustments.lose(
                f"{self._where}.content", "text before an image", "images come first", "images before the text"
            )
        if self._results and not (self._texts or self._images or self._calls):
            return self._results
        text = ("\n" if state is None else "").join(self._texts)
        return [*self._results, Message(str(role), text, self._images, self._calls, state=state)]

    def text(self, block: Any, where: str) -> str:
        """The text of a text block."""
        text = block.get("text") if isinstance(block, Mapping) else block
        if not isinstance(text, str):
            raise InvalidRequestError(f"{where} has no text", guidance="Give text blocks.")
        self._leave_out(block, where)
        return text

    def _block(self, block: Any, where: str) -> None:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if kind == "text" or isinstance(block, str):
            self._texts.append(self.text(block, where))
            return
        if kind in _THOUGHTS:
            return  # they are in the turn's state
        if kind == "image":
            self._images.append(_image(block.get("source"), where))
        elif kind == "tool_use":
            arguments = block.get("input") or {}
            if not isinstance(arguments, Mapping):
                raise InvalidRequestError(f"{where}.input is {shown(arguments)}", guidance="Give the object as it came.")
            found = field_checks.plain(f"{where}.input", arguments)
            raw = json.dumps(found, ensure_ascii=False)
            name = str(block.get("name") or "")
            self._calls.append(ToolCall(str(block.get("id") or ""), name, found, raw, _own_state(block)))
        elif kind == "tool_result":
            self._results.append(Message("tool", _result(block.get("content"), where), tool_call_id=block.get("tool_use_id")))
        else:
            raise InvalidRequestError(
                f"{where} is {f'of type {kind!r}' if kind else shown(block)}, which cannot be sent",
                guidance="Blocks are text, image, tool_use and tool_result; put the text of documents into the prompt.",
            )
        self._leave_out(block, where)

    def _leave_out(self, block: Any, where: str) -> None:
        if not isinstance(block, Mapping):
            return
        for name in block.keys() - _SPOKEN:
            if block[name] not in (None, False, [], {}):
                self._adjustments.lose(f"{where}.{name}", block[name], "turns have no such field")

    @staticmethod
    def _images_first(content: Any) -> bool:
        kinds = [block.get("type") if isinstance(block, Mapping) else "text" for block in content]
        return "image" not in kinds[kinds.index("text") :]


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


def _image(source: Any, where: str) -> str:
    kind = source.get("type") if isinstance(source, Mapping) else None
    if kind == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    if kind == "url" and isinstance(source.get("url"), str):
        return str(source["url"])
    raise InvalidRequestError(f"{where} has no base64 and no url", guidance="Give the image's bytes or its URL: no file ids.")


def _result(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = [block.get("text") if isinstance(block, Mapping) else None for block in content]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError(f"{where} holds more than text", guidance="Give what the tool said as text.")
    return "\n".join(str(text) for text in texts)
