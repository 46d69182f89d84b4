"""Reset objects in the child after ``os.fork``: it inherits locks and queues, but not the threads that use them.

Never lock, unlock or close an inherited object: a thread that does not exist in the child may hold it, and the parent
still uses the resource behind it.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from typing import Protocol


class Forkable(Protocol):
    """An object whose state must be replaced in a forked child."""

    def reset_after_fork(self) -> None:
        """Replace inherited state. Called in the child, in its only thread, possibly more than once."""


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()  # add is atomic; only a child, in its only thread, reads it
_registered = False


def watch(thing: Forkable) -> None:
    """Reset ``thing`` in every child forked from now on, while ``thing`` exists. Any thread may call this."""
    global _registered  # noqa: PLW0603  (a hook of os.register_at_fork cannot be removed, so it is registered on first use)
    _watched.add(thing)
    if not _registered and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)  # by two threads at once, twice: the second run finds nothing to do
        _registered = True


def run_all(steps: Iterable[Callable[[], object]]) -> None:
    """Run all ``steps``, even if some raise; then raise the first error (Python prints it)."""
    failure: BaseException | None = None
    for step in steps:
        try:
            step()
        except BaseException as error:  # noqa: BLE001, PERF203  (the other steps must still run)
            failure = error if failure is None else failure
    if failure is not None:
        raise failure


def _in_child() -> None:
    run_all([thing.reset_after_fork for thing in list(_watched)])
