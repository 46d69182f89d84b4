"""The parts of a request to Anthropic: messages, tools, schemas, and which model accepts which settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.models import Message, ModelRequest, Part
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.cache_marks import tool_mark
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.message_parts import is_rich, mark_of, parts_of, unreadable
from llm_sync.providers.payload import call_arguments, lose_tool_keys, tool_parts
from llm_sync.providers.turns import Origin, own_state
from llm_sync.runtime.import_lock import import_lock

THOUGHTS = ("thinking", "redacted_thinking")
_VERSION = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_OLD_VERSION = re.compile(r"claude-(\d)(?:-(\d))?-(opus|sonnet|haiku)")
# Keywords of JSON Schema that the API refuses. Answers are checked against the whole schema here.
_REFUSED_KEYWORDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
    }
)


class Conversation:
    """Writes the messages of a request, without system messages."""

    def __init__(self, request: ModelRequest, dialect: Dialect, adjustments: Adjustments) -> None:
        self._request = request
        self._dialect = dialect
        self._adjustments = adjustments
        self._origin = dialect.origin(request.model or "")

    def messages(self, turns: tuple[Message, ...]) -> list[dict[str, Any]]:
        """The messages."""
        out: list[dict[str, Any]] = []
        for message in turns:
            if message.role == "system":
                continue
            role = "assistant" if message.role == "assistant" else "user"
            content = self._content(message)
            previous = out[-1] if out else None
            if message.role == "tool" and previous and _holds_results(previous["content"]):
                previous["content"] += content  # the API wants all results of one turn in one message
                continue
            out.append({"role": role, "content": content})
        return out

    def _content(self, message: Message) -> Any:
        if message.role == "tool":
            marked = message if message.cache else next((part for part in message.parts if part.cache), message)
            result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content or ""}
            return [{**result, **mark_of(marked, self._request, self._dialect)}]
        blocks = _kept_blocks(message, own_state(message.state, self._origin))
        if blocks is None and not message.images and not message.tool_calls and not is_rich(message):
            return message.content
        if blocks is None:
            blocks = [self._block(part) for part in parts_of(message, images_first=True, mark=False)]
            blocks += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": call_arguments(call, self._adjustments)}
                for call in message.tool_calls
            ]
        last = next((block for block in reversed(blocks) if block.get("type") not in THOUGHTS), None)
        if message.cache and last is not None:
            last.update(mark_of(message, self._request, self._dialect))
        return blocks

    def _block(self, part: Part) -> dict[str, Any]:
        mark = mark_of(part, self._request, self._dialect)
        if part.type == "text":
            return {"type": "text", "text": part.text, **mark}
        return {**(_image(part.source) if part.type == "image" else _document(part)), **mark}


def _holds_results(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and content[-1]["type"] == "tool_result"


def _document(part: Part) -> dict[str, Any]:
    with import_lock:  # few requests have one
        from llm_sync.models.documents import PDF, load_document

    document = load_document(part.source, part.name)
    title = {"title": document.name} if document.name else {}
    if document.url and document.media_type != PDF:
        raise unreadable(part, "Anthropic reads PDFs only by their URL", "Download the text, and send the file.")
    if document.url:
        source = {"type": "url", "url": document.url}
    elif document.media_type == PDF:
        source = {"type": "base64", "media_type": PDF, "data": document.base64}
    else:
        source = {"type": "text", "media_type": "text/plain", "data": document.text}
    return {"type": "document", "source": source, **title}


def _kept_blocks(message: Message, blocks: Any) -> list[dict[str, Any]] | None:
    """The blocks of a turn as they came; None without them, or if the turn's text or calls were changed since.

    Signatures hold for the turn as it was: it goes back whole and in order, or without them.
    """
    if not isinstance(blocks, list):
        return None
    out = [dict(block) for block in blocks if block.get("type") != "text" or block.get("text")]
    uses = [block for block in out if block.get("type") == "tool_use"]
    text = "".join(block.get("text") or "" for block in out if block.get("type") == "text")
    same = [(block.get("name"), block.get("input") or {}) for block in uses]
    if text != (message.content or "") or same != [(call.name, call.arguments or {}) for call in message.tool_calls]:
        return None
    for block, call in zip(uses, message.tool_calls, strict=True):
        block["id"] = call.id
    return out


def thinks_on(turns: tuple[Message, ...], origin: Origin) -> bool:
    """Whether the API accepts ``thinking`` of type enabled: the last turn, if it calls tools, begins with a thinking block."""
    last = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if last is None or not last.tool_calls:
        return True
    kept = _kept_blocks(last, own_state(last.state, origin))
    return kept is not None and kept[0].get("type") in THOUGHTS


def state_of(blocks: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The blocks of an answer if the API wants any of them back that a Message does not hold."""
    return blocks if any(block["type"] not in ("text", "tool_use") for block in blocks) else None


