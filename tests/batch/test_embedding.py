"""The vectors of a file of texts: grouped, resumed by content, in order; killed at every write of its journal."""

from __future__ import annotations

import errno
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import AuthenticationError, InvalidRequestError, LLMClient, LLMConnectorError
from llm_sync.batch.embedding import EmbeddingSummary, embed
from llm_sync.batch.state.journal_file import JournalFile
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Response, Simulator

MODEL = "openai/text-embedding-3-small"


class Service:
    """A simulated provider that notes what it is asked; ``respond`` may answer in its place."""

    def __init__(self) -> None:
        self.respond: Callable[[Any], Response | None] = lambda record: None
        self.simulator = Simulator(on_request=self._respond)

    def _respond(self, record: Any) -> Response | None:
        return self.respond(record)

    @property
    def asked(self) -> list[str]:
        """Every text that was sent, in the order of the requests."""
        return [text for record in self.simulator.requests for text in record.payload["input"]]

    def client(self, concurrency: int = 1) -> LLMClient:
        """A client of it."""
        entry = f"{{api_key: k-0123456789, retry_base: 0, concurrency: {concurrency}, base_url: {self.simulator.url('openai')}}}"
        return LLMClient(ConfigLoader().load_text(f"providers: {{openai: {entry}}}"))


@pytest.fixture
def service() -> Iterator[Service]:
    """A provider of embeddings, which must not have failed inside."""
    made = Service()
    with made.simulator:
        yield made
        assert made.simulator.faults == []


@pytest.fixture
def run(service: Service, tmp_path: Path) -> Callable[..., EmbeddingSummary]:
    """``run(texts, output="out.jsonl", **options)``: three texts in a request, vectors of two numbers."""

    def ran(texts: Any, output: str = "out.jsonl", concurrency: int = 1, **options: Any) -> EmbeddingSummary:
        with service.client(concurrency) as client:
            return embed(texts, tmp_path / output, client, MODEL, **{"dimensions": 2, "texts_per_request": 3, **options})

    return ran


