"""Spools: what of them is read while they grow, when they are torn or damaged, and how a worker's end is noticed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from llm_sync.engines import spool as spool_room
from llm_sync.engines import spool_reader
from llm_sync.engines.claims import ClaimFile
from llm_sync.engines.spool import Spool, SpoolFile, make_folder, remove_folder, spools_in
from llm_sync.engines.spool_reader import SpoolReader
from llm_sync.machine import locks


def test_frames_come_as_they_were_added(tmp_path: Path) -> None:
    """Each once, also when it is read while it grows."""
    spool = Spool(str(tmp_path), "w")
    file = SpoolFile(spool.path)
    spool.add(b"one", b"line")
    assert list(file.read()) == [(b"one", b"line")]
    spool.add(b"two" * 9999, b"")
    assert list(file.read()) == [(b"two" * 9999, b"")]
    assert list(file.read()) == []
    file.close()
    spool.close()


def test_a_torn_frame_is_none_until_it_is_whole(tmp_path: Path) -> None:
    """A worker may be killed in the middle of a write."""
    spool = Spool(str(tmp_path), "w")
    spool.add(b"one", b"line")
    spool.add(b"two", b"another line")
    spool.close()
    whole = Path(spool.path).read_bytes()
    for size in range(len(whole)):
        torn = tmp_path / "torn.spool"
        torn.write_bytes(whole[:size])
        file = SpoolFile(str(torn))
        expected = 0 if size < len(whole) // 2 - 4 else 1  # the second frame is the longer one, by eight bytes
        assert len(list(file.read())) == expected
        torn.write_bytes(whole)
        assert len(list(file.read())) == 2 - expected
        file.close()


def test_a_damaged_frame_ends_the_file(tmp_path: Path) -> None:
    """Nobody knows where the next one begins."""
    spool = Spool(str(tmp_path), "w")
    for text in (b"one", b"two", b"three"):
        spool.add(text, b"")
    spool.close()
    content = bytearray(Path(spool.path).read_bytes())
    content[content.index(b"two")] ^= 1
    Path(spool.path).write_bytes(content)
    file = SpoolFile(spool.path)
    assert list(file.read()) == [(b"one", b"")]
    file.close()


def test_the_reader_hears_all_and_then_of_the_end(tmp_path: Path) -> None:
    """What a worker wrote before it ended is heard before its end is."""
    heard: list[bytes] = []
    came, over = threading.Event(), threading.Event()
    reader = SpoolReader(
        str(tmp_path),
        lambda frames: (heard.extend(each for each, _ in frames), came.set()),
        lambda path: (heard.append(path.encode()), over.set()),
        lambda _: None,
    )
    reader.start()
    spool = Spool(str(tmp_path), "w")
    spool.add(b"one", b"")
    assert came.wait(10)
    spool.add(b"two", b"")
    spool.close()
    assert over.wait(10)
    reader.stop()
    assert heard == [b"one", b"two", spool.path.encode()]


def test_a_spool_is_not_found_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its worker, which has only just begun, would be taken for dead, and what it writes would never be read."""
    found: list[list[str]] = []
    lock = locks.FileLock.lock

    def look_and_lock(self: locks.FileLock, **options: bool) -> bool:
        found.append(spools_in(str(tmp_path)))
        return lock(self, **options)

    with monkeypatch.context() as patched:
        patched.setattr(locks.FileLock, "lock", look_and_lock)
        spool = Spool(str(tmp_path), "w")
    assert found == [[]]
    assert spools_in(str(tmp_path)) == [spool.path]
    assert locks.is_locked(spool.path)
    spool.close()
    assert not locks.is_locked(spool.path)


def test_of_many_who_claim_a_task_one_gets_it(tmp_path: Path) -> None:
    """Whatever repeats it, in this process or another."""
    claims = [ClaimFile(str(tmp_path), "s") for _ in range(8)]
    got: list[int] = []

    def claim(number: int, file: ClaimFile) -> None:
        got.extend(task for task in range(50) if file.claim(task))

    threads = [threading.Thread(target=claim, args=each) for each in enumerate(claims)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(50))
    for file in claims:
        file.close()


