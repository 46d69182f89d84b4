"""What becomes of the lines of jobs: rows in any state, jobs that end in any way."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from jobs_apparatus import MODELS

from llm_sync import batch
from llm_sync.jobs.openai_batches import OpenAIBatches
from llm_sync.jobs.trouble import Trouble
from llm_sync.jobs.wire import Limits
from llm_sync.spending.report import spent_by

CREATE = {"request": "create"}


def test_the_answers_are_those_of_direct_calls_at_half_the_price(begin):
    """The same words in the same order; each record says how it was sent, and the tier that served it."""
    run = begin(lines=5)
    summary = run.run()
    jobs, answers = run.records(), run.answers()
    run.run(via="direct", restart=True)
    assert run.answers() == answers
    direct = run.records()
    assert [record["via"] for record in jobs] == ["batch"] * 5
    assert [record["response"]["tier"] for record in jobs] == ["batch"] * 5
    assert [record.get("via") for record in direct] == [None] * 5
    costs = [[record["response"]["cost_estimate"] for record in records] for records in (jobs, direct)]
    assert costs[0] == pytest.approx([cost / 2 for cost in costs[1]])
    assert (summary.complete, summary.jobs, summary.sent) == (True, (), 5)


def test_rows_are_matched_by_their_ids_alone(begin):
    """Shuffled rows, rows that are there twice, and counters that lie change nothing."""
    expected = begin(lines=30)
    expected.run()
    liar = ({"rows_shuffled": True}, {"rows_twice": 0.3}, {"counters_lie": True})
    run = begin(*({"when": CREATE, **lie, "continue": True} for lie in liar), lines=30)
    assert run.run().complete
    assert run.answers() == expected.answers()


def test_a_request_without_a_row_may_be_billed_and_is_not_sent_again_without_leave(begin):
    """It is counted as such; with ``rebuy`` it is sent again."""
    run = begin({"when": {**CREATE, "nth": 1}, "rows_missing": 0.2}, lines=20)
    summary = run.run()
    missing = summary.tally.failed["ProviderUnavailableError"]
    assert missing > 0
    assert summary.unsure == missing
    assert len(run.simulator.summary()["jobs"]) == 1
    assert run.run().tally.failed["ProviderUnavailableError"] == missing
    assert len(run.simulator.summary()["jobs"]) == 1
    assert run.run(rebuy=True).tally.answered == 20


def test_lines_that_were_not_worked_on_are_sent_again_by_the_same_command(begin):
    """An expired job has rows all the same, and only the others are sent again."""
    run = begin({"when": {**CREATE, "nth": 1}, "job_expires": 0.5}, lines=20)
    first = run.run()
    assert (first.tally.answered, dict(first.tally.failed), first.unsure) == (10, {"ProviderUnavailableError": 10}, 0)
    assert [record["error"]["retryable"] for record in run.records() if record["error"]] == [True] * 10
    second = run.run()
    assert (second.tally.answered, second.again, second.complete) == (20, 10, True)
    assert [job["lines"] for job in run.simulator.summary()["jobs"]] == [20, 10]


def test_an_error_in_a_row_is_judged_as_a_direct_one(begin):
    """By the same classes, with the same word on whether to ask again."""
    rule = {"when": {"request": "line", "share": 0.3}, "error": "bad_request"}
    run = begin(rule, lines=20)
    summary = run.run()
    failed = [record for record in run.records() if record["error"]]
    assert 0 < len(failed) < 20
    assert {record["error"]["type"] for record in failed} == {"InvalidRequestError"}
    assert {(record["error"]["status"], record["error"]["attempts"]) for record in failed} == {(400, 1)}
    assert (summary.complete, run.run().sent) == (True, 0)


@pytest.mark.parametrize("kind", ["openai", "openai-responses", "azure", "groq"])
def test_answers_of_jobs_have_request_ids_as_direct_ones_do(begin, kind):
    """Each its own: the provider's support asks for it."""
    run = begin(kind=kind, lines=3)
    run.run()
    identifiers = [record["response"]["request_id"] for record in run.records()]
    assert all(identifiers)
    assert len(set(identifiers)) == 3


def test_a_job_that_is_refused_for_a_line_costs_that_line_only(begin, monkeypatch):
    """The provider names the line: it fails, and the others are sent in another job."""
    monkeypatch.setattr(OpenAIBatches, "refusal", lambda *_: None)
    run = begin(lines=12)
    lines = [{"id": f"q{number}", "prompt": f"Question {number}"} for number in range(12)]
    lines[7]["provider_specific"] = {"service_tier": "flex"}
    run.write(lines)
    summary = run.run()
    states = Counter(job["state"] for job in run.simulator.summary()["jobs"])
    if states["failed"]:  # as far as the simulator knows what a provider refuses
        assert dict(summary.tally.failed) == {"InvalidRequestError": 1}
        assert run.records()[7]["error"]["type"] == "InvalidRequestError"
    assert summary.complete


def test_a_job_that_is_refused_without_naming_a_line_is_halved(begin, monkeypatch):
    """Nobody says which line is at fault: the halves do."""
    look = OpenAIBatches.look

    def without_line(self, job_id):
        remote = look(self, job_id)
        return remote if remote.failure is None else remote._replace(failure=remote.failure._replace(line=None))

    monkeypatch.setattr(OpenAIBatches, "look", without_line)
    run = begin({"when": {**CREATE, "nth": 1}, "job_fails": "invalid_request"}, lines=8)
    summary = run.run()
    assert summary.tally.answered == 8
    assert [(job["state"], job["lines"]) for job in run.simulator.summary()["jobs"]] == [
        ("failed", 0),
        ("completed", 4),
        ("completed", 4),
    ]


