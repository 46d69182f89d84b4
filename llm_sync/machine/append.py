"""Lines at the end of a file that several processes write to: each append is whole, and none lies in another.

The lock is flock on the file itself: the system frees it when its holder dies. What a holder killed in mid-write left
behind, half a line, is ended by the next append, so that no line is glued to it.
"""

from __future__ import annotations

import os
from typing import Any

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


def check_appendable(path: str) -> None:
    """Raise OSError when ``path`` cannot be appended to; an absent file is made, as a shell's ``>>`` does.

    Raises NotImplementedError on a system without flock.
    """
    _fcntl()
    os.close(os.open(path, _FLAGS, 0o666))


def append(path: str, content: bytes) -> None:
    """Append ``content``, whole lines, in one piece. Blocks while another process appends; any thread may call it.

    Raises OSError, and leaves the file as it was, when not all of it can be written.
    """
    fcntl = _fcntl()
    while True:
        descriptor = os.open(path, _FLAGS, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_at(path, descriptor):  # rotated away while this waited for the lock
                continue
            before = os.fstat(descriptor).st_size
            torn = before > 0 and os.pread(descriptor, 1, before - 1) != b"\n"
            try:
                _write(descriptor, b"\n" + content if torn else content)
            except BaseException:
                os.ftruncate(descriptor, before)
                raise
            return
        finally:
            os.close(descriptor)  # frees the lock


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _is_at(path: str, descriptor: int) -> bool:
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
