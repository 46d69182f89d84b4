"""The private runtime folder, through which the processes of one user share state."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable

from llm_sync.errors import ConfigurationError
from llm_sync.events import logger

VARIABLE = "LLM_SYNC_RUNTIME_DIR"
PROVIDERS = "providers"  # the subfolder with one folder per shared provider

_NAME = "llm-sync"
_LOGIN_SESSIONS = "/run/user"  # where systemd keeps the runtime folders of logged-in users
_TEMPORARY = "/tmp"  # noqa: S108  (a private folder is created in it)
_GROUP_AND_OTHERS = 0o077  # the mode bits that give access to anybody else

_log = logger("machine")
_reported: set[str] = set()  # folders of other users that a warning has named


def runtime_folder() -> str:
    """The folder's path; the folder is created if it is missing.

    ``$LLM_SYNC_RUNTIME_DIR``, else ``llm-sync`` in the user's login session folder, else ``llm-sync-UID`` in ``/tmp``, else,
    if something of another user is there, ``llm-sync/runtime`` in the user's cache folder. Raises ConfigurationError if it
    cannot be created, is a link, belongs to another user or is accessible to others.
    """
    if not hasattr(os, "geteuid"):
        raise ConfigurationError(
            "processes cannot share state here: this system has no file locks (flock)",
            guidance="Use machine_wide, publish_status and 'llm-sync status' on Linux or macOS.",
        )
    configured = os.environ.get(VARIABLE)
    if configured:
        path = os.path.expanduser(configured)
        if not os.path.isabs(path):
            raise _folder_error(configured, f"is not an absolute path, so each process would use another folder (${VARIABLE})")
        return private_folder(os.path.normpath(path))  # without a trailing slash, which would hide a link
    session = _session_folder()
    if session is not None:
        return private_folder(os.path.join(session, _NAME))
    path = os.path.join(_temporary_folder(), f"{_NAME}-{os.geteuid()}")
    if not _is_of_other_user(path):
        return private_folder(path)
    instead = private_folder(os.path.join(_cache_folder(), _NAME, "runtime"))
    if path not in _reported:
        _reported.add(path)
        _log.warning("%s belongs to another user; %s is used instead", path, instead)
    return instead


def examine_runtime_folder() -> tuple[str, str | None]:
    """The path that ``runtime_folder`` would return, and why it cannot be used (None: it can). Creates nothing."""
    configured = os.environ.get(VARIABLE)
    session = _session_folder() if hasattr(os, "geteuid") else None
    if configured:
        path = os.path.expanduser(configured)
        if not os.path.isabs(path):
            return path, "is not an absolute path"
    elif not hasattr(os, "geteuid"):
        return _TEMPORARY, "cannot be locked on this system"
    elif session is not None:
        path = os.path.join(session, _NAME)
    else:
        path = os.path.join(_temporary_folder(), f"{_NAME}-{os.geteuid()}")
        path = os.path.join(_cache_folder(), _NAME, "runtime") if _is_of_other_user(path) else path
    try:
        _check_private(os.path.normpath(path), os.lstat(os.path.normpath(path)))
    except FileNotFoundError:
        above = os.path.dirname(os.path.normpath(path))
        while not os.path.lexists(above) and os.path.dirname(above) != above:
            above = os.path.dirname(above)
        usable = os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)
        return path, None if usable else f"cannot be created: {above} is not writable"
    except OSError as error:
        return path, f"cannot be used: {error.strerror or error}"
    except ConfigurationError as error:
        return path, error.message.partition(f"{os.path.normpath(path)!r} ")[2]
    return path, None if os.access(path, os.W_OK | os.X_OK) else "is not writable"


def private_folder(path: str) -> str:
    """``path``, created if missing and checked to be a folder of this user alone. Raises ConfigurationError."""
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        status = os.lstat(path)
    except (OSError, ValueError) as error:
        raise _folder_error(path, f"cannot be used: {getattr(error, 'strerror', None) or error}") from None
    _check_private(path, status)
    return path


def _check_private(path: str, status: os.stat_result) -> None:
    """Raise ConfigurationError unless ``path`` is a folder of this user alone."""
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        raise _folder_error(path, f"is a {'link' if stat.S_ISLNK(status.st_mode) else 'file'}, not a folder")
    if status.st_uid != os.geteuid():
        raise _folder_error(path, f"belongs to another user (uid {status.st_uid})")
    if mode & _GROUP_AND_OTHERS:
        raise _folder_error(
            path,
            f"is accessible to others (mode {mode:o})",
            f"Restrict it (chmod 700), or set {VARIABLE} to a folder of your own.",
        )


class SharedDirectory:
    """The folder shared by all processes that use one provider in the same way.

    ``identity`` returns a digest of dialect, address and key, independent of names in the configuration. It is called each
    time, since keys change, and may raise LLMConnectorError. The runtime folder is looked for each time, too: the end of a
    login session removes it, and processes that start later use another one. The constructor raises ConfigurationError if
    there can be no private folder.
    """

    def __init__(self, identity: Callable[[], str]) -> None:
        self._identity = identity
        runtime_folder()

    def path(self) -> str:
        """Its path; the folder may not exist yet. Raises ConfigurationError if there can be no private folder now."""
        return self._path(self._identity())

    def create(self) -> str:
        """Its path; the folder is created if it is missing. Raises ConfigurationError, which may pass (``retryable``)."""
        identity = self._identity()
        try:
            path = self._path(identity)
            private_folder(os.path.dirname(path))
            return private_folder(path)
        except ConfigurationError as error:
            error.retryable = True  # it worked when the client was opened
            raise

    def _path(self, identity: str) -> str:
        return os.path.join(runtime_folder(), PROVIDERS, identity[:32])


def _session_folder() -> str | None:
    """The login session's private folder; cron jobs do not get it in a variable, so it is searched for."""
    for path in (os.environ.get("XDG_RUNTIME_DIR"), os.path.join(_LOGIN_SESSIONS, str(os.geteuid()))):
        try:
            status = os.stat(path) if path and os.path.isabs(path) else None
        except (OSError, ValueError):
            continue
        if (
            status is not None
            and stat.S_ISDIR(status.st_mode)
            and status.st_uid == os.geteuid()
            and not status.st_mode & _GROUP_AND_OTHERS
            and os.access(path or "", os.W_OK | os.X_OK)
        ):
            return path
    return None


def _temporary_folder() -> str:
    # /tmp before $TMPDIR: the variable differs between processes, which must share one folder.
    return _TEMPORARY if os.access(_TEMPORARY, os.W_OK | os.X_OK) else tempfile.gettempdir()


def _cache_folder() -> str:
    configured = os.environ.get("XDG_CACHE_HOME", "")
    return configured if os.path.isabs(configured) else os.path.expanduser("~/.cache")


def _is_of_other_user(path: str) -> bool:
    try:
        return os.lstat(path).st_uid != os.geteuid()
    except OSError:
        return False


def _folder_error(
    path: str, problem: str, guidance: str = f"Set {VARIABLE} to the absolute path of a folder of your own."
) -> ConfigurationError:
    return ConfigurationError(f"the runtime folder {path!r} {problem}", guidance=guidance)
