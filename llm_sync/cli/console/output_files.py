"""The file that ``--output`` names: checked before anything is sent, created beside its target, renamed at the end."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from typing import BinaryIO

from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.machine import append as machine_append
from llm_sync.machine.regular_files import resolve_links


def reason_for(error: OSError | ValueError, path: str) -> str:
    """Why ``path`` cannot be written, in words: the missing folder is named, as the system does not."""
    folder = os.path.dirname(path)
    if isinstance(error, FileNotFoundError) and folder and not os.path.lexists(folder):
        return f"there is no folder {folder!r}"
    return getattr(error, "strerror", None) or str(error)


def check_links(path: str, name: str) -> None:
    """Raise UsageError, calling the file ``name``, if its path leads through a link of another user.

    The answers would go to a file that the other user chose, or replace one.
    """
    try:
        resolve_links(path)
    except PermissionError as error:
        if error.errno == errno.EPERM:
            raise UsageError(f"{name} cannot be written: {error.strerror}") from None
    except OSError:  # such as a file that does not exist yet
        return


def is_special(path: str) -> bool:
    """Whether ``path`` is a device, a pipe or a socket, which no file can replace."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def open_special(path: str, name: str) -> BinaryIO:
    """Open a device or pipe for writing; ``name`` is what messages call it. Raises UsageError."""
    try:
        return open(path, "wb", buffering=0)
    except OSError as error:
        raise UsageError(f"{name} cannot be written: {reason_for(error, path)}") from None


def check_appendable(path: str, name: str) -> None:
    """Raise UsageError, calling the file ``name``, unless it can be appended to."""
    try:
        machine_append.check_appendable(path)
    except IsADirectoryError:
        raise UsageError(f"{name} is a folder: name a file") from None
    except NotImplementedError as error:
        raise UsageError(f"--append is not supported here: {error}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be written: {reason_for(error, path)}") from None


def create_beside(target: str, name: str) -> str:
    """Create an empty file in the folder of ``target``, with its mode; return its path. Raises UsageError."""
    if os.path.isdir(target):
        raise UsageError(f"{name} is a folder: name a file")
    if os.path.islink(target):
        raise UsageError(f"{name} is a link to itself: name a file")
    try:
        os.stat(target)
    except FileNotFoundError:
        pass
    except OSError as error:  # such as a name that is too long: without this check it fails when the answers are paid for
        raise UsageError(f"{name} cannot be written: {error.strerror}") from None
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise UsageError(f"{name} cannot be written: permission denied")
    folder = os.path.dirname(target)
    try:
        descriptor, path = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(target)[:100]}.")
    except FileNotFoundError as error:
        raise UsageError(f"{name} cannot be written: {reason_for(error, target)}") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be written: a new file in {folder!r} fails: {error.strerror}") from None
    os.close(descriptor)
    os.chmod(path, _mode(target))
    return path


def _mode(target: str) -> int:
    """The mode of the file that is replaced, else that of a new file."""
    try:
        return stat.S_IMODE(os.stat(target).st_mode)
    except OSError:
        return without_umask(0o666)


def without_umask(mode: int) -> int:
    """The mode of a new file after the user's umask is applied."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask
