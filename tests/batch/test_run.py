"""A run from its input to its output: order, records, several models, and the files that it leaves."""

from __future__ import annotations

import gzip
import io
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync import LLMClient, Message, ModelRequest, batch
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import PreparedRequest, request_hash


def test_outcomes_stand_in_the_order_of_the_input(job: Batch, far: Far) -> None:
    """Whichever provider is faster; the journal is gone at the end."""
    job.lines(*({"prompt": f"p{number}", "model": ("a/m", "b/m2")[number % 2], "id": number} for number in range(20)))
    summary = job.run()
    records = job.records()
    assert [record["index"] for record in records] == list(range(20))
    assert [record["id"] for record in records] == list(range(20))
    assert job.texts() == [f"echo p{number}" for number in range(20)]
    assert (summary.requests, summary.sent, summary.tally.answered, summary.complete) == (20, 20, 20, True)
    assert sorted(far.asked) == sorted(f"p{number}" for number in range(20))
    assert sorted(path.name for path in job.output.parent.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_a_record_has_the_shape_of_every_other_output(job: Batch) -> None:
    """The keys of ``generate --json``, and the hashes that a later run, and a replay, find it by."""
    job.lines({"prompt": "p", "model": "a/m", "system_prompt": "s", "id": "x"})
    job.run()
    (record,) = job.records()
    assert list(record)[:6] == ["id", "index", "provider", "model", "response", "error"]
    assert list(record)[6:] == ["request_hash", "line_hash", "settings", "content_hash", "line"]
    assert (record["id"], record["provider"], record["model"], record["error"]) == ("x", "a", "m", None)
    assert record["response"]["text"] == "echo p"
    assert record["request_hash"] == request_hash("m", [("system", "s"), ("user", "p")])


def test_the_request_hash_is_of_what_is_sent(job: Batch, open_client: Any) -> None:
    """A system prompt of the configuration's counts; so a replay of the requests finds the answers."""
    client = open_client('providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], system_prompt: s}}')
    job.lines({"prompt": "p"})
    job.run(client=client)
    assert job.records()[0]["request_hash"] == request_hash("m", [("system", "s"), ("user", "p")])


def test_each_line_goes_to_each_of_several_models(job: Batch, far: Far) -> None:
    """Whichever model it names; the records of one line follow each other, in the order of the models."""
    job.lines("p", {"prompt": "q"})
    summary = job.run(models=["b/m2", "a/n"])
    assert [(record["index"], record["model"]) for record in job.records()] == [(0, "m2"), (0, "n"), (1, "m2"), (1, "n")]
    assert (summary.requests, sorted(far.asked)) == (4, ["p", "p", "q", "q"])
    assert summary.tally.cost == pytest.approx(2 * (3 * 1 + 2 * 2) / 1e6)
    assert summary.tally.unpriced == 2


def test_lines_whose_model_is_replaced_are_counted(job: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """With -v, a message says that their own models were not asked."""
    job.lines("p", {"prompt": "q"})
    with caplog.at_level(logging.INFO, "llm_sync.batch"):
        job.run(models=["b/m2"])
    assert "1 line names a model of its own" in caplog.text


def test_a_model_named_twice_is_refused(job: Batch) -> None:
    """The same question would be paid for twice."""
    job.lines("p")
    with pytest.raises(InvalidRequestError, match="named twice"):
        job.run(models=["a/m", "m"])


def test_values_of_the_run_are_for_lines_that_say_nothing(job: Batch, simulator: Any) -> None:
    """The line's own values come first; provider_specific is merged."""
    job.lines(
        {"prompt": "p", "model": "a/m"}, {"prompt": "q", "model": "a/m", "temperature": 1, "provider_specific": {"user": "u"}}
    )
    job.run(fields={"temperature": 0.5, "system_prompt": "s", "provider_specific": {"user": "v", "top_logprobs": 2}})
    first, second = (record.payload for record in simulator.requests)
    assert (first["temperature"], first["user"], first["messages"][0]["content"]) == (0.5, "v", "s")
    assert (second["temperature"], second["user"], second["top_logprobs"]) == (1, "u", 2)
    with pytest.raises(TypeError, match="no request field 'prompt'"):
        job.run(fields={"prompt": "x"})


def test_failures_stand_in_their_place(job: Batch, far: Far) -> None:
    """An error is an outcome like an answer; a blocked or empty answer is none."""
    far.script("bad", failure(400, "no such thing"))
    far.script("blocked", completion("", "content_filter"))
    far.script("cut", completion("half an", "length"))
    far.script("slow", failure(503), failure(503))
    job.lines("bad", "good", "blocked", "cut", "slow")
    summary = job.run()
    assert job.texts() == ["InvalidRequestError", "echo good", "ContentBlockedError", "half an", "echo slow"]
    assert (summary.tally.answered, summary.tally.truncated, summary.failed, summary.retries) == (3, 1, 2, 2)
    assert summary.to_dict()["blocked"] == 1
    assert summary.to_dict()["failed"] == {"ContentBlockedError": 1, "InvalidRequestError": 1}
    assert job.records()[4]["response"]["attempts"] == 3
    assert job.records()[2]["billed"]["output_tokens"] == 2


def test_a_slow_provider_holds_up_no_other(job: Batch, far: Far) -> None:
    """All lines of one provider finish while the first one of another provider still waits."""
    everything = threading.Event()
    count = 40

    def slow() -> Any:
        assert everything.wait(20)
        return completion("late")

    def last() -> Any:
        everything.set()
        return completion("last")

    far.script("slow 0", slow)
    far.script(f"fast {count - 1}", last)
    slow_lines = [{"prompt": f"slow {number}", "model": "b/m2"} for number in range(count)]
    job.lines(*slow_lines, *(f"fast {number}" for number in range(count)))
    job.run()
    assert job.texts()[0] == "late"
    assert job.texts()[-1] == "last"


def test_any_input_will_do(job: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, gzip by its name, an open file, standard input, or whatever gives requests."""
    job.lines("p", "q")
    content = job.input.read_bytes()
    zipped = job.input.with_suffix(".gz")
    zipped.write_bytes(gzip.compress(content))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    requests = [
        ModelRequest(messages=[Message("user", "p")], model="a/m"),
        {"prompt": "q", "model": "a/m"},
    ]
    with job.input.open("rb") as binary, job.input.open() as text:
        for given in (str(job.input), zipped, binary, text, "-", requests, (each for each in requests)):
            job.output.unlink(missing_ok=True)
            job.run(requests=given)
            assert job.texts() == ["echo p", "echo q"], given
    assert sorted(path.name for path in job.output.parent.iterdir()) == ["in.gz", "in.jsonl", "out.jsonl"]


def test_prompts_alone_go_to_the_one_model_there_is(job: Batch) -> None:
    """The shortest way to use it."""
    job.run(requests=["p", "q"], models=["a/m"])
    assert job.texts() == ["echo p", "echo q"]


def test_images_of_requests_in_memory_travel_along(job: Batch, simulator: Any) -> None:
    """In JSON, bytes become a data URL."""
    picture = b"\x89PNG\r\n\x1a\n0123"
    job.run(requests=[ModelRequest("p", "a/m", images=[picture])])
    (record,) = simulator.requests
    assert record.payload["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("given", [7, b"bytes", {"prompt": "p"}, [7], [{"prompt": {1, 2}}]])
def test_what_is_no_input_is_refused(job: Batch, given: Any) -> None:
    """A mapping's keys are no prompts."""
    with pytest.raises(InvalidRequestError):
        job.run(requests=given)


def test_output_is_gzipped_by_its_name(job: Batch) -> None:
    """The same answers make the same bytes; a later run reads it, too."""
    job.lines("p", "q")
    job.output = job.output.with_name("out.jsonl.gz")
    job.run()
    with gzip.open(job.output, "rt") as file:
        assert [json.loads(line)["response"]["text"] for line in file] == ["echo p", "echo q"]
    assert job.run().sent == 0


def test_an_input_of_no_lines_makes_an_output_of_none(job: Batch) -> None:
    """And a rerun says there is nothing to do."""
    job.input.write_text("\n\r\n  \n")
    assert (job.run().requests, job.output.read_bytes()) == (0, b"")
    assert job.run().complete


def test_a_limit_takes_the_first_lines(job: Batch, far: Far) -> None:
    """Without the limit, the next run asks the rest."""
    job.lines("p", "q", "r")
    assert job.run(limit=2).requests == 2
    assert job.texts() == ["echo p", "echo q"]
    assert job.run().sent == 1
    assert (job.texts(), far.asked) == (["echo p", "echo q", "echo r"], ["p", "q", "r"])


def test_requests_in_memory_are_bounded(job: Batch, far: Far) -> None:
    """Only a few requests are taken from the input before the first answer."""
    taken: list[int] = []
    held = threading.Event()

    def first() -> Any:
        assert held.wait(20)
        return completion("x")

    far.script("p0", first)
    job.lines(*(f"p{number}" for number in range(200)))
    submitted = job.client.dispatcher.submit

    def counting(prepared: PreparedRequest, **options: Any) -> Any:
        taken.append(1)
        if len(taken) == 6:
            held.set()
        return submitted(prepared, **options)

    most = 0

    def watch(snapshot: batch.Snapshot) -> None:
        nonlocal most
        most = max(most, len(taken) - snapshot.done)

    job.client.dispatcher.submit = counting  # type: ignore[method-assign]
    job.run(progress=watch)
    assert most <= 2 * 1 + 4


def test_progress_tells_what_is_done_and_what_is_left(job: Batch) -> None:
    """The last snapshot has everything."""
    seen: list[batch.Snapshot] = []
    job.lines("p", {"prompt": "q", "model": "b/m2"})
    job.run(progress=seen.append)
    assert (seen[-1].total, seen[-1].done, seen[-1].seconds_left) == (2, 2, 0.0)
    assert {lane.provider: lane.done for lane in seen[-1].lanes} == {"a": 1, "b": 1}


def test_an_unexpected_error_is_one_requests_outcome(job: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a dialect costs one answer, not the run."""
    from llm_sync.providers.openai.chat_completions import OpenAIDialect

    original = OpenAIDialect.read_answer

    def broken(self: Any, body: Any) -> Any:
        if body["choices"][0]["message"]["content"] == "echo q":
            raise KeyError("oops")
        return original(self, body)

    monkeypatch.setattr(OpenAIDialect, "read_answer", broken)
    job.lines("p", "q", "r")
    job.run()
    assert job.texts() == ["echo p", "LLMConnectorError", "echo r"]
    assert "KeyError" in job.records()[1]["error"]["message"]


def test_the_adjustments_of_a_request_stand_in_its_record(job: Batch) -> None:
    """Adjustments are in the record."""
    job.lines({"prompt": "p", "model": "a/m", "provider_specific": {"stream": True}})
    job.run()
    (adjustment,) = job.records()[0]["response"]["adjustments"]
    assert adjustment["parameter"] == "stream"


def test_a_missing_key_keeps_the_run_from_beginning(job: Batch, far: Far, open_client: Any, monkeypatch: Any) -> None:
    """Nothing is paid for while one of the providers cannot be used."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    client = open_client(
        'providers: {a: {type: openai, api_key: "${NO_SUCH_KEY}", base_url: "<openai>", models: [m]}, '
        'b: {type: openai, api_key: k, base_url: "<openai>", models: [m2]}}'
    )
    job.lines("p", {"prompt": "q", "model": "b/m2"})
    with pytest.raises(LLMConnectorError, match="NO_SUCH_KEY"):
        job.run(client=client)
    assert far.asked == []
    assert not job.part.exists()


def test_a_closed_client_ends_the_run(job: Batch) -> None:
    """As everywhere."""
    job.lines("p")
    job.client.close()
    with pytest.raises(LLMConnectorError, match="closed"):
        job.run()


def test_a_queue_of_one_is_enough(job: Batch, open_client: Any) -> None:
    """``max_queue`` bounds a batch like everything else; others that fill the queue make it wait."""
    client: LLMClient = open_client('providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], max_queue: 1}}')
    job.lines(*(f"p{number}" for number in range(10)))
    assert job.run(client=client).tally.answered == 10


@pytest.mark.parametrize("output", ["", "folder/", "folder", "nowhere/out.jsonl"])
def test_an_impossible_output_is_reported_at_once(job: Batch, far: Far, output: str, tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "folder").mkdir()
    job.lines("p")
    job.output = f"{tmp_path}/{output}" if output else ""  # type: ignore[assignment]
    with pytest.raises(OSError, match="not a file name|folder|directory"):
        job.run()
    assert far.asked == []


def test_an_output_onto_the_input_is_refused(job: Batch) -> None:
    """It would be gone."""
    job.lines("p")
    job.output = job.input
    with pytest.raises(OSError, match="is the input"):
        job.run()
