"""Imports made while threads run. A fork waits for them.

Rarely needed modules are imported by the first request that needs them, on a worker thread or a calling one. A child forked
during such an import would inherit a half-imported module, locked by a thread that does not exist there; its own import of that
module would hang.
"""

from __future__ import annotations

# Import logging first. A fork calls what was registered in reverse order, and imported modules take logging's lock. A fork that
# took logging's lock before it waits here would deadlock with an import that it waits for.
import logging  # noqa: F401
import os
import sys
import threading
import time

_MAX_WAIT_S = 10.0
_STEP_S = 0.001


class _ImportLock:
    """``with`` it, a thread imports and no fork happens. Threads import side by side, and one may do so while it imports.

    It is not a lock that one thread holds against others: an exception that a signal handler raises just before the block is left
    would keep such a lock for ever, and every later import would hang. Here a later fork waits for ``_MAX_WAIT_S`` seconds.
    """

    def __init__(self) -> None:
        self._importing: dict[int, int] = {}  # thread -> how many blocks it is in; each thread writes its own entry alone
        self._gate = threading.Lock()  # held by a thread that forks
        self._forking: int | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._importing.get(me):
            self._importing[me] += 1
            return
        while True:
            self._importing[me] = 1  # before the look at the gate: a fork that closes it afterwards sees this
            if self._forking in (None, me):
                return
            self._importing[me] = 0
            with self._gate:
                pass

    def __exit__(self, *exception: object) -> None:
        me = threading.get_ident()
        self._importing[me] = max(0, self._importing.get(me, 0) - 1)

    def before_fork(self) -> None:
        """Let no other thread begin to import, and wait until those that do have ended."""
        self._gate.acquire()
        me = self._forking = threading.get_ident()
        until = time.monotonic() + _MAX_WAIT_S
        while self._others_import(me) and time.monotonic() < until:
            time.sleep(_STEP_S)

    def after_fork_in_parent(self) -> None:
        """Let others import again."""
        self._forking = None
        self._gate.release()

    def after_fork_in_child(self) -> None:
        """As in the parent; the threads of the parent are not here."""
        me = threading.get_ident()
        self._importing = {me: self._importing.get(me, 0)}
        self._forking = None
        self._gate = threading.Lock()

    def _others_import(self, me: int) -> bool:
        importing = [thread for thread, blocks in list(self._importing.items()) if blocks and thread != me]
        return bool(importing) and not sys._current_frames().keys().isdisjoint(importing)  # noqa: SLF001  # those that still run


import_lock = _ImportLock()
"""Use ``with import_lock:`` around such an import. An imported module may itself import this way or fork."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=import_lock.before_fork,
        after_in_parent=import_lock.after_fork_in_parent,
        after_in_child=import_lock.after_fork_in_child,
    )
