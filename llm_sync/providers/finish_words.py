"""Finish words that mean neither a whole answer nor a token limit: the turn was interrupted, refused or went wrong.

One table for all dialects, because gateways pass on the words of the provider behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_sync.providers.answer import CONTEXT_LIMIT, OUTPUT_LIMIT, PAUSE, Blocked, Cut, Failed, Malformed, Outcome

_BLOCKED = """
    content_filter content_filtered
    sensitive safety refusal recitation blocklist prohibited_content spii guardrail_intervened model_armor
    jailbreak image_safety image_prohibited_content image_recitation language error_toxic
"""
_BROKEN = "error network_error insufficient_system_resource abort cancelled user_cancel timeout error_limit"
_MALFORMED = "malformed_function_call malformed_response malformed_tool_call unexpected_tool_call missing_thought_signature"
_CUT = {
    "pause_turn": PAUSE,  # Anthropic: a long turn with the provider's own tools is to be continued
    "compaction": PAUSE,
    "model_context_window_exceeded": CONTEXT_LIMIT,
    "too_many_tool_calls": "the limit on tool calls",
    "max_tool_calls": "the limit on tool calls",
    "no_image": "the lack of the picture that was asked for",
    "image_other": "trouble with a picture",
    "repetition": "a repetition, which the server stopped,",  # vLLM
    "incomplete": OUTPUT_LIMIT,
}

_MEANINGS: dict[str, Callable[[str], Outcome]] = {
    **dict.fromkeys(_BLOCKED.split(), Blocked),
    **dict.fromkeys(_BROKEN.split(), lambda word: Failed(f"finish reason {word}")),
    **dict.fromkeys(_MALFORMED.split(), Malformed),
    **{word: lambda _, limit=limit: Cut(limit) for word, limit in _CUT.items()},  # type: ignore[misc]
}


def interruption(word: Any) -> Outcome | None:
    """What the provider's finish ``word`` says went wrong; None for a word of a finished answer, and for an unknown one.

    Google's endpoint for OpenAI's clients puts two words together: ``function_call_filter: MALFORMED_FUNCTION_CALL``.
    """
    if not isinstance(word, str):
        return None
    for part in reversed(normalized(word).split(":")):
        meaning = _MEANINGS.get(part.strip())
        if meaning is not None:
            return meaning(word)
    return None


def normalized(word: Any) -> str:
    """A finish word in one spelling; gateways differ."""
    return word.lower().replace("-", "_") if isinstance(word, str) else ""
