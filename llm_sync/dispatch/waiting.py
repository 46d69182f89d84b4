"""Waiting for a future, and what becomes of it when the wait ends first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from typing import Any

from llm_sync.dispatch import ending, refusals
from llm_sync.dispatch.future import RequestFuture, seconds
from llm_sync.errors import LLMConnectorError

Outcome = tuple[Any, "BaseException | None"]
"""What a call returned, and None; or None, and what it raised."""

LOOK_UP_S = 0.2
"""How often a waiting main thread looks up: a signal that comes just before it falls asleep does not wake it (CPython notes
the signal, then blocks), and a Ctrl-C sent once would be heard only with the answer."""


def outcome(future: Future[Any]) -> Outcome:
    """Wait for ``future``; raises only what ends the wait itself, never what the request failed with."""
    found = outcome_within(future, None)
    assert found is not None  # noqa: S101  (without a limit it waits for it)
    return found


def outcome_within(future: Future[Any], timeout: float | None) -> Outcome | None:
    """As ``outcome``, but None when it takes longer than ``timeout`` seconds."""
    try:
        if isinstance(future, RequestFuture) and not _wait(future, timeout):
            return None
        error = future.exception()
    except CancelledError:
        return None, refusals.cancelled(*_named(future))
    except KeyboardInterrupt:
        ending.note_interrupt()
        raise
    return (future.result(), None) if error is None else (None, error)


def _wait(future: RequestFuture, timeout: float | None) -> bool:
    future.refuse_own_worker()
    if threading.current_thread() is not threading.main_thread():
        return future.wait(timeout)
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LOOK_UP_S if until is None else until - time.monotonic()
        if future.wait(max(0.0, min(left, LOOK_UP_S))):
            return True
        if left <= 0:
            return False


def answer(future: Future[Any], timeout: float | None, asked: float | None) -> Any:
    """What ``future`` returns, or its error raised; whatever else ends the wait withdraws the request.

    RequestTimeoutError after ``timeout`` seconds, which tells of ``asked``: some of that may have been spent before.
    """
    error: BaseException | None = None
    try:
        value, error = _outcome_in_time(future, timeout, asked)
        if error is not None:
            raise error
        return value
    finally:
        error = None  # its traceback holds this frame
        del future


def _outcome_in_time(future: Future[Any], timeout: float | None, asked: float | None) -> Outcome:
    try:
        found = outcome_within(future, seconds(timeout))
    except BaseException:
        withdraw([future])
        raise
    if found is not None:
        return found
    if future.cancel():
        what = "the request still waits in the queue; it is cancelled and nothing was sent"
    elif (found := outcome_within(future, 0)) is not None:
        return found
    else:
        what = "the request is in flight and goes on; its answer is dropped, and may be billed"
    raise refusals.expired(asked, what, *_named(future))


def withdraw(futures: Iterable[Future[Any]]) -> None:
    """Nobody wants their outcomes any more."""
    for future in futures:
        if isinstance(future, RequestFuture):
            future.withdraw()


def failed(error: LLMConnectorError) -> Future[Any]:
    """The outcome of a request that could not be queued."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _named(future: Future[Any]) -> tuple[str | None, str | None]:
    return (future.owner.name, future.model) if isinstance(future, RequestFuture) else (None, None)
