"""Everything about a line is checked before the first request is sent, down to the payload that only its dialect knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure  # type: ignore[import-not-found]

from llm_sync import AuthenticationError, InvalidRequestError, LLMClient, batch
from llm_sync.events import Event, Finished

NAMELESS = {"prompt": "q", "model": "a/m", "tools": [{"parameters": {"type": "object"}}]}


def test_a_line_whose_payload_cannot_be_built_stops_the_run_unsent(job: Batch, far: Far) -> None:
    """A tool without a name is the dialect's to see: it is told with the line's number, and nothing is sent."""
    job.lines("p", NAMELESS, "r")
    with pytest.raises(InvalidRequestError, match=r"line 2: .*a tool has no name"):
        job.run()
    assert far.asked == []


def test_such_a_line_can_be_skipped(job: Batch, far: Far) -> None:
    """It is a bad line like any other."""
    job.lines("p", NAMELESS, "r")
    job.run(skip_bad_lines=True)
    assert job.texts() == ["echo p", "InvalidRequestError", "echo r"]
    assert sorted(far.asked) == ["p", "r"]


def test_a_dry_run_names_it(job: Batch) -> None:
    """Without sending anything."""
    job.lines("p", NAMELESS)
    found = batch.dry_run(job.input, job.output, job.client)
    assert found.to_send == 1
    assert any("a tool has no name" in str(problem) for problem in found.problems)


def test_a_missing_key_is_said_once_for_all_lines(
    open_client: Callable[..., LLMClient], job: Batch, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the provider's lack, not each line's."""
    monkeypatch.delenv("NOBODY_SETS_THIS", raising=False)
    job.client = open_client("providers: {a: {type: openai, api_key: '${NOBODY_SETS_THIS}', base_url: '<openai>', models: [m]}}")
    job.lines("p", "q")
    with pytest.raises(AuthenticationError, match="NOBODY_SETS_THIS"):
        job.run()
    assert far.asked == []


def test_the_end_of_a_request_that_failed_says_so(job: Batch, far: Far) -> None:
    """The event has the error, and what an unusable answer cost; the client's status counts it as failed."""
    heard: list[Event] = []
    job.client.add_listener(heard.append)
    far.script("p", failure(400, "no such thing"))
    far.script("q", completion(""))
    job.lines("p", "q", "r")
    job.run()
    ends: list[Any] = [event for event in heard if isinstance(event, Finished)]
    assert [end.error for end in ends] == ["InvalidRequestError", "EmptyResponseError", None]
    assert "no such thing" in ends[0].message
    assert [end.usage is not None and end.usage.output_tokens == 2 for end in ends] == [False, True, True]
    status = job.client.status()["a"]
    assert (status.done, dict(status.failed)) == (1, {"InvalidRequestError": 1, "EmptyResponseError": 1})


def test_the_end_of_a_batchs_request_says_what_was_billed(job: Batch) -> None:
    """As of any other request: budgets are kept by events."""
    heard: list[Event] = []
    job.client.add_listener(heard.append)
    job.lines("p", "q")
    job.run()
    ends: list[Any] = [event for event in heard if isinstance(event, Finished)]
    assert [end.usage is not None and end.usage.output_tokens > 0 for end in ends] == [True, True]
