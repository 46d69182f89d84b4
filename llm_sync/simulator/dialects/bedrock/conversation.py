"""Checks of the messages of a Converse request, beyond their shapes: roles, calls and results, texts, documents, signatures."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.simulator.dialects import image_checks
from llm_sync.simulator.dialects.bedrock.shapes import Refuse
from llm_sync.simulator.dialects.signatures import is_good

_MAX_MARKS = 4
_MAX_IMAGES, _MAX_DOCUMENTS = 20, 5
_INNER = "The model returned the following errors: "
_CLAUDE = re.compile(r"anthropic\.claude")
_FREE_ROLES = re.compile(r"amazon\.titan")  # its texts are joined into one prompt anyway


def check_conversation(payload: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    """Refuses what Bedrock or, through it, the model refuses."""
    messages = payload.get("messages") or []
    if not messages:
        refuse("The messages field is required and must have at least one message.")
    _check_roles(messages, model, refuse)
    for index, message in enumerate(messages):
        if not message["content"]:
            refuse(
                f"The content field in the Message object at messages.{index} is empty. Add a ContentBlock object, and try again."
            )
        _check_blocks(message, index, model, refuse)
    _check_results(messages, refuse)
    blocks = [block for message in messages for block in message["content"]]
    if any("toolUse" in block or "toolResult" in block for block in blocks) and not payload.get("toolConfig"):
        refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    names = [block["document"]["name"] for block in blocks if "document" in block]
    if len(names) > len(set(names)):
        refuse(f"{_INNER}messages: document names must be unique.")
    _check_marks(payload, blocks, refuse)


def _check_roles(messages: list[Any], model: str, refuse: Refuse) -> None:
    roles = [message["role"] for message in messages]
    if roles[0] != "user":
        refuse("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
    if not _FREE_ROLES.search(model) and any(one == other for one, other in itertools.pairwise(roles)):
        refuse(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user "
            "and assistant roles and try again."
        )
    if roles[-1] == "assistant" and re.search(r"claude-(?:opus-4-[678]|opus-5|sonnet-(?:4-6|5))", model):
        refuse(f"{_INNER}This model does not support assistant message prefill.")


def _check_blocks(message: Mapping[str, Any], index: int, model: str, refuse: Refuse) -> None:
    blocks, role = message["content"], message["role"]
    for place, block in enumerate(blocks):
        location = f"messages.{index}.content.{place}"
        if "text" in block and not block["text"].strip():
            refuse(
                f"The text field in the ContentBlock object at {location} is blank. Add text to the text field, and try again."
            )
        if role == "assistant" and ("image" in block or "document" in block or "toolResult" in block):
            refuse(f"{_INNER}{location}: {next(iter(block))} blocks are not permitted within assistant turns.")
        if role == "user" and ("toolUse" in block or "reasoningContent" in block):
            refuse(f"{_INNER}{location}: {next(iter(block))} blocks are not permitted within user turns.")
        if "image" in block:
            _check_image(block["image"], location, refuse)
        reasoning = (block.get("reasoningContent") or {}).get("reasoningText")
        if reasoning and _CLAUDE.search(model) and not is_good(reasoning.get("signature"), model):
            refuse(f"{_INNER}{location}: Invalid `signature` in `thinking` block")
    images, documents = (sum(kind in block for block in blocks) for kind in ("image", "document"))
    if images > _MAX_IMAGES or documents > _MAX_DOCUMENTS:
        refuse(f"{_INNER}messages.{index}: at most {_MAX_IMAGES} images and {_MAX_DOCUMENTS} documents are allowed.")
    if documents and not any("text" in block for block in blocks):
        refuse("A text block must be included in a message with documents.")


def _check_image(image: Mapping[str, Any], location: str, refuse: Refuse) -> None:
    data = image["source"].get("bytes")
    kind = image_checks.detect_media_type(image_checks.decode_base64(data) or b"") if data else f"image/{image['format']}"
    if kind is None:
        refuse(f"{_INNER}Could not process image")
    if kind != f"image/{image['format']}":
        refuse(f"{_INNER}{location}.image: the bytes do not match the provided format {image['format']}")


def _check_results(messages: list[Any], refuse: Refuse) -> None:
    """The results of a turn's calls stand in the very next message, each once."""
    open_calls: list[str] = []
    seen: set[str] = set()
    for index, message in enumerate(messages):
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        missing = [call for call in open_calls if call not in results]
        if missing:
            refuse(f"Expected toolResult blocks at messages.{index}.content for the following Ids: {', '.join(missing)}")
        if len(results) > len(open_calls) or set(results) - set(open_calls):
            where = f"messages.{index}.content"
            refuse(f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn.")
        open_calls = [use["toolUseId"] for use in _calls(message)]
        if seen & set(open_calls) or len(open_calls) > len(set(open_calls)):
            refuse(f"{_INNER}messages: `tool_use` ids must be unique")
        seen.update(open_calls)
    if open_calls:
        refuse(f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {', '.join(open_calls)}")


def _calls(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for block in message["content"]:
        if "toolUse" in block and block["toolUse"].get("type") is None:
            yield block["toolUse"]


def _check_marks(payload: Mapping[str, Any], blocks: list[Any], refuse: Refuse) -> None:
    tools = (payload.get("toolConfig") or {}).get("tools") or []
    count = sum("cachePoint" in block for block in (*tools, *(payload.get("system") or ()), *blocks))
    if count > _MAX_MARKS:
        refuse(f"{_INNER}A maximum of {_MAX_MARKS} cache points may be provided. Found {count}.")


def check_thinking(payload: Mapping[str, Any], model: str, refuse: Refuse) -> bool:
    """Whether the model reasons before it answers. Refuses settings that do not go with it."""
    more = payload.get("additionalModelRequestFields") or {}
    thinking = more.get("thinking")
    effort = more.get("reasoningConfig")
    if isinstance(effort, dict) and effort.get("type") == "enabled":
        return True
    if not isinstance(thinking, dict) or thinking.get("type") in (None, "disabled"):
        return False
    settings = payload.get("inferenceConfig") or {}
    budget = thinking.get("budget_tokens")
    if thinking["type"] == "enabled" and (not isinstance(budget, int) or budget < 1024):
        refuse(f"{_INNER}thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if isinstance(budget, int) and budget >= settings.get("maxTokens", budget + 1):
        refuse(f"{_INNER}`max_tokens` must be greater than `thinking.budget_tokens`.")
    if settings.get("temperature") not in (None, 1):
        refuse(f"{_INNER}`temperature` may only be set to 1 when thinking is enabled.")
    choice = (payload.get("toolConfig") or {}).get("toolChoice") or {}
    if "any" in choice or "tool" in choice:
        refuse(f"{_INNER}Thinking may not be enabled when tool_choice forces tool use.")
    if thinking["type"] == "enabled" and _CLAUDE.search(model):
        _check_last_turn(payload["messages"], refuse)
    return True


def _check_last_turn(messages: list[Any], refuse: Refuse) -> None:
    index = next((place for place in reversed(range(len(messages))) if messages[place]["role"] == "assistant"), None)
    blocks = messages[index]["content"] if index is not None else []
    if any("toolUse" in block for block in blocks) and "reasoningContent" not in blocks[0]:
        kind = "tool_use" if "toolUse" in blocks[0] else "text"
        refuse(
            f"{_INNER}messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block."
        )
