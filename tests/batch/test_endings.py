"""How a run ends before its time: interrupted, its folder removed, its key refused, its provider cooling down."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync import batch
from llm_sync.batch import sender
from llm_sync.batch.state.journal import Journal
from llm_sync.errors import ClientClosedError, LLMConnectorError


def stop_at(done: int) -> Any:
    """A progress callback that raises Ctrl-C at so many outcomes."""

    def watch(snapshot: batch.Snapshot) -> None:
        if snapshot.done >= done:
            raise KeyboardInterrupt

    return watch


def test_an_interrupt_lets_what_is_in_flight_end(job: Batch, far: Far) -> None:
    """Its answer is in the journal; what was queued is not sent, and nothing is possibly billed."""
    held = threading.Event()

    def late() -> Any:
        assert held.wait(20)
        return completion("late")

    far.script("p1", late)
    job.lines(*(f"p{number}" for number in range(8)))

    def watch(snapshot: batch.Snapshot) -> None:
        if len(far.asked) >= 2:
            threading.Timer(0.3, held.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(progress=watch)
    assert far.asked == ["p0", "p1"]
    summary = job.run()
    assert (summary.earlier, summary.sent, summary.unsure) == (2, 6, 0)
    assert job.texts()[1] == "late"


def test_what_does_not_end_in_time_is_cut_off_and_listed(
    job: Batch, far: Far, open_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be billed: nobody knows. The run ends in bounded time all the same."""
    over = threading.Event()

    def never() -> Any:
        over.wait(20)
        return completion("too late")

    monkeypatch.setattr("llm_sync.batch.scheduler.GRACE_S", 0.3)
    far.script("p", never)
    job.lines("p", "q")

    def watch(_: Any) -> None:
        if far.asked:
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            job.run(progress=watch)
        job.client.close(cancel_pending=True, grace=0)  # the worker has ended, and with it the last who writes
        summary = job.run(client=open_client())
        assert (summary.unsure, [key.position for key, _ in summary.possibly_billed]) == (1, [0])
        assert job.texts() == ["echo p", "echo q"]
        assert job.records()[0]["possibly_billed"] == 1
        assert job.run(client=open_client()).unsure == 1
    finally:
        over.set()


def test_a_request_that_waits_to_be_tried_again_is_taken_back(job: Batch, far: Far, open_client: Any) -> None:
    """It failed in a way that costs nothing, and is not in flight: it is asked again, and not listed."""
    far.script("p", failure(503, "busy", ("Retry-After", "30")))
    job.lines("p")

    def watch(_: Any) -> None:
        if far.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(progress=watch)
    summary = job.run(client=open_client())
    assert (summary.unsure, far.asked, job.texts()) == (0, ["p", "p"], ["echo p"])


