"""Responses: what they refuse, what they tell, and that they and requests travel."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from llm_sync import Adjustment, Message, ModelListing, ModelRequest, ModelResponse, ToolCall, Usage
from llm_sync.errors import RateLimitError
from llm_sync.models import AttemptOptions, Reply, UnusableResponse

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
CALL = ToolCall("c1", "look", {"where": ["here"]}, '{"where": ["here"]}')


def response(**changes: Any) -> ModelResponse:
    """A good response, but for ``changes``."""
    facts: dict[str, Any] = {
        "text": "hello",
        "model": "m",
        "provider": "p",
        "finish_reason": "stop",
        "usage": Usage(1, 2),
        "timestamp": AT,
        "latency_ms": 3.0,
    }
    return ModelResponse(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"text": None}, TypeError, "text of a response is a NoneType, not a str"),
        ({"text": b"x"}, TypeError, "text of a response is a bytes"),
        ({"model": None}, TypeError, "model of a response is a NoneType"),
        ({"provider": None}, TypeError, "provider of a response is a NoneType"),
        ({"usage": None}, TypeError, "usage of a response is a NoneType, not a Usage"),
        ({"usage": {"input_tokens": 1}}, TypeError, "usage of a response is a dict"),
        ({"timestamp": 5.0}, TypeError, "timestamp of a response is a float"),
        ({"timestamp": datetime(2026, 1, 1)}, ValueError, "no time zone"),  # noqa: DTZ001  (that is what is tested)
        ({"finish_reason": "end_turn"}, ValueError, "finish_reason 'end_turn' is none of"),
        ({"finish_reason": None}, ValueError, "finish_reason None is none of"),
        ({"text": ""}, ValueError, "without tool calls has text"),
        ({"text": " \n\t"}, ValueError, "without tool calls has text"),
    ],
)
def test_a_response_is_never_built_wrong(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    """The last check: code that gets a response need not check it again."""
    with pytest.raises(error, match=message):
        response(**changes)


def test_tool_calls_need_no_text() -> None:
    """An answer that only calls tools is an answer."""
    assert response(text="", tool_calls=(CALL,), finish_reason="tool_calls").text == ""


def test_what_is_unusable_may_be_empty_but_not_otherwise_wrong() -> None:
    """UnusableResponse stands on errors; it is a ModelResponse to who reads usage and cost."""
    came = UnusableResponse("", "m", "p", "other", Usage(1, 0), AT, 1.0)
    assert isinstance(came, ModelResponse)
    with pytest.raises(TypeError):
        UnusableResponse(None, "m", "p", "other", Usage(), AT, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usage", "count"), [(Usage(3, 4), 7), (Usage(0, 0), 0), (Usage(None, 4), None), (Usage(3, None), None), (Usage(), None)]
)
def test_token_count_is_unknown_where_a_part_is(usage: Usage, count: int | None) -> None:
    """None, never a part taken for the whole."""
    assert response(usage=usage).token_count == count


@pytest.mark.parametrize(("finish", "truncated"), [("stop", False), ("length", True), ("tool_calls", False), ("other", False)])
def test_truncated_is_cut_by_a_limit(finish: str, truncated: bool) -> None:
    """Only the word for it counts."""
    assert response(finish_reason=finish).truncated is truncated


def test_a_response_as_a_dict_is_ready_for_json() -> None:
    """Every field by name, the time in ISO 8601, what is computed beside them; the raw body stays out."""
    full = response(
        tool_calls=(CALL,),
        adjustments=(Adjustment("stop_sequences", ("a", "b"), ["a"], "too many"),),
        cost_estimate=0.25,
        metadata={"raw": {"whole": "body"}, "parsed": {"a": 1}, "finish_reason_raw": "eos", "tier": "flex"},
        id=5,
    )
    out = full.to_dict()
    assert json.loads(json.dumps(out, allow_nan=False)) == {
        "text": "hello",
        "model": "m",
        "provider": "p",
        "finish_reason": "stop",
        "usage": {
            "input_tokens": 1,
            "output_tokens": 2,
            "cached_tokens": None,
            "reasoning_tokens": None,
            "cache_write_tokens": None,
        },
        "timestamp": "2026-01-02T03:04:05+00:00",
        "latency_ms": 3.0,
        "attempts": 1,
        "request_id": None,
        "tool_calls": [{"id": "c1", "name": "look", "arguments": {"where": ["here"]}, "raw_arguments": '{"where": ["here"]}'}],
        "adjustments": [{"parameter": "stop_sequences", "asked": ["a", "b"], "sent": ["a"], "reason": "too many"}],
        "cost_estimate": 0.25,
        "metadata": {"parsed": {"a": 1}, "finish_reason_raw": "eos"},
        "id": 5,
        "cached": False,
        "saved_estimate": None,
        "tier": "flex",
        "token_count": 3,
        "truncated": False,
    }
    assert "tier" not in response().to_dict()
    assert full.metadata["raw"] == {"whole": "body"}


@pytest.mark.parametrize(
    ("adjustment", "text"),
    [
        (Adjustment("seed", 1, None, "no seed here"), "seed=1 is not sent: no seed here"),
        (Adjustment("max_tokens", 5, {"max": 5}, "renamed"), "max_tokens=5 is sent as {'max': 5}: renamed"),
    ],
)
def test_an_adjustment_reads_as_a_sentence(adjustment: Adjustment, text: str) -> None:
    """What was asked, what was sent, and why."""
    assert str(adjustment) == text


# Travelling

SAMPLES: dict[str, Any] = {
    "request": ModelRequest(messages=[Message("user", "x")], tools=[{"name": "look"}], provider_specific={"a": [1]}, id=7),
    "message": Message("assistant", None, tool_calls=[CALL]),
    "response": response(tool_calls=(CALL,), adjustments=(Adjustment("a", 1, None, "b"),), metadata={"raw": {"a": [1]}}),
    "unusable": UnusableResponse("", "m", "p", "other", Usage(), AT, 1.0),
    "usage": Usage(1, 2, 3, 4),
    "adjustment": Adjustment("a", {"b": 1}, None, "c"),
    "tool call": CALL,
    "listing": ModelListing(("a",), ("b",)),
    "options": AttemptOptions(timeout=5.0),
    "reply": Reply(200, {"a": "b"}, b"{}"),
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "replace": dataclasses.replace,
    **{f"pickle {n}": lambda value, n=n: pickle.loads(pickle.dumps(value, n)) for n in range(2, 6)},  # noqa: S301  (made here)
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SAMPLES)
def test_everything_pickles_and_copies(name: str, way: str) -> None:
    """Requests and responses cross process borders and are kept in caches."""
    assert WAYS[way](SAMPLES[name]) == SAMPLES[name]
    assert type(WAYS[way](SAMPLES[name])) is type(SAMPLES[name])


def test_a_listing_with_an_error_travels_too() -> None:
    """Its error arrives as one."""
    restored = pickle.loads(pickle.dumps(ModelListing(error=RateLimitError("slow", retry_after=1.0))))  # noqa: S301  (made here)
    assert isinstance(restored.error, RateLimitError)
    assert restored.error.retry_after == 1.0


def test_a_usage_tells_what_was_written_to_the_cache() -> None:
    """Beside what was read from it; unknown is None."""
    assert (Usage(9, 1, 2, 0, 3).cache_write_tokens, Usage(9, 1).cache_write_tokens) == (3, None)
