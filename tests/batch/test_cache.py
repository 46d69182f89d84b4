"""Batches with a cache, and batches that send equal lines once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, failure  # type: ignore[import-not-found]

from llm_sync import LLMClient, batch
from llm_sync.batch import repeats
from llm_sync.batch.importing import import_answers
from llm_sync.errors import ConfigurationError
from llm_sync.openai_shape.response_reader import answer_fields

OpenClient = Callable[..., LLMClient]


def records(job: Batch) -> list[dict[str, Any]]:
    """The output."""
    return [json.loads(line) for line in job.output.read_text("utf-8").splitlines()]


@pytest.fixture
def cached(open_client: OpenClient, tmp_path: Path) -> Callable[..., Batch]:
    """Makes a batch in a folder of its own, whose client stores answers; the store is the same for all."""

    def make(name: str, **settings: Any) -> Batch:
        folder = tmp_path / name
        folder.mkdir()
        return Batch(folder, open_client(cache={"dir": str(tmp_path / "answers"), **settings}))

    return make


def test_a_second_batch_is_answered_from_the_store(cached: Callable[..., Batch], far: Far) -> None:
    """At the time of the first answer, unpaid; the summary counts what was saved."""
    first, second = cached("first"), cached("second")
    for job in (first, second):
        job.lines({"prompt": "x", "model": "a/n", "id": "one"}, {"prompt": "y", "model": "a/n"})
    assert first.run().cached == 0
    summary = second.run()
    assert (summary.sent, summary.cached, summary.repeated, summary.complete) == (0, 2, 0, True)
    assert summary.saved == pytest.approx(2 * (3 * 1 + 2 * 2) / 1e6)
    assert far.asked == ["x", "y"]
    for before, after in zip(records(first), records(second), strict=True):
        assert after["id"] == before["id"]
        response = after["response"]
        assert (response["cached"], response["attempts"], response["cost_estimate"]) == (True, 0, 0.0)
        assert response["saved_estimate"] == before["response"]["cost_estimate"]
        assert response["timestamp"] == before["response"]["timestamp"]
    assert summary.to_dict()["cached"] == 2


def test_equal_lines_get_answers_of_their_own_and_the_same_ones_next_time(cached: Callable[..., Batch], far: Far) -> None:
    """Without dedupe: three equal lines are three samples. A fourth one in the next batch is asked."""
    lines = [{"prompt": "x", "model": "a/m", "id": name} for name in "abc"]
    first, second = cached("first"), cached("second")
    far.script("x", *(lambda text=text: failure(200) if not text else _answer(text) for text in ("one", "two", "three")))
    first.lines(*lines)
    first.run()
    second.lines(*lines, {"model": "a/m", "prompt": "x"})
    assert second.run().cached == 3
    texts = [record["response"]["text"] for record in records(second)]
    assert texts == [record["response"]["text"] for record in records(first)] + ["echo x"]
    assert sorted(texts[:3]) == ["one", "three", "two"]
    assert len(far.asked) == 4


def _answer(text: str) -> Any:
    from batch_apparatus import completion

    return completion(text)


def test_a_resumed_batch_keeps_its_samples(cached: Callable[..., Batch], far: Far) -> None:
    """Of equal lines, the one that failed asks for the sample of its own, not for one that an earlier line has."""
    job = cached("job")
    far.script("x", _answer("one"), failure(401), _answer("three"))
    job.lines(*[{"prompt": "x", "model": "a/m"}] * 3)
    job.run(give_up_after=0)
    far.script("x", _answer("two"))
    job.run()
    assert [record["response"]["text"] for record in records(job)] == ["one", "two", "three"]
    again = cached("again")
    again.lines(*[{"prompt": "x", "model": "a/m"}] * 3)
    again.run()
    assert [record["response"]["text"] for record in records(again)] == ["one", "two", "three"]
    assert len(far.asked) == 4


def test_equal_lines_are_sent_once_with_dedupe(job: Batch, far: Far) -> None:
    """Each record says of which line it has the answer; what is sent decides, not the id or the order of the fields."""
    job.lines(
        {"prompt": "x", "model": "a/n", "id": "one"},
        {"prompt": "y", "model": "a/n"},
        {"model": "a/n", "id": "two", "prompt": "x"},
        {"prompt": "x", "model": "a/m"},
        {"prompt": "x", "model": "a/n", "temperature": 0.5},
        {"prompt": "x", "model": "a/n", "id": 3},
    )
    summary = job.run(dedupe=True)
    assert sorted(far.asked) == ["x", "x", "x", "y"]
    assert (summary.sent, summary.repeated, summary.cached, summary.complete) == (4, 2, 0, True)
    found = records(job)
    assert [record.get("duplicate_of") for record in found] == [None, None, 0, None, None, 0]
    assert [record["id"] for record in found] == ["one", None, "two", None, None, 3]
    assert [record["index"] for record in found] == list(range(6))
    copy = found[2]["response"]
    assert (copy["text"], copy["cached"], copy["cost_estimate"], copy["attempts"], copy["id"]) == ("echo x", True, 0.0, 0, "two")
    assert copy["saved_estimate"] == found[0]["response"]["cost_estimate"]
    assert summary.tally.answered == 6
    assert job.run(dedupe=True).sent == 0  # the output is read again as it was written


def test_a_failure_is_copied_too_and_asked_again_once(job: Batch, far: Far) -> None:
    """The copies are as mendable as the original: the next run asks it once and copies the answer."""
    far.script("x", failure(401))
    job.lines(*[{"prompt": "x", "model": "a/m"}] * 3)
    summary = job.run(dedupe=True)
    assert (summary.failed, len(far.asked)) == (3, 1)
    failures = [record["error"] for record in records(job)]
    assert [failure["type"] for failure in failures] == ["AuthenticationError"] * 3
    assert [failure["attempts"] for failure in failures] == [1, 0, 0]  # nothing was sent for the copies
    summary = job.run(dedupe=True)
    assert (summary.failed, summary.repeated, len(far.asked)) == (0, 2, 2)


def test_dedupe_in_openai_s_form(job: Batch, far: Far) -> None:
    """The copies have their own custom_id and result id."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    job.lines(*({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body} for name in "ab"))
    job.run(dedupe=True)
    one, two = records(job)
    assert far.asked == ["x"]
    assert (two["custom_id"], two["response"]) == ("b", one["response"])
    assert one["id"] != two["id"]
    assert (two["llm_sync"]["duplicate_of"], two["llm_sync"]["cost_estimate"], two["llm_sync"]["cached"]) == (0, 0.0, True)
    assert job.run(dedupe=True).sent == 0