def _image(source: Any) -> dict[str, Any]:
    image = load_image(source)
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.base64}}


def tool(given: Mapping[str, Any], adjustments: Adjustments) -> dict[str, Any]:
    """A tool in the form of the API."""
    if given.get("type", "function") not in ("function", "custom"):
        return dict(given)  # a tool of Anthropic's own (web_search_20250305 …)
    name, description, parameters, rest = tool_parts(given)
    lose_tool_keys(name, rest.keys() & {"strict"}, adjustments)
    rest = {key: value for key, value in rest.items() if key != "strict"}
    out: dict[str, Any] = {"name": name, "input_schema": parameters, **rest, **tool_mark(given)}
    return {**out, "description": description} if description else out


def accepted_schema(schema: Any) -> tuple[Any, set[str]]:
    """The schema as the API takes it: without the keywords that it refuses, ``oneOf`` as ``anyOf``, every object closed; and
    the keywords that were left out or replaced."""
    refused: set[str] = set()

    def accepted(node: Any, names: bool = False) -> Any:
        if isinstance(node, list):
            return [accepted(item) for item in node]
        if not isinstance(node, Mapping):
            return node
        out = {}
        for key, value in node.items():
            if not names and (key in _REFUSED_KEYWORDS or (key == "minItems" and value not in (0, 1))):
                refused.add(key)
                continue
            if not names and key == "oneOf" and "anyOf" not in node:
                refused.add(key)
                key = "anyOf"  # noqa: PLW2901
            plain = not names and key in ("enum", "const", "default", "examples")
            out[key] = value if plain else accepted(value, names=not names and key in ("properties", "$defs", "definitions"))
        if not names and (node.get("type") == "object" or "properties" in node):
            if node.get("additionalProperties", False) is not False:
                refused.add("additionalProperties")
            out["additionalProperties"] = False
        return out

    return accepted(schema), refused


def _version(model: str) -> tuple[str, int, int] | None:
    match = _VERSION.search(model)
    if match:
        return match[1], int(match[2]), int(match[3] or 0)
    match = _OLD_VERSION.search(model)
    return (match[3], int(match[1]), int(match[2] or 0)) if match else None


def takes_sampling(model: str) -> bool:
    """Newer models accept no temperature, top_p or top_k (facts as of August 2026)."""
    version = _version(model)
    if version is None:
        return True
    family, *number = version
    least = {"opus": [4, 7], "sonnet": [5, 0], "fable": [5, 0], "mythos": [5, 0]}.get(family)
    return least is None or number < least


def takes_only_one(model: str) -> bool:
    """From Opus 4.1, Sonnet 4.5 and Haiku 4.5 on, temperature and top_p exclude each other."""
    version = _version(model)
    if version is None:
        return False
    family, *number = version
    return number >= ([4, 1] if family == "opus" else [4, 5])


def takes_forced_tools(request: ModelRequest) -> bool:
    """False while the model thinks, which Fable 5 and Mythos 5 always do."""
    version = _version(request.model or "")
    if version and version[0] in ("fable", "mythos"):
        return False
    thinking = request.provider_specific.get("thinking")
    return not isinstance(thinking, Mapping) or thinking.get("type") in (None, "disabled")
