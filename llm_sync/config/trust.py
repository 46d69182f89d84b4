"""Which configurations the user trusts: recorded by the file's path and by what is in it, in the user's state folder.

A configuration that is found in the working folder without being named may need trust (trust_rules.py says for what). A record
holds for one path and one content: a file that was changed, moved or copied is untrusted again, and so is one that belongs to
another user. Each record is a file of its own, so that two processes cannot lose each other's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from llm_sync.config.normalize import Normalized, normalize
from llm_sync.config.trust_rules import trust_needs
from llm_sync.errors import ConfigurationError, Problem
from llm_sync.validation.document import MAX_BYTES, Document, FileFormat, printable
from llm_sync.validation.yaml_document import parse_document

TRUSTED, CHANGED, UNTRUSTED, FOREIGN = "trusted", "changed", "untrusted", "foreign"
STATES = (TRUSTED, CHANGED, UNTRUSTED, FOREIGN)
_MAX_RECORD = 16 * 1024  # bytes


class TrustRecord(NamedTuple):
    """One trusted file. ``path``: absolute, links resolved; ``digest``: SHA-256 of its content; ``recorded``: UTC, ISO 8601."""

    path: str
    digest: str
    recorded: str


class TrustStatus(NamedTuple):
    """Whether a file is trusted.

    ``state``: "trusted"; "changed" since it was; "untrusted", never recorded; or "foreign", belonging to another user.
    ``digest``: SHA-256 of the content that was judged; ``record``: what is recorded for the path, None for nothing.
    """

    path: str
    state: str
    digest: str
    record: TrustRecord | None


class TrustReview(NamedTuple):
    """A file before it is trusted. ``needs``: what in it needs trust, with file, line and field; () where nothing does."""

    status: TrustStatus
    needs: tuple[Problem, ...]


def trust_status(path: str | os.PathLike[str], content: bytes | None = None) -> TrustStatus:
    """Whether the file at ``path`` is trusted; ``content``: what was read from it, if it was.

    Raises ConfigurationError for a file that cannot be read.
    """
    real = os.path.realpath(path)
    current, owner = _read(real)
    digest = _digest(current if content is None else content)
    record = _load(_record_path(real))
    if record is not None and record.path != real:
        record = None
    if owner is not None and owner != os.geteuid():
        return TrustStatus(real, FOREIGN, digest, record)
    if record is None:
        return TrustStatus(real, UNTRUSTED, digest, None)
    return TrustStatus(real, TRUSTED if record.digest == digest else CHANGED, digest, record)


def review(path: str | os.PathLike[str]) -> TrustReview:
    """What trusting a file would allow. Runs nothing and reads nothing but this file.

    Raises ConfigurationError for a file that cannot be read, or is not a configuration at all.
    """
    content, _ = _read(os.path.realpath(path))
    document = parse_document(content, printable(path), FileFormat("a configuration"))
    if not isinstance(document.value, dict):
        raise ConfigurationError(f"{document.file} is not a configuration", problems=tuple(document.problems))
    return TrustReview(trust_status(path, content), trust_needs(document, normalize(document)))


def record_trust(path: str | os.PathLike[str], *, digest: str | None = None) -> TrustRecord:
    """Trust a file as it is now. ``digest``: of the content that was reviewed; another content is refused.

    Raises ConfigurationError for a file that cannot be read, belongs to another user or was changed since the review, and
    where the record cannot be written.
    """
    status = trust_status(path)
    if status.state == FOREIGN:
        raise ConfigurationError(
            f"{printable(status.path)} belongs to another user, who can change it",
            guidance="Copy it, or name it with --config.",
        )
    if digest is not None and digest != status.digest:
        raise ConfigurationError(f"{printable(status.path)} was changed meanwhile", guidance="Review it again.")
    record = TrustRecord(status.path, status.digest, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    target = _record_path(status.path)
    if target is None:
        raise ConfigurationError("there is no folder to record trust in", guidance="Set HOME, or name the file with --config.")
    try:
        _write(target, json.dumps(record._asdict()).encode())
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"trust cannot be recorded in {printable(target)}: {reason}", guidance="Name the file with --config instead."
        ) from None
    return record


def revoke_trust(path: str | os.PathLike[str]) -> bool:
    """Forget that a file was trusted, whether it still exists or not. False when it was not. Raises ConfigurationError."""
    target = _record_path(os.path.realpath(path))
    if target is None:
        return False
    try:
        os.unlink(target)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(f"the record {printable(target)} cannot be removed: {error.strerror}") from None
    return True


def list_trusted() -> tuple[TrustRecord, ...]:
    """Every record, by path, also of files that were changed or removed since."""
    folder = _folder()
    try:
        names = os.listdir(folder) if folder else []
    except OSError:
        names = []
    records = (_load(os.path.join(str(folder), name)) for name in names if name.endswith(".json"))
    return tuple(sorted(record for record in records if record is not None))


def require_trust(document: Document, normalized: Normalized) -> None:
    """Raise ConfigurationError for a file that needs trust and has none; ``problems`` lists what it needs trust for."""
    needs = trust_needs(document, normalized)
    if not needs or document.content is None:
        return
    status = trust_status(document.path, document.content)
    if status.state == TRUSTED:
        return
    why = {
        CHANGED: "was changed since you trusted it",
        FOREIGN: "belongs to another user, who can change it",
    }.get(status.state, "is not trusted")
    path = shlex.quote(printable(document.path))
    ways = f"name it with --config {path}, or set LLM_SYNC_CONFIG_DIR to its folder"
    trust = "" if status.state == FOREIGN else f"trust it once with: llm-sync trust {path}; or "
    raise ConfigurationError(
        f"{document.file} was found in the working folder and {why}",
        problems=needs,
        guidance=f"If you wrote it or have read it, {trust}{ways}.",
    )


def _digest(content: bytes) -> str:
    from hashlib import sha256  # loads OpenSSL

    return sha256(content).hexdigest()


def _read(path: str) -> tuple[bytes, int | None]:
    """The content of a regular file and its owner (None where there are no owners). Raises ConfigurationError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with open(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError(f"{printable(path)} is not a regular file", guidance="Name a configuration file.")
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file name"
        raise ConfigurationError(f"{printable(path)} cannot be read: {reason}") from None
    return content, status.st_uid if hasattr(os, "geteuid") else None


def _folder() -> str | None:
    """Where the records are; None where the system knows no home."""
    from platformdirs import user_state_dir

    try:
        folder = user_state_dir("llm-sync", appauthor=False)
    except (OSError, RuntimeError):  # no HOME and no account
        return None
    return os.path.join(folder, "trusted") if os.path.isabs(folder) else None


def _record_path(path: str) -> str | None:
    folder = _folder()
    name = _digest(os.fsencode(path))
    return os.path.join(folder, f"{name}.json") if folder else None


def _load(path: str | None) -> TrustRecord | None:
    """The record in a file; None for anything that is not a record of this user's."""
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            content = stream.read(_MAX_RECORD + 1)
        if not stat.S_ISREG(status.st_mode) or len(content) > _MAX_RECORD:
            return None
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
            return None
        values = json.loads(content)
        record = TrustRecord(values["path"], values["digest"], values["recorded"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if all(isinstance(value, str) for value in record) else None


def _write(path: str, content: bytes) -> None:
    """Write a private file in one step: it is there with all its content, or not at all."""
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o700, exist_ok=True)
    with _temporary(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def _temporary(path: str) -> Iterator[str]:
    name = f"{path}.{os.getpid()}.{time.monotonic_ns()}.tmp"
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)
