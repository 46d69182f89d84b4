"""Opens files that somebody else has named: regular files only, bounded, and through no link of another user.

A path from a JSON Lines file or a configuration may lead to a device, a named pipe or a private file. Opening those may block
for ever, read without end, or send what was never meant to be sent.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import IO

_FLAGS = os.O_RDONLY
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):  # non-blocking: a named pipe must not block
    _FLAGS |= getattr(os, _name, 0)
_MAX_LINKS = 40  # as Linux
_MIB = 1 << 20


def open_regular_file(path: str | os.PathLike[str], *, max_bytes: int, below: str | Sequence[str] | None = None) -> IO[bytes]:
    """Open a regular file of at most ``max_bytes`` for reading, in binary mode.

    ``below``: a folder, or several; the file must be in one of them or in a subfolder, after links are resolved. None: anywhere.
    Raises OSError, whose ``strerror`` says what is wrong. The file may grow afterwards: read no more than ``max_bytes``.
    """
    given = os.fspath(path)
    real = resolve_links(given)
    folders = [below] if isinstance(below, str) else below
    if folders is not None and not any(_is_below(real, os.path.realpath(folder)) for folder in folders):
        raise OSError(errno.EPERM, f"it is not below {' or '.join(repr(os.path.abspath(folder)) for folder in folders)}", given)
    expected = os.lstat(real)
    _check_kind(expected, given)  # before it is opened: opening some devices has effects
    descriptor = os.open(real, _FLAGS)
    try:
        _check_opened(os.fstat(descriptor), expected, given, max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular_file(path: str | os.PathLike[str], *, max_bytes: int, below: str | Sequence[str] | None = None) -> bytes:
    """The content of such a file. Raises OSError, also if it is longer than its size says."""
    with open_regular_file(path, max_bytes=max_bytes, below=below) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise _too_large(os.fspath(path), max_bytes)
    return content


def _check_kind(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)


def _check_opened(status: os.stat_result, expected: os.stat_result, path: str, max_bytes: int) -> None:
    _check_kind(status, path)
    if not os.path.samestat(status, expected):
        raise OSError(errno.EAGAIN, "it was replaced while it was opened", path)
    if status.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _too_large(path: str, max_bytes: int) -> OSError:
    limit = f"{max_bytes // _MIB} MiB" if max_bytes >= _MIB else f"{max_bytes} bytes"
    return OSError(errno.EFBIG, f"it is larger than {limit}", path)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))


def resolve_links(path: str) -> str:
    """The path without links. Raises PermissionError for a link that belongs neither to this user nor to root."""
    if os.name != "posix":
        return os.path.realpath(path)
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path cannot hold a null character", path.replace("\0", "\\0"))
    trusted = {0, os.geteuid()}
    real = "/" if path.startswith("/") else os.getcwd()
    pending = path.split("/")[::-1]
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            real = os.path.dirname(real)
            continue
        real = os.path.join(real, part)
        status = os.lstat(real)
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if status.st_uid not in trusted:
                raise PermissionError(errno.EPERM, f"it is reached through a link of another user ({real})", path)
            target = os.readlink(real)
            real = "/" if target.startswith("/") else os.path.dirname(real)
            pending += target.split("/")[::-1]
    return real
