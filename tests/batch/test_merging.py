"""Merged shards: in order, each request once, and what is missing is reported."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, Stub, completion

from llm_sync import batch
from llm_sync.errors import InvalidRequestError, ProviderUnavailableError


def shards(stub: Batch, parts: int, *, lines: int = 10, **options: Any) -> list[Path]:
    """The outputs of all shards of one input."""
    stub.lines(*(f"p{number}" for number in range(lines)))
    found = []
    for part in range(1, parts + 1):
        stub.output = stub.input.with_name(f"out{part}.jsonl")
        stub.run(shard=(part, parts), **options)
        found.append(stub.output)
    return found


def test_shards_together_are_the_whole(stub: Batch, tmp_path: Path) -> None:
    """Byte for byte what one run would have written, so that a later run takes it for that."""
    outputs = shards(stub, 3)
    assert [record["index"] for record in stub.records(outputs[1])] == [1, 4, 7]
    merged = batch.merge(reversed(outputs), tmp_path / "all.jsonl")  # type: ignore[arg-type]
    assert (merged.records, merged.answered, merged.lines, merged.missing_count, merged.doubles) == (10, 10, 10, 0, 0)
    stub.output = tmp_path / "whole.jsonl"
    stub.run()
    assert (tmp_path / "all.jsonl").read_bytes() == stub.output.read_bytes()
    stub.output = tmp_path / "all.jsonl"
    Stub.asked.clear()
    assert (stub.run().sent, Stub.asked) == (0, [])


@pytest.mark.parametrize(
    ("left_out", "missing"), [(0, [(0, 0), (3, 3), (6, 6), (9, 9)]), (1, [(1, 1), (4, 4), (7, 7)]), (2, [(2, 2), (5, 5), (8, 8)])]
)
def test_a_missing_shard_is_reported(stub: Batch, tmp_path: Path, left_out: int, missing: list[tuple[int, int]]) -> None:
    """Line by line, those behind the last one too: each shard knows how many lines there are."""
    outputs = shards(stub, 3)
    del outputs[left_out]
    merged = batch.merge(outputs, tmp_path / "all.jsonl")
    assert (merged.missing, merged.missing_count, merged.lines) == (missing, len(missing), 10)


def test_several_models_and_several_outputs_of_one_input(stub: Batch, tmp_path: Path) -> None:
    """The records of a line stand together."""
    stub.lines("p", "q")
    for model in ("b/m2", "a/m"):
        stub.output = tmp_path / f"{model[0]}.jsonl"
        stub.run(models=[model])
    merged = batch.merge([tmp_path / "b.jsonl", tmp_path / "a.jsonl"], tmp_path / "all.jsonl.gz")
    with gzip.open(tmp_path / "all.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    assert [(record["index"], record["model"]) for record in records] == [(0, "m2"), (0, "m"), (1, "m2"), (1, "m")]
    assert (merged.records, merged.doubles) == (4, 0)
    stub.output = tmp_path / "all.jsonl.gz"
    assert stub.run(models=["b/m2", "a/m"]).sent == 0


def test_of_two_outcomes_the_answer_is_taken(stub: Batch, tmp_path: Path) -> None:
    """Whichever output it stands in."""
    Stub.faults["p"] = ProviderUnavailableError("busy")
    stub.lines("p", "q")
    stub.run()
    Stub.faults.clear()
    stub.output = tmp_path / "again.jsonl"
    stub.run()
    merged = batch.merge([tmp_path / "out.jsonl", tmp_path / "again.jsonl"], tmp_path / "all.jsonl")
    assert (merged.records, merged.answered, merged.doubles) == (2, 2, 2)
    assert [record["response"]["text"] for record in stub.records(tmp_path / "all.jsonl")] == ["echo p", "echo q"]


@pytest.mark.parametrize("first", ["short.jsonl", "long.jsonl"])
def test_of_two_answers_the_complete_one_is_taken(job: Batch, far: Far, tmp_path: Path, first: str) -> None:
    """Whichever comes first; its limit was another one."""
    far.script("p", completion("begi", "length"))
    job.lines("p")
    for name in ("short.jsonl", "long.jsonl"):
        job.output = tmp_path / name
        job.run()
    second = "long.jsonl" if first == "short.jsonl" else "short.jsonl"
    batch.merge([tmp_path / first, tmp_path / second], tmp_path / "all.jsonl")
    assert [record["response"]["text"] for record in job.records(tmp_path / "all.jsonl")] == ["echo p"]


def test_what_does_not_belong_together_is_refused(stub: Batch, tmp_path: Path) -> None:
    """And what is there stays as it was."""
    target = tmp_path / "all.jsonl"
    (first, second) = shards(stub, 2)
    precious = second.read_bytes()
    target.write_bytes(precious)
    stub.lines(*(f"q{number}" for number in range(10)))
    stub.output = tmp_path / "other.jsonl"
    stub.run()
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "unfinished.part").write_text("")
    backwards = tmp_path / "backwards.jsonl"
    backwards.write_bytes(b"".join(reversed(first.read_bytes().splitlines(keepends=True))))
    for outputs, told in (
        ([first, tmp_path / "other.jsonl"], "of another line in"),
        ([first, tmp_path / "text"], "line 1 of .* is not a record of a batch"),
        ([first, tmp_path / "unfinished"], "is not finished"),
        ([backwards], "is not in order"),
        ([first, first], "named twice"),
        ([first, target], "merged into itself"),
    ):
        with pytest.raises(InvalidRequestError, match=told):
            batch.merge(outputs, target)
    with pytest.raises(FileNotFoundError):
        batch.merge([tmp_path / "nowhere"], target)
    assert target.read_bytes() == precious
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert batch.merge([first, second], target).records == 10


def test_openais_results_are_merged_too(stub: Batch, tmp_path: Path) -> None:
    """What tells the shard stands among what is ours."""
    body = {"model": "a/m", "messages": [{"role": "user", "content": "p"}]}
    stub.lines(*({"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(3)))
    for part in (1, 2):
        stub.output = tmp_path / f"{part}.jsonl"
        stub.run(shard=(part, 2))
    merged = batch.merge([tmp_path / "1.jsonl", tmp_path / "2.jsonl"], tmp_path / "all.jsonl")
    assert (merged.records, merged.missing_count) == (3, 0)
    records = stub.records(tmp_path / "all.jsonl")
    assert [record["custom_id"] for record in records] == ["r0", "r1", "r2"]
    assert "shard" not in records[0]["llm_sync"]


def test_a_shard_resumes_as_itself_only(stub: Batch) -> None:
    """Another shard's answers are not thrown away."""
    stub.lines("p", "q", "r")
    stub.run(shard=(1, 2))
    assert stub.run(shard=(1, 2)).sent == 0
    with pytest.raises(InvalidRequestError, match="would be lost"):
        stub.run(shard=(2, 2))
    assert (stub.run().sent, stub.texts()) == (1, ["echo p", "echo q", "echo r"])


