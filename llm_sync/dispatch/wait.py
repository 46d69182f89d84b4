"""Waiting for a future, and giving it up when the wait ends first."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from typing import Any

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.errors import LLMConnectorError

Outcome = tuple[Any, "BaseException | None"]
"""(value, None) of a call that returned, (None, exception) of one that raised."""


def outcome(future: Future[Any]) -> Outcome:
    """Wait for ``future`` and return its outcome. Raises only if the wait itself is interrupted or refused."""
    result = outcome_within(future, None)
    assert result is not None  # noqa: S101  (there is no time limit)
    return result


def outcome_within(future: Future[Any], timeout: float | None) -> Outcome | None:
    """Like ``outcome``, but None after ``timeout`` seconds without one."""
    try:
        if isinstance(future, RequestFuture):
            future.refuse_own_worker()
            if not future.wait(timeout):
                return None
        return outcome_of(future)
    except KeyboardInterrupt:
        shutdown.note_interrupt()
        raise


def outcome_of(future: Future[Any]) -> Outcome:
    """The outcome of a future that is done."""
    if isinstance(future, RequestFuture) and not future.cancelled():
        error = future.failure
        return (future.value, None) if error is None else (None, error)
    try:
        error = future.exception()
    except CancelledError:
        return None, dispatch_errors.cancelled(*_provider_and_model(future))
    return (future.result(), None) if error is None else (None, error)


def result_of(future: Future[Any], outcome: Outcome | None, limit: float | None) -> Any:
    """Return the value of ``outcome`` or raise its error; without one, give ``future`` up after its ``limit`` of seconds."""
    error: BaseException | None = None
    try:
        value, error = outcome or _give_up(future, limit)
        if error is not None:
            raise error
        return value
    finally:
        outcome = error = None  # the traceback refers to this frame
        del future


def _give_up(future: Future[Any], limit: float | None) -> Outcome:
    progress = None
    if future.cancel():
        state = "the request was still queued; it was cancelled and nothing was sent"
    elif (late := outcome_within(future, 0)) is not None:
        return late
    else:
        progress = future.give_up() if isinstance(future, RequestFuture) else None
        state = dispatch_errors.state_when_given_up(progress)
    error = dispatch_errors.wait_timed_out(limit, state, *_provider_and_model(future))
    if progress is not None:
        error.attempts = progress.attempts
    raise error


def withdraw(futures: Iterable[Future[Any]]) -> None:
    """Give up all ``futures``: cancel those queued, abort those in flight."""
    for future in reversed(list(futures)):  # last first, so that no worker takes the next one meanwhile
        if isinstance(future, RequestFuture):
            future.withdraw()


def failed_future(error: LLMConnectorError) -> Future[Any]:
    """The future of a request that could not be queued."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def finished_future(value: Any) -> Future[Any]:
    """The future of a request whose answer is there already."""
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def _provider_and_model(future: Future[Any]) -> tuple[str | None, str | None]:
    return (future.owner.name, future.model) if isinstance(future, RequestFuture) else (None, None)
