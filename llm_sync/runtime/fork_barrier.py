"""Work that no fork may interrupt: a fork waits until every thread has left it.

A lock inside a library that a thread holds at the moment of a fork stays locked in the child: that thread does not exist there.
Two kinds of work take such locks: imports (import_lock.py), and the making of TLS contexts and handshakes (transport/tls.py).
"""

from __future__ import annotations

# Import logging first. A fork calls what was registered in reverse order, and imported modules take logging's lock. A fork that
# took logging's lock before it waits here would deadlock with an import that it waits for.
import logging  # noqa: F401
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_MAX_WAIT_S = 10.0
_STEP_S = 0.001


class _ForkBarrier:
    """No fork happens while a thread is in its ``with`` block. Threads are in it side by side, and one may enter it again.

    It is not a lock that one thread holds against others: an exception that a signal handler raises just before the block is left
    would keep such a lock for ever, and every later block would hang. A block counts while its frame is on its thread's stack.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, list[int]] = {}  # thread -> frames of the blocks it is in; each thread writes its own entry alone
        self._gate = threading.Lock()  # held by a thread that forks
        self._forking: int | None = None

    def __enter__(self) -> None:
        me, frame = threading.get_ident(), sys._getframe(1)  # noqa: SLF001  # the frame of the block
        if self._is_inside(me, frame):
            self._blocks[me].append(id(frame))
            return
        while True:
            self._blocks[me] = [id(frame)]  # before the look at the gate: a fork that closes it afterwards sees this
            if self._forking in (None, me):
                return
            self._blocks[me] = []
            with self._gate:
                pass

    def __exit__(self, *exception: object) -> None:
        blocks = self._blocks.get(threading.get_ident())
        if blocks:
            blocks.pop()

    def before_fork(self) -> None:
        """Let no other thread enter a block, and wait until those that are in one have left it."""
        self._gate.acquire()
        me = self._forking = threading.get_ident()
        until = time.monotonic() + _MAX_WAIT_S
        while self._others_are_inside(me) and time.monotonic() < until:
            time.sleep(_STEP_S)

    def after_fork_in_parent(self) -> None:
        """Let others enter again."""
        self._forking = None
        self._gate.release()

    def after_fork_in_child(self) -> None:
        """As in the parent; the threads of the parent are not here."""
        me = threading.get_ident()
        self._blocks = {me: self._blocks.get(me, [])}
        self._forking = None
        self._gate = threading.Lock()

    def _others_are_inside(self, me: int) -> bool:
        running = sys._current_frames()  # noqa: SLF001  # there is no other way to look at a thread
        return any(self._is_inside(thread, running.get(thread)) for thread in list(self._blocks) if thread != me)

    def _is_inside(self, thread: int, frame: FrameType | None) -> bool:
        """Whether a block of the thread is on its stack, of which ``frame`` is the last."""
        blocks = self._blocks.get(thread)
        if not blocks:
            return False
        while frame is not None and id(frame) not in blocks:
            frame = frame.f_back
        return frame is not None


fork_barrier = _ForkBarrier()
"""Use ``with fork_barrier:`` around short work that waits for no peer. What runs in it may enter it again, or fork."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=fork_barrier.before_fork,
        after_in_parent=fork_barrier.after_fork_in_parent,
        after_in_child=fork_barrier.after_fork_in_child,
    )