def test_nothing_merged_is_nothing(tmp_path: Path) -> None:
    """An output of an input of no lines is one."""
    (tmp_path / "a").write_bytes(b"")
    assert batch.merge([tmp_path / "a"], tmp_path / "all").records == 0
    assert (tmp_path / "all").read_bytes() == b""


def test_a_file_that_is_no_output_is_not_merged_over(stub: Batch, tmp_path: Path) -> None:
    """The input, say, named by mistake; an older output is replaced, and so is an empty file."""
    stub.lines("p", "q")
    stub.run()
    before = stub.input.read_bytes()
    with pytest.raises(InvalidRequestError, match="is not the output of a batch"):
        batch.merge([stub.output], stub.input)
    assert stub.input.read_bytes() == before
    target = tmp_path / "all.jsonl"
    target.touch()
    for _ in range(2):
        assert batch.merge([stub.output], target).records == 2
    (tmp_path / "all.jsonl.part").touch()
    with pytest.raises(InvalidRequestError, match="has an unfinished batch"):
        batch.merge([stub.output], target)


def lines_of(numbers: range, **more: Any) -> list[dict[str, Any]]:
    """Lines with these numbers as prompts and ids."""
    return [{"id": f"id-{number}", "prompt": f"{number}", "model": "a/m", **more} for number in numbers]


