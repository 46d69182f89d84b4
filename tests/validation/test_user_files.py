from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.validation.user_files import open_user_file

needs_descriptors = pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="there is no /dev/fd here")


def make_socket(path: str) -> None:
    """A socket stays in the folder when it is closed."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    """Also through links."""
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_user_file(tmp_path / name) as file:
            assert file.read() == b"content"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "it is a named pipe, not a regular file"),
        (make_socket, "it is a socket, not a regular file"),
        (lambda path: os.symlink("/dev/zero", path), "it is a device, not a regular file"),
        (os.mkdir, "Is a directory"),
        (lambda path: os.symlink("nowhere", path), "No such file or directory"),
    ],
    ids=["pipe", "socket", "device", "folder", "missing"],
)
def test_nothing_else_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], None], why: str) -> None:
    """At once: a pipe without a writer does not block."""
    monkeypatch.chdir(tmp_path)
    make("thing")
    with pytest.raises(OSError) as refused:  # noqa: PT011  (its text is what counts)
        open_user_file("thing")
    assert (refused.value.strerror, refused.value.filename) == (why, "thing")


def test_a_pipe_that_takes_the_place_of_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the check and the opening, without blocking; its descriptor is closed."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"content")
    real = os.open
    opened: list[int] = []

    def swap(path: str, flags: int) -> int:
        opened.append(real(tmp_path / "pipe", flags))
        return opened[-1]

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(OSError, match="named pipe"):
        open_user_file(str(tmp_path / "file"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


@needs_descriptors
@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_a_descriptor_of_this_process_is_read(folder: str) -> None:
    """A pipe, as of ``<(…)``; reading waits for its writer."""
    if not os.path.isdir(folder):
        pytest.skip(f"there is no {folder} here")
    reading, writing = os.pipe()
    try:
        with open_user_file(f"{folder}/{reading}") as file:
            assert os.get_blocking(file.fileno())
            os.write(writing, b"content")
            os.close(writing)
            os.close(reading)
            assert file.read() == b"content"
    except OSError:
        os.close(reading)
        raise


@needs_descriptors
@pytest.mark.parametrize("path", ["/dev/fd/../zero", "/dev/fd/0/../../zero", "/dev/stdin/../zero", "/dev/tty"])
def test_only_a_descriptor_itself_is_one(path: str) -> None:
    """No other path that begins so."""
    with pytest.raises(OSError, match="not a regular file|No such|Not a directory"):
        open_user_file(path)


def test_the_null_device_is_empty() -> None:
    """It ends at once."""
    with open_user_file(os.devnull) as file:
        assert file.read() == b""


def test_a_null_character_is_no_path() -> None:
    """As for open."""
    with pytest.raises(ValueError, match="null"):
        open_user_file("a\0b")
