"""The journal has whole lines only, one owner at a time, and loses no answer."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Far, Stub, completion, failure

from llm_sync.batch.input.selection import Selection
from llm_sync.batch.state import journal_file, journal_format, journal_lock
from llm_sync.batch.state import records as state_records
from llm_sync.batch.state.index import Index, NumberFile, RouteTable
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.previous_runs import PreviousRuns
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.batch.state.records import Key, RequestIdentity
from llm_sync.errors import InvalidRequestError, LLMConnectorError, RequestTimeoutError


def fill(job: Batch, far: Far) -> bytes:
    """A journal with answers, a failure, a truncation."""
    far.script("cut", completion("half", "length"))
    far.script("bad", failure(400, "ünmöglich"))
    job.lines("p", "q", "cut", "bad", "r")
    return unfinished(job)


def unfinished(job: Batch) -> bytes:
    """The journal of a run that was stopped after its last answer, but before its end."""
    finish = os.replace
    os.replace = _refuse  # type: ignore[assignment]
    try:
        with pytest.raises(LLMConnectorError, match="Input/output error"):
            job.run()
    finally:
        os.replace = finish
    return job.part.read_bytes()


def test_a_run_that_ends_before_its_output_is_put_in_place_only_needs_that(job: Batch, far: Far) -> None:
    """Everything is answered: the next run sends nothing, and makes the output."""
    fill(job, far)
    assert not job.output.exists()
    summary = job.run()
    assert (summary.sent, job.texts()) == (0, ["echo p", "echo q", "half", "InvalidRequestError", "echo r"])
    assert not job.part.exists()


def test_a_journal_without_sums_is_read(job: Batch, far: Far) -> None:
    """An older version wrote it, and its answers count. A checksum that is present must be right."""
    whole = fill(job, far)
    asked = len(far.asked)
    job.part.write_bytes(re.sub(rb', "crc32": \d+', b"", whole))
    unfinished(job)
    assert len(far.asked) == asked
    job.part.write_bytes(re.sub(rb', "crc32": \d+(?=.*echo q)', b', "crc3-": 1', whole))
    assert (job.run().sent, far.asked[asked:]) == (1, ["q"])


def cuts(whole: bytes, lines: int, *, every: bool) -> list[int]:
    """Places within a journal's last lines: every one, or those around the ends of lines and in their middle."""
    ends = [len(whole)]
    for line in reversed(whole.splitlines(keepends=True)[-lines:]):
        ends.append(ends[-1] - len(line))
    if every:
        return list(range(ends[-1], len(whole)))
    places = {place + near for place in ends for near in (-2, -1, 0, 1)} | {sum(pair) // 2 for pair in itertools.pairwise(ends)}
    return sorted(place for place in places if ends[-1] <= place < len(whole))


def whole_lines(content: bytes) -> tuple[set[int], set[int]]:
    """The positions that whole lines of a journal say are started, and done."""
    lines = [line + b"\n" for line in content.split(b"\n")]  # the last may lack no more than its end
    done = {head.position for line in lines if (head := state_records.read_head(line))}
    return {json.loads(line)["started"][0] for line in lines if line.startswith(b'{"started"') and line.endswith(b"}\n")}, done


def read(path: Path, index: Index) -> tuple[dict[int, int], set[int]]:
    """What a journal says: the positions of the outcomes in their slots, and those that may have been billed for nothing."""
    index.truncate(0)
    folder = str(path.parent)
    with contextlib.closing(RecordStore(folder)) as store, contextlib.closing(NumberFile(folder)) as hashes:
        earlier = PreviousRuns(Selection(), index, hashes, RouteTable(), store)
        earlier.read_journal(str(path))
        return {slot: store.head(entry).position for slot, entry in index.walk()}, {key.position for key, _ in earlier.unsure}


def test_a_journal_cut_off_anywhere_says_what_its_whole_lines_say(stub: Batch) -> None:
    """At every byte of its last three requests; and what is added to it then is read, too."""
    stub.lines("p", "q", "r", "s")
    whole = unfinished(stub)
    near = set(cuts(whole, 7, every=False))
    with contextlib.closing(Index(str(stub.input.parent))) as index:
        for cut in cuts(whole, 7, every=True):
            stub.part.write_bytes(whole[:cut])
            started, done = whole_lines(whole[:cut])
            assert read(stub.part, index) == ({position: position for position in done}, started - done), cut
            if cut in near:
                journal = Journal(str(stub.part))
                journal.note({"started": [7, "a", "m"]})
                journal.close()
                assert read(stub.part, index) == ({position: position for position in done}, {*started - done, 7}), cut


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_a_run_goes_on_from_a_journal_that_is_cut_off(stub: Batch, every: bool) -> None:
    """What is whole is kept, what is not is asked again and listed, and nothing else is."""
    Stub.faults["bad"] = InvalidRequestError("ünmöglich", status=400)
    stub.lines("p", "q", "bad", "r")
    whole = unfinished(stub)
    for cut in cuts(whole, 7, every=every):
        stub.part.write_bytes(whole[:cut])
        stub.output.unlink(missing_ok=True)
        Stub.asked.clear()
        summary = stub.run()
        started, done = whole_lines(whole[:cut])
        assert stub.texts() == ["echo p", "echo q", "InvalidRequestError", "echo r"], cut
        assert len(Stub.asked) == 4 - len(done), cut
        assert {key.position for key, _ in summary.possibly_billed} == started - done, cut


@pytest.mark.parametrize("length", [*range(1, 36), 45])
def test_a_journal_may_be_cut_off_anywhere_in_its_beginning(stub: Batch, length: int) -> None:
    """A process that is killed when it has only just begun leaves nothing that stands in the way."""
    stub.lines("p")
    header = journal_format.header_of(journal_format.Owner(123)) + b'{"run": {}}\n'
    stub.part.write_bytes(header[:length])
    stub.run()
    assert stub.texts() == ["echo p"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 300,
        b"\n\n\n",
        b'{"done": [0, "a", "m"], "head": ["x", "y", "answered"], "bytes": 3, "record": {}}\n',
        b'{"done": [0, "a", "m"], "head": ["x", "y", "answered"], "record": {}}\n',
        b'{"done": 7, "head": ["x", "y", "answered"], "bytes": 2, "record": {}}\n',
        b'{"done": ["0", "a"], "head": [], "bytes": 2, "record": {}}\n',
        b'{"started": 7}\n{"started": [1]}\n{"started": [}]}\n{"unsent"}\n{"settings": [], "of": 1}\n{"run"\n',
        b"\xff\xfe\xfd\n",
    ],
)
def test_garbage_in_a_journal_is_passed_over(job: Batch, far: Far, garbage: bytes) -> None:
    """Damage costs the damaged lines only."""
    whole = fill(job, far)
    lines = whole.splitlines(keepends=True)
    job.part.write_bytes(b"".join(lines[:-3]) + garbage + b"".join(lines[-3:]))
    asked = len(far.asked)
    assert job.run().sent == 0
    assert len(far.asked) == asked


