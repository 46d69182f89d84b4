"""Lines that look alike, and large edits: every answer is assigned to its own line."""

from __future__ import annotations

import errno
import json
import os
from typing import Any

import pytest
from batch_apparatus import Batch, Far

from llm_sync.batch import moved_answers
from llm_sync.batch.state.journal import Journal
from llm_sync.errors import InvalidRequestError, LLMConnectorError

DEFAULT = """
defaults: {retry_base: 0, model: a/m}
providers:
  a: {type: openai, api_key: k, base_url: "<openai>", models: [m]}
  b: {type: openai, api_key: k, base_url: "<openai>", models: [m2]}
"""


@pytest.mark.parametrize("options", [{"text": True}, {"template": "{model} {x}"}])
def test_a_prompt_that_looks_like_a_request_names_no_model(job: Batch, far: Far, open_client: Any, options: Any) -> None:
    """Only JSON lines can name a model; a second run keeps the answers."""
    job.input.write_text('model,x\n{"model": "b/m2"},1\n' if "template" in options else '{"model": "b/m2", "prompt": "x"}\nq\n')
    client = open_client(DEFAULT)
    first = job.run(client=client, **options)
    assert {record["provider"] for record in job.records()} == {"a"}
    assert job.run(client=client, **options).earlier == first.sent


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('{"mod\\u0065l": "b/m2", "prompt": "p"}', "b"),
        ('{"prompt": "\\u0022model\\u0022: \\"b/m2\\""}', "a"),
        ('{"prompt": "p", "id": "model"}', "a"),
        ('{"model": "b/m2", "model": "a/m", "prompt": "p"}', "a"),
        ('{"model": null, "prompt": "p"}', "a"),
        ('{"prompt": "p", "provider_specific": {"x": {"model": "b/m2"}}}', "a"),
        ('{"provider_specific": {"x": {"model": "a/m"}}, "model": "b/m2", "prompt": "p"}', "b"),
    ],
)
def test_a_line_is_known_again_however_its_model_is_written(
    job: Batch, far: Far, open_client: Any, line: str, place: str
) -> None:
    """The second run finds the same model as the first one."""
    job.input.write_text(line + "\n")
    client = open_client(DEFAULT)
    job.run(client=client)
    assert job.records()[0]["provider"] == place
    assert job.run(client=client).earlier == 1
    assert len(far.asked) == 1


