"""Files of a store: opened only if they are what they seem, and replaced whole.

A store may lie in a folder that others can write to, or come from an archive. A link, a device, a file of another user and a
file of any size may stand where an answer is expected; each is refused before it is read.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Container

MAX_BYTES = 64 * 2**20  # of one answer
TEMPORARY = ".tmp"
_TOKEN = os.urandom(6).hex()  # with the process number and a count, a name that no other process uses, on any machine
_numbers = itertools.count()

_READ = os.O_RDONLY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    _READ |= getattr(os, _name, 0)
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"):
    _NEW |= getattr(os, _name, 0)


def read(path: str, owners: Container[int]) -> bytes:
    """The content of a regular file of at most MAX_BYTES that belongs to one of ``owners``. Raises OSError."""
    descriptor = os.open(path, _READ)
    try:
        status = os.fstat(descriptor)
        check(status, path, owners)
        content = os.read(descriptor, status.st_size + 1)  # one byte more shows whether that is all
        if len(content) != status.st_size:
            while len(content) <= MAX_BYTES and (chunk := os.read(descriptor, 1 << 20)):
                content += chunk
    finally:
        os.close(descriptor)
    check_size(len(content), path)  # it may have grown
    return content


def check(status: os.stat_result, path: str, owners: Container[int]) -> None:
    """Raise OSError unless it is a regular file of bounded size that belongs to one of ``owners``."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    _check_owner(status, path, owners)
    check_size(status.st_size, path)


def check_folder(status: os.stat_result, path: str, owners: Container[int]) -> None:
    """Raise OSError unless it is a folder, not a link, that belongs to one of ``owners``."""
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", path)
    _check_owner(status, path, owners)


def check_size(size: int, path: str) -> None:
    """Raise OSError for more than MAX_BYTES."""
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MiB", path)


def _check_owner(status: os.stat_result, path: str, owners: Container[int]) -> None:
    """Raise PermissionError if it belongs to none of ``owners``."""
    if hasattr(os, "geteuid") and status.st_uid not in owners:
        raise PermissionError(errno.EPERM, f"it belongs to another user (uid {status.st_uid})", path)


def replace(path: str, content: bytes) -> None:
    """Write a file of mode 0600 beside ``path`` and rename it to that. Raises OSError, leaving what is at ``path``."""
    folder, _, name = path.rpartition(os.sep)
    beside = f"{folder}{os.sep}.{name[:16]}.{os.getpid()}-{_TOKEN}-{next(_numbers)}{TEMPORARY}"
    descriptor = os.open(beside, _NEW, 0o600)
    try:
        try:
            written = os.write(descriptor, content)
            while written < len(content):
                written += os.write(descriptor, memoryview(content)[written:])
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
