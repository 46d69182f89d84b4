"""Files that another program changes during a run: the journal, the output, and the new output."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, completion, failure

from llm_sync.batch.state import journal_file, journal_lock, records
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.journal_format import Owner, header_of, pieces_of, read_header
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.errors import LLMConnectorError


def during(job: Batch, far: Far, act: Callable[[], object], lines: int = 40) -> None:
    """Let ``act`` happen when half of the lines are asked."""
    prompts = [f"p{number}" for number in range(lines)]
    job.lines(*prompts)

    def acting() -> Any:
        act()
        return completion(f"echo p{lines // 2}")

    far.script(f"p{lines // 2}", acting)


def echoes(count: int = 40) -> list[str]:
    """What all records say."""
    return [f"echo p{number}" for number in range(count)]


def outcome_line(job: Batch, position: int, text: str, **changes: Any) -> bytes:
    """A line of a journal with an answer to the line at a position, as another run would have written it."""
    line = json.dumps({"prompt": f"p{position}", "model": "a/m"}).encode()
    from llm_sync.batch.input.requests import line_hash
    from llm_sync.batch.input.settings_hash import settings_hash

    settings = settings_hash({"type": "openai"})
    answer = {"text": text, "truncated": False, "usage": {"input_tokens": 1, "output_tokens": 1}, "cost_estimate": None}
    record = {"id": None, "index": position, "provider": "a", "model": "m", "response": answer, "error": None}
    record.update({"line_hash": line_hash(line), "settings": settings, **changes})
    head = records.head_of_record(json.dumps(record).encode())
    assert head is not None
    return records.journal_line(head, record)


def append(job: Batch, content: bytes) -> None:
    """Add to the journal, as ``cat >>`` does."""
    with job.part.open("ab") as file:
        file.write(content)


def test_an_answer_that_is_added_during_a_run_is_not_asked_for(job: Batch, far: Far) -> None:
    """Rescued lines, appended a moment early."""
    during(job, far, lambda: (append(job, outcome_line(job, 38, "rescued")), time.sleep(0.5)))
    summary = job.run()
    assert (summary.complete, summary.sent, summary.tally.answered) == (True, 39, 40)
    assert job.texts() == [*echoes(38), "rescued", "echo p39"]
    assert "p38" not in far.asked


def test_an_answer_that_is_added_in_two_pieces_is_understood(job: Batch, far: Far) -> None:
    """With lines of this run between them."""
    line = outcome_line(job, 38, "rescued")

    def add() -> None:
        append(job, line[:100])
        time.sleep(0.5)

    def add_the_rest() -> Any:
        append(job, line[100:])
        time.sleep(0.5)
        return completion("echo p25")

    during(job, far, add)
    far.script("p25", add_the_rest)
    job.run()
    assert job.texts() == [*echoes(38), "rescued", "echo p39"]
    assert "p38" not in far.asked


def test_an_answer_that_is_added_counts_instead_of_a_failure(job: Batch, far: Far) -> None:
    """Whether the request had failed before, or fails afterwards."""
    for prompt in ("p3", "p39"):
        far.script(prompt, failure(400))
    during(job, far, lambda: append(job, outcome_line(job, 3, "rescued") + outcome_line(job, 39, "rescued")))
    summary = job.run()
    assert (summary.failed, summary.tally.answered) == (0, 40)
    assert (job.texts()[3], job.texts()[39]) == ("rescued", "rescued")


def test_an_answer_to_another_line_keeps_the_journal(job: Batch, far: Far) -> None:
    """It would be lost with it; the next run decides what becomes of it."""
    during(job, far, lambda: append(job, outcome_line(job, 3, "strange", line_hash="0123456789abcdef")))
    with pytest.raises(LLMConnectorError, match="1 answer to no request") as caught:
        job.run()
    assert str(job.part) in str(caught.value)
    assert b"strange" in job.part.read_bytes()
    summary = job.run()
    assert (summary.sent, summary.replaced, job.texts()) == (0, 1, echoes())
    assert "strange" in job.output.with_name("out.jsonl.replaced").read_text()


def test_what_cannot_be_read_keeps_the_journal(job: Batch, far: Far) -> None:
    """Half a record, say, whose rest may follow."""
    during(job, far, lambda: append(job, outcome_line(job, 3, "half")[:50]))
    with pytest.raises(LLMConnectorError, match="one line that cannot be read"):
        job.run()
    assert not job.output.exists()
    assert (job.run().sent, job.texts(), len(far.asked)) == (0, echoes(), 40)


@pytest.mark.parametrize("size", [0, 5, 100, 700])
def test_a_journal_that_is_cut_off_during_a_run_is_written_again(job: Batch, far: Far, size: int) -> None:
    """Whatever of it is left: every answer is in it at the end, or in the output."""
    during(job, far, lambda: os.truncate(job.part, size))
    with contextlib.suppress(LLMConnectorError):  # where half a line is left of it
        job.run()
    job.run()
    assert (job.texts(), len(far.asked)) == (echoes(), 40)


@pytest.mark.parametrize("kind", ["cut", "inserted", "header"])
def test_a_journal_that_is_edited_during_a_run_is_written_again(job: Batch, far: Far, kind: str) -> None:
    """In place, so that all that follows is elsewhere."""

    def edit() -> None:
        content = job.part.read_bytes()
        at = 10 if kind == "header" else len(content) // 2
        changed = content[:at] + (b"#" * 300 if kind == "inserted" else b"") + content[at + 30 * (kind != "inserted") :]
        with job.part.open("r+b") as file:
            file.write(changed)
            file.truncate()

    during(job, far, edit)
    with pytest.raises(LLMConnectorError, match="cannot be read"):
        job.run()
    assert (job.run().sent, job.texts(), len(far.asked)) == (0, echoes(), 40)


def test_a_line_that_is_glued_to_garbage_is_read_by_the_next_run(job: Batch, far: Far) -> None:
    """A byte without a line end was added, and the run was killed before it saw that."""
    line = outcome_line(job, 1, "glued")
    job.lines("p0", "p1")
    job.part.write_bytes(header_of(Owner(0)) + outcome_line(job, 0, "first") + b"x" + line)
    summary = job.run()
    assert (summary.sent, job.texts(), far.asked) == (0, ["first", "glued"], [])


def test_pieces_of_a_line_begin_where_lines_begin() -> None:
    """A record may say what looks like one, but not in these bytes."""
    assert pieces_of(b'x{"done": [1]{"started": [2]}\n') == [b"x", b'{"done": [1]', b'{"started": [2]}\n']
    assert pieces_of(b"nothing\n") == [b"nothing\n"]
    text = json.dumps({"text": '{"done": ['}).encode()
    assert pieces_of(text) == [text]


@pytest.mark.parametrize("size", [journal_file.HEADER_SIZE, 41])
def test_a_header_names_its_owner(size: int) -> None:
    """In its own form, and in that of the release before."""
    owner = Owner(123, "0123456789abcdef", "höst" * 16, "12345678")
    header = header_of(owner, size)
    known = read_header(header + b'{"run": {}}\n')
    assert known is not None
    assert (known[0].pid, known[1], len(header)) == (123, len(header), size)
    assert header.endswith((b"}\n", b" \n"))


def test_another_run_that_takes_the_journal_over_stops_this_one(job: Batch, far: Far, monkeypatch: Any) -> None:
    """Where file locks do not hold: its answers stay in the journal, which it neither removes nor calls its own."""
    other = header_of(Owner(os.getpid(), "f" * 16, "elsewhere", "x"))

    def take_over() -> None:
        with job.part.open("r+b") as file:
            file.write(other)
        time.sleep(0.5)

    during(job, far, take_over)
    with pytest.raises(
        LLMConnectorError, match="on elsewhere, and file locks do not hold .* Wait until it has ended, or stop it"
    ):
        job.run()
    assert job.part.read_bytes().startswith(other)
    assert job.part.read_bytes().count(b'{"done"') == len(far.asked) < 40
    monkeypatch.setattr(journal_lock, "WATCH_S", 0.2)
    assert (job.run().complete, job.texts(), len(far.asked)) == (True, echoes(), 40)


def test_a_run_does_not_take_over_a_journal_that_is_being_written(tmp_path: Path, monkeypatch: Any) -> None:
    """Though the lock is free: the owner's heartbeat shows. When that has ended, the journal may be had."""
    monkeypatch.setattr(journal_lock.FileLock, "lock", lambda self, **options: True)
    monkeypatch.setattr(journal_lock, "BEAT_S", 0.05)
    monkeypatch.setattr(journal_lock, "WATCH_S", 1.0)
    path = str(tmp_path / "j")
    first = Journal(path)
    with pytest.raises(LLMConnectorError, match="file locks do not hold in its folder"):
        Journal(path)
    first.close()
    second = Journal(path)
    second.note({"a": 1})
    second.close()


