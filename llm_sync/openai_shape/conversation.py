"""Messages as files have them: in our own form, or in that of OpenAI's chat completions, also one next to the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import Adjustment, Message, grammar
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.openai_shape.messages import Turns

_OURS = frozenset({"images", "parts", "state", "cache", "cache_ttl"})  # no message of OpenAI's has these
_OPENAI = frozenset(
    {"refusal", "annotations", "audio", "function_call", "reasoning", "reasoning_content", "reasoning_details"}
    | {"extra_content", "thinking_blocks", "cache_control"}
)


def read_conversation(items: Any, *, strict: bool = False) -> tuple[list[Any], tuple[Adjustment, ...]]:
    """The messages for a ModelRequest, and what is sent differently from what they say. Under ``strict`` a loss is an error.

    Raises InvalidRequestError, which names the message, for what can be read in neither form.
    """
    if not isinstance(items, (list, tuple)):
        raise InvalidRequestError(
            f"messages is {grammar.type_name(items)}", guidance="Give a list of objects with role and content."
        )
    adjustments = Adjustments(strict)
    turns = Turns(adjustments)
    out = [_read(item, f"messages[{index}]", turns) for index, item in enumerate(items)]
    return [turn for turn in out if turn is not None], tuple(adjustments.adjustments)


def _read(item: Any, place: str, turns: Turns) -> Any:
    if isinstance(item, Message) or not isinstance(item, Mapping):
        return item  # ModelRequest says what is wrong with it
    given = {name: value for name, value in item.items() if value is not None}
    if is_ours(given):
        return {name: value for name, value in given.items() if name != "name" or given.get("role") != "tool"}  # the tool's
    mixed = sorted(_OURS & given.keys())
    if mixed:
        raise InvalidRequestError(
            f"{place} has {mixed[0]} beside what only OpenAI's form has",
            guidance="Give content as a text, and images or parts; or a content list alone.",
        )
    return turns.message(given, place)


def is_ours(given: Mapping[str, Any]) -> bool:
    """Whether a message is in our own form; one that is wrong in either form counts as ours."""
    calls = given.get("tool_calls")
    foreign_calls = isinstance(calls, (list, tuple)) and any(isinstance(call, Mapping) and "function" in call for call in calls)
    foreign_role = given.get("role") in ("developer", "function")
    return not (foreign_calls or foreign_role or isinstance(given.get("content"), (list, tuple)) or given.keys() & _OPENAI)
