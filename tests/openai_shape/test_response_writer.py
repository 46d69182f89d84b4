"""Answers and errors as bodies that a script written for OpenAI reads."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from llm_sync import errors
from llm_sync.models import ModelResponse, ToolCall, UnusableResponse, Usage
from llm_sync.openai_shape import completion, error_body, error_status

WHEN = datetime(2026, 1, 2, tzinfo=timezone.utc)


def answer(text: str = "hello", finish: str = "stop", kind: type[ModelResponse] = ModelResponse, **more: Any) -> ModelResponse:
    """An answer of some other dialect."""
    fields = {"usage": Usage(10, 5, 4, 2), "timestamp": WHEN, "latency_ms": 1.0, "request_id": "req_1", **more}
    return kind(text, "m-1", "p", finish, **fields)


def test_an_answer_of_another_dialect_is_a_completion() -> None:
    """Every field that scripts read."""
    body = completion(answer(metadata={"raw": {"id": "msg_1", "content": []}, "thinking": "hm"}))
    assert body == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": int(WHEN.timestamp()),
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None, "reasoning_content": "hm"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def test_a_body_of_this_shape_comes_back_as_it_came() -> None:
    """With its log probabilities and whatever else; a copy, so that nobody changes the answer's own."""
    raw = {"object": "chat.completion", "id": "c", "choices": [{"message": {"content": "x"}, "logprobs": {"content": []}}]}
    body = completion(answer(metadata={"raw": raw}))
    assert body == raw
    assert body["choices"][0] is not raw["choices"][0]


@pytest.mark.parametrize("raw", [{"object": "chat.completion"}, {"object": "chat.completion", "choices": [7]}, [], "x", None])
def test_a_body_of_a_broken_shape_is_made_anew(raw: Any) -> None:
    """What a gateway garbled is no model for others."""
    assert completion(answer(metadata={"raw": raw}))["choices"][0]["message"]["content"] == "hello"


def test_tool_calls_stand_where_they_are_looked_for() -> None:
    """In tool_calls, or in function_call for who offered functions."""
    said = answer("", "tool_calls", tool_calls=(ToolCall("c1", "f", {"x": 1}),))
    (choice,) = completion(said)["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    ]
    (choice,) = completion(said, legacy=True)["choices"]
    assert (choice["finish_reason"], choice["message"]["function_call"]["name"]) == ("function_call", "f")


def test_several_answers_are_choices_of_one_body() -> None:
    """Each was a request of its own, so all their tokens are billed."""
    body = completion(answer("a"), answer("b", "length"))
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in body["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]
    assert (body["usage"]["prompt_tokens"], body["usage"]["total_tokens"]) == (20, 30)
    assert completion(answer("a"), answer("b", usage=Usage()))["usage"] is None


def test_what_came_instead_of_an_answer_is_a_completion_too() -> None:
    """For who wants it as the original would give it: the finish reason says what it is."""
    blocked = errors.ContentBlockedError("no", reason="policy", response=answer("", "other", UnusableResponse))
    (choice,) = completion(blocked)["choices"]
    assert (choice["finish_reason"], choice["message"]["content"], choice["message"]["refusal"]) == (
        "content_filter",
        None,
        "policy",
    )
    cut = errors.TruncatedResponseError("cut", response=answer("", "length", UnusableResponse))
    (choice,) = completion(cut)["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")
    for nothing in ((), (errors.EmptyResponseError("nothing"),)):
        with pytest.raises(ValueError, match="needs at least one outcome"):
            completion(*nothing)


def test_an_unknown_finish_word_is_not_called_stop() -> None:
    """Whoever tests for stop must not take it for one."""
    assert completion(answer(finish="other", metadata={"finish_reason_raw": "WEIRD"}))["choices"][0]["finish_reason"] == "WEIRD"
    assert completion(answer(finish="other"))["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.AuthenticationError("x"), 401, "invalid_api_key"),
        (errors.RateLimitError("x", status=429), 429, "rate_limit_exceeded"),
        (errors.QuotaExceededError("x", status=402), 402, "insufficient_quota"),
        (errors.ContextLengthExceededError("x", status=400), 400, "context_length_exceeded"),
        (errors.ProviderUnavailableError("x", status=529), 529, "server_error"),
        (errors.ProviderConnectionError("x"), None, "connection_error"),
        (errors.RequestTimeoutError("x"), None, "request_timeout"),
        (errors.RequestTimeoutError("x", status=504), 504, "request_timeout"),
        (errors.EmptyResponseError("x", status=200), None, "answer_empty"),
        (errors.ClientClosedError("x"), None, None),
    ],
)
def test_errors_have_openais_status_and_code(error: errors.LLMConnectorError, status: int | None, code: str | None) -> None:
    """Scripts branch on them; what has no status there has none here."""
    assert error_status(error) == status
    assert error_body(error)["error"]["code"] == code
    assert error_body(error)["error"]["message"] == "x"


def test_every_error_has_a_row() -> None:
    """A class added later finds its parent's."""
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.LLMConnectorError):
            assert error_body(kind("it fails"))["error"]["type"]
