"""A ``Future`` that has a lock only where somebody asks for it: of thousands in flight, hardly any needs one."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from typing import Any

from llm_sync.runtime import interrupts

LOCK_PATIENCE_S = 0.05  # how long a worker waits for the lock of a future; see UnlockedFuture.is_locked
CANCELLED = ("CANCELLED", "CANCELLED_AND_NOTIFIED")
DONE = (*CANCELLED, "FINISHED")


class UnlockedFuture(Future[Any]):
    """``cancel`` and the functions of concurrent.futures find the lock that they use; it is made then.

    Under "lock" stands either that lock or, before there is one, the outcome: which of them came first is decided by
    ``dict.setdefault``. So whoever has the lock either sees the future done, or keeps it from being done meanwhile.
    """

    # Future.__init__ is not called: for each future it makes a lock of nine objects, and two lists.
    _state = "PENDING"
    _result: Any = None
    _exception: BaseException | None = None

    def __init__(self) -> None:
        self._once: dict[str, Any] = {}  # what is decided or made once, by setdefault, in any thread

    @property
    def _condition(self) -> Any:
        kept = self._once.get("lock")
        if kept is None:
            # Of this class, because an interrupt of the main thread must not leave it locked.
            kept = self._once.setdefault("lock", interrupts.Condition())
        if type(kept) is tuple:
            self._finish(kept)  # the thread that completes it may not have come so far
            kept = self._once.setdefault("lock when done", interrupts.Condition())
        return kept

    @_condition.setter
    def _condition(self, condition: Any) -> None:
        is_done = type(self._once.get("lock")) is tuple
        self._once["lock when done" if is_done else "lock"] = condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        return self._once.setdefault("waiters", [])  # type: ignore[no-any-return]

    @property
    def has_callbacks(self) -> bool:
        """Whether something is to be called when it is done."""
        return "callbacks" in self._once

    def _invoke_callbacks(self) -> None:
        """Called when the future is done."""
        raise NotImplementedError  # Future's reads its list of callbacks

    def set_result(self, result: Any) -> None:
        """Like ``Future.set_result``."""
        if self._complete((result, None)):
            self._invoke_callbacks()
        else:
            super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        """Like ``Future.set_exception``."""
        try:
            if self._complete((None, exception)):
                self._invoke_callbacks()
            else:
                super().set_exception(exception)
        finally:
            del exception  # its traceback may refer to this frame

    def _complete(self, outcome: tuple[Any, BaseException | None]) -> bool:
        """Complete the future without a lock; False if there is one, so that ``Future`` must do it."""
        try:
            kept = outcome if self._state in DONE else self._once.setdefault("lock", outcome)
            if type(kept) is not tuple:
                return False
            if self._state in DONE or kept is not outcome:
                raise InvalidStateError(f"{self._state}: {self!r}")
            self._finish(outcome)
            return True
        finally:
            del outcome

    def _finish(self, outcome: tuple[Any, BaseException | None]) -> None:
        """Write the outcome into the fields of ``Future``. Two threads may do so at the same time, as it is the same one."""
        self._result, self._exception = outcome
        self._state = "FINISHED"

    def is_locked(self) -> bool:
        """Whether another thread keeps a lock that completing the future needs: one that a signal handler interrupted, perhaps
        to wait for a request. A worker must not wait for such a thread, which may be waiting for the worker."""
        condition = self._once.get("lock")
        if condition is None or type(condition) is tuple:
            return False
        if not condition.acquire(timeout=LOCK_PATIENCE_S):
            return True
        condition.release()
        for waiter in self._waiters:  # of concurrent.futures, which have locks of their own
            if (lock := getattr(waiter, "lock", None)) is not None:
                if not lock.acquire(timeout=LOCK_PATIENCE_S):
                    return True
                lock.release()
        return False