def test_a_folder_that_is_not_its_own_is_left_alone(tmp_path: Path) -> None:
    """A link beside an output leads to files of somebody: nothing there is removed."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "w.spool").write_text("precious")
    link = tmp_path / "out.jsonl.part.spools"
    link.symlink_to(other)
    with pytest.raises(PermissionError):
        make_folder(str(link))
    remove_folder(str(link))
    assert (other / "w.spool").read_text() == "precious"


def test_only_spools_are_removed_with_their_folder(tmp_path: Path) -> None:
    """Whatever else is in it stays, and so does the folder then."""
    folder = tmp_path / "spools"
    make_folder(str(folder))
    for name in ("w.spool", "bell", "claims-s", "notes.txt"):
        (folder / name).write_text("x")
    make_folder(str(folder))
    assert [each.name for each in folder.iterdir()] == ["notes.txt"]
    remove_folder(str(folder))
    assert folder.exists()
    (folder / "notes.txt").unlink()
    remove_folder(str(folder))
    assert not folder.exists()


def test_a_pipe_among_the_spools_holds_up_nobody(tmp_path: Path) -> None:
    """It reads as empty."""
    path = tmp_path / "w.spool"
    os.mkfifo(path)
    file = SpoolFile(str(path))
    assert list(file.read()) == []
    file.close()


def test_a_long_spool_does_not_keep_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full files are removed some time after they were read; the first tells whether the worker lives, and stays."""
    monkeypatch.setattr(spool_room, "_MAX_FILE", 100)
    monkeypatch.setattr(spool_reader, "_KEEP_S", 0.0)
    heard: list[bytes] = []
    ended: list[str] = []
    reader = SpoolReader(str(tmp_path), lambda frames: heard.extend(each for each, _ in frames), ended.append, lambda _: None)
    reader.start()
    spool = Spool(str(tmp_path), "host.example:7-ab")
    outcomes = [b"%03d" % number * 20 for number in range(40)]
    for outcome in outcomes:
        spool.add(outcome, b"")
    removed = threading.Event()
    while len(list(tmp_path.glob("*.spool"))) > 2:
        removed.wait(0.01)
    assert ended == []
    spool.close()
    reader.stop()
    assert sorted(heard) == outcomes
    assert ended == [spool.path]


def test_a_long_spool_that_nobody_reads_keeps_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine: what a killed coordinator lacks is in the last files."""
    monkeypatch.setattr(spool_room, "_MAX_FILE", 100)
    spool = Spool(str(tmp_path), "w:7-ab", is_read=False)
    for number in range(40):
        spool.add(b"%03d" % number * 20, b"")
    spool.close()
    assert len(list(tmp_path.glob("*.spool"))) <= 4
    found = [outcome for path in spools_in(str(tmp_path)) for outcome, _ in SpoolFile(path).read()]
    assert b"039" * 20 in found


def test_outcomes_gather_only_as_long_as_there_is_enough_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of it may end meanwhile; never for more than 5 ms, and not at all with few in flight."""
    now, in_flight = [0.0], [64]
    monkeypatch.setattr(spool_reader.time, "monotonic", lambda: now[0])
    gathering = spool_reader._Gathering(lambda: in_flight[0])
    assert gathering.seconds() == 0.0
    now[0] = 0.002
    gathering.count(10)
    assert gathering.seconds() == pytest.approx(0.0016)
    in_flight[0] = 4
    assert gathering.seconds() == 0.0
    now[0] = 9.0
    gathering.count(0)
    gathering.count(1)
    in_flight[0] = 5
    assert gathering.seconds() == 0.005


def test_outcomes_that_end_together_are_written_at_once(tmp_path: Path) -> None:
    """In their order, whole, and the coordinator hears of all of them by one byte."""
    os.mkfifo(tmp_path / "bell")
    bell = os.open(tmp_path / "bell", os.O_RDWR | os.O_NONBLOCK)
    spool = Spool(str(tmp_path), "w")
    spool.add_all([(b"one", b"line"), (b"two", b"")])
    file = SpoolFile(spool.path)
    assert (os.read(bell, 9), list(file.read())) == (b"!", [(b"one", b"line"), (b"two", b"")])
    file.close()
    spool.close()
    os.close(bell)
