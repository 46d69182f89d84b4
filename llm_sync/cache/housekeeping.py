"""Looking after a store: what is in it, and removing what is old, too much, unreadable or left behind."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from llm_sync.cache import files
from llm_sync.cache.settings import is_older
from llm_sync.cache.store import Store

_LEFT_BEHIND_S = 3600.0  # age of a temporary file whose writer must be dead
_FILL = 0.9  # share of max_bytes that is left when the oldest answers are removed


class StoredFile(NamedTuple):
    """The file of an answer: its size in bytes, and when it was written or last read, in seconds since 1970."""

    path: str
    size: int
    used: float


@dataclass
class Overview:
    """What a store holds. ``unreadable``: files that are no answers. ``models``: answers by model. ``cost``: USD, where known."""

    folder: str
    answers: int = 0
    bytes: int = 0
    unreadable: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    cost: float = 0.0
    models: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        times = {name: None if (at := getattr(self, name)) is None else at.isoformat() for name in ("oldest", "newest")}
        return {**vars(self), **times, "models": dict(self.models), "cost": round(self.cost, 6)}


@dataclass
class Removed:
    """What was removed, or would be: ``answers``, ``bytes``, ``leftovers`` of killed processes, ``unreadable`` files."""

    answers: int = 0
    bytes: int = 0
    leftovers: int = 0
    unreadable: int = 0


def overview(store: Store) -> Overview:
    """Reads every file once."""
    result = Overview(store.folder)
    for path in store.paths():
        entry = store.load(path)
        with contextlib.suppress(OSError):
            result.bytes += os.lstat(path).st_size
        if entry is None:
            result.unreadable += 1
            continue
        result.answers += 1
        result.models[f"{entry.dialect}/{entry.model}"] += 1
        result.cost += entry.cost or 0.0
        result.oldest = entry.stored if result.oldest is None else min(result.oldest, entry.stored)
        result.newest = entry.stored if result.newest is None else max(result.newest, entry.stored)
    return result


def prune(store: Store, *, max_age: float | None = None, max_bytes: int | None = None) -> Removed:
    """Remove answers older than ``max_age`` seconds, files that are no answers, what killed processes left behind, and then the
    answers that were not used for longest, until the rest is at most ``max_bytes``. A file that cannot be read stays, and so does
    an answer of a later release. Raises OSError for a file that cannot be removed."""
    removed = Removed(leftovers=_remove_leftovers(store))
    for path in list(store.paths()):
        entry = store.load(path)
        if entry is None:
            removed.unreadable += store.is_damaged(path) and store.remove(path)
        elif max_age is not None and is_older(entry.stored, max_age):
            _remove(store, path, removed)
    if max_bytes is not None:
        _shrink(store, max_bytes, max_bytes, removed)
    return removed


def clear(store: Store) -> Removed:
    """Remove all answers and leftovers, and the folders that are empty then. Other files are left. Raises OSError."""
    removed = Removed(leftovers=_remove_leftovers(store, 0.0))
    for path in list(store.paths()):
        _remove(store, path, removed)
    for folder in [*store.subfolders(), store.folder] if removed.answers else ():
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return removed


def shrink(store: Store, max_bytes: int) -> None:
    """Remove the answers that were not used for longest if there are more than ``max_bytes``. Never raises."""
    with contextlib.suppress(OSError):
        _shrink(store, max_bytes, int(max_bytes * _FILL), Removed())


def _shrink(store: Store, max_bytes: int, target: int, removed: Removed) -> None:
    stored = [file for path in store.paths() if (file := _stored_file(path)) is not None]
    total = sum(file.size for file in stored)
    if total <= max_bytes:
        return
    for file in sorted(stored, key=lambda file: file.used):
        if total <= target:
            return
        _remove(store, file.path, removed)
        total -= file.size


def _stored_file(path: str) -> StoredFile | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return StoredFile(path, status.st_size, max(status.st_mtime, status.st_atime))


def _remove(store: Store, path: str, removed: Removed) -> None:
    file = _stored_file(path)
    if file is not None and store.remove(path):
        removed.answers += 1
        removed.bytes += file.size


def _remove_leftovers(store: Store, age: float = _LEFT_BEHIND_S, clock: Callable[[], float] = time.time) -> int:
    """Remove the temporary files of writers that were killed."""
    count = 0
    for folder in store.subfolders():
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            for each in found:
                if each.name.startswith(".") and each.name.endswith(files.TEMPORARY) and each.is_file(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        if each.stat(follow_symlinks=False).st_mtime <= clock() - age:
                            os.unlink(each.path)
                            count += 1
    return count
