"""The journal's lines of requests that start or end in one turn are written together, as early as if each were written alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion  # type: ignore[import-not-found]

from llm_sync import LLMClient
from llm_sync.batch.lane import Lane
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_file import JournalFile
from llm_sync.batch.state.journal_format import lines_of, started_line

LINES = 40
CONCURRENT = 'providers: {a: {type: openai, api_key: k, base_url: "<openai>", models: [m], concurrency: 8}}'


@pytest.fixture
def eight(tmp_path: Path, open_client: Callable[..., LLMClient]) -> Batch:
    """A batch with eight requests in flight."""
    job = Batch(tmp_path, open_client(CONCURRENT))
    job.lines(*(f"p{number}" for number in range(LINES)))
    return job


def noted(path: Path, kind: str) -> list[int]:
    """The positions in lines of this kind."""
    return [int(each) for each in re.findall(rb'\{"' + kind.encode() + rb'": \[(\d+)', path.read_bytes())]


def test_the_note_of_each_request_is_in_the_journal_when_it_arrives(eight: Batch, far: Far) -> None:
    """And the outcomes of all but eight of those that arrived before it: no more are in flight."""
    missing: list[int] = []
    unwritten: list[int] = []

    def arrive(number: int) -> Any:
        started, done = noted(eight.part, "started"), noted(eight.part, "done")
        if number not in started:
            missing.append(number)
        unwritten.append(len(set(started) - set(done)))
        return completion(f"echo p{number}")

    for number in range(LINES):
        far.script(f"p{number}", lambda number=number: arrive(number))
    eight.run()
    assert eight.texts() == [f"echo p{number}" for number in range(LINES)]
    assert missing == []
    assert max(unwritten) <= 8


def test_each_outcome_is_in_the_journal_when_it_is_counted(eight: Batch, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted is not lost by a kill."""
    missing: list[int] = []
    count = Lane.count

    def counted(self: Lane, end: Any, give_up_after: int) -> None:
        if end.head.position not in noted(eight.part, "done"):
            missing.append(end.head.position)
        count(self, end, give_up_after)

    monkeypatch.setattr(Lane, "count", counted)
    eight.run()
    assert missing == []


def test_requests_that_start_together_are_noted_in_one_write(eight: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write lets another thread take the interpreter."""
    writes: list[bytes] = []
    write = JournalFile.write

    def written(self: JournalFile, content: bytes) -> None:
        writes.append(content)
        write(self, content)

    monkeypatch.setattr(JournalFile, "write", written)
    eight.run()
    notes = [content.count(b'{"started"') for content in writes]
    assert sum(notes) == LINES
    assert max(notes) > 1


def test_lines_that_cannot_be_written_together_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is as it was, and all of them are written later."""
    path = str(tmp_path / "j")
    journal = Journal(path)
    lines = [b'{"done": [%d]}\n' % number for number in range(3)]

    def full(self: JournalFile, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(JournalFile, "write", full)
        assert journal.add_all(lines) == [-1, -1, -1]
    with pytest.raises(OSError, match="No space"):
        journal.note_lines([started_line(3, "a", "m", "0"), started_line(4, "a", "m", "0")])
    assert list(lines_of(path)) == []
    assert journal.unwritten == lines
    assert journal.write_again()
    assert [line for _, line in lines_of(path)] == lines
    journal.close()