def test_a_journal_of_a_process_that_was_killed_is_taken_over_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    """Its number says that it is dead; that of another machine says nothing, so that is watched."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = journal_lock.this_owner()
    path = tmp_path / "j"
    monkeypatch.setattr(journal_lock.time, "sleep", _fail)
    for owner in (here._replace(pid=ended.pid), here, Owner(ended.pid), Owner(0)):
        path.write_bytes(header_of(owner))
        Journal(str(path)).close()
    path.write_bytes(header_of(here._replace(host="elsewhere")))
    with pytest.raises(AssertionError, match="it watched"):
        Journal(str(path))


def _fail(*_: Any) -> None:
    raise AssertionError("it watched")


def test_no_thread_is_left_of_a_heartbeat(tmp_path: Path, monkeypatch: Any) -> None:
    """It has ended when the journal is closed, even if it is in the middle of a beat by then."""
    beating, go_on = threading.Event(), threading.Event()
    join = threading.Thread.join

    def slow_beat(*_: Any) -> None:
        beating.set()
        assert go_on.wait(5)

    def waited_for(thread: threading.Thread, timeout: float | None = None) -> None:
        go_on.set()
        join(thread, timeout)

    monkeypatch.setattr(journal_lock, "BEAT_S", 0.01)
    monkeypatch.setattr(os, "utime", slow_beat)
    monkeypatch.setattr(os, "supports_fd", {slow_beat})
    journal = Journal(str(tmp_path / "j"))
    assert beating.wait(5)
    monkeypatch.setattr(journal_lock, "BEAT_S", 5)
    monkeypatch.setattr(threading.Thread, "join", waited_for)
    journal.close()
    left = [thread for thread in threading.enumerate() if "heartbeat" in thread.name]
    go_on.set()
    assert left == []


def test_an_output_that_another_program_makes_is_not_replaced(job: Batch, far: Far) -> None:
    """It is not this run's; moved away, the next run needs to send nothing."""
    during(job, far, lambda: job.output.write_text("my thesis\n"))
    with pytest.raises(LLMConnectorError, match="so it is not replaced"):
        job.run()
    assert job.output.read_text() == "my thesis\n"
    job.output.unlink()
    assert (job.run().sent, job.texts(), len(far.asked)) == (0, echoes(), 40)