@pytest.mark.parametrize("order", [1, -1])
def test_an_output_of_the_failed_lines_alone_is_merged(stub: Batch, order: int) -> None:
    """They were put into an input of their own, and asked of another model; its records go to their lines."""
    stub.lines(*lines_of(range(10)))
    Stub.faults.update({"3": InvalidRequestError("no"), "7": InvalidRequestError("no")})
    stub.run()
    first = stub.output.replace(stub.output.with_name("first.jsonl"))
    Stub.faults.clear()
    stub.lines(*lines_of(range(7, 8)), *lines_of(range(3, 4)))
    stub.run(models=["b/m2"])
    second = stub.output.replace(stub.output.with_name("second.jsonl"))
    merged = batch.merge([first, second][::order], stub.output)
    assert (merged.records, merged.answered, merged.missing_count) == (12, 10, 0)
    answered = [(each["index"], each["id"], each["model"]) for each in stub.records() if each["response"]]
    assert [(index, model) for index, _, model in answered if index in (3, 7)] == [(3, "m2"), (7, "m2")]
    assert [line_id for _, line_id, _ in answered] == [f"id-{number}" for number in range(10)]


def test_an_answer_of_such_an_output_replaces_the_failure_of_the_same_model(stub: Batch) -> None:
    """As between outputs of all lines; the merged output is one that a batch goes on with."""
    stub.lines(*lines_of(range(10)))
    Stub.faults["3"] = InvalidRequestError("no")
    stub.run()
    first = stub.output.replace(stub.output.with_name("first.jsonl"))
    Stub.faults.clear()
    stub.lines(*lines_of(range(3, 4)))
    stub.run()
    second = stub.output.replace(stub.output.with_name("second.jsonl"))
    merged = batch.merge([first, second], stub.output)
    assert (merged.records, merged.answered, merged.doubles) == (10, 10, 1)
    stub.lines(*lines_of(range(10)))
    assert stub.run().sent == 0


def test_records_of_equal_requests_go_to_the_line_with_their_id(stub: Batch) -> None:
    """The same prompt may be there several times."""
    stub.lines(*({"id": number, "prompt": "p" if number else "q", "model": "a/m"} for number in range(4)))
    stub.run()
    first = stub.output.replace(stub.output.with_name("first.jsonl"))
    stub.lines(*({"id": number, "prompt": "p", "model": "a/m"} for number in (2, 1)), {"id": 9, "prompt": "p", "model": "a/m"})
    stub.run(models=["b/m2"])
    second = stub.output.replace(stub.output.with_name("second.jsonl"))
    assert batch.merge([first, second], stub.output).records == 7
    assert [(each["index"], each["id"]) for each in stub.records() if each["model"] == "m2"] == [(1, 1), (2, 2), (3, 9)]


def test_an_output_with_a_line_of_another_input_is_refused(stub: Batch) -> None:
    """Wherever it stands among the outputs; nothing is written."""
    outputs = []
    for name, lines in (("first", lines_of(range(4))), ("second", lines_of(range(2, 3))), ("third", lines_of(range(3, 5)))):
        stub.lines(*lines)
        stub.run()
        outputs.append(stub.output.replace(stub.output.with_name(name)))
    assert batch.merge(outputs[:2], stub.output).records == 4
    stub.output.unlink()
    for order in (outputs, outputs[::-1], [outputs[1], outputs[2], outputs[0]]):
        with pytest.raises(InvalidRequestError, match="of another line"):
            batch.merge(order, stub.output)
        assert not stub.output.exists()


def test_a_failure_of_a_line_that_could_not_be_read_gives_way(stub: Batch) -> None:
    """To what the same line got when it was sent to a model."""
    stub.lines({"id": 1, "prompt": "p"})
    stub.run(skip_bad_lines=True)  # two providers, and no default model
    first = stub.output.replace(stub.output.with_name("first.jsonl"))
    assert json.loads(first.read_text())["provider"] is None
    stub.run(models=["a/m"])
    second = stub.output.replace(stub.output.with_name("second.jsonl"))
    merged = batch.merge([first, second], stub.output)
    assert (merged.records, merged.answered, merged.doubles) == (1, 1, 1)


def test_outputs_of_failures_only_are_merged(stub: Batch) -> None:
    """Nothing was answered, and the records say so."""
    stub.lines(*lines_of(range(3)))
    Stub.faults.update({f"{number}": InvalidRequestError("no") for number in range(3)})
    outputs = []
    for name in ("first", "second"):
        stub.run(models=["a/m" if name == "first" else "b/m2"])
        outputs.append(stub.output.replace(stub.output.with_name(name)))
    merged = batch.merge(outputs, stub.output)
    assert (merged.records, merged.answered, merged.missing_count) == (6, 0, 0)
