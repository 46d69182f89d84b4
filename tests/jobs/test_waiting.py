"""Waiting for jobs, not waiting for them, and what is left behind."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path

import pytest

from llm_sync import batch
from llm_sync.batch.job_listing import open_jobs
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_format import HEADER_SIZE
from llm_sync.config.budgets import Budget
from llm_sync.errors import LLMConnectorError
from llm_sync.jobs.door import JobDoor
from llm_sync.jobs.driver import StepsInTurn
from llm_sync.jobs.gemini_batches import same_host
from llm_sync.jobs.openai_batches import OpenAIBatches
from llm_sync.jobs.provider_jobs import ProviderJobs
from llm_sync.jobs.wire import Limits
from llm_sync.models import Reply
from llm_sync.runtime import clock

CREATE = {"request": "create"}


def test_without_waiting_the_same_call_submits_and_later_collects(begin):
    """In between there are a journal and open jobs, and no output."""
    run = begin(lines=6, speed=0)
    first = run.run(no_wait=True)
    assert (first.complete, first.is_submitted, [job.requests for job in first.jobs]) == (False, True, [6])
    assert not run.output.exists()
    assert run.run(no_wait=True).is_submitted
    run.simulator.advance(86_000)
    last = run.run(no_wait=True)
    assert (last.complete, last.tally.answered, last.jobs) == (True, 6, ())
    assert run.billed()[0] == 6


def test_ctrl_c_ends_the_waiting_at_once_and_the_job_goes_on(begin, monkeypatch):
    """A later run collects it."""
    run = begin(lines=4, speed=0)
    waits = threading.Event()
    go_on = StepsInTurn.go_on

    def interrupted(self):
        seconds = go_on(self)
        if seconds > 1 and self._call is None:
            waits.set()
            raise KeyboardInterrupt
        return seconds

    with monkeypatch.context() as patch:
        patch.setattr(StepsInTurn, "go_on", interrupted)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run.run(poll_every=3600)
        assert waits.is_set()
        assert time.monotonic() - began < 30
    run.simulator.advance(86_000)
    assert run.run().tally.answered == 4
    assert run.billed()[0] == 4


def test_a_job_is_looked_at_as_often_as_was_asked_for_and_less_often_later(begin, monkeypatch):
    """At most once in ``poll_every``; each wait is longer than the one before, up to five times that."""
    looks: list[float] = []
    look = ProviderJobs._look
    monkeypatch.setattr(ProviderJobs, "_look", lambda self, job: (looks.append(clock.now()), look(self, job))[1])
    run = begin(lines=2, speed=3600, takes=3600)
    assert run.run(poll_every=0.05).complete
    pauses = [after - before for before, after in itertools.pairwise(looks)]
    assert len(pauses) > 3
    assert min(pauses) >= 0.05
    assert pauses[-1] > 0.1


def test_what_a_collected_job_leaves_is_deleted(begin):
    """Both files; with ``keep_files`` nothing is."""
    for keep, left in ((False, 0), (True, 2)):
        run = begin(lines=3)
        run.run(keep_files=keep)
        with run.client() as client:
            door = client.dispatcher.endpoint("p")
            reply = door.http.get(f"{run.simulator.url('openai')}/files", {"Authorization": "Bearer any"}, timeout=5)
        assert len(json.loads(reply.content)["data"]) == left


def test_jobs_are_listed_and_cancelled_and_what_was_answered_is_collected(begin):
    """The listing reads the journal, and looks at each job once."""
    run = begin(lines=8, speed=0, takes=1000, validating=10)
    run.run(no_wait=True)
    run.simulator.advance(600)
    with run.client() as client:
        assert [(job.requests, job.state) for job in open_jobs(run.output, client)] == [(8, "in_progress")]
        assert [job.state for job in open_jobs(run.output, client, cancel=True)] == ["cancelling"]
        run.simulator.advance(600)
        assert [job.state for job in open_jobs(run.output, client)] == ["cancelled"]
    summary = run.run()
    assert 0 < summary.tally.answered < 8
    assert summary.tally.failed["ProviderUnavailableError"] == 8 - summary.tally.answered
    with run.client() as client:
        assert open_jobs(run.output, client) == []


def test_results_that_are_gone_are_said_and_not_bought_again(begin):
    """The provider keeps them for a time only."""
    run = begin({"when": CREATE, "results_kept": 60}, lines=4, speed=0)
    run.run(no_wait=True)
    run.simulator.advance(100_000)
    summary = run.run()
    assert (summary.complete, len(summary.jobs)) == (False, 1)
    assert run.billed()[0] == 4
    assert run.run(rebuy=True, no_wait=True).is_submitted
    assert len(run.simulator.summary()["jobs"]) == 2


def test_a_line_that_moved_or_went_while_its_job_was_open_keeps_its_answer(begin):
    """An answer to a line that is gone is kept beside the output, as ever; a changed line is sent again."""
    run = begin(lines=6, speed=0)
    run.run(no_wait=True)
    run.simulator.advance(86_000)
    lines = [{"id": f"q{number}", "prompt": f"Question {number}"} for number in (5, 0, 1, 2, 3)]
    lines[2] = {"id": "q1", "prompt": "Another question"}
    run.write(lines)
    first = run.run(no_wait=True)
    assert first.tally.answered == 4
    assert [job.requests for job in first.jobs] == [1]
    run.simulator.advance(86_000)
    assert run.run().complete
    assert [answer[0] for answer in run.answers()] == ["q5", "q0", "q1", "q2", "q3"]
    assert run.billed()[0] == 7
    kept = Path(f"{run.output}.replaced").read_text("utf-8").splitlines()
    assert sorted(json.loads(line)["index"] for line in kept) == [1, 4]


def test_a_run_under_other_settings_is_refused_while_jobs_are_open(begin):
    """As it is for answers."""
    run = begin(lines=4, speed=0)
    run.run(no_wait=True)
    run.config = run.config.replace("max_tokens: 60", "max_tokens: 61")
    with pytest.raises(LLMConnectorError, match="were given under other settings"):
        run.run()
    run.simulator.advance(86_000)
    assert run.run(allow_changed_settings=True).tally.answered == 4
    assert run.billed()[0] == 4


def test_a_restart_is_refused_while_jobs_are_open(begin):
    """They would go on, and be billed for nothing."""
    run = begin(lines=4, speed=0)
    run.run(no_wait=True)
    with pytest.raises(LLMConnectorError, match="1 open job"):
        run.run(restart=True)
    assert Path(f"{run.output}.part").exists()


def test_no_more_is_spent_on_jobs_than_the_maximum(begin, monkeypatch):
    """What lines can cost is reserved before they are sent; what is left over is sent when the jobs have ended, or not at all."""
    monkeypatch.setattr(OpenAIBatches, "limits", Limits(2, 1_000_000))
    run = begin(lines=10)
    summary = run.run(max_cost=0.0016)  # a line can cost 0.0014 at most
    assert 0 < summary.tally.answered < 10
    assert "the maximum" in summary.held["p"]
    assert run.run().complete
    assert run.billed()[0] == 10


def test_equal_lines_are_sent_once(begin):
    """With ``dedupe``, the others get copies."""
    run = begin(lines=1)
    run.write([{"id": f"q{number}", "prompt": f"Question {number % 2}"} for number in range(6)])
    assert run.run(dedupe=True).complete
    assert run.billed()[0] == 2
    assert len(run.records()) == 6


def test_the_journal_shows_the_intent_before_the_create(begin, monkeypatch):
    """Members, fence and time are on the disk when the create is sent."""
    synced: list[int] = []
    sync = Journal.sync
    monkeypatch.setattr(Journal, "sync", lambda self, *, now=False: (synced.append(now), sync(self, now=now))[1])
    run = begin(lines=4, speed=0)
    seen: list[list[str]] = []
    create = OpenAIBatches.create

    def noting(self, job, file):
        seen.append([note.get("step", "members") for note in run.notes()])
        assert synced[-1] is True
        return create(self, job, file)

    monkeypatch.setattr(OpenAIBatches, "create", noting)
    run.run(no_wait=True)
    assert seen == [["members", "cut", "uploaded", "creating"]]
    assert [note.get("step", "members") for note in run.notes()] == [*seen[0], "created"]


def test_a_dry_run_tells_what_goes_by_jobs_at_half_the_price(begin):
    """And what goes directly; nothing is sent."""
    run = begin(lines=4)
    lines = [{"id": f"q{number}", "prompt": f"Question {number}"} for number in range(4)]
    lines[3]["service_tier"] = "flex"
    run.write(lines)
    with run.client() as client:
        shares = {share.via: share for share in batch.dry_run(str(run.input), str(run.output), client).shares}
        direct = batch.dry_run(str(run.input), str(run.output), client, via="direct").shares
    assert {via: share.requests for via, share in shares.items()} == {"batch": 3, None: 1}
    assert 2 * shares["batch"].cost + shares[None].cost == pytest.approx(direct[0].cost)
    assert run.simulator.summary()["requests"] == 0


def test_a_line_whose_job_is_open_is_not_sent_directly(begin):
    """Whatever a later run asks for: its answer is on the way."""
    run = begin(lines=5, speed=0)
    run.run(no_wait=True)
    run.simulator.advance(86_000)
    assert run.run(via="direct").complete
    assert run.billed()[0] == 5


def test_a_run_that_would_leave_out_lines_of_an_open_job_is_refused(begin):
    """As it is for answers that would be lost."""
    run = begin(lines=5, speed=0)
    run.run(no_wait=True)
    with pytest.raises(LLMConnectorError, match="requests that this run does not ask for"):
        run.run(limit=3)


@pytest.mark.parametrize(
    "answer", ["[]", "null", '"text"', "{}", '{"id": 7, "status": []}', "<html>", '{"id": "b", "data": {"x": 1}}']
)
def test_answers_that_nobody_foresaw_stop_the_provider_and_lose_nothing(begin, monkeypatch, answer):
    """To a poll: the job stays in the journal, and a later run collects it."""
    run = begin(lines=3, speed=0)
    run.run(no_wait=True)
    run.simulator.advance(86_000)
    with monkeypatch.context() as patch:
        patch.setattr(JobDoor, "exchange", lambda *_, **__: Reply(200, {}, answer.encode()))
        summary = run.run(no_wait=True)
    assert (summary.complete, [job.requests for job in summary.jobs]) == (False, [3])
    assert run.run().tally.answered == 3
    assert run.billed()[0] == 3


def test_a_journal_that_another_program_empties_gets_its_jobs_again(begin, monkeypatch):
    """Those of this run, and those of earlier ones: what was bought is found by the next run."""
    run = begin(lines=4, speed=0)
    run.run(no_wait=True)
    go_on = StepsInTurn.go_on
    emptied = []

    def emptying(self):
        seconds = go_on(self)
        if seconds > 1 and self._call is None and not emptied:
            with open(f"{run.output}.part", "rb+") as file:
                file.truncate(HEADER_SIZE)
            emptied.append(1)
        elif emptied and len(emptied) < 5:
            emptied.append(1)
        elif emptied:
            raise KeyboardInterrupt
        return min(seconds, 0.1)

    with monkeypatch.context() as patch:
        patch.setattr(StepsInTurn, "go_on", emptying)
        with pytest.raises(KeyboardInterrupt):
            run.run(poll_every=3600)
    assert [note["step"] for note in run.notes() if "step" in note][-1] == "created"
    run.simulator.advance(86_000)
    assert run.run().tally.answered == 4
    assert run.billed()[0] == 4


def test_a_file_goes_to_no_other_host_than_the_api_s_own():
    """Gemini's answer to an upload says where the bytes go; the key goes there, too."""
    start = "https://generativelanguage.googleapis.com/upload/v1beta/files"
    assert same_host(f"{start}?upload_id=1", start) == f"{start}?upload_id=1"
    for elsewhere in ("https://evil.example.com/upload", "http://generativelanguage.googleapis.com/upload", "", "/upload"):
        with pytest.raises(LLMConnectorError, match="names another host"):
            same_host(elsewhere, start)


