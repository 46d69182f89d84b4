"""The parts of a request to Converse: messages, documents, tools, points to cache up to, and which model accepts what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.models import Message, ModelRequest, Part
from llm_sync.models.images import load_image
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.cache_marks import tool_mark
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.message_parts import mark_of, parts_of, unreadable
from llm_sync.providers.payload import call_arguments, lose_tool_keys, tool_parts
from llm_sync.providers.turns import own_state
from llm_sync.runtime.import_lock import import_lock

_MAX_MARKS = 4
_FORMATS = ("csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")  # of documents, beside pdf
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_MAX_NAME = 200
_NO_OUTPUT = "(no output)"
_PLAIN = ("text", "toolUse", "citationsContent")  # blocks of an answer that a Message holds
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


class Conversation:
    """Writes the messages of a request, without system messages: the roles alternate."""

    def __init__(self, request: ModelRequest, dialect: Dialect, adjustments: Adjustments) -> None:
        self._request = request
        self._dialect = dialect
        self._adjustments = adjustments
        self._origin = dialect.origin(request.model or "")
        self._names: set[str] = set()  # of documents: two must not have the same

    def messages(self, turns: tuple[Message, ...]) -> list[dict[str, Any]]:
        """The messages. Those of one role that follow each other become one, as do the results of a turn's calls."""
        out: list[dict[str, Any]] = []
        for message in turns:
            if message.role == "system":
                continue
            role = "assistant" if message.role == "assistant" else "user"
            content = self._content(message)
            if out and out[-1]["role"] == role:
                out[-1]["content"] += content
            else:
                out.append({"role": role, "content": content})
        return out

    def _content(self, message: Message) -> list[dict[str, Any]]:
        if message.role == "tool":
            marked = message if message.cache else next((part for part in message.parts if part.cache), message)
            text = message.content or ""
            if not text.strip():
                self._adjustments.note("messages", text, _NO_OUTPUT, "this API takes no empty result of a tool")
                text = _NO_OUTPUT
            return [{"toolResult": {"toolUseId": message.tool_call_id, "content": [{"text": text}]}}, *self._mark(marked)]
        blocks = kept_blocks(message, own_state(message.state, self._origin))
        if blocks is None:
            parts = parts_of(message, images_first=True, mark=False)
            blocks = [block for part in parts for block in (self._block(part), *self._mark(part)) if block]
            blocks += [
                {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call_arguments(call, self._adjustments)}}
                for call in message.tool_calls
            ]
        return [*blocks, *self._mark(message)]

    def _mark(self, part: Message | Part) -> list[dict[str, Any]]:
        mark = mark_of(part, self._request, self._dialect)
        return [dict(mark)] if mark else []

    def _block(self, part: Part) -> dict[str, Any] | None:
        if part.type == "text":
            return {"text": part.text} if part.text else None  # the API refuses an empty one
        return _image(part) if part.type == "image" else self._document(part)

    def _document(self, part: Part) -> dict[str, Any]:
        with import_lock:  # few requests have one
            from llm_sync.models.documents import PDF, load_document

        document = load_document(part.source, part.name)
        if document.url:
            raise unreadable(part, "Bedrock reads no documents by their URL", "Download it, and send the file.")
        stem, _, ending = document.filename.rpartition(".")
        form = "pdf" if document.media_type == PDF else ending.lower() if ending.lower() in _FORMATS else "txt"
        name = self._unique(_NOT_IN_NAMES.sub(" ", stem or ending))
        return {"document": {"format": form, "name": name, "source": {"bytes": document.base64}}}

    def _unique(self, name: str) -> str:
        """A name that the API takes: letters, digits, some brackets, single blanks; each once in a request."""
        name = " ".join(name.split())[:_MAX_NAME].strip() or "document"
        number, unique = 1, name
        while unique in self._names:
            number += 1
            unique = f"{name[: _MAX_NAME - 8]} {number}"
        self._names.add(unique)
        return unique


def _image(part: Part) -> dict[str, Any]:
    image = load_image(part.source)
    if image.url:
        raise unreadable(part, "Bedrock takes no images by their URL", "Download it, and send the file.")
    return {"image": {"format": image.media_type.partition("/")[2], "source": {"bytes": image.base64}}}


