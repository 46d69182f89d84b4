"""The folder of the conversations, the names of the files in it, and what such a file must be before it is opened."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import datetime, timezone

from llm_sync.errors import ConfigurationError

SUFFIX = ".jsonl"
MAX_BYTES = 64 * 2**20  # of one conversation
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}", re.ASCII)
_GROUP_AND_OTHERS = 0o077


class NoConversation(Exception):
    """There is no conversation of that name, or none at all; the message says which."""


def folder_of_user(*, simulated: bool) -> str:
    """Where this user's conversations are; those with simulated models are apart. Raises ConfigurationError without a home."""
    from platformdirs import user_state_dir

    try:
        folder = user_state_dir("llm-sync", appauthor=False)
    except (OSError, RuntimeError):
        folder = ""
    if not os.path.isabs(folder):
        raise ConfigurationError("the history has no place: no home folder is known", guidance="Set HOME.")
    return os.path.join(folder, "simulated-history" if simulated else "history")


def prepare(folder: str) -> None:
    """Create the folder for this user alone, or check the one that is there. Raises ConfigurationError."""
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _unusable(folder, f"cannot be used: {getattr(error, 'strerror', None) or error}") from None
    _check(folder)


def _check(folder: str) -> bool:
    """Whether the folder is there. Raises ConfigurationError unless it is a folder of this user alone."""
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise _unusable(folder, f"cannot be used: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise _unusable(folder, "is a link, or no folder at all")
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid():
            raise _unusable(folder, f"belongs to another user (uid {status.st_uid})")
        if status.st_mode & _GROUP_AND_OTHERS:
            raise _unusable(folder, f"is accessible to others (mode {stat.S_IMODE(status.st_mode):o})")
    return True


def new_id() -> str:
    """The name of a new conversation: when it begins (UTC), and what tells it from others of the same second."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def path_of(folder: str, conversation: str) -> str:
    """The file of a conversation. Raises NoConversation for what cannot be the name of one."""
    if not _ID.fullmatch(conversation):
        raise NoConversation(f"{conversation[:80]!r} is not the name of a conversation")
    return os.path.join(folder, conversation + SUFFIX)


def names(folder: str) -> list[str]:
    """The names of all conversations that something was said in, the one used last first; () without the folder.

    Links, files of others and everything else that is no conversation are left out. Raises ConfigurationError.
    """
    used = sorted(_used(folder), reverse=True)
    return [name for _, name in used]


def _used(folder: str) -> Iterator[tuple[int, str]]:
    """When each was used last, in nanoseconds since 1970, and its name."""
    if not _check(folder):
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise _unusable(folder, f"cannot be read: {error.strerror or error}") from None
    for entry in entries:
        name = entry.name.removesuffix(SUFFIX)
        if not entry.name.endswith(SUFFIX) or not _ID.fullmatch(name):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # it was deleted meanwhile
        if status.st_size and why_refused(status) is None:
            yield status.st_mtime_ns, name


def why_refused(status: os.stat_result) -> str | None:
    """Why a file is no conversation of this user; None: it may be one."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid})"
    if status.st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES >> 20} MiB"
    return None


def find(folder: str, beginning: str) -> str:
    """The conversation whose name begins so. Raises NoConversation if there is none, or more than one."""
    found = [name for name in names(folder) if beginning and name.startswith(beginning)]
    if len(found) == 1 or beginning in found:
        return beginning if beginning in found else found[0]
    problem = "is the beginning of several names" if found else "is the name of no conversation"
    raise NoConversation(f"{beginning[:80]!r} {problem}")


def last(folder: str) -> str:
    """The conversation used last. Raises NoConversation if there is none."""
    found = names(folder)
    if not found:
        raise NoConversation("there is no conversation to go on with")
    return found[0]


def _unusable(folder: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"the history {folder!r} {problem}", guidance="Make it a folder of your own with mode 700, or keep no history."
    )