def test_equal_lines_are_found_in_parts(job: Batch, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the input: the requests are looked through in several passes."""
    monkeypatch.setattr(repeats, "_MAX_IN_MEMORY", 3)
    prompts = [f"p{number % 7}" for number in range(40)]
    job.lines(*prompts)
    summary = job.run(dedupe=True)
    assert (len(far.asked), summary.repeated) == (7, 33)
    assert [record["response"]["text"] for record in records(job)] == [f"echo {prompt}" for prompt in prompts]
    assert [record.get("duplicate_of") for record in records(job)] == [None] * 7 + [number % 7 for number in range(7, 40)]


def test_a_batch_that_stops_leaves_the_copies_to_the_next_run(job: Batch, far: Far) -> None:
    """Ctrl-C before the copies are made: their lines have no outcome yet, and nothing is sent for them later."""
    job.lines("w", "x", "y", "y", "w")

    def stop(snapshot: batch.Snapshot) -> None:
        if snapshot.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(dedupe=True, progress=stop)
    assert not job.output.exists()
    summary = job.run(dedupe=True)
    assert (summary.complete, summary.tally.answered) == (True, 5)
    assert sorted(far.asked) == ["w", "x", "y"]


def test_offline_a_batch_sends_nothing(cached: Callable[..., Batch], far: Far) -> None:
    """What is not stored fails with CacheMissError, and the next run with a network asks it."""
    first = cached("first")
    first.lines("x")
    first.run()
    job = cached("second", offline=True)
    job.lines("x", "y")
    summary = job.run()
    assert (summary.cached, dict(summary.tally.failed)) == (1, {"CacheMissError": 1})
    assert far.asked == ["x"]
    assert job.run(client=cached("third").client).complete
    assert far.asked == ["x", "y"]
    assert [record["response"]["text"] for record in records(job)] == ["echo x", "echo y"]


def test_a_dry_run_counts_what_is_stored(cached: Callable[..., Batch]) -> None:
    """It costs nothing."""
    first = cached("first")
    first.lines({"prompt": "x", "model": "a/n"})
    first.run()
    second = cached("second")
    second.lines({"prompt": "x", "model": "a/n"}, {"prompt": "y", "model": "a/n"})
    result = batch.dry_run(second.input, second.output, second.client)
    assert (result.to_send, result.cached) == (2, 1)
    assert [share.requests for share in result.shares] == [1]


def test_a_finished_output_is_imported(job: Batch, cached: Callable[..., Batch], far: Far) -> None:
    """The answers of a batch that was paid for before there was a cache; with the time at which they came."""
    far.script("y", failure(400))
    job.lines({"prompt": "x", "model": "a/n", "id": "old"}, "x", "y")
    job.run()
    later = cached("later")
    done = import_answers(job.input, job.output, later.client)
    assert (done.stored, done.present, done.left) == (2, 0, 1)
    done = import_answers(job.input, job.output, later.client)
    assert (done.stored, done.present, done.left) == (0, 2, 1)
    later.lines({"prompt": "x", "model": "a/n", "id": "new"}, "x", "y")
    summary = later.run()
    assert (summary.cached, far.asked.count("x")) == (2, 2)
    before, after = records(job)[0], records(later)[0]
    assert (after["id"], after["response"]["id"]) == ("new", "new")
    for name in ("text", "usage", "timestamp", "finish_reason", "model"):
        assert after["response"][name] == before["response"][name]
    assert after["response"]["saved_estimate"] == before["response"]["cost_estimate"]
    with pytest.raises(ConfigurationError, match="no cache"):
        import_answers(job.input, job.output, job.client)


@pytest.mark.parametrize("address", ["/v1/chat/completions", "/v1/responses"])
def test_a_finished_output_in_openais_form_is_imported(job: Batch, cached: Callable[..., Batch], far: Far, address: str) -> None:
    """Its bodies are read, whichever provider gave the answer."""
    asked: dict[str, Any] = {"model": "a/n", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    if address.endswith("responses"):
        asked = {"model": "a/n", "input": "x"}
    job.lines({"custom_id": "r", "method": "POST", "url": address, "body": asked})
    job.run()
    later = cached("later")
    done = import_answers(job.input, job.output, later.client)
    assert (done.stored, done.present, done.left) == (1, 0, 0)
    later.lines({"custom_id": "again", "method": "POST", "url": address, "body": asked})
    summary = later.run()
    assert (summary.cached, len(far.asked)) == (1, 1)
    before, after = (answer_fields(records(each)[0]["response"]["body"]) for each in (job, later))
    for name in ("text", "model", "finish_reason"):
        assert after[name] == before[name]
    assert before["usage"].items() <= after["usage"].items()
