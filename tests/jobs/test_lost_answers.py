"""Creates whose answers are lost: the list of jobs decides, and nothing is bought twice."""

from __future__ import annotations

import contextlib
import json

import pytest
from jobs_apparatus import POLL_S, Killed, killable

from llm_sync.errors import PermissionDeniedError
from llm_sync.jobs.anthropic_batches import AnthropicBatches
from llm_sync.jobs.openai_batches import OpenAIBatches
from llm_sync.jobs.wire import Limits

CREATE = {"request": "create"}
KINDS = ["openai", "anthropic", "gemini", "mistral"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_create_answered_504_but_carried_out_is_not_made_again(begin, kind, caplog):
    """The job is found in the list, and collected."""
    run = begin({"when": {**CREATE, "nth": 1}, "done_but": 504}, kind=kind, lines=6)
    assert run.run().complete
    assert run.billed()[0] == 6
    assert "it is looked for" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_create_that_was_refused_by_a_gateway_is_made_again_when_the_list_has_no_job(begin, kind):
    """It was not made: the list is whole, and nothing has turned up in all that time."""
    run = begin({"when": {**CREATE, "nth": 1}, "status": 502}, kind=kind, lines=6)
    assert run.run().complete
    assert run.billed()[0] == 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_is_listed_late_is_found_all_the_same(begin, kind):
    """Some providers list a job only minutes after they have made it: a few polls here."""
    late = 8 * POLL_S * 36_000  # simulated seconds
    rules = [
        {"when": {**CREATE, "nth": 1}, "listed_after": late, "continue": True},
        {"when": {**CREATE, "nth": 1}, "done_but": 504},
    ]
    run = begin(*rules, kind=kind, lines=6, takes=late)
    assert run.run().complete
    assert run.billed()[0] == 6


def test_a_lost_connection_at_a_create_leaves_the_job_to_the_next_run(begin, monkeypatch):
    """Without waiting there is one look: later runs look again."""
    with killable(monkeypatch) as kills:
        run = begin({"when": {**CREATE, "nth": 1}, "listed_after": 3600, "continue": True}, lines=6, speed=0)
        kills.begin(None)
        begin(lines=6).run()
        create = next(number for number, name in enumerate(kills.names) if name.endswith("/v1/batches") and "POST" in name) + 1
        kills.begin(create)
        with contextlib.suppress(Killed):
            run.run()
        kills.begin(None)
        summary = run.run(no_wait=True, poll_every=60)
    assert [(job.state, job.requests, job.lost) for job in summary.jobs] == [("creating", 6, "")]
    assert summary.is_submitted
    run.simulator.advance(86_000)
    assert run.run().complete
    assert run.billed()[0] == 6


def test_a_job_that_cannot_be_looked_for_is_lost_and_only_sent_again_with_leave(begin, monkeypatch, caplog):
    """A key that may not list jobs: that is said, and nothing is sent again."""
    run = begin({"when": {**CREATE, "nth": 1}, "done_but": 504}, lines=6)
    listed = OpenAIBatches.jobs

    def unlisted(self, job, *, newest=False):
        if newest:
            return listed(self, job, newest=True)
        raise PermissionDeniedError("this key may not list batches", status=403)

    with monkeypatch.context() as patch:
        patch.setattr(OpenAIBatches, "jobs", unlisted)
        for _ in range(2):
            summary = run.run()
            assert [(job.requests, job.lost) for job in summary.jobs] == [
                (6, "the provider does not list its jobs: this key may not list batches")
            ]
            assert (summary.complete, summary.is_submitted, len(run.simulator.summary()["jobs"])) == (False, False, 1)
        assert "Only --rebuy" in caplog.text
        assert run.run(rebuy=True).complete
    assert len(run.simulator.summary()["jobs"]) == 2


def test_a_lost_job_is_taken_up_when_the_list_can_be_read_again(begin, monkeypatch):
    """With another key of the same account, for instance."""
    run = begin({"when": {**CREATE, "nth": 1}, "done_but": 504}, lines=6)
    with monkeypatch.context() as patch:
        patch.setattr("llm_sync.jobs.search._MAX_JOBS", 0)
        assert run.run().jobs[0].lost.startswith("the provider lists more than 0 jobs")
    assert run.run().complete
    assert run.billed()[0] == 6


def test_a_foreign_job_of_the_same_size_is_not_taken_for_ours(begin, monkeypatch):
    """Anthropic keeps no name of a job: the ids of its rows tell, and then the next candidate is looked at."""
    run = begin({"when": {**CREATE, "nth": 2}, "done_but": 504}, kind="anthropic", lines=4)
    create = AnthropicBatches.create

    def after_a_foreign_one(self, job, file):
        params = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}
        foreign = json.dumps({"requests": [{"custom_id": f"other-{n}", "params": params} for n in range(4)]}).encode()
        self.door.read(self.door.exchange("POST", self.door.url("/v1/messages/batches"), body=foreign))
        return create(self, job, file)

    monkeypatch.setattr(AnthropicBatches, "create", after_a_foreign_one)
    assert run.run().tally.answered == 4
    assert run.billed()[0] == 8  # ours once, and the foreign job


def test_a_job_of_another_key_is_never_taken_for_not_made(begin, monkeypatch):
    """A 404 for a known job: nothing is sent again, and the way out is said."""
    monkeypatch.setattr(OpenAIBatches, "limits", Limits(100, 1_000_000))
    run = begin(lines=4, speed=1)
    run.run(no_wait=True)
    run.config = run.config.replace("api_key: any", "api_key: another")
    summary = run.run()
    assert (summary.complete, len(summary.jobs)) == (False, 1)
    assert "No batch found" in summary.held["p"]
    assert len(run.simulator.summary()["jobs"]) == 1