def kept_blocks(message: Message, blocks: Any) -> list[dict[str, Any]] | None:
    """The blocks of a turn as they came; None without them, or if the turn's text or calls were changed since.

    Signatures hold for the turn as it was: it goes back whole and in order, or without them.
    """
    if not isinstance(blocks, list):
        return None
    out = [dict(block) for block in blocks if block.get("text") != ""]
    uses = uses_of(out)
    same = [(use.get("name"), use.get("input") or {}) for use in uses]
    if text_of(out) != (message.content or "") or same != [(call.name, call.arguments or {}) for call in message.tool_calls]:
        return None
    ids = iter(message.tool_calls)
    return [{"toolUse": {**block["toolUse"], "toolUseId": next(ids).id}} if uses_of([block]) else block for block in out]


def uses_of(blocks: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """The calls of our tools; those of tools that the provider runs are answered within the turn."""
    uses = (block.get("toolUse") or {} for block in blocks)
    return [use for use in uses if use and use.get("type") != "server_tool_use"]


def state_of(blocks: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The blocks of an answer if the API wants any of them back that a Message does not hold."""
    served = any((block.get("toolUse") or {}).get("type") for block in blocks)
    return blocks if served or any(name not in _PLAIN for block in blocks for name, value in block.items() if value) else None


def text_of(blocks: list[dict[str, Any]]) -> str:
    """The text of blocks: an answer with citations has it in two kinds of them."""
    texts: list[str] = []
    for block in blocks:
        cited = (block.get("citationsContent") or {}).get("content") or []
        texts += [part.get("text") or "" for part in (block, *cited)]
    return "".join(texts)


def tool_config(request: ModelRequest, messages: list[dict[str, Any]], adjustments: Adjustments) -> list[dict[str, Any]]:
    """The tools. Those of calls in the conversation must be declared: each that is missing is, without parameters."""
    tools: list[dict[str, Any]] = []
    for given in request.tools:
        tools.append(_tool(given, adjustments))
        mark = tool_mark(given).get("cache_control")
        if mark:
            ttl = mark.get("ttl") if isinstance(mark, Mapping) else None
            tools.append(cache_point(ttl))
    known = {tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool}
    called = dict.fromkeys(block["toolUse"]["name"] for block in _blocks_of(messages) if "toolUse" in block)
    missing = [name for name in called if name not in known] if not request.tools else []
    if missing:
        adjustments.note("tools", None, missing, "this API wants the tools whose calls stand in the conversation")
    return [*tools, *({"toolSpec": {"name": name, "inputSchema": {"json": _NO_PARAMETERS}}} for name in missing)]


def _tool(given: Mapping[str, Any], adjustments: Adjustments) -> dict[str, Any]:
    if "name" not in given and "function" not in given:
        return dict(given)  # {"systemTool": …}, and what else the API has
    name, description, parameters, rest = tool_parts(given)
    lose_tool_keys(name, rest.keys() - {"strict"}, adjustments)
    out: dict[str, Any] = {"name": name}
    if description:
        out["description"] = description
    out["inputSchema"] = {"json": parameters if parameters.get("type") else {"type": "object", **parameters}}
    if rest.get("strict") is not None:
        out["strict"] = rest["strict"]
    return {"toolSpec": out}


def cache_point(ttl: str | None) -> dict[str, Any]:
    """A point to cache up to; without ``ttl`` for the provider's own time, 5 minutes."""
    return {"cachePoint": {"type": "default"} if ttl is None else {"type": "default", "ttl": ttl}}


def limit_cache_points(payload: dict[str, Any], adjustments: Adjustments) -> None:
    """Leave out the first points if there are more than models take: later ones cover more of the prompt."""
    tools = (payload.get("toolConfig") or {}).get("tools") or []
    lists = [tools, payload.get("system") or [], *(message["content"] for message in payload["messages"])]
    count = sum("cachePoint" in block for blocks in lists for block in blocks)
    surplus = count - _MAX_MARKS
    if surplus <= 0:
        return
    adjustments.lose("cache", count, _MAX_MARKS, f"Bedrock takes {_MAX_MARKS} cache points; the last ones are sent")
    for blocks in lists:
        kept = []
        for block in blocks:
            if "cachePoint" in block and surplus > 0:
                surplus -= 1
            else:
                kept.append(block)
        blocks[:] = kept


def _blocks_of(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from message["content"]


def calls_tools(messages: list[dict[str, Any]]) -> bool:
    """Whether calls of tools, or results, stand in the conversation."""
    return any("toolUse" in block or "toolResult" in block for block in _blocks_of(messages))
