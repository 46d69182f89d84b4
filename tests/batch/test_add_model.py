"""``add_model``: a run with another model keeps what the models before it have answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from batch_apparatus import STUB_CONFIG, Batch, Stub

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.errors import ConfigurationError, InvalidRequestError

LINES = [{"id": f"id-{number}", "prompt": f"{number}", "model": "a/m"} for number in range(20)]


def models(job: Batch) -> list[tuple[int, str]]:
    """The position and the model of each record."""
    return [(record["index"], record["model"]) for record in job.records()]


def test_former_answers_are_kept_and_the_new_model_is_asked(stub: Batch) -> None:
    """In the order of the lines, then of the models; the same command then has nothing left to do."""
    stub.lines(*LINES)
    stub.run()
    summary = stub.run(models=["b/m2"], add_model=True)
    assert (summary.sent, summary.earlier, summary.requests) == (20, 20, 40)
    assert models(stub) == [(number, model) for number in range(20) for model in ("m", "m2")]
    assert stub.run(models=["b/m2"], add_model=True).sent == 0
    assert stub.run(models=["a/m", "b/m2"]).sent == 0


def test_without_it_the_message_names_it(stub: Batch) -> None:
    """Nothing is sent, and nothing is lost."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])
    with pytest.raises(InvalidRequestError, match="out.jsonl' holds 20 answers to requests .*--add-model"):
        stub.run(models=["b/m2"])
    assert len(stub.records()) == 20


def test_models_that_only_some_lines_named_are_not_asked_for_the_others(stub: Batch) -> None:
    """A line's own model has answered it alone."""
    stub.lines(*({**line, "model": "a/m" if number % 3 else "b/m2"} for number, line in enumerate(LINES)))
    stub.run()
    Stub.asked.clear()
    summary = stub.run(models=["a/n"], add_model=True)
    assert (summary.sent, summary.requests) == (20, 40)
    expected = [(number, model) for number in range(20) for model in ("m" if number % 3 else "m2", "n")]
    assert models(stub) == expected
    assert summary.complete
    assert stub.run(models=["a/n"], add_model=True).sent == 0


def test_failures_of_former_models_stay(stub: Batch) -> None:
    """They are asked again by a run that names their model."""
    stub.lines(*LINES)
    Stub.faults["3"] = InvalidRequestError("no")
    stub.run(models=["a/m"])
    Stub.faults.clear()
    assert stub.run(models=["b/m2"], add_model=True, retry_failed=True).sent == 20
    assert [record["index"] for record in stub.records() if record["error"]] == [3]
    assert stub.run(models=["a/m"], add_model=True, retry_failed=True).sent == 1
    assert models(stub) == [(number, model) for number in range(20) for model in ("m2", "m")]


def test_lines_that_moved_were_edited_or_are_new(stub: Batch) -> None:
    """Former answers move with their lines, a new line is sent to the new model only, and those of removed lines are kept."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])
    new = {"id": "new", "prompt": "new", "model": "a/m"}
    edited = [{**line, "id": f"x-{line['id']}"} for line in LINES[5:]]
    stub.lines(new, *edited[::-1])
    summary = stub.run(models=["b/m2"], add_model=True)
    assert (summary.sent, summary.requests, summary.replaced) == (16, 31, 5)
    answers = [(record["id"], record["model"], record["response"]["text"]) for record in stub.records()]
    both = [(line["id"], model, f"echo {line['prompt']}") for line in edited[::-1] for model in ("m", "m2")]
    assert answers == [("new", "m2", "echo new"), *both]


def test_a_run_that_is_stopped_resumes(stub: Batch) -> None:
    """From its journal, with the answers of the output."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])

    def stop(snapshot: Any) -> None:
        if snapshot.tally.answered >= 23:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stub.run(models=["b/m2"], add_model=True, progress=stop)
    summary = stub.run(models=["b/m2"], add_model=True)
    assert summary.complete
    assert sorted(Stub.asked) == sorted([line["prompt"] for line in LINES] * 2)
    assert models(stub) == [(number, model) for number in range(20) for model in ("m", "m2")]


def test_answers_of_a_model_that_is_no_longer_configured_are_kept(stub: Batch) -> None:
    """Its settings are not known any more."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])
    text = STUB_CONFIG.replace("a: {type: stub, api_key: k, models: [m]}, ", "")
    with LLMClient(ConfigLoader(known_types=lambda _: ["stub"]).load_text(text)) as client:
        for sent in (20, 0):
            assert stub.run(client=client, models=["b/m2"], add_model=True).sent == sent
    assert models(stub) == [(number, model) for number in range(20) for model in ("m", "m2")]


def test_other_settings_are_still_refused(stub: Batch) -> None:
    """Two models are compared under the same ones."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])
    with pytest.raises(ConfigurationError, match="20 answers were given under other settings"):
        stub.run(models=["b/m2"], add_model=True, fields={"temperature": 1})
    assert stub.run(models=["b/m2"], add_model=True, fields={"temperature": 1}, allow_changed_settings=True).sent == 20


def test_a_dry_run_counts_the_new_model_alone(stub: Batch) -> None:
    """And writes nothing."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])
    before = stub.output.read_bytes()
    result = stub.dry_run(models=["b/m2"], add_model=True)
    assert (result.to_send, result.answered_earlier, result.requests) == (20, 20, 40)
    assert stub.output.read_bytes() == before


@pytest.mark.parametrize("options", [{}, {"models": ["b/m2"], "restart": True}])
def test_what_makes_no_sense_is_refused(stub: Batch, options: dict[str, Any]) -> None:
    """No model to add, or a run that starts over."""
    stub.lines(*LINES)
    with pytest.raises(InvalidRequestError, match="add_model"):
        stub.run(add_model=True, **options)


def test_an_output_with_strange_lines_is_refused_as_ever(stub: Batch) -> None:
    """It is not the output of a batch, whatever it begins with."""
    stub.lines(*LINES)
    stub.run(models=["a/m"])
    with stub.output.open("a") as file:
        file.write(json.dumps({"provider": ["x"], "model": {}}) + "\n[]\n")
    with pytest.raises(Exception, match="line 21 is not a record"):
        stub.run(models=["b/m2"], add_model=True)
