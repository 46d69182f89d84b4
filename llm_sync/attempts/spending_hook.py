"""What an attempt reserves before it is sent, and settles when it has ended, where money is limited.

The hook answers at once (it takes SQLite's own short lock, no other); whoever drives the attempts waits and asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from llm_sync.models import PreparedRequest
from llm_sync.runtime.steps import Blocking, Steps

T = TypeVar("T")


class Reservation(Protocol):
    """What one attempt may cost, reserved until the attempt has ended. Neither method raises; one of them is called once."""

    def settle(self, outcome: object) -> None:
        """Count what the attempt cost: ``outcome`` is the response, or the exception that ended it."""

    def release(self) -> None:
        """Give it back: the attempt was not made."""


class SpendingHook(Protocol):
    """Where attempts reserve what they may cost."""

    def reserve(self, request: PreparedRequest) -> Reservation | float | None:
        """Reserve the most that an attempt can cost. A number: ask again after so many seconds. None: nothing to reserve.

        Raises BudgetExceededError when a budget does not have as much.
        """


def reserved(hook: SpendingHook, request: PreparedRequest) -> Steps[Reservation | float | None]:
    """Ask the hook, in steps: it reads and writes a file."""
    result: Reservation | float | None = yield Blocking(partial(hook.reserve, request))
    return result


def settled(attempt: Callable[[int, float], Steps[T]], reservation: Reservation, number: int, timeout: float) -> Steps[T]:
    """Make an attempt and settle its reservation with what came of it."""
    try:
        outcome = yield from attempt(number, timeout)
    except GeneratorExit:  # nothing runs these steps any more: this is a forked child, and the reservation is its parent's
        raise
    except BaseException as error:
        yield Blocking(partial(reservation.settle, error))
        raise
    yield Blocking(partial(reservation.settle, outcome))
    return outcome