@pytest.mark.parametrize("act", [lambda path: path.write_text("other\n"), lambda path: path.unlink()])
@pytest.mark.parametrize("ends", [True, False])
def test_answers_of_an_output_that_is_changed_are_not_lost(job: Batch, far: Far, act: Any, ends: bool) -> None:
    """They were read from it at the beginning, and are kept in the journal, however the run ends."""
    job.lines(*(f"p{number}" for number in range(40)))
    job.run(limit=20)
    during(job, far, lambda: act(job.output))
    if not ends:

        def stop(snapshot: Any) -> None:
            if snapshot.done > 25:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            job.run(progress=stop)
    elif act.__code__.co_names[-1] == "unlink":
        job.run()
    else:
        with pytest.raises(LLMConnectorError, match="not replaced"):
            job.run()
    if job.output.exists() and job.output.read_text() == "other\n":
        job.output.unlink()
    job.run()
    assert (job.texts(), sorted(far.asked)) == (echoes(), sorted(f"p{number}" for number in range(40)))


def test_a_new_output_that_is_changed_is_not_put_in_place(job: Batch, far: Far, monkeypatch: Any) -> None:
    """It is read back before it replaces the output."""
    fsync = os.fsync
    new = job.output.with_name("out.jsonl.part.new")

    def changing(descriptor: int) -> None:
        if new.exists():
            with new.open("r+b") as file:
                file.seek(40)
                file.write(b"#")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", changing)
    job.lines("p0", "p1")
    with pytest.raises(LLMConnectorError, match="while it was written"):
        job.run()
    assert not job.output.exists()
    monkeypatch.setattr("os.fsync", fsync)
    assert (job.run().sent, job.texts()) == (0, echoes(2))


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
@pytest.mark.parametrize("make", [lambda path, other: path.symlink_to(other), lambda path, other: os.mkfifo(path)])
@pytest.mark.parametrize("name", ["out.jsonl.part.new", "out.jsonl.replaced"])
@pytest.mark.timeout(30)
def test_a_link_or_a_pipe_is_not_written_to(job: Batch, far: Far, make: Any, name: str, tmp_path: Path) -> None:
    """Where the run will write beside its output: another user may have put it there."""
    other = tmp_path / "private"
    other.write_text("private\n")
    job.lines("p0", "p1")
    job.run()
    make(job.output.with_name(name), other)
    job.lines("p0", "p2")
    if name.endswith("replaced"):
        with pytest.raises(LLMConnectorError):
            job.run()
        assert job.part.exists()
    else:
        job.run()
        assert job.texts() == ["echo p0", "echo p2"]
    assert other.read_text() == "private\n"


