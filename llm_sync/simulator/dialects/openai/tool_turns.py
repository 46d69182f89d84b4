"""Checks that turns with calls and reasoning go back as OpenAI and compatible servers want them: ids, reasoning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.dialects.signatures import is_good

_MAX_ID_LENGTH = 64
_MISTRAL = re.compile(r"(?:.*/)?(?:mistral|ministral|magistral|codestral|devstral)")
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")
# Models that think by default, and the words of their provider for a call that comes back without what was thought
_WANTS_REASONING = (
    (re.compile(r"deepseek-reasoner|deepseek-v[4-9]"), "Missing `reasoning_content` field in the assistant message at message"),
    (
        re.compile(r"kimi-(?:k2-thinking|thinking|k2\.[5-9]|k[3-9])"),
        "thinking is enabled but reasoning_content is missing in assistant tool call message at",
    ),
)


def check_tool_turns(messages: Sequence[Mapping[str, Any]], model: str, refuse: Refuse) -> None:
    """Checks the messages of a chat completion, which were read already. What a lenient reader let pass is let pass here, too."""
    for index, message in enumerate(messages):
        calls = message.get("tool_calls")
        for place, call in enumerate(calls) if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("id"), str):
                _check_id(call["id"], f"messages[{index}].tool_calls[{place}].id", model, refuse)
        if isinstance(message.get("tool_call_id"), str):
            _check_id(message["tool_call_id"], f"messages[{index}].tool_call_id", model, refuse)
        wanted = next((words for prefix, words in _WANTS_REASONING if calls and prefix.match(model)), None)
        if wanted and not isinstance(message.get("reasoning_content"), str):
            refuse(f"{wanted} index {index}.")


def check_items(items: Any, model: str, refuse: Refuse) -> None:
    """Checks the input items of the Responses API, which were read already."""
    items = items if isinstance(items, list) else []
    for index, item in enumerate(items):
        location = f"input[{index}]"
        if isinstance(item.get("call_id"), str):
            _check_id(item["call_id"], f"{location}.call_id", "", refuse)
        item_id = item.get("id")
        if item.get("type") == "function_call" and item_id is not None and not str(item_id).startswith("fc"):
            refuse(
                f"Invalid '{location}.id': '{item_id}'. Expected an ID that begins with 'fc'.",
                param=f"{location}.id",
                code="invalid_value",
            )
        if item.get("type") == "reasoning":
            _check_reasoning(items, index, model, refuse)


def _check_reasoning(items: Sequence[Mapping[str, Any]], index: int, model: str, refuse: Refuse) -> None:
    item = items[index]
    if not isinstance(item.get("summary"), list):
        refuse(
            f"Missing required parameter: 'input[{index}].summary'.",
            param=f"input[{index}].summary",
            code="missing_required_parameter",
        )
    if item.get("encrypted_content") is not None and not is_good(item["encrypted_content"], model):
        refuse(f"The encrypted content for item {item.get('id')} could not be verified.", code="invalid_encrypted_content")
    if item.get("id") is None:  # xAI takes it so
        return
    following = items[index + 1] if index + 1 < len(items) else {}
    call = following.get("type") in ("function_call", "reasoning")
    if not call and not (following.get("role") == "assistant" and following.get("id")):
        refuse(f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.", param="input")


def _check_id(value: str, location: str, model: str, refuse: Refuse) -> None:
    if _MISTRAL.match(model) and not _MISTRAL_ID.fullmatch(value):
        refuse(f"Tool call id was {value} but must be a-z, A-Z, 0-9, with a length of 9.", code="3280")
    if not 1 <= len(value) <= _MAX_ID_LENGTH:
        wrong = "long" if value else "short"
        refuse(
            f"Invalid '{location}': string too {wrong}. Expected a string of 1 to {_MAX_ID_LENGTH} characters, but got a string "
            f"with length {len(value)} instead.",
            param=location,
            code=f"string_{'above_max' if value else 'below_min'}_length",
        )
