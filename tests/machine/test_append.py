"""Appending lines to a file that several processes write to."""

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
    """A path at which there is no file."""
    return str(tmp_path / "lines")


def content(path: str) -> bytes:
    """The file's content."""
    return Path(path).read_bytes()


def test_lines_are_added(path: str) -> None:
    """The file is created by the first append, and the next ones add to it."""
    append.append(path, b"one\n")
    append.append(path, b"two\nthree\n")
    assert content(path) == b"one\ntwo\nthree\n"


def test_a_partial_line_is_ended_first(path: str) -> None:
    """A partial line of a killed process is ended before the next line is written."""
    Path(path).write_bytes(b"whole\ntor")
    append.append(path, b"next\n")
    assert content(path) == b"whole\ntor\nnext\n"


def test_an_append_waits_for_another(path: str) -> None:
    """An append waits until no other process holds the lock."""
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
    """If the file is renamed while an append waits for the lock, the line goes to the new file."""
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


def test_an_incomplete_append_is_undone(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk raises OSError and leaves no partial line."""
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


def test_a_short_write_is_continued(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is continued."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, part: write(number, part[:2]))
    append.append(path, b"12345\n")
    monkeypatch.undo()
    assert content(path) == b"12345\n"


def test_a_path_can_be_checked_beforehand(tmp_path: Path) -> None:
    """A folder or a missing folder is an error; a missing file is created."""
    with pytest.raises(IsADirectoryError):
        append.check_appendable(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        append.check_appendable(str(tmp_path / "no" / "x"))
    append.check_appendable(str(tmp_path / "new"))
    assert content(str(tmp_path / "new")) == b""


def test_a_system_without_flock_is_an_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without flock, as on Windows, NotImplementedError is raised."""
    monkeypatch.setitem(__import__("sys").modules, "fcntl", None)
    with pytest.raises(NotImplementedError, match="file locks"):
        append.append(path, b"x\n")
    assert not os.path.exists(path)
