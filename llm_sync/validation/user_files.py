"""Files that a user names: configurations, prompts, images. Devices and named pipes could block for ever or never end.

A regular file may be named, or a descriptor that the shell opened: ``/dev/stdin``, and ``/dev/fd/N`` for ``<(…)``. Nobody else
can put a descriptor in their place, and a named pipe in a folder may be anybody's.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import BinaryIO

_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/[0-9]+|/proc/self/fd/[0-9]+")
_FLAGS = os.O_RDONLY
for _name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):  # non-blocking: it may have become a named pipe meanwhile
    _FLAGS |= getattr(os, _name, 0)


def open_user_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file, ``os.devnull`` or a descriptor of this process for reading.

    Raises OSError, whose ``strerror`` says what is wrong, and ValueError for a path with a null character. The content of a
    descriptor may be endless: read no more than a limit.
    """
    name = os.fspath(path)
    if _DESCRIPTOR.fullmatch(name) or name == os.devnull:
        return open(name, "rb")
    _check_regular(os.stat(name), name)  # before it is opened: opening some devices has effects
    descriptor = os.open(name, _FLAGS)
    try:
        _check_regular(os.fstat(descriptor), name)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        kind = "a named pipe" if stat.S_ISFIFO(status.st_mode) else "a socket" if stat.S_ISSOCK(status.st_mode) else "a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", path)
