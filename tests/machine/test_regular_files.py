"""Files that somebody else has named are opened only if they are regular, bounded, and where they may be."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from llm_sync.machine import regular_files
from llm_sync.machine.regular_files import open_regular_file, read_regular_file

posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices of POSIX")


def refused(path: Any, **options: Any) -> OSError:
    """The error of an attempt to open it."""
    with pytest.raises(OSError) as caught:  # noqa: PT011  (the caller looks at it)
        open_regular_file(path, **{"max_bytes": 10, **options})
    return caught.value


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    """Up to its limit, by an absolute or a relative path."""
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_regular_file(tmp_path / "a", max_bytes=10, below=str(tmp_path)) == b"0123456789"
    assert refused(tmp_path / "a", max_bytes=9).errno == errno.EFBIG


def test_a_relative_path_starts_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Including dots."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.chdir(tmp_path / "b")
    assert read_regular_file("./../a", max_bytes=10, below=str(tmp_path)) == b"x"
    assert "not below" in str(refused("./../a", below="."))


@posix
@pytest.mark.timeout(20)
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Opening it as a file would wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").strerror == "it is not a regular file"


@posix
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/stdin/../../dev/zero"])
def test_a_device_is_refused(path: str) -> None:
    """Reading it would never end."""
    if not os.path.exists("/dev/zero"):
        pytest.skip("no /dev/zero")
    refused(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """As a folder."""
    assert refused(tmp_path).errno == errno.EISDIR


def test_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    """One of several folders is enough; a folder whose name only begins alike is another one."""
    for name in ("in", "in-other", "allowed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_bytes(b"x")
    folders = [str(tmp_path / "in"), str(tmp_path / "allowed")]
    assert "not below" in str(refused(tmp_path / "in-other" / "a", below=folders))
    assert "not below" in str(refused(tmp_path / "in" / ".." / "in-other" / "a", below=folders))
    assert read_regular_file(tmp_path / "allowed" / "a", max_bytes=10, below=folders) == b"x"


@posix
def test_links_are_resolved_before_the_folder_is_compared(tmp_path: Path) -> None:
    """One's own link may be used, but not to leave the folder."""
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "in" / "a").write_bytes(b"y")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "in" / "stay").symlink_to("a")
    (tmp_path / "folder").symlink_to("in")
    assert "not below" in str(refused(tmp_path / "in" / "out", below=str(tmp_path / "in")))
    assert read_regular_file(tmp_path / "folder" / "stay", max_bytes=10, below=str(tmp_path / "folder")) == b"y"


@posix
@pytest.mark.parametrize("name", ["link", "folder/a"])
def test_a_link_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As the file itself or as a folder on the way, wherever it leads."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("in/a")
    (tmp_path / "folder").symlink_to("in")
    assert read_regular_file(tmp_path / name, max_bytes=10) == b"x"
    monkeypatch.setattr(regular_files.os, "geteuid", lambda: 12345)
    monkeypatch.setattr(regular_files.os, "lstat", _as_another_users_link(os.lstat))
    assert "a link of another user" in str(refused(tmp_path / name))
    assert read_regular_file(tmp_path / "in" / "a", max_bytes=10) == b"x"


def _as_another_users_link(lstat: Any) -> Any:
    def changed(path: Any) -> os.stat_result:
        fields = list(lstat(path))
        if os.path.basename(path) in ("link", "folder"):
            fields[4] = 54321
        return os.stat_result(fields)

    return changed


@posix
def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    """As the system would."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert refused(tmp_path / "a").errno == errno.ELOOP


def test_a_file_that_is_longer_than_its_size_says_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of /proc, or one that grows meanwhile."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    real_open = regular_files.open_regular_file

    def growing(*arguments: Any, **options: Any) -> Any:
        file = real_open(*arguments, **options)
        path.write_bytes(b"x" * 11)
        return file

    monkeypatch.setattr(regular_files, "open_regular_file", growing)
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_regular_file(path, max_bytes=10)


@posix
def test_a_file_that_is_replaced_while_it_is_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is what is read."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"y")
    real_open = os.open

    def replacing(path: Any, flags: int, *more: Any) -> int:
        os.replace(tmp_path / "b", tmp_path / "a")
        return real_open(path, flags, *more)

    monkeypatch.setattr(regular_files.os, "open", replacing)
    before = threading.active_count()
    assert "replaced" in str(refused(tmp_path / "a"))
    assert threading.active_count() == before


@pytest.mark.parametrize("path", ["", "no\0file", "missing", "missing/a"])
def test_what_cannot_be_opened_is_an_os_error(tmp_path: Path, path: str) -> None:
    """Whatever a stranger writes."""
    refused(f"{tmp_path}/{path}" if path else path)
