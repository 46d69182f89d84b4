"""Waiting for a future, and what becomes of it when the wait ends first."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from typing import Any

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.errors import LLMConnectorError
from llm_sync.runtime import interrupts

Outcome = tuple[Any, "BaseException | None"]
"""What a call returned, and None; or None, and what it raised."""


def outcome(future: Future[Any]) -> Outcome:
    """Wait for ``future``; raises only what ends the wait itself, never what the request failed with."""
    found = outcome_within(future, None)
    assert found is not None  # noqa: S101  (without a limit it waits for it)
    return found


def outcome_within(future: Future[Any], timeout: float | None) -> Outcome | None:
    """As ``outcome``, but None when it takes longer than ``timeout`` seconds."""
    try:
        if isinstance(future, RequestFuture):
            future.refuse_own_worker()
            if not any(future.wait(piece) for piece in interrupts.pieces(timeout)):
                return None
        error = future.exception()
    except CancelledError:
        return None, dispatch_errors.cancelled(*_named(future))
    except KeyboardInterrupt:
        shutdown.note_interrupt()
        raise
    return (future.result(), None) if error is None else (None, error)


def conclude(future: Future[Any], found: Outcome | None, limit: float | None) -> Any:
    """What ``future`` was found to return, or its error raised; after ``limit`` seconds, without either, the timeout's."""
    error: BaseException | None = None
    try:
        value, error = found or _last_look(future, limit)
        if error is not None:
            raise error
        return value
    finally:
        found = error = None  # their traceback holds this frame
        del future


def _last_look(future: Future[Any], limit: float | None) -> Outcome:
    if future.cancel():
        what = "the request still waits in the queue; it is cancelled and nothing was sent"
    elif (found := outcome_within(future, 0)) is not None:
        return found
    else:
        what = "the request is in flight and goes on; its answer is dropped, and may be billed"
    raise dispatch_errors.expired(limit, what, *_named(future))


def withdraw(futures: Iterable[Future[Any]]) -> None:
    """Nobody wants their outcomes any more."""
    for future in reversed(list(futures)):  # last first: no worker takes the next one while the one before is cancelled
        if isinstance(future, RequestFuture):
            future.withdraw()


def failed(error: LLMConnectorError) -> Future[Any]:
    """The outcome of a request that could not be queued."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _named(future: Future[Any]) -> tuple[str | None, str | None]:
    return (future.owner.name, future.model) if isinstance(future, RequestFuture) else (None, None)
