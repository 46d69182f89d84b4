"""Truncated answers: what they are in a batch, and how they are asked again."""

from __future__ import annotations

import pytest
from batch_apparatus import Batch, Far, completion, failure  # type: ignore[import-not-found]

from llm_sync import ConfigurationError

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def test_half_a_json_text_is_a_failure_that_keeps_its_text_and_cost(job: Batch, far: Far) -> None:
    """A batch with a response_schema counts it as TruncatedResponseError; ``billed`` says what it cost."""
    far.script("p", completion('{"a', "length"))
    job.lines("p")
    summary = job.run(models=["a/n"], fields={"response_schema": SCHEMA})
    (record,) = job.records()
    assert dict(summary.tally.failed) == {"TruncatedResponseError": 1}
    assert record["response"] is None
    assert (record["error"]["type"], record["error"]["text"]) == ("TruncatedResponseError", '{"a')
    assert record["billed"] == {"input_tokens": 3, "output_tokens": 2, "cost_estimate": 7e-06}


def test_truncated_answers_are_asked_again_under_a_new_limit(job: Batch, far: Far) -> None:
    """Complete answers stay: another limit would not have changed them. The record names the limit that counted."""
    far.script("long", completion("begi", "length"))
    job.lines("short", "long")
    job.run(fields={"max_tokens": 4})
    assert [record["max_tokens"] for record in job.records()] == [4, 4]
    with pytest.raises(ConfigurationError, match="under other settings"):
        job.run(fields={"max_tokens": 40})
    summary = job.run(fields={"max_tokens": 40}, retry_truncated=True)
    assert (summary.sent, summary.again, summary.tally.truncated) == (1, 1, 0)
    assert far.asked == ["short", "long", "long"]
    assert job.texts() == ["echo short", "echo long"]
    assert [record["max_tokens"] for record in job.records()] == [4, 40]
    assert job.run(fields={"max_tokens": 40}, retry_truncated=True).sent == 0


def test_a_cut_answer_without_text_is_asked_again_too(job: Batch, far: Far) -> None:
    """It is a failure, which a run without retry_truncated keeps."""
    far.script("p", completion("", "length"))
    job.lines("p")
    job.run()
    assert job.run().sent == 0
    assert job.run(retry_truncated=True).again == 1
    assert job.texts() == ["echo p"]


def test_only_a_limit_may_differ(job: Batch, far: Far) -> None:
    """Complete answers given at another temperature are refused as without retry_truncated."""
    far.script("long", completion("begi", "length"))
    job.lines("short", "long")
    job.run(fields={"max_tokens": 4})
    with pytest.raises(ConfigurationError, match="1 answer was given under other settings"):
        job.run(fields={"max_tokens": 40, "temperature": 0.5}, retry_truncated=True)
    assert far.asked == ["short", "long"]


def test_a_truncated_answer_stays_if_a_failure_comes_instead(job: Batch, far: Far) -> None:
    """Its text is paid for; it is asked again the next time."""
    far.script("p", completion("begi", "length"), failure(400, "no"))
    job.lines("p")
    job.run()
    summary = job.run(retry_truncated=True)
    assert (summary.sent, summary.tally.truncated, summary.tally.failed.total()) == (1, 1, 0)
    assert job.texts() == ["begi"]
    assert job.run(retry_truncated=True).tally.truncated == 0
    assert job.texts() == ["echo p"]


def test_a_failure_in_the_journal_of_a_stopped_run_does_not_displace_a_truncated_answer(job: Batch, far: Far) -> None:
    """The run that resumes it has both, and keeps the answer."""
    others = [f"other {number}" for number in range(12)]
    far.script("p", completion("begi", "length"), failure(400, "no"))
    far.script("q", failure(401, "bad key"))
    job.lines("p", "q", *others)
    job.run(limit=1)
    stopped = job.run(give_up_after=1, retry_truncated=True)
    assert (stopped.complete, stopped.tally.truncated) == (False, 1)
    assert far.asked.count("p") == 2
    assert job.run().tally.truncated == 1
    assert job.texts() == ["begi", "echo q", *(f"echo {prompt}" for prompt in others)]


def test_a_failure_with_text_does_not_replace_a_truncated_answer_by_nothing(job: Batch, far: Far) -> None:
    """Also where the second answer is cut within its JSON: the first text stays."""
    far.script("p", completion("begi", "length"), completion("", "length"))
    job.lines("p")
    job.run()
    assert job.run(retry_truncated=True).tally.truncated == 1
    assert job.texts() == ["begi"]
