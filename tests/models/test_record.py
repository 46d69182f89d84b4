"""The one record of an outcome: the same keys always, and JSON whatever happened."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from llm_sync.errors import (
    EmptyResponseError,
    LLMConnectorError,
    ProviderUnavailableError,
    RateLimitError,
    TruncatedResponseError,
)
from llm_sync.models import Adjustment, ModelResponse, ToolCall, UnusableResponse, Usage
from llm_sync.models.record import error_record, record
from llm_sync.models.route import Route

PLACE = Route("openai", "gpt-4o")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
KEYS = {"id", "index", "provider", "model", "response", "error"}


def test_an_answer_is_a_record() -> None:
    """The response stands in whole, as itself gives it; the model asked for stands beside the one that answered."""
    answer = ModelResponse(
        "text",
        "gpt-4o-2024",
        "openai",
        "tool_calls",
        Usage(1, 2, 0, None),
        AT,
        12.5,
        tool_calls=(ToolCall("c", "look", {"a": [1]}, '{"a": [1]}'),),
        adjustments=(Adjustment("seed", 1, None, "no seed"),),
        metadata={"thinking": "hm", "raw": {"big": 1}},
        id="q-7",
    )
    made = record(3, PLACE, answer)
    assert set(made) == KEYS
    assert (made["id"], made["index"], made["provider"], made["model"], made["error"]) == ("q-7", 3, "openai", "gpt-4o", None)
    assert made["response"] == answer.to_dict()
    assert json.loads(json.dumps(made, allow_nan=False)) == made | {"response": json.loads(json.dumps(answer.to_dict()))}


def test_an_error_is_a_record_of_the_same_keys() -> None:
    """Class, message and every fact a program decides by; what is unknown is null."""
    place = {"provider": "openai", "model": "gpt-4o"}
    error = RateLimitError("slow down", **place, status=429, retry_after=2.5, guidance="Wait.", attempts=3)
    made = record(0, PLACE, error, request_id=5)
    assert set(made) == KEYS
    assert (made["id"], made["response"]) == (5, None)
    assert made["error"] == {
        "type": "RateLimitError",
        "message": "slow down",
        "provider": "openai",
        "model": "gpt-4o",
        "status": 429,
        "retryable": True,
        "retry_after": 2.5,
        "guidance": "Wait.",
        "attempts": 3,
        "text": None,
    }
    assert json.loads(json.dumps(made)) == made


def test_an_error_that_knows_nothing_has_all_keys_too() -> None:
    """Readers need not ask whether a key is there."""
    error = record(0, PLACE, LLMConnectorError("it broke"))["error"]
    assert {name for name, value in error.items() if value is None} == set(error) - {"type", "message"}


def test_a_billed_bad_answer_is_an_error() -> None:
    """Its text is kept with the error, as it is paid for; it never stands where an answer would."""
    came = UnusableResponse("half", "m", "openai", "length", Usage(1, 2), AT, 1.0)
    made = record(0, PLACE, TruncatedResponseError("cut", response=came))
    assert made["response"] is None
    assert (made["error"]["type"], made["error"]["text"]) == ("TruncatedResponseError", "half")


def test_a_text_that_broke_off_is_kept() -> None:
    """Also by errors that carry no response: what came before the provider failed is billed, too."""
    assert error_record(ProviderUnavailableError("broke", partial_text="half"))["text"] == "half"
    empty = UnusableResponse("", "m", "openai", "other", Usage(1, 0), AT, 1.0)
    assert error_record(EmptyResponseError("nothing", response=empty))["text"] is None
