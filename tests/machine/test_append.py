from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from llm_sync.machine import append


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where nothing is yet."""
    return str(tmp_path / "lines")


def content(path: str) -> bytes:
    """What the file holds."""
    return Path(path).read_bytes()


def test_lines_are_added(path: str) -> None:
    """The file is made, and keeps what it has."""
    append.append(path, b"one\n")
    append.append(path, b"two\nthree\n")
    assert content(path) == b"one\ntwo\nthree\n"


def test_a_torn_line_is_ended_first(path: str) -> None:
    """What a killed process left behind does not swallow the next line."""
    Path(path).write_bytes(b"whole\ntor")
    append.append(path, b"next\n")
    assert content(path) == b"whole\ntor\nnext\n"


def test_who_appends_waits_for_the_one_who_does(path: str) -> None:
    """A line is added only when the lock is free."""
    Path(path).touch()
    began, ended = threading.Event(), threading.Event()

    def add() -> None:
        began.set()
        append.append(path, b"late\n")
        ended.set()

    with open(path, "ab", buffering=0) as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        thread = threading.Thread(target=add)
        thread.start()
        began.wait(20)
        holder.write(b"fir")
        assert not ended.is_set()
        holder.write(b"st\n")
    thread.join(20)
    assert content(path) == b"first\nlate\n"


def test_a_rotated_file_is_not_written_to(path: str) -> None:
    """Renamed away while a line waited for its lock: the line goes to the new file."""
    Path(path).touch()
    with open(path, "ab") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        opened = threading.Event()
        original = os.open

        def tell(*arguments: object, **options: object) -> int:
            number = original(*arguments, **options)  # type: ignore[arg-type]
            opened.set()
            return number

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", tell)
            thread = threading.Thread(target=append.append, args=(path, b"new\n"))
            thread.start()
            assert opened.wait(20)
            os.rename(path, path + ".1")
    thread.join(20)
    assert (content(path), content(path + ".1")) == (b"new\n", b"")


def test_what_cannot_be_written_whole_is_taken_back(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no half line, and its error reaches the caller."""
    Path(path).write_bytes(b"old\n")
    write = os.write

    def full(number: int, part: bytes) -> int:
        if len(part) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(number, part[:3])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        append.append(path, b"123456\n")
    monkeypatch.undo()
    assert content(path) == b"old\n"


def test_a_short_write_goes_on(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take less than it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, part: write(number, part[:2]))
    append.append(path, b"12345\n")
    monkeypatch.undo()
    assert content(path) == b"12345\n"


def test_what_cannot_be_appended_to_is_told_before(tmp_path: Path) -> None:
    """A folder, a missing folder; an absent file is made."""
    with pytest.raises(IsADirectoryError):
        append.check_appendable(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        append.check_appendable(str(tmp_path / "no" / "x"))
    append.check_appendable(str(tmp_path / "new"))
    assert content(str(tmp_path / "new")) == b""


def test_without_flock_it_is_said(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none."""
    monkeypatch.setitem(__import__("sys").modules, "fcntl", None)
    with pytest.raises(NotImplementedError, match="file locks"):
        append.append(path, b"x\n")
    assert not os.path.exists(path)
