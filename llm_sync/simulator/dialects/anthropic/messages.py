"""Checks Anthropic's ``system`` and ``messages`` as Anthropic does, and reads them as turns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers.tokens import count_tokens, image_placeholder
from llm_sync.simulator.dialects import image_checks

Refuse = Callable[..., NoReturn]  # refuse(message, status=400)

NEWEST = re.compile(r"claude-(opus-(4-[78]|5)|sonnet-5|fable-5|mythos-5)")
_NO_PREFILL = re.compile(r"claude-(opus-(4-[678]|5)|sonnet-(4-6|5)|fable-5|mythos-5)")
_SOURCES = {"base64": ("data", "media_type", "type"), "url": ("type", "url"), "file": ("file_id", "type")}
_MEDIA = ("image/jpeg", "image/png", "image/gif", "image/webp")
# the keys of each type of block; blocks of server tools are not checked
_BLOCKS: dict[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control", "transformations"}),
    "document": frozenset({"type", "source", "cache_control", "citations", "context", "title"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control", "caller", "toolset_name"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_SERVER = re.compile(r"(server_tool_use|search_result|container_upload|compaction|mcp_tool_use|.*_tool_result)$")


def read_system(system: Any, refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    """The system prompt as a list of turns, and its tokens."""
    if system is None or system == "":
        return [], 0
    if isinstance(system, str):
        return [("system", system)], count_tokens(system)
    if not isinstance(system, list):
        refuse("system: Input should be a valid list")
    texts = []
    for index, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            refuse(f"system.{index}: Input should be a text block")
        _check_block_keys(block, f"system.{index}", refuse)
        if not block["text"]:
            refuse("system: text content blocks must be non-empty")
        texts.append(block["text"])
    text = "\n".join(texts)
    return ([("system", text)], count_tokens(text)) if texts else ([], 0)


def read_messages(messages: Any, model: str, betas: str, refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    """The turns and their tokens. Tool results must directly follow the calls that they answer."""
    if not isinstance(messages, list):
        refuse("messages: Input should be a valid list")
    if not messages:
        refuse("messages: at least one message is required")
    turns: list[tuple[str, str]] = []
    tokens, open_calls = 0, set[str]()
    for index, message in enumerate(messages):
        location = f"messages.{index}"
        if not isinstance(message, dict):
            refuse(f"{location}: Input should be a valid dictionary")
        for key in message:
            if key not in ("role", "content"):
                refuse(f"{location}.{key}: Extra inputs are not permitted")
        role = message.get("role")
        if role == "system" and "system" in betas:  # system messages between turns: a beta feature
            turns.append(("system", json.dumps(message.get("content"))))
            tokens += count_tokens(turns[-1][1])
            continue
        if role == "system":
            refuse('messages: Unexpected role "system". The system prompt goes in the top-level `system`.')
        if role not in ("user", "assistant"):
            refuse(f"{location}.role: Input should be 'user' or 'assistant'")
        text, images, calls, results = _read_content(message.get("content"), location, index == len(messages) - 1, role, refuse)
        unasked = sorted(results - open_calls)
        if unasked:
            refuse(f"{location}.content: unexpected `tool_use_id` in `tool_result` blocks: {unasked[0]} answers no `tool_use`.")
        missing = sorted(open_calls - results)
        if missing:
            refuse(f"{location}: `tool_use` ids without `tool_result` blocks immediately after: {', '.join(missing)}.")
        open_calls = calls if role == "assistant" else set()
        turns.append(("tool" if results and role == "user" else str(role), text))
        tokens += count_tokens(text) + 4 + 1200 * images
    if open_calls:
        refuse(f"messages: `tool_use` ids without `tool_result` blocks immediately after: {', '.join(sorted(open_calls))}.")
    if turns[-1][0] == "assistant" and _NO_PREFILL.match(model):
        refuse("This model does not support assistant message prefill. The conversation must end with a user message.")
    if turns[-1][0] == "assistant" and turns[-1][1] != turns[-1][1].rstrip():
        refuse("messages: final assistant content cannot end with trailing whitespace")
    return turns, tokens


def _read_content(content: Any, location: str, last: bool, role: object, refuse: Refuse) -> tuple[str, int, set[str], set[str]]:
    calls, results = set[str](), set[str]()
    if isinstance(content, str):
        if not content and not (last and role == "assistant"):
            refuse(f"{location}: {role} messages must have non-empty content")
        if content and not content.strip() and role == "user":
            refuse("messages: text content blocks must contain non-whitespace text")
        return content, 0, calls, results
    if not isinstance(content, list):
        refuse(f"{location}.content: Input should be a valid string or list")
    if not content and not (last and role == "assistant"):
        refuse(f"{location}: {role} messages must have non-empty content")
    texts, images = [], 0
    for index, block in enumerate(content):
        block_location = f"{location}.content.{index}"
        name = block.get("type") if isinstance(block, dict) else None
        if not isinstance(name, str) or (name not in _BLOCKS and not _SERVER.match(name)):
            refuse(f"{block_location}: Input tag {name!r} found using 'type' does not match any of the expected tags")
        _check_block_keys(block, block_location, refuse)
        if name == "text":
            if not isinstance(block.get("text"), str):
                refuse(f"{block_location}.text.text: Field required")
            if not block["text"].strip():
                refuse("messages: text content blocks must contain non-whitespace text")
            texts.append(block["text"])
            continue
        if name == "image":
            images += 1
            _check_image(block.get("source"), f"{block_location}.image.source", role, refuse)
        elif name == "tool_use":
            if (
                not isinstance(block.get("input"), dict)
                or not isinstance(block.get("id"), str)
                or not isinstance(block.get("name"), str)
            ):
                refuse(f"{block_location}.tool_use: id, name and input (a dictionary) are required")
            calls.add(block["id"])
        elif name == "tool_result":
            if not isinstance(block.get("tool_use_id"), str):
                refuse(f"{block_location}.tool_result.tool_use_id: Field required")
            results.add(block["tool_use_id"])
        plain = block.get("content") if name == "tool_result" else None
        texts.append(plain if isinstance(plain, str) else image_placeholder(json.dumps(block)))
    return "\n".join(texts), images, calls, results


def _check_block_keys(block: Mapping[str, Any], location: str, refuse: Refuse) -> None:
    known = _BLOCKS.get(str(block.get("type")))
    for key in block if known else ():
        if known and key not in known:
            refuse(f"{location}.{block['type']}.{key}: Extra inputs are not permitted")
    check_cache_control(block, location, refuse)


def check_cache_control(block: Mapping[str, Any], location: str, refuse: Refuse) -> None:
    """Checks the ``cache_control`` of a block or of the payload."""
    mark = block.get("cache_control")
    if mark is None:
        return
    if not isinstance(mark, dict) or mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h"):
        refuse(f"{location}.cache_control: Input should be of type 'ephemeral', with a ttl of '5m' or '1h'")
    for key in mark:
        if key not in ("type", "ttl"):
            refuse(f"{location}.cache_control.{key}: Extra inputs are not permitted")


def _check_data(data: object, media_type: str, location: str, refuse: Refuse) -> None:
    if not isinstance(data, str):
        refuse(f"{location}.data: Field required")
    content = image_checks.decode_base64(data)
    if content is None:
        refuse(f"{location}: invalid base64 data")
    if not content:
        refuse(f"{location}: image cannot be empty")
    kind = image_checks.detect_media_type(content)
    if kind is None:
        refuse("Could not process image")
    if kind != media_type:
        refuse(f"{location}.data: Image does not match the provided media type {media_type}")


def _check_image(source: Any, location: str, role: object, refuse: Refuse) -> None:
    if role == "assistant":
        refuse(f"{location}: `image` blocks are not permitted within assistant turns")
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(kind, str) or kind not in _SOURCES:
        refuse(
            f"{location}: Input tag {kind!r} found using 'type' does not match any of the expected tags: 'base64', 'url', 'file'"
        )
    for key in source:
        if key not in _SOURCES[kind]:
            refuse(f"{location}.{kind}.{key}: Extra inputs are not permitted")
    if kind == "base64":
        if source.get("media_type") not in _MEDIA:
            refuse(f"{location}.base64.media_type: Input should be {', '.join(repr(media) for media in _MEDIA)}")
        _check_data(source.get("data"), source["media_type"], f"{location}.base64", refuse)
    elif kind == "url" and (not isinstance(source.get("url"), str) or not source["url"].startswith("https://")):
        refuse(f"{location}.url.url: Only HTTPS URLs are supported.")