def test_a_torn_line_is_ended_by_the_next(tmp_path: Path) -> None:
    """So that no record is glued to half of another."""
    path = str(tmp_path / "j")
    first = Journal(path)
    first.note({"a": 1})
    first.close()
    with open(path, "ab") as file:
        file.write(b'{"done": [0, ')
    again = Journal(path)
    again.add(b'{"b": 2}\n')
    again.close()
    assert Path(path).read_bytes().endswith(b'\n{"b": 2}\n')
    assert [line for _, line in journal_format.lines_of(path)] == [b'{"a": 1}\n', b'{"done": [0, \n', b'{"b": 2}\n']


@pytest.mark.parametrize("written", [0, 1, 40])
@pytest.mark.parametrize("truncates", [True, False])
def test_a_write_that_fails_half_way_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int, truncates: bool
) -> None:
    """The partial line is removed, or ended by the next one; the line is kept, and can be written later."""
    path = str(tmp_path / "j")
    journal = Journal(path)
    journal.note({"a": 1})
    write, full = os.write, True
    monkeypatch.setattr(journal_file.os, "write", lambda fd, data: _short(write, fd, data, written) if full else write(fd, data))
    if not truncates:
        monkeypatch.setattr(journal_file.os, "ftruncate", _refuse)
    line = b'{"done": "%s"}\n' % (b"x" * 80)
    assert journal.add(line) == -1
    with pytest.raises(OSError, match="No space"):
        journal.note({"b": 2})
    full = False
    assert journal.write_again()
    assert journal.unwritten == []
    assert journal.failure is not None
    journal.close()
    kept = [each for _, each in journal_format.lines_of(path)]
    assert kept[0] == b'{"a": 1}\n'
    assert kept[-1] == line
    assert len(kept) == (3 if written and not truncates else 2)


def _short(write: Any, descriptor: int, data: Any, count: int) -> int:
    if count and bytes(data[:6]) == b'{"done':
        return int(write(descriptor, data[:count]))
    raise OSError(errno.ENOSPC, "No space left on device")


