"""Fields that say nothing of the answer, in forms that nobody expects: the answer is paid for, and is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelRequest, Usage
from llm_sync.providers.answer import label, tool_call

CALL = {"id": 7, "type": "function", "function": {"name": "f", "arguments": "null"}}
ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("openai", {"id": 5, "model": 5, "usage": [], "choices": [{"message": {"content": "hi"}, "finish_reason": 1}]}),
    ("openai", {"id": None, "model": 1.5, "usage": "much", "choices": [{"message": {"content": "hi"}, "finish_reason": 0}]}),
    ("openrouter", {"id": [], "model": ["x"], "usage": 5, "choices": [{"message": {"content": "hi"}}]}),
    (
        "openai-responses",
        {
            "id": 5,
            "model": {},
            "usage": [],
            "output": [{"type": "message", "id": 5, "content": [{"type": "output_text", "text": "hi"}]}],
        },
    ),
    ("anthropic", {"id": 5, "model": 5, "usage": [], "stop_reason": 1, "content": [{"type": "text", "text": "hi", "id": 5}]}),
    (
        "gemini",
        {"modelVersion": 5, "usageMetadata": [], "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": 1}]},
    ),
]


@pytest.mark.parametrize(("kind", "body"), ANSWERS)
def test_an_answer_with_odd_fields(provider: Any, reply: Any, kind: str, body: Any) -> None:
    """A numeric id, model or finish reason, and a usage of another type never refuse the text."""
    response = provider(kind, reply(body)).generate_response(ModelRequest("x", "m"))
    assert response.text == "hi"
    assert response.usage == Usage()
    assert isinstance(response.model, str)


@pytest.mark.parametrize("kind", ["openai", "openrouter"])
def test_a_tool_call_with_odd_fields(provider: Any, reply: Any, kind: str) -> None:
    """A numeric id is a name as any other, and arguments of null are no arguments."""
    body = {"choices": [{"message": {"content": None, "tool_calls": [CALL]}, "finish_reason": "tool_calls"}]}
    (call,) = provider(kind, reply(body)).generate_response(ModelRequest("x", "m")).tool_calls
    assert (call.id, call.name, call.arguments) == ("7", "f", {})


@pytest.mark.parametrize(
    ("raw", "arguments"), [("null", {}), (" null ", {}), ("", {}), ("{}", {}), ("[]", None), ("5", None), ("nul", None)]
)
def test_arguments(raw: str, arguments: Any) -> None:
    """Only what is no JSON object, and not nothing, has no arguments that could be read."""
    assert tool_call("1", "f", raw).arguments == arguments


@pytest.mark.parametrize(
    ("value", "name"), [("m", "m"), (5, "5"), (1.5, "1.5"), (True, None), (None, None), ([], None), ({}, None)]
)
def test_names(value: Any, name: str | None) -> None:
    """A number is a name, too."""
    assert label(value) == name


@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "application/x-ndjson",
        "text/html",
        "text/plain",
        "application/octet-stream",
        "",
    ],
)
def test_whole_json_under_any_content_type(provider: Any, reply: Any, content_type: str) -> None:
    """Gateways mislabel answers; what is whole can be read."""
    body = json.dumps({"choices": [{"message": {"content": "hi"}}]}) + "\n"
    assert provider("openai", reply(body, content_type=content_type)).generate_response(ModelRequest("x", "m")).text == "hi"


@pytest.mark.parametrize("body", ['data: {"choices": []}\n\n', '{"done": false}\n{"done": true}\n', ": ping\n\n", "event: x\n"])
@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json"])
def test_a_stream_stays_a_stream(provider: Any, reply: Any, body: str, content_type: str) -> None:
    """Pieces are no answer, whatever they are called."""
    with pytest.raises(errors.StreamingNotSupportedError):
        provider("openai", reply(body, content_type=content_type)).generate_response(ModelRequest("x", "m"))