def test_many_lines_deleted_at_the_top_cost_nothing(stub: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more lines than are remembered, the answers are found in a second pass."""
    monkeypatch.setattr(moved_answers, "_MAX_LINES", 5)
    prompts = [f"p{number}" for number in range(40)]
    stub.lines(*prompts)
    stub.run()
    stub.lines("new", *prompts[20:], *prompts[:3])
    summary = stub.run()
    assert (summary.sent, summary.moved, summary.replaced) == (1, 23, 17)
    assert stub.texts() == [f"echo {prompt}" for prompt in ["new", *prompts[20:], *prompts[:3]]]
    assert stub.run().sent == 0


def test_a_line_inserted_at_the_top_of_any_number_is_an_edit(stub: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that have found their line are not counted among those that have none."""
    monkeypatch.setattr(moved_answers, "_MAX_ANSWERS", 3)
    prompts = [f"p{number}" for number in range(20)]
    stub.lines(*prompts)
    stub.run()
    stub.lines("new", *prompts)
    assert stub.run().sent == 1
    assert stub.texts() == ["echo new", *(f"echo {prompt}" for prompt in prompts)]
    stub.lines(*(f"q{number}" for number in range(9)), *prompts)
    before = stub.output.read_bytes()
    with pytest.raises(InvalidRequestError, match="more than 3 answers of the output are to lines that this input has elsewhere"):
        stub.run()
    assert stub.output.read_bytes() == before


def ending(job: Batch, name: str) -> Any:
    """Run it, and let this call fail at its end, as a kill there would."""
    with pytest.MonkeyPatch.context() as patch:
        owner = Journal if name == "remove" else os
        patch.setattr(owner, name, _broken)
        with pytest.raises(LLMConnectorError, match="Input/output error"):
            job.run()


def _broken(*_: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_an_answer_in_the_output_and_in_the_journal_is_one_answer(job: Batch, far: Far) -> None:
    """As after a kill between the output's arrival and the journal's removal: it is not two lines' answer."""
    job.lines("p", "q")
    ending(job, "remove")
    assert job.part.exists()
    assert job.output.exists()
    job.lines("x", "p", "q", "q")
    ending(job, "remove")
    job.lines("x", "y", "p", "q", "q", "p")
    summary = job.run()
    assert (summary.sent, summary.replaced) == (2, 0)
    assert job.texts() == ["echo x", "echo y", "echo p", "echo q", "echo q", "echo p"]
    assert sorted(far.asked) == ["p", "p", "q", "q", "x", "y"]


def test_a_journal_counts_until_its_output_is_there(job: Batch, far: Far) -> None:
    """A "finished" note counts only if the output has the checksum in it."""
    job.lines("p", "q")
    job.run()
    job.lines("p", "q", "r")
    ending(job, "replace")
    assert len(job.records()) == 2
    assert (job.run().sent, job.texts()) == (0, ["echo p", "echo q", "echo r"])


def test_a_restart_that_was_killed_at_its_very_end_is_over(job: Batch, far: Far) -> None:
    """Its output is the new one, and counts."""
    job.lines("p")
    job.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "remove", _broken)
        with pytest.raises(LLMConnectorError):
            job.run(restart=True)
    job.lines("p", "q")
    assert (job.run().sent, far.asked) == (1, ["p", "p", "q"])


def test_an_answer_that_is_replaced_is_kept_once(job: Batch, far: Far) -> None:
    """However often the run that replaces it fails before its end."""
    job.lines("p", "q")
    job.run()
    job.lines("p", "r")
    for name in ("replace", "replace", "remove"):
        ending(job, name)
    job.run()
    assert [each["response"]["text"] for each in job.records(job.output.with_name("out.jsonl.replaced"))] == ["echo q"]


def test_an_answer_that_is_replaced_is_not_glued_to_half_a_record(job: Batch, far: Far) -> None:
    """A killed run or a full disk may have left a partial line."""
    job.lines("p", "q")
    job.run()
    job.lines("p", "r")
    replaced = job.output.with_name("out.jsonl.replaced")
    replaced.write_text('{"id": 1, "half')
    job.run()
    half, whole = replaced.read_text().splitlines()
    assert (half, json.loads(whole)["response"]["text"]) == ('{"id": 1, "half', "echo q")


def test_models_of_openai_lines_are_their_bodies(job: Batch, far: Far, open_client: Any) -> None:
    """Whatever stands beside it."""
    body = {"model": "b/m2", "messages": [{"role": "user", "content": "p"}]}
    line = {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": body, "model": "a/m"}
    job.input.write_text(json.dumps(line) + "\n")
    client = open_client(DEFAULT)
    job.run(client=client)
    assert job.records()[0]["llm_sync"]["provider"] == "b"
    assert job.run(client=client).earlier == 1
    assert len(far.asked) == 1


def test_results_that_moved_share_their_id_with_no_other(stub: Batch) -> None:
    """The id contains the position, which another equal line may have later."""

    def lines(prompts: str) -> None:
        bodies = [{"model": "a/m", "messages": [{"role": "user", "content": prompt}]} for prompt in prompts]
        line = {"method": "POST", "url": "/v1/chat/completions"}
        stub.lines(*({**line, "custom_id": body["messages"][0]["content"], "body": body} for body in bodies))

    for prompts in ("p", "xp", "pp"):
        lines(prompts)
        stub.run()
    assert len({record["id"] for record in stub.records()}) == 2
    assert [record["llm_sync"]["index"] for record in stub.records()] == [0, 1]


def test_what_was_in_flight_at_a_kill_is_listed_where_its_line_is_now(job: Batch, far: Far) -> None:
    """Not at the old position; and if the line is gone, it is only counted."""
    job.lines("p", "q", "r")
    job.run()
    hashes = [record["line_hash"] for record in job.records()]
    job.output.unlink()
    journal = Journal(str(job.part))
    journal.note({"run": {}})
    for position, line in enumerate(hashes):
        journal.note({"started": [position, "a", "m"], "line": line})
    journal.close()
    job.lines("x", "p", "y", "r")
    summary = job.run()
    assert [(key.position, times) for key, times in sorted(summary.possibly_billed)] == [(1, 1), (3, 1)]
    assert (summary.unsure, summary.unsure_gone) == (3, 1)
    assert [record.get("possibly_billed") for record in job.records()] == [None, 1, None, 1]
