"""Append lines to a file that several processes write to: each append is whole, and none is inside another.

The lock is flock on the file itself, which the system releases when its holder dies. If a process was killed in the middle
of a line, the next append ends that line first.
"""

from __future__ import annotations

import os
from typing import Any

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


def check_appendable(path: str) -> None:
    """Raise OSError if ``path`` cannot be appended to; a missing file is created, like a shell's ``>>`` does.

    Raises NotImplementedError on a system without flock.
    """
    _fcntl()
    os.close(os.open(path, _FLAGS, 0o666))


def append(path: str, content: bytes) -> None:
    """Append ``content``, whole lines, in one piece. Blocks while another process appends; any thread may call it.

    Raises OSError, leaving the file unchanged, if not all of it can be written.
    """
    fcntl = _fcntl()
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_same_file(path, descriptor):  # log rotation moved the file while this waited for the lock
                continue
            size = os.fstat(descriptor).st_size
            has_partial_line = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            try:
                _write(descriptor, b"\n" + content if has_partial_line else content)
            except BaseException:
                os.ftruncate(descriptor, size)
                raise
            return
        finally:
            os.close(descriptor)  # releases the lock


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _is_same_file(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _fcntl() -> Any:
    try:
        import fcntl
    except ImportError:
        raise NotImplementedError("there are no file locks (flock) on this system") from None
    return fcntl