def test_open_jobs_keep_what_is_reserved_for_them_until_their_cost_is_known(begin):
    """A run that does not wait leaves it reserved, so that others do not exceed the budget. Collecting settles it."""
    lines = 4
    budget = "budgets: {b: {usd: 0.01}}\ndefaults: {budget: b}\n"  # 0.0014 a line at most: enough for seven
    first, second = begin(lines=lines, speed=0), begin(lines=lines, speed=0)
    for run in (first, second):
        run.config = budget + run.config
    assert first.run(no_wait=True).is_submitted

    def standing():
        with first.client() as client:
            return client.dispatcher.spending._ledger.standing(Budget("b", 0.01))[:2]

    spent, reserved = standing()
    assert spent + reserved > 0.004
    second.run(no_wait=True)
    assert sum(standing()) < 0.01
    second.simulator.advance(86_000)
    first.simulator.advance(86_000)
    cost = first.run().tally.cost
    second.run(no_wait=True)
    second.simulator.advance(86_000)
    cost += second.run().tally.cost
    assert standing() == (pytest.approx(cost), 0)


def test_what_a_killed_run_reserved_is_given_back_or_settled_by_the_next(begin):
    """Its entries count as spent while its process is gone; the run that collects finds them by the journal."""
    run = begin(lines=2, speed=0)
    run.config = "budgets: {b: {usd: 0.01}}\ndefaults: {budget: b}\n" + run.config
    assert run.run(no_wait=True).is_submitted
    with run.client() as client:
        ledger = client.dispatcher.spending._ledger
        ledger.standing(Budget("b", 0.01))
        ledger._connection.execute("UPDATE entries SET owner = '1 gone other-boot -'")
        ledger._owner, ledger._swept_at = "me", -1e9
        ledger._sweep(ledger._connection)
        assert ledger.standing(Budget("b", 0.01))[1] == 0
        run.simulator.advance(86_000)
        cost = run.run().tally.cost
        assert ledger.standing(Budget("b", 0.01))[:2] == (pytest.approx(cost), 0)
