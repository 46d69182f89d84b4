"""Outcomes as bytes: what comes back is what was packed."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from llm_sync.engines.wire import Outcome, outcome_of, packed
from llm_sync.errors import LLMConnectorError, RateLimitError
from llm_sync.models import ModelResponse, RateLimits, Reply, ToolCall, Usage
from llm_sync.models.pending_cost import PendingCost, PricedMetadata
from llm_sync.models.route import RouteStep

NOW = datetime(2026, 12, 1, 0, 33, 5, 999_999, tzinfo=timezone.utc)


def answer(**more: Any) -> ModelResponse:
    """A response with a value of its own in each field."""
    usual: dict[str, Any] = {
        "text": "an answer \U0001f600",
        "model": "m",
        "provider": "p",
        "finish_reason": "stop",
        "usage": Usage(3, 2, 1, 0, None),
        "timestamp": NOW,
        "latency_ms": 1.5,
        "attempts": 2,
        "request_id": "r",
        "tool_calls": (ToolCall("i", "n", {"x": 1}),),
        "cost_estimate": 0.25,
        "metadata": {"finish_reason_raw": "end", "raw": {"choices": [{"index": 0}]}},
        "id": "line-7",
        "route": (RouteStep("p", "m", attempts=1),),
    }
    return ModelResponse(**{**usual, **more})


def priced() -> ModelResponse:
    """One whose cost is not looked up yet."""
    pending = PendingCost(lambda: (0.5, "genai-prices"))
    metadata = PricedMetadata(raw={})
    metadata.pending = pending
    return answer(cost_estimate=pending, metadata=metadata)


class Marked(ModelResponse):
    """A response of a class of its own."""


@pytest.mark.parametrize(
    "response",
    [
        answer(),
        answer(timestamp=datetime(1999, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc), id=None, tool_calls=(), metadata={}),
        answer(timestamp=NOW.astimezone(timezone(timedelta(hours=2)))),
        priced(),
        Marked(**vars(answer())),
    ],
)
def test_an_answer_comes_back_equal_in_all_fields(response: ModelResponse) -> None:
    """Whatever its class, its time zone, and whether its cost was looked up before."""
    outcome = Outcome(7, response, limits=RateLimits(None, None), status=200, elapsed=0.5, line=b"own")
    back = outcome_of(packed(outcome))
    assert back == outcome
    assert type(back.response) is type(response)
    assert back.response is not None
    assert vars(back.response) == response.__getstate__()
    assert back.response.timestamp.utcoffset() == response.timestamp.utcoffset()


def test_an_answer_that_was_given_an_attribute_keeps_it() -> None:
    """Code that adds a dialect may hang something on it."""
    response = answer()
    vars(response)["extra"] = "kept"
    back = outcome_of(packed(Outcome(7, response))).response
    assert vars(back)["extra"] == "kept"


def test_the_line_of_an_answer_may_come_apart() -> None:
    """As from a spool, where it stands beside the outcome."""
    assert outcome_of(packed(Outcome(7, answer())), b"a line").line == b"a line"
    assert outcome_of(packed(Outcome(7, error=RateLimitError("slowly"))), b"a line").line == b"a line"


def test_errors_and_replies_come_back() -> None:
    """They are no answers."""
    error = outcome_of(packed(Outcome(7, error=RateLimitError("slowly", retry_after=2.0), status=429))).error
    assert (type(error), str(error), error and error.retry_after) == (RateLimitError, "slowly", 2.0)
    reply = Reply(200, {"a": "b"}, b"{}")
    assert outcome_of(packed(Outcome(8, reply=reply))) == Outcome(8, reply=reply)


def test_an_answer_that_cannot_be_pickled_becomes_an_error() -> None:
    """Its text is in the message: it is paid for."""
    back = outcome_of(packed(Outcome(7, answer(metadata={"lock": threading.Lock()}), status=200)))
    assert (back.id, back.response, back.status) == (7, None, 200)
    assert isinstance(back.error, LLMConnectorError)
    assert "an answer" in str(back.error)