def records(path: Path) -> list[dict[str, Any]]:
    """The records of an output."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def vectors(path: Path) -> list[Any]:
    """The vectors of an output; None for a failure."""
    return [None if record["response"] is None else record["response"]["embedding"] for record in records(path)]


def test_each_text_has_its_record_in_order_with_its_id(run: Any, service: Service, tmp_path: Path) -> None:
    """Objects with ids or lines of text; the numbers are those that the library gives, to single precision."""
    texts = [{"id": f"t{number}", "text": f"text {number}"} for number in range(7)]
    summary = run(texts, concurrency=4)
    assert (summary.texts, summary.sent, summary.requests, summary.dimensions, summary.complete) == (7, 7, 3, 2, True)
    assert [(record["id"], record["index"]) for record in records(tmp_path / "out.jsonl")] == [(f"t{n}", n) for n in range(7)]
    with service.client() as client:
        expected = client.embed([text["text"] for text in texts], MODEL, dimensions=2)
    assert vectors(tmp_path / "out.jsonl") == [pytest.approx(vector, rel=1e-8) for vector in expected]
    assert not (tmp_path / "out.jsonl.part").exists()


def test_equal_moved_and_new_texts_are_recognised_by_content(run: Any, service: Service, tmp_path: Path) -> None:
    """A text is sent once, wherever it stands, in this run and in later ones."""
    assert run(["a", "b", "a", "c"]).repeated == 1
    first = vectors(tmp_path / "out.jsonl")
    summary = run(["c", "new", "b", "a", "a"])
    assert service.asked == ["a", "b", "c", "new"]
    assert (summary.kept, summary.sent) == (4, 1)
    assert [vectors(tmp_path / "out.jsonl")[place] for place in (0, 2, 3, 4)] == [first[3], first[1], first[0], first[0]]


def test_a_kill_at_any_write_costs_at_most_what_was_in_flight(
    run: Any, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal as it is after each write, and in the middle of each, is resumed: what it has is not sent again."""
    texts = [f"text {number}" for number in range(9)]
    states: list[bytes] = []
    write = JournalFile.write

    def watched(self: JournalFile, line: bytes) -> None:
        write(self, line)
        content = Path(self.path).read_bytes()
        states.extend((content[: -len(line) // 2], content))

    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "write", watched)
        run(texts)
    expected = (tmp_path / "out.jsonl").read_bytes()
    assert len(states) > 30
    known = set()
    for number, state in enumerate(states):
        (tmp_path / f"{number}.jsonl.part").write_bytes(state)
        before = len(service.asked)
        summary = run(texts, f"{number}.jsonl")
        assert (tmp_path / f"{number}.jsonl").read_bytes() == expected
        answered = sum(line.startswith(b'{"done"') and line.endswith(b"}}\n") for line in state.splitlines(keepends=True))
        assert len(service.asked) - before == len(texts) - answered
        assert summary.unsure <= 3
        known.add(answered)
    assert known == set(range(10))


def test_what_is_refused_is_divided_and_only_the_bad_text_fails(run: Any, service: Service, tmp_path: Path) -> None:
    """Its error stands in its record; a later run does not ask again by itself."""
    texts = ["a", "word " * 9000, "b", "c", "d"]
    summary = run(texts, texts_per_request=None)
    assert summary.failed == {"ContextLengthExceededError": 1}
    assert [vector is None for vector in vectors(tmp_path / "out.jsonl")] == [False, True, False, False, False]
    asked = len(service.asked)
    assert run(texts).sent == 0
    assert run(texts, retry_failed=True).sent == 1
    assert len(service.asked) == asked + 1


def test_failures_that_may_pass_are_asked_again(run: Any, service: Service, tmp_path: Path) -> None:
    """A text whose vector was NaN has a failure; the next run asks for it, and for nothing else."""

    def respond(record: Any) -> Response:
        data = [{"index": n, "embedding": [1.0, "x" if text == "b" else 2.0]} for n, text in enumerate(record.payload["input"])]
        return Response(200, {"data": data})

    service.respond = respond
    assert run(["a", "b", "c"]).failed == {"ResponseValidationError": 1}
    service.respond = lambda record: None
    assert run(["a", "b", "c"]).failed == {}
    assert service.asked == ["a", "b", "c", "b"]


def test_other_lengths_than_before_are_failures(run: Any, service: Service) -> None:
    """Also than those of a previous run: one file has vectors of one length."""
    run(["a"])
    service.respond = lambda record: Response(200, {"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]})
    assert run(["a", "b"], dimensions=2).failed == {"ResponseValidationError": 1}


def test_what_every_request_would_fail_with_stops_the_run(run: Any, service: Service, tmp_path: Path) -> None:
    """The journal keeps what there is, and the same call goes on when it is mended."""
    answered = iter([None])
    service.respond = lambda record: next(answered, Response(401, {"error": {"message": "no", "code": "invalid_api_key"}}))
    texts = [f"{number}" for number in range(30)]
    summary = run(texts)
    assert isinstance(summary.stopped, AuthenticationError)
    assert (summary.complete, (tmp_path / "out.jsonl").exists()) == (False, False)
    service.respond = lambda record: None
    assert run(texts).kept == 3
    assert len(vectors(tmp_path / "out.jsonl")) == 30


def test_a_pause_that_the_provider_asks_for_is_waited_for(run: Any, service: Service) -> None:
    """A request may not wait so long, the run does: its texts are sent again afterwards, and counted once."""
    limited = iter([Response(429, {"error": {"message": "slow down"}}, (("retry-after", "1"),))] * 2)
    service.respond = lambda record: next(limited, None)
    summary = run(["a", "b"], max_retries=0)
    assert (summary.failed, summary.requests) == ({}, 1)


def test_ctrl_c_keeps_what_was_answered(service: Service, tmp_path: Path) -> None:
    """Requests in flight get their time; their vectors are in the journal, and the next run resumes."""
    asked = threading.Event()

    def respond(record: Any) -> None:
        asked.set()

    service.respond = respond

    def interrupt(latest: Any) -> None:
        if latest.requests:
            raise KeyboardInterrupt

    texts = [f"{number}" for number in range(50)]
    options: dict[str, Any] = {"dimensions": 2, "texts_per_request": 1}
    with pytest.raises(KeyboardInterrupt), service.client() as client:
        embed(texts, tmp_path / "out.jsonl", client, MODEL, progress=interrupt, **options)
    sent = len(service.asked)
    with service.client() as client:
        summary = embed(texts, tmp_path / "out.jsonl", client, MODEL, **options)
    assert 0 < sent < 50
    assert (len(service.asked), summary.kept, summary.unsure) == (50, sent, 0)


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ('{"id": 1}\n', {}, "has no text"),
        ('{"text": ""}\n', {}, "is empty"),
        ('{"text": ["a"]}\n', {}, "a list"),
        ('{"text": "a", "id": true}\n', {}, "boolean"),
        ('{"text": "\\ud800"}\n', {}, "surrogate"),
        ("[1, 2\n", {}, "JSON"),
        ("a\n", {}, "JSON"),
        ('{"text": "a"}\n' + "[" * 100_000 + "\n", {}, "nested"),
        (b'{"text": "\xff"}\n', {}, "UTF-8"),
        ("", {}, "no texts"),
        (b"PK\x03\x04", {}, "zip"),
        ('{"text": "a"}\n', {"max_cool_down": 0}, "no time"),
        ('{"text": "a"}\n', {"texts_per_request": 0}, "too small"),
    ],
)
def test_bad_inputs_are_reported_before_anything_is_sent(
    run: Any, service: Service, tmp_path: Path, content: Any, options: Any, words: str
) -> None:
    """With the line, and what to do."""
    (tmp_path / "in.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidRequestError, match=words):
        run(tmp_path / "in.jsonl", **options)
    assert service.asked == []
    assert not (tmp_path / "out.jsonl.part").exists()


def test_bad_lines_may_be_counted_as_failures(run: Any, tmp_path: Path) -> None:
    """They keep their places."""
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": ""}\n\n{"text": "b"}\n')
    assert run(tmp_path / "in.jsonl", skip_bad_lines=True).failed == {"InvalidRequestError": 1}
    assert [vector is None for vector in vectors(tmp_path / "out.jsonl")] == [False, True, False]


def test_paid_vectors_are_not_replaced_by_those_of_other_settings(run: Any, tmp_path: Path) -> None:
    """Unless the run starts over; another file is not replaced at all."""
    run(["a"])
    with pytest.raises(InvalidRequestError, match="out.jsonl' holds 1 vector of another model or of other settings"):
        run(["a"], dimensions=3)
    assert run(["a"], dimensions=3, restart=True).dimensions == 3
    (tmp_path / "other.jsonl").write_text("my own\n")
    with pytest.raises(LLMConnectorError, match="not an output of embed"):
        run(["a"], "other.jsonl")


def test_a_matrix_for_numpy(run: Any, tmp_path: Path) -> None:
    """Rows in the order of the texts, NaN where there is no vector."""
    numpy = pytest.importorskip("numpy")
    run(["a", "word " * 9000, "b"], matrix=tmp_path / "out.npy", texts_per_request=None)
    matrix = numpy.load(tmp_path / "out.npy")
    assert (matrix.shape, matrix.dtype.str) == ((3, 2), "<f4")
    found = vectors(tmp_path / "out.jsonl")
    assert numpy.isnan(matrix[1]).all()
    assert matrix[[0, 2]].tolist() == [pytest.approx(found[0]), pytest.approx(found[2])]


def test_two_runs_on_one_output_exclude_each_other(run: Any, service: Service, tmp_path: Path) -> None:
    """The second is refused while the first has the journal."""
    refused: list[BaseException] = []

    def second(latest: Any) -> None:
        try:
            run(["a"])
        except LLMConnectorError as error:
            refused.append(error)

    run(["a", "b"], progress=second)
    assert "being written by process" in str(refused[0])


def test_a_damaged_vector_in_the_journal_is_asked_again(run: Any, service: Service, tmp_path: Path) -> None:
    """The checksum of its line does not fit any more."""
    service.respond = lambda record: Response(401, {"error": {"message": "no"}}) if record.payload["input"] == ["c"] else None
    assert isinstance(run(["a", "b", "c"], texts_per_request=1).stopped, AuthenticationError)
    part = tmp_path / "out.jsonl.part"
    content = part.read_bytes()
    place = content.index(b'"vector": "') + 12
    part.write_bytes(content[:place] + b"AA" + content[place + 2 :])
    service.respond = lambda record: None
    run(["a", "b", "c"], texts_per_request=1)
    assert service.asked == ["a", "b", "c", "a", "c"]


def test_a_full_disk_loses_no_vector(run: Any, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the journal cannot take is rescued to another file; added to the journal, it is not sent again."""
    write, room = JournalFile.write, iter(range(8))

    def limited(self: JournalFile, line: bytes) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device", self.path)
        write(self, line)

    texts = [f"text {number}" for number in range(9)]
    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "write", limited)
        with pytest.raises(LLMConnectorError, match="cannot be written") as caught:
            run(texts)
    rescued = Path(re.findall(r"are in '([^']+)'", caught.value.message)[0])
    asked = len(service.asked)
    with open(tmp_path / "out.jsonl.part", "ab") as journal:
        journal.write(rescued.read_bytes())
    rescued.unlink()
    assert run(texts).kept == asked
    assert sorted(service.asked) == texts
    assert len(vectors(tmp_path / "out.jsonl")) == 9


def test_vectors_that_another_program_adds_are_taken_over(run: Any, service: Service, tmp_path: Path) -> None:
    """Here a program that has finished the work of a killed run, in the meantime."""
    texts = [f"text {number}" for number in range(6)]
    service.respond = lambda record: None if "text 0" in record.payload["input"] else Response(401, {"error": {"message": "no"}})
    run(texts, "other.jsonl")
    answered = [line for line in (tmp_path / "other.jsonl.part").read_bytes().splitlines(True) if line.startswith(b'{"done"')]
    assert len(answered) == 3

    def respond(record: Any) -> Response | None:
        with open(tmp_path / "out.jsonl.part", "ab") as journal:
            journal.writelines(answered)
        return Response(200, {"data": [{"index": number, "embedding": [1, None]} for number in range(3)]})

    service.respond = respond
    assert run(texts).failed == {"ResponseValidationError": 3}
    assert [vector is None for vector in vectors(tmp_path / "out.jsonl")] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"embedding": [', '"embedding": ["x", '),
        ('"embedding": [', '"embedding": [[], '),
        ('"dimensions"', '"dimension"'),
        ('"response": {"model": "', '"response": {"m": "'),
        ('"text_hash": "', '"text_hash": "no'),
        ('"error": null', '"error": nil'),
    ],
)
def test_an_edited_output_is_refused_or_taken(run: Any, service: Service, tmp_path: Path, before: str, after: str) -> None:
    """Before anything is sent: never a traceback, never a wrong vector."""
    run(["a"])
    path = tmp_path / "out.jsonl"
    path.write_text(path.read_text().replace(before, after))
    if before == '"dimensions"':
        assert run(["a"]).kept == 1
    else:
        with pytest.raises(LLMConnectorError, match="not an output of embed"):
            run(["a"])
    assert service.asked == ["a"]