def test_too_many_tokens_wait_for_another_job_to_end(begin, monkeypatch, caplog):
    """Nothing of such a job was run; its lines are sent when there is room."""
    monkeypatch.setattr(OpenAIBatches, "limits", Limits(10, 1_000_000))
    run = begin({"when": {**CREATE, "nth": 1}, "job_fails": "token_limit_exceeded"}, lines=40, takes=36_000)
    turns: list[int] = []
    is_waiting = Trouble.is_waiting
    monkeypatch.setattr(Trouble, "is_waiting", lambda self, jobs: (turns.append(1), is_waiting(self, jobs))[1])
    assert run.run(poll_every=0.1).tally.answered == 40
    assert len(turns) < 100  # it sleeps meanwhile
    assert "too much waits there" in caplog.text
    assert Counter(job["state"] for job in run.simulator.summary()["jobs"]) == {"completed": 4, "failed": 1}


def test_a_model_that_does_not_exist_fails_every_line(begin):
    """As it does directly; no half is tried."""
    run = begin(lines=6)
    run.config = run.config.replace(MODELS["openai"], "gpt-nope")
    summary = run.run()
    assert dict(summary.tally.failed) == {"ModelNotFoundError": 6}
    assert len(run.simulator.summary()["jobs"]) <= 1


def test_a_line_that_a_batch_api_does_not_take_goes_directly(begin, caplog):
    """With a notice, before anything is uploaded; the others go by a job."""
    run = begin(lines=4)
    lines = [{"id": f"q{number}", "prompt": f"Question {number}"} for number in range(4)]
    lines[2]["provider_specific"] = {"service_tier": "flex"}
    run.write(lines)
    with caplog.at_level(logging.WARNING, "llm_sync.batch"):
        summary = run.run()
    assert summary.tally.answered == 4
    assert [record.get("via") for record in run.records()] == ["batch", "batch", None, "batch"]
    assert "p: 1 line goes directly, at the full price: its Batch API does not take service_tier 'flex'" in caplog.text


@pytest.mark.parametrize(
    ("kind", "refused", "outcome"),
    [
        # Nothing looks at the lines there: the account, the endpoint or the API is at fault, and no line fails for it.
        ("openai", {"request": "upload"}, "stopped"),
        ("openai", {"request": "create"}, "stopped"),
        ("anthropic", {"request": "create"}, "stopped"),
        # These look at the lines: the halves tell which is at fault.
        ("gemini", {"request": "create"}, "halved"),
        ("mistral", {"request": "upload"}, "halved"),
    ],
)
def test_a_refused_call_is_the_lines_fault_only_where_it_looks_at_them(begin, kind, refused, outcome):
    """Otherwise the provider gets nothing more, and the lines keep waiting."""
    run = begin({"when": {**refused, "nth": 1}, "error": "bad_request"}, kind=kind, lines=4)
    summary = run.run()
    assert (summary.tally.failed["InvalidRequestError"], bool(summary.held)) == (0, outcome == "stopped")
    assert summary.tally.outcomes == (0 if outcome == "stopped" else 4)
    assert run.run().tally.outcomes == 4
    assert run.billed()[0] == 4


def test_a_provider_that_cannot_be_reached_is_given_up_in_the_end(begin, caplog):
    """After a few tries, each of which is told; nothing is lost."""
    run = begin(lines=3)
    config, run.config = run.config, run.config.replace(str(run.simulator.port), "9")
    summary = run.run(poll_every=0.001)
    assert (summary.complete, "refuses connections" in summary.held["p"]) == (False, True)
    assert "no job can be made now" in caplog.text
    run.config = config
    assert run.run().tally.answered == 3


def test_a_rate_limit_on_creates_is_waited_for(begin):
    """As long as the provider says; the file is uploaded anew."""
    run = begin({"when": {"request": "create", "nth": [1, 2]}, "error": "rate_limit"}, lines=3)
    assert run.run().tally.answered == 3
    assert run.billed()[0] == 3


def test_a_row_that_cannot_be_read_is_not_taken_for_one_that_was_not_worked_on(begin, monkeypatch):
    """In a job that expired, a request without a row may then have been answered and billed."""
    fetch = OpenAIBatches.fetch

    def damaged(self, remote, into):
        fetch(self, remote, into)
        into.seek(0)
        into.write(b"?")

    monkeypatch.setattr(OpenAIBatches, "fetch", damaged)
    run = begin({"when": {**CREATE, "nth": 1}, "job_expires": 0.5}, lines=4)
    summary = run.run()
    assert (summary.tally.answered, dict(summary.tally.failed), summary.unsure) == (1, {"ProviderUnavailableError": 3}, 1)
    run.run()
    assert [job["lines"] for job in run.simulator.summary()["jobs"]] == [4, 2]


def test_an_answer_that_cannot_be_used_is_counted_where_nothing_was_reserved(begin):
    """The run that sent the job had no budget and no tag; the one that collects it has one. The answer was billed."""
    run = begin(lines=1, speed=0)
    run.write([{"id": "long", "prompt": "Tell me a long story about a very long road", "max_tokens": 2}])
    for tag, options in ((None, {"no_wait": True}), ("books", {})):
        with run.client(strict=True, tag=tag) as client:
            summary = batch.run(str(run.input), str(run.output), client, poll_every=0.02, **options)
        run.simulator.advance(86_000)
    assert dict(summary.tally.failed) == {"TruncatedResponseError": 1}
    rows = [*spent_by("tag"), *spent_by("tag", simulated=True)]
    assert [(row.key, row.requests, row.spent) for row in rows] == [("books", 1, pytest.approx(run.billed()[1]))]