def test_a_record_that_is_not_the_requests_own_is_never_written(job: Batch, far: Far, monkeypatch: Any) -> None:
    """Should the index ever be wrong, the run fails."""
    add = Journal.add_all
    offsets: list[int] = []

    def wrong(self: Journal, lines: list[bytes]) -> list[int]:
        offsets.extend(add(self, lines))
        return offsets[:1] * len(lines)

    monkeypatch.setattr(Journal, "add_all", wrong)
    job.lines("p0", "p1")
    with pytest.raises(LLMConnectorError, match="request 1 is another one's"):
        job.run()
    assert not job.output.exists()
    monkeypatch.undo()
    assert (job.run().sent, job.texts()) == (0, echoes(2))


def test_a_damaged_temporary_file_is_noticed(tmp_path: Path) -> None:
    """By the checksum of each line."""
    store = RecordStore(str(tmp_path))
    offsets = [store.append(b"%d" % number * 50) for number in range(3)]
    assert [store.read(offset) for offset in reversed(offsets)] == [b"2" * 50, b"1" * 50, b"0" * 50]
    assert store.append(b"last") > offsets[-1]
    assert list(store.lines())[-1] == b"last"
    store._file.seek(offsets[1] + 20)
    store._file.write(b"x")
    with pytest.raises(LLMConnectorError, match="damaged"):
        store.read(offsets[1])
    with pytest.raises(LLMConnectorError, match="damaged"):
        store.read(10_000)
    store.close()


def test_an_interrupt_while_answers_are_rescued_costs_none(job: Batch, far: Far, tmp_path: Path, monkeypatch: Any) -> None:
    """Ctrl-C just when a run has noticed that its journal was replaced: they are saved all the same, and then it is raised."""
    rescue = tmp_path / "rescue"
    rescue.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rescue))
    whole = Journal.make_whole
    interrupts = [KeyboardInterrupt]

    def interrupted(self: Journal) -> None:
        if interrupts:
            raise interrupts.pop()
        whole(self)

    def replace() -> None:
        job.part.with_name("copy").write_bytes(job.part.read_bytes())
        os.replace(job.part.with_name("copy"), job.part)

    monkeypatch.setattr(Journal, "make_whole", interrupted)
    during(job, far, replace)
    with pytest.raises(KeyboardInterrupt):
        job.run()
    (saved,) = rescue.iterdir()
    os.replace(saved, job.part)
    asked = len(far.asked)
    assert (job.run().sent, job.texts(), len(far.asked)) == (40 - asked, echoes(), 40)
