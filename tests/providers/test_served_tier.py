"""The service tier that served an answer stands on it, unless it is the one that everybody gets."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from llm_sync.models import ModelRequest

CHAT = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
MESSAGES = {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "role": "assistant"}
CONTENT = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
COUNTS = {"input_tokens": 1, "output_tokens": 1}


@pytest.fixture
def answer(provider: Any, reply: Any) -> Any:
    """``answer(kind, body, **headers)``: the response."""
    return lambda kind, body, **headers: provider(kind, reply(body, **headers)).generate_response(ModelRequest("x", "m"))


@pytest.mark.parametrize(
    ("kind", "body", "headers"),
    [
        ("openai", CHAT | {"service_tier": "Flex"}, {}),
        ("openai", CHAT, {"x_ms_service_tier": "flex"}),
        ("anthropic", MESSAGES | {"usage": COUNTS | {"service_tier": "flex"}}, {}),
        ("gemini", CONTENT | {"usageMetadata": {"serviceTier": "FLEX"}}, {}),
        ("gemini", CONTENT, {"x_gemini_service_tier": "flex"}),
    ],
)
def test_the_tier_is_read_wherever_a_provider_tells_it(answer: Any, kind: str, body: Any, headers: Any) -> None:
    """In lower case, in the metadata and in the record."""
    given = answer(kind, copy.deepcopy(body), **headers)
    record = given.to_dict()
    assert (given.metadata["tier"], record["tier"], "tier" in record["metadata"]) == ("flex", "flex", False)


@pytest.mark.parametrize("tier", ["default", "standard", "on_demand", "auto", None, "", 5, "x" * 41])
def test_the_usual_tier_is_not_recorded(answer: Any, tier: Any) -> None:
    """Nor what is no tier's name."""
    given = answer("openai", CHAT | {"service_tier": tier})
    assert "tier" not in given.metadata
    assert "tier" not in given.to_dict()
