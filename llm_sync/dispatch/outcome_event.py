"""The event that reports the end of a request."""

from __future__ import annotations

from typing import Any

from llm_sync.dispatch.future import RequestFuture
from llm_sync.events import Finished
from llm_sync.runtime.interrupts import may_suppress


def finished_event(provider: str, future: RequestFuture) -> Finished:
    """The event for a future that is done. A broken ``__str__`` or attribute of what the call gave is not raised."""
    elapsed = future.elapsed or 0.0
    if future.given_up or future.cancelled():
        return Finished(provider, future.key, error="cancelled", elapsed=elapsed)
    failure = future.failure
    try:
        if failure is None:
            usage, cost = _billed(future.value)
            return Finished(provider, future.key, elapsed=elapsed, usage=usage, cost=cost)
        usage, cost = _billed(_attribute(failure, "response"))  # an unusable answer is billed, too
        name, message = type(failure).__name__, _message_of(failure)
        return Finished(provider, future.key, name, message, elapsed, usage, cost)
    finally:
        failure = None  # its traceback may refer to this frame


def _billed(result: object) -> tuple[Any, Any]:
    try:
        own = getattr(result, "__dict__", {})
        if own.get("cached"):
            return None, 0.0  # nothing was billed for it
        # The attribute would find out a pending cost, and nobody may ever look at it.
        cost = own["cost_estimate"] if "cost_estimate" in own else getattr(result, "cost_estimate", None)
        return getattr(result, "usage", None), cost
    except BaseException as error:
        if not may_suppress(error):
            raise
        return None, None


def _attribute(thing: object, name: str) -> Any:
    try:
        return getattr(thing, name, None)
    except BaseException as error:
        if not may_suppress(error):
            raise
        return None


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as trouble:
        if not may_suppress(trouble):
            raise
        return "(its message cannot be read)"
