"""Answers are read out of chat completions and Responses, as they were written into them."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from typing import Any

import pytest

from llm_sync.models import ModelResponse, ToolCall, Usage
from llm_sync.openai_shape.response_reader import answer_fields
from llm_sync.openai_shape.response_writer import completion
from llm_sync.openai_shape.responses_writer import responses_body


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [], "created": 1, "model": "m"},
        {"choices": [{"message": {"content": 5}, "finish_reason": "stop"}], "created": 1, "model": "m"},
        {"output": [{"type": "message", "content": None}], "created_at": 1, "model": "m"},
        {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "created": "soon", "model": "m"},
        {"object": "list"},
    ],
)
def test_a_body_without_one_answer_is_not_read(body: dict[str, Any]) -> None:
    """Nothing is stored of what nobody can read."""
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        answer_fields(body)


def test_tool_calls_are_read_with_their_state() -> None:
    """Of a chat completion and of a Response, as they were written."""
    state = {"dialect": "gemini", "host": None, "model": None, "data": "s"}
    call = ToolCall("call_1", "add", {"a": 1}, '{"a": 1}', state)
    at, usage = datetime(2026, 11, 30, tzinfo=timezone.utc), Usage(3, 4, 1, 2)
    answer = ModelResponse("", "m", "p", "tool_calls", usage, at, 1.0, tool_calls=(call,))
    for body in (completion(answer), responses_body(answer, {})):
        fields = answer_fields(body)
        assert fields["tool_calls"] == [dataclasses.asdict(call)]
        assert (fields["finish_reason"], fields["text"], fields["timestamp"]) == ("tool_calls", "", "2026-11-30T00:00:00+00:00")
        assert fields["usage"] == {"input_tokens": 3, "output_tokens": 4, "cached_tokens": 1, "reasoning_tokens": 2}
