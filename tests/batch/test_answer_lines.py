"""The journal's lines of ordinary answers are written as text, and equal those that are made of dicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from llm_sync.batch.state.answer_lines import outcome_line
from llm_sync.batch.state.json_text import object_text, value_text
from llm_sync.batch.state.records import Key, RequestIdentity, head_of, journal_line, read_head, record_of
from llm_sync.errors import LLMConnectorError, RateLimitError
from llm_sync.models import Adjustment, ModelResponse, ToolCall, Usage
from llm_sync.models.pending_cost import PendingCost, PricedMetadata
from llm_sync.models.route import RouteStep

AT = datetime(2026, 1, 2, 3, 4, 5, 678, timezone.utc)
IDENTITY = RequestIdentity(Key(7, "p", "m"), "0123456789abcdef", "fedcba9876543210", "a" * 32, content="0011223344556677")
PLAIN = ModelResponse("an answer", "m-1", "p", "stop", Usage(3, 4), AT, 12.5)


class Text(str):
    """A string of a class of its own."""

    __slots__ = ()


class Number(float):
    """Likewise a number."""

    __slots__ = ()


TEXTS = [
    "a",
    'a "quote" \\ and / ',
    "\n\r\t\x00\x1f\x7f\u2028",
    "\u00e9\U0001f600",
    "lone \ud800 and \udfff",
    Text("own"),
]
NUMBERS = [0, -1, 2**70, True, False, None, 0.0, -0.0, 1e-7, 1e22, 0.1 + 0.2, float("nan"), float("inf"), Number(1.5), Decimal(2)]
METADATA: list[dict[Any, Any]] = [
    {},
    {"finish_reason_raw": "stop"},
    {"finish_reason_raw": None, "thinking": 'a "thought"', "parsed": {"a": [1, {"b": None}]}},
    {"raw": {"whole": "body"}, "finish_reason_raw": "x"},
    {1: "a", None: "b", 0: "c", 1.5: "d"},
    {Text("own"): {"set": {1}}, "bytes": b"x", "at": AT},
    {"state": {"signature": "s"}},
    {"tier": "priority"},
    {"nested": {"deep": (1, 2, float("nan"))}},
    {(1, 2): "no name"},
]


def answers() -> Iterator[ModelResponse]:
    """Answers that differ from the plain one in a field."""
    for text in TEXTS:
        yield from (replace(PLAIN, **{field: text}) for field in ("text", "model", "provider", "request_id", "id"))
        yield replace(PLAIN, metadata={text: text})
    for number in NUMBERS:
        yield from (replace(PLAIN, **{field: number}) for field in ("latency_ms", "attempts", "id", "request_id"))
        yield replace(PLAIN, usage=Usage(*[number] * 5))  # type: ignore[arg-type]
        yield replace(PLAIN, cost_estimate=number, saved_estimate=number)  # type: ignore[arg-type]
        yield replace(PLAIN, metadata={"number": number})
    yield from (replace(PLAIN, metadata=metadata) for metadata in METADATA)
    yield from (replace(PLAIN, finish_reason=reason) for reason in ("length", "tool_calls", "other"))
    yield replace(PLAIN, timestamp=AT.astimezone(timezone(timedelta(hours=5, minutes=30))))
    yield replace(PLAIN, tool_calls=(ToolCall("1", "look", {"a": 1}, state={"s": 1}),))
    yield replace(PLAIN, text="", tool_calls=(ToolCall("1", "look", None, "{"),))
    yield replace(PLAIN, adjustments=(Adjustment("seed", 1, None, "no seed here"),))
    yield replace(PLAIN, cached=True, saved_estimate=0.5)
    yield replace(PLAIN, route=(RouteStep("p", "m", "RateLimitError", attempts=1), RouteStep("q", "n", cost=0.1)))


IDENTITIES = [
    IDENTITY,
    IDENTITY._replace(key=Key(2**40, 'p "q"', "caf\u00e9/\ud800"), id="x"),
    IDENTITY._replace(key=Key(0, None, None), request=None, content=None),
    IDENTITY._replace(max_tokens=100),
    IDENTITY._replace(unsure=2),
    IDENTITY._replace(via="background"),
    IDENTITY._replace(shard="1/4", lines=9),
    IDENTITY._replace(openai=True, id="custom"),
]


def result_of(make: Callable[[], bytes]) -> bytes | type[BaseException]:
    """What ``make`` returns, or the type of what it raises."""
    try:
        return make()
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_line_of_any_answer_is_that_of_its_record(identity: RequestIdentity) -> None:
    """Byte for byte, whatever stands in the answer; and what cannot be written raises the same."""
    for answer in answers():
        head = head_of(identity, answer)
        expected = result_of(lambda: journal_line(head, record_of(identity, answer, head)))  # noqa: B023  (called at once)
        assert result_of(lambda: outcome_line(identity, answer, head)) == expected, answer  # noqa: B023


def test_the_source_of_a_pending_cost_is_in_the_line() -> None:
    """It becomes one of the metadata when the cost is looked up."""
    pending = PendingCost(lambda: (0.25, "list"))
    metadata = PricedMetadata(finish_reason_raw="stop")
    metadata.pending = pending
    answer = replace(PLAIN, metadata=metadata)
    vars(answer)["cost_estimate"] = pending
    line = outcome_line(IDENTITY, answer, head_of(IDENTITY, answer))
    record = json.loads(line)["record"]["response"]
    assert (record["cost_estimate"], record["metadata"]) == (0.25, {"finish_reason_raw": "stop", "price_source": "list"})


def test_the_line_of_an_error_is_that_of_its_record() -> None:
    """Errors are written the general way."""
    error: LLMConnectorError = RateLimitError("too many", provider="p", model="m", attempts=3)
    head = head_of(IDENTITY, error)
    line = outcome_line(IDENTITY, error, head)
    assert line == journal_line(head, record_of(IDENTITY, error, head))
    assert read_head(line) == head


@pytest.mark.parametrize("value", [*TEXTS, *NUMBERS, *METADATA[:-1], [1, "a", None], (), {"a"}, b"x"])
def test_a_value_is_written_as_by_the_encoder(value: Any) -> None:
    """Single values and mappings alike."""
    encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode
    assert value_text(value) == encode(value)
    if isinstance(value, Mapping):
        assert object_text(value) == encode(value)
    assert object_text({"name": value}) == encode({"name": value})


def test_a_head_with_a_value_that_json_does_not_have_is_refused() -> None:
    """Its readers count with its numbers."""
    head = head_of(IDENTITY, PLAIN)._replace(cost=Decimal(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        journal_line(head, {})


def test_a_subclass_is_written_the_general_way() -> None:
    """It may have further fields."""

    class Further(ModelResponse):
        def to_dict(self) -> dict[str, Any]:
            return {**super().to_dict(), "further": 1}

    answer = Further(**{name: getattr(PLAIN, name) for name in PLAIN.__dataclass_fields__})
    line = partial(outcome_line, IDENTITY, answer, head_of(IDENTITY, answer))()
    assert json.loads(line)["record"]["response"]["further"] == 1
