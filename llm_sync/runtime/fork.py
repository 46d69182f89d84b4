"""What must be made anew in a child after ``os.fork``: the locks, queues and threads it inherits belong to nobody there.

Nothing inherited is locked, unlocked or closed: a thread that does not exist in the child may hold it, and the parent
goes on using what lies behind it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Protocol


class Forkable(Protocol):
    """Something with state that no child may inherit as it is."""

    def reset_after_fork(self) -> None:
        """In the child, in its only thread: replace what was inherited. May be called more than once."""


_lock = threading.Lock()  # guards _watched (from add to add) and _registered
_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_registered = False


def watch(thing: Forkable) -> None:
    """Reset ``thing`` in every child forked from now on, for as long as it lives. Any thread may call this."""
    global _registered  # noqa: PLW0603  (os.register_at_fork can be called once only, and never be undone)
    with _lock:
        _watched.add(thing)
        if not _registered and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_in_child)
            _registered = True


def run_all(steps: Iterable[Callable[[], object]]) -> None:
    """Run every one of ``steps``, whatever the others raise; then raise the first error (Python prints it)."""
    failure: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as error:  # noqa: BLE001, PERF203  (the others must run all the same)
            failure = error if failure is None else failure
    if failure is not None:
        raise failure


def _in_child() -> None:
    global _lock, _watched  # noqa: PLW0603  (a thread that is gone may hold the one, or iterate over the other)
    _lock = threading.Lock()
    things = list(_watched)
    _watched = weakref.WeakSet(things)
    run_all(thing.reset_after_fork for thing in things)
