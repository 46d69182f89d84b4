"""The private folder in which the processes of one user meet."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable

from llm_sync.errors import ConfigurationError

VARIABLE = "LLM_SYNC_RUNTIME_DIR"
PROVIDERS = "providers"  # in it, the folders of those who meet about one provider

_NAME = "llm-sync"
_SESSIONS = "/run/user"  # where systemd has the runtime folders of those who are logged in
_COMMON = "/tmp"  # noqa: S108  (a private folder is made in it)
_OTHERS = 0o077  # the mode bits that give anybody else anything


def runtime_folder() -> str:
    """The folder's path, the folder made if need be.

    ``$LLM_SYNC_RUNTIME_DIR``, else ``llm-sync`` in the user's runtime folder, else ``llm-sync-UID`` in ``/tmp``. Raises
    ConfigurationError when it cannot be made, is a link, belongs to somebody else or is open to others.
    """
    if not hasattr(os, "geteuid"):
        raise ConfigurationError(
            "processes cannot share anything here: that takes file locks (flock), which this system has not",
            guidance="Use machine_wide, publish_status and 'llm-sync status' on Linux or macOS.",
        )
    given = os.environ.get(VARIABLE)
    if given:
        path = os.path.expanduser(given)
        if not os.path.isabs(path):
            raise _unusable(given, f"is not an absolute path, so it would be another folder for each process (${VARIABLE})")
        return private_folder(os.path.normpath(path))  # without the last slash, behind which a link would not show
    users = _users_runtime_folder()
    if users is not None:
        return private_folder(os.path.join(users, _NAME))
    return private_folder(os.path.join(_shared_temporary_folder(), f"{_NAME}-{os.geteuid()}"))


def private_folder(path: str) -> str:
    """``path``, made if it is not there, and checked: a folder of this user alone. Raises ConfigurationError."""
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        found = os.lstat(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, f"cannot be used: {getattr(error, 'strerror', None) or error}") from None
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        raise _unusable(path, "is a link, no folder")
    if found.st_uid != os.geteuid():
        raise _unusable(path, f"belongs to another user (uid {found.st_uid})")
    if mode & _OTHERS:
        raise _unusable(
            path, f"is open to others (mode {mode:o})", f"Close it (chmod 700), or set {VARIABLE} to a folder of yours."
        )
    return path


class Meeting:
    """The folder where all processes meet that use one provider in one way.

    ``identity`` gives a digest of what tells it from others: dialect, address and key; the configuration's name does not
    count. It is asked anew each time, as keys change, and may raise LLMConnectorError. Making a Meeting raises
    ConfigurationError where there can be no private folder.
    """

    def __init__(self, identity: Callable[[], str]) -> None:
        self._identity = identity
        self._runtime = runtime_folder()

    def folder(self) -> str:
        """Its path; the folder may not be there yet."""
        return os.path.join(self._runtime, PROVIDERS, self._identity()[:32])

    def made(self) -> str:
        """Its path, the folder made. Raises ConfigurationError."""
        path = self.folder()
        private_folder(self._runtime)
        private_folder(os.path.dirname(path))
        return private_folder(path)


def _users_runtime_folder() -> str | None:
    """The login session's, which cron does not name: it is looked for."""
    for path in (os.environ.get("XDG_RUNTIME_DIR"), os.path.join(_SESSIONS, str(os.geteuid()))):
        try:
            found = os.stat(path) if path and os.path.isabs(path) else None
        except (OSError, ValueError):
            continue
        if (
            found is not None
            and stat.S_ISDIR(found.st_mode)
            and found.st_uid == os.geteuid()
            and not found.st_mode & _OTHERS
            and os.access(path or "", os.W_OK | os.X_OK)
        ):
            return path
    return None


def _shared_temporary_folder() -> str:
    # Not first $TMPDIR: it differs from process to process, which would not meet.
    return _COMMON if os.access(_COMMON, os.W_OK | os.X_OK) else tempfile.gettempdir()


def _unusable(
    path: str, why: str, guidance: str = f"Set {VARIABLE} to the absolute path of a folder of yours."
) -> ConfigurationError:
    return ConfigurationError(f"the runtime folder {path!r} {why}", guidance=guidance)