def test_a_folder_that_goes_away_costs_no_answer(job: Batch, far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run stops; what it has is saved elsewhere, and once it is put back, the run resumes."""
    rescue = tmp_path / "rescue"
    rescue.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rescue))
    folder = tmp_path / "folder"
    folder.mkdir()
    job.output, job.part = folder / "out.jsonl", folder / "out.jsonl.part"
    gone = threading.Event()

    def wreck() -> Any:
        shutil.rmtree(folder)
        gone.set()
        return completion("echo p3")

    far.script("p3", wreck)
    far.script("p5", lambda: (gone.wait(20), completion("echo p5"))[1])
    job.lines(*(f"p{number}" for number in range(300)))
    with pytest.raises(LLMConnectorError, match="was moved or deleted") as caught:
        job.run()
    (saved,) = rescue.iterdir()
    assert str(saved) in str(caught.value)
    folder.mkdir()
    shutil.move(saved, job.part)
    asked = len(far.asked)
    assert job.run().sent == 300 - asked
    assert job.texts() == [f"echo p{number}" for number in range(300)]
    assert sorted(far.asked) == sorted(f"p{number}" for number in range(300))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_reported_at_once(job: Batch, far: Far, tmp_path: Path) -> None:
    """Before anything is sent."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    job.output = folder / "out.jsonl"
    job.lines("p")
    with pytest.raises(PermissionError):
        job.run()
    assert far.asked == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_is_write_protected_is_not_replaced(job: Batch, far: Far) -> None:
    """Though its folder would allow it."""
    job.lines("p")
    job.run()
    job.output.chmod(0o444)
    job.lines("q")
    with pytest.raises(PermissionError):
        job.run()
    assert far.asked == ["p"]


def test_a_full_disk_elsewhere_too_leaves_the_answers_in_the_log(
    job: Batch, far: Far, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is the last resort: no paid answer is lost."""
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        if bytes(data[:7]) == b'{"done"':
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    def nowhere(**_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr("tempfile.mkstemp", nowhere)
    job.lines("p", "q")
    with caplog.at_level(logging.ERROR, "llm_sync.batch"), pytest.raises(LLMConnectorError, match="logged above"):
        job.run()
    monkeypatch.undo()
    saved = [record.args[0] for record in caplog.records if record.msg.startswith("not saved")]  # type: ignore[index]
    assert len(saved) == 1
    with job.part.open("a") as file:
        file.write(f"{saved[0]}\n")
    assert (job.run().sent, far.asked) == (1, ["p", "q"])


def test_a_provider_that_refuses_the_key_is_given_up(job: Batch, far: Far) -> None:
    """A wrong key is not tried ten thousand times; the other provider goes on, and the next run begins where it stopped."""
    prompts = [f"p{number}" for number in range(40)]
    for prompt in prompts:
        far.script(prompt, failure(401, "wrong key"))
    job.lines(*prompts, *({"prompt": f"q{number}", "model": "b/m2"} for number in range(20)))
    summary = job.run(give_up_after=3)
    assert not summary.complete
    assert summary.held == {"a": "3 requests in a row failed with AuthenticationError"}
    assert sum(prompt.startswith("p") for prompt in far.asked) <= 3 + 6
    assert summary.lanes["b"].done == 20
    assert job.part.exists()
    assert not job.output.exists()
    far.scripted.clear()
    summary = job.run()
    assert (summary.complete, summary.tally.answered) == (True, 60)


def test_a_refusal_of_the_last_requests_still_finishes_the_run(job: Batch, far: Far) -> None:
    """Every request has its outcome: the output is made."""
    for number in range(3):
        far.script(f"p{number}", failure(401))
    job.lines("p0", "p1", "p2")
    summary = job.run(give_up_after=3)
    assert (summary.complete, summary.held, job.texts()) == (True, {}, ["AuthenticationError"] * 3)


def test_a_client_closed_under_a_batch_ends_it(job: Batch, far: Far, open_client: Any) -> None:
    """For example by another thread; the journal stays, and nothing unanswered counts as done."""
    client = open_client()
    far.script("p1", lambda: (client.close(cancel_pending=True, grace=0), completion("late"))[1])
    job.lines("p0", "p1", "p2")
    with pytest.raises(ClientClosedError):
        job.run(client=client)
    assert not job.output.exists()
    summary = job.run()
    assert (summary.sent, job.texts()) == (2, ["echo p0", "echo p1", "echo p2"])


def test_a_worker_that_ends_late_still_finds_the_journal(tmp_path: Path) -> None:
    """Its answer is written although the run is over; only then is the file unlocked."""
    path = str(tmp_path / "j")
    journal = Journal(path)
    with journal.writing():
        journal.close()
        with pytest.raises(LLMConnectorError, match="is being written"):
            Journal(path)
        assert journal.add(b'{"late": 1}\n') == 0
    Journal(path).close()
    assert Path(path).read_bytes().endswith(b'{"late": 1}\n')


def test_an_outcome_that_cannot_be_written_is_kept_in_words(job: Batch, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a dialect puts into its metadata, the text that was paid for is in the record."""
    real = sender.head_of

    def with_odd_metadata(identity: Any, outcome: Any) -> Any:
        if getattr(outcome, "text", "") == "echo q":
            outcome.metadata[1, 2] = 3
        return real(identity, outcome)

    monkeypatch.setattr(sender, "head_of", with_odd_metadata)
    job.lines("p", "q")
    job.run()
    assert job.texts() == ["echo p", "LLMConnectorError"]
    assert "echo q" in job.records()[1]["error"]["message"]


def test_a_line_that_changes_during_a_run_is_left_for_the_next_one(job: Batch, far: Far) -> None:
    """It was checked with another content. The summary says so, and the journal stays."""
    filler = "x" * 9000  # so that not all of it is read at once
    job.lines(*({"system_prompt": filler, "prompt": f"p{number}", "model": "a/m"} for number in range(20)))
    content = job.input.read_bytes()

    def edit() -> Any:
        job.input.write_bytes(content.replace(b'"p19", "model": "a/m"', b'"p1", "model": "b/m2"'))
        return completion("echo p0")

    far.script("p0", edit)
    summary = job.run()
    assert (summary.complete, summary.tally.answered, summary.held) == (
        False,
        19,
        {"a": "one line cannot be sent as planned: the line changed while the batch ran"},
    )
    assert (job.output.exists(), far.asked.count("p19"), far.asked.count("p1")) == (False, 0, 1)
    summary = job.run()
    assert (summary.sent, job.records()[19]["model"], far.asked.count("p19")) == (1, "m2", 0)


def test_lines_that_move_during_a_run_are_not_sent_as_others(job: Batch, far: Far) -> None:
    """If a file is saved again with one more line at its top, only prompts of one of the two versions are sent."""
    filler = "x" * 9000
    objects = [{"system_prompt": filler, "prompt": f"p{number}", "model": "a/m"} for number in range(40)]
    job.lines(*objects)

    def edit() -> Any:
        job.lines({"prompt": "new", "model": "a/m"}, *objects)
        return completion("echo p0")

    far.script("p0", edit)
    summary = job.run()
    assert not summary.complete
    assert set(far.asked) <= {f"p{number}" for number in range(40)}
    asked = len(far.asked)
    assert job.run().sent == 41 - asked
    assert job.texts() == ["echo new", *(f"echo p{number}" for number in range(40))]
    assert len(far.asked) == 41


def test_failures_between_answers_do_not_give_a_provider_up(job: Batch, far: Far) -> None:
    """Only failures in a row do, and only if that is not switched off."""
    for number in range(0, 12, 2):
        far.script(f"p{number}", failure(403))
    job.lines(*(f"p{number}" for number in range(12)))
    assert job.run(give_up_after=2).complete
    for number in range(12):
        far.script(f"r{number}", failure(402))
    job.lines(*(f"r{number}" for number in range(5)))
    assert job.run(give_up_after=0, restart=True).failed == 5


def test_a_long_cool_down_parks_its_provider_and_fails_nothing(
    job: Batch, far: Far, open_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline of a request does not count the pause; other providers go on; the pause is kept."""
    client = open_client(
        "defaults: {retry_base: 0, max_retry_after: 0.05, deadline: 0.2}\n"
        'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m]}, '
        'b: {type: openai, api_key: k, base_url: "<openai>", models: [m2]}}'
    )
    far.script("p1", *[failure(429, "later", ("Retry-After", "0.3"))] * 3)
    job.lines("p0", "p1", "p2", {"prompt": "q", "model": "b/m2"})
    summary = job.run(client=client)
    assert job.texts() == ["echo p0", "echo p1", "echo p2", "echo q"]
    assert far.asked.count("p1") == 4
    assert (job.records()[1]["response"]["attempts"], summary.retries) == (4, 3)
    assert summary.lanes["a"].seconds > 0.9


def test_a_request_caught_in_anothers_pause_does_not_fail(job: Batch, far: Far, open_client: Any) -> None:
    """Its own failure would pass sooner than the pause that another request got."""
    client = open_client(
        "defaults: {retry_base: 0.15, retry_cap: 0.15, deadline: 0.4}\n"
        'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], concurrency: 2}}'
    )
    both = threading.Barrier(2)

    def busy() -> Any:
        both.wait(20)
        return failure(503)

    def later() -> Any:
        both.wait(20)
        return failure(429, "later", ("Retry-After", "1"))

    far.script("p", busy)
    far.script("q", later)
    job.lines("p", "q")
    job.run(client=client)
    assert job.texts() == ["echo p", "echo q"]


def test_what_is_parked_is_not_under_way(job: Batch, far: Far, open_client: Any) -> None:
    """A kill in the middle of an hour's pause leaves nothing that may have been billed; Ctrl-C ends it at once."""
    client = open_client('providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], concurrency: 3}}')
    far.script("p0", failure(429, "later", ("Retry-After", "3600")))
    job.lines(*(f"p{number}" for number in range(9)))
    journal = b""

    def watch(_: Any) -> None:
        nonlocal journal
        if client.status()["a"].cooling_down_until and len(far.asked) == far.answered.total() + 1:
            journal = job.part.read_bytes()
            if journal.count(b'{"started"') == journal.count(b'{"unsent"') + journal.count(b'{"done"'):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(client=client, progress=watch)
    job.part.write_bytes(journal)  # as a kill would have left it
    summary = job.run(client=open_client())
    assert (summary.unsure, summary.tally.answered) == (0, 9)
    assert far.asked.count("p0") == 2


def test_a_pause_longer_than_is_to_be_sat_out_fails_and_is_tried_next_time(job: Batch, far: Far, open_client: Any) -> None:
    """Its requests do not all fail unsent: the provider is given up."""
    far.script("p0", failure(429, "tomorrow", ("Retry-After", "1000")))
    job.lines(*(f"p{number}" for number in range(30)))
    summary = job.run(max_cool_down=500, give_up_after=4)
    assert (far.asked, summary.complete) == (["p0"], False)
    assert "RateLimitError" in summary.held["a"]
    summary = job.run(client=open_client())
    assert (summary.complete, summary.tally.answered) == (True, 30)


def test_a_short_pause_longer_than_is_to_be_sat_out_fails_at_once(job: Batch, far: Far, open_client: Any) -> None:
    """Although a single request would wait that long; and one request fails, not thousands of them."""
    client = open_client('providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m]}}')
    far.script("p0", failure(429, "in a while", ("Retry-After", "30")))
    job.lines("p0", "p1")
    sizes: list[int] = []
    summary = job.run(client=client, max_cool_down=2, progress=lambda _: sizes.append(job.part.stat().st_size))
    assert (job.texts(), far.asked, summary.complete) == (["RateLimitError"] * 2, ["p0"], True)
    assert max(sizes) < 10_000


def test_what_cannot_be_meant_as_a_pause_is_not_waited_for(job: Batch, far: Far) -> None:
    """A date that was read as seconds starts no cool-down, so no request may be repeated because of it."""
    far.script("p", *[failure(429, "later", ("Retry-After", "9000000"))] * 9)
    job.lines("p")
    assert job.run(max_cool_down=1e9).failed == 1
    assert far.asked == ["p"] * 3


def test_retries_are_the_configurations(job: Batch, far: Far) -> None:
    """Short pauses are waited for in the retries; after these the request fails, and the next run asks again."""
    far.script("p", *[failure(429, "later", ("Retry-After", "0"))] * 3)
    job.lines("p")
    assert job.run().failed == 1
    assert job.run().tally.answered == 1
    assert far.asked == ["p"] * 4


def test_a_job_that_ends_the_worker_ends_the_run(job: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SystemExit in a dialect is raised, and the request is listed as possibly billed."""
    send = sender.outcome_in_steps

    def leave(steps: Any) -> Any:
        outcome = yield from send(steps)
        if getattr(outcome, "text", "") == "echo q":
            raise SystemExit(3)
        return outcome

    monkeypatch.setattr(sender, "outcome_in_steps", leave)
    job.lines("p", "q", "r")
    with pytest.raises(SystemExit):
        job.run()
    monkeypatch.undo()
    summary = job.run()
    assert (job.texts(), summary.unsure) == (["echo p", "echo q", "echo r"], 1)