def _refuse(*_: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_full_disk_is_reported_with_the_file(tmp_path: Path) -> None:
    """No empty file is left behind."""
    resource = pytest.importorskip("resource")
    path = str(tmp_path / "j")
    code = (
        "import resource, signal, sys\n"
        "from llm_sync.batch.state.journal import Journal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        f"try: Journal({path!r})\n"
        "except OSError as e: print(e)"
    )
    assert resource is not None
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert path in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_lines_of_many_threads_are_whole_in_the_journal_and_in_the_store(tmp_path: Path) -> None:
    """The offset that ``add`` gives is the line's, however many threads write."""
    path = str(tmp_path / "j")
    journal = Journal(path)
    offsets: dict[bytes, int] = {}

    def write(name: int) -> None:
        for number in range(200):
            line = json.dumps({"x": f"{name}-{number}", "y": "z" * (number % 50)}).encode() + b"\n"
            offsets[line] = journal.add(line)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(offsets) == 1600
    assert all(journal.store.read(offset) == line for line, offset in offsets.items())
    journal.close()
    assert sorted(line for _, line in journal_format.lines_of(path)) == sorted(offsets)


def test_lines_of_any_length_are_read_from_the_store_in_any_order(tmp_path: Path) -> None:
    """Also those that are not in its file yet, that end where a block of it ends, and that are longer than several blocks."""
    with contextlib.closing(RecordStore(str(tmp_path))) as store:
        lengths = [*range(40), (1 << 16) - 8, 1 << 16, 300_000, *(2000 for _ in range(2000)), 5]
        lines = [(b"%d," % number * length)[:length] for number, length in enumerate(lengths)]
        offsets: list[int] = []
        for number, line in enumerate(lines):
            offsets.append(store.append(line))
            assert store.read(offsets[number * 7 % len(offsets)]) == lines[number * 7 % len(offsets)]
        assert [store.read(offset) for offset in reversed(offsets)] == lines[::-1]
        assert list(store.lines()) == lines


def test_a_line_that_was_changed_in_the_store_is_refused(tmp_path: Path) -> None:
    """Its checksum is not that of what is there."""
    with contextlib.closing(RecordStore(str(tmp_path))) as store:
        offset = store.append(b"a line" * 20_000)
        os.pwrite(store._file.fileno(), b"x", offset + 1000)
        with pytest.raises(LLMConnectorError, match="damaged"):
            store.read(offset)


def test_two_journals_on_one_file_are_refused_with_the_holders_pid(tmp_path: Path) -> None:
    """In this process as in another, and only as long as the first is open."""
    path = str(tmp_path / "j")
    journal = Journal(path)
    with pytest.raises(LLMConnectorError, match=f"is being written by process {os.getpid()}"):
        Journal(path)
    code = f"from llm_sync.batch.state.journal import Journal\ntry: Journal({path!r})\nexcept Exception as e: print(e)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert f"process {os.getpid()}" in told.stdout
    assert "Wait until it has ended ('llm-sync status' shows how far it is), or stop it" in told.stdout
    journal.close()
    Journal(path).close()


def test_a_second_run_on_the_same_output_is_refused(job: Batch, far: Far) -> None:
    """While the first one is at work; it is not disturbed."""
    told: list[str] = []

    def meanwhile() -> Any:
        with pytest.raises(LLMConnectorError) as caught:
            job.run()
        told.append(str(caught.value))
        return completion("echo p")

    far.script("p", meanwhile)
    job.lines("p", "q")
    job.run()
    assert f"process {os.getpid()}" in told[0]
    assert (job.texts(), far.asked) == (["echo p", "echo q"], ["p", "q"])


def test_a_journal_removed_by_its_holder_is_not_taken_for_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the owner finishes between opening and locking, the locked file is no longer at its path, and a new one is made."""
    path = str(tmp_path / "j")
    first = Journal(path)
    lock = journal_lock.FileLock.lock

    def finishing(self: Any, **options: Any) -> bool:
        if first is not None and not first_done:
            first_done.append(True)
            first.remove()
            first.close()
        return bool(lock(self, **options))

    first_done: list[bool] = []
    monkeypatch.setattr(journal_lock.FileLock, "lock", finishing)
    second = Journal(path)
    assert second.is_at_its_path()
    second.close()


def test_a_journal_is_for_its_owner_only(tmp_path: Path) -> None:
    """It holds prompts and answers."""
    Journal(str(tmp_path / "j")).close()
    assert os.stat(tmp_path / "j").st_mode & 0o777 == 0o600


def asked(position: int = 0, **more: Any) -> RequestIdentity:
    """A request of a line."""
    return RequestIdentity(Key(position, "a", "m"), "0" * 16, "1" * 16, **more)


def test_a_torn_record_is_never_taken_for_a_whole_one() -> None:
    """Its length shows it, even if it is cut where the brackets match."""
    error = RequestTimeoutError("late", phase="body")
    told = state_records.head_of(asked(), error)
    line = state_records.journal_line(told, {"a": {"b": {"c": {}}}, "d": {}})
    assert state_records.read_head(line) == told
    assert (told.unsure, told.again) == (1, False)
    for cut in range(len(line) - 1):
        assert state_records.read_head(line[:cut]) is None
        assert state_records.read_head(line[:cut] + b"\n") is None
        assert state_records.read_head(line[:cut] + b"}}\n") is None or line[:cut] + b"}}\n" == line
    assert state_records.read_head(line[:-1]) == told
    assert state_records.content_of(line) == state_records.content_of(line[:-1]) == b'{"a": {"b": {"c": {}}}, "d": {}}'


@pytest.mark.parametrize("route", [("p", "m"), ('q"\\', "\u00e9:\ud800/m"), (None, None)])
def test_lines_written_by_hand_are_those_of_the_json_encoder(route: tuple[str | None, str | None]) -> None:
    """What is noted before a request is sent, and how the line of its outcome begins."""
    key, line = Key(7, *route), "00fedcba98765432"
    assert journal_format.started_line(*key, line) == journal_format.line_of({"started": key, "line": line})
    head = state_records.Head(*key, line, "", "answered")
    start = journal_format.outcome_start(*key, int(line, 16))
    assert state_records.journal_line(head, {}).startswith(start)
    assert not state_records.journal_line(head._replace(line="1" * 16), {}).startswith(start)


def test_a_damaged_record_is_never_taken_for_what_was_written() -> None:
    """Its checksum shows any changed byte, in the head or in the record."""
    told = state_records.head_of(asked(), RequestTimeoutError("late", phase="body"))
    line = state_records.journal_line(told, {"text": "for some money", "id": "ü"})
    for place in range(len(line) - 1):
        for other in (line[place] ^ 1, 0, 0x20):
            damaged = line[:place] + bytes([other]) + line[place + 1 :]
            assert damaged == line or state_records.read_head(damaged) is None, damaged


def test_what_a_disk_has_damaged_is_asked_again_and_listed(job: Batch, far: Far) -> None:
    """In the middle of a journal that is whole otherwise; the output holds whole records only."""
    whole = fill(job, far)
    at = whole.index(b"echo q")
    job.part.write_bytes(whole[:at] + b"\0" * 6 + whole[at + 6 :])
    summary = job.run()
    assert job.texts() == ["echo p", "echo q", "half", "InvalidRequestError", "echo r"]
    assert (summary.sent, far.asked.count("q")) == (1, 2)
    assert [(key.position, times) for key, times in summary.possibly_billed] == [(1, 1)]


def test_a_damaged_line_of_an_output_is_named(job: Batch, far: Far) -> None:
    """It is an output all the same, and stays as it is."""
    job.lines("p", "q")
    job.run()
    content = job.output.read_bytes().replace(b'"index": 1', b'"index": "x"')
    job.output.write_bytes(content)
    with pytest.raises(LLMConnectorError, match="is damaged: line 2 is not a record"):
        job.run()
    assert (job.output.read_bytes(), len(far.asked)) == (content, 2)


def test_a_record_gives_back_its_head() -> None:
    """A finished output is as good as a journal for the next run."""
    for openai in (False, True):
        for error in (RequestTimeoutError("late", phase="headers"), LLMConnectorError("x"), failing()):
            request = asked(3, openai=openai, id="x", unsure=2)
            told = state_records.head_of(request, error)
            record = json.dumps(state_records.record_of(request, error, told)).encode()
            assert state_records.head_of_record(record) == told


def failing() -> LLMConnectorError:
    """An error that passes."""
    from llm_sync.errors import ProviderUnavailableError

    return ProviderUnavailableError("busy", status=503)


SHORT = b'{"index": 0, "provider": "a", "model": "m", "line_hash": "x", "settings": "y", '
NO_RECORDS = [b"", b"x", b"{}", b"[]", b"7", b'{"index": 0}', b'{"llm_sync": 7}', b'{"llm_sync": {"index": 0}}']
NO_RECORDS += [SHORT + b'"response": null, "error": null}', SHORT + b'"response": {}, "error": null}']


@pytest.mark.parametrize("line", NO_RECORDS)
def test_what_is_no_record_is_none(line: bytes) -> None:
    """Whatever stands in a file."""
    assert state_records.head_of_record(line) is None
