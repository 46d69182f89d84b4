"""What a worker runs: one request, or one listing of models, that can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from llm_sync.runtime.cancellation import CallControl, Progress
from llm_sync.runtime.steps import Steps

LIST_MODELS = "list_models"  # the operation of a listing


class ProviderCall(partial[Any]):
    """One call on its way through a queue. A worker calls it once, without arguments; any thread may stop it.

    ``key`` tells it apart in events, ``model`` names what it asks. ``make_steps``: ``run`` in steps, if there is such a thing.
    """

    control: CallControl
    key: int
    model: str
    operation = ""  # see llm_sync.events.Queued
    make_steps: Callable[..., Steps[Any]] | None

    def __new__(
        cls,
        run: Callable[..., Any],
        arguments: tuple[Any, ...],
        control: CallControl,
        model: str = "",
        make_steps: Callable[..., Steps[Any]] | None = None,
    ) -> ProviderCall:
        """The call of ``run(*arguments)``."""
        call = super().__new__(cls, run, *arguments)
        call.control, call.key, call.model, call.make_steps = control, control.key, model, make_steps
        return call

    def steps(self) -> Steps[Any] | None:
        """The call in steps, for a worker that runs many at once; None: it can only be called."""
        return None if self.make_steps is None else self.make_steps(*self.args)

    def stop_retrying(self) -> None:
        """No further attempt, no further wait."""
        self.control.stop_retrying()

    def abort(self) -> None:
        """End the attempt under way too."""
        self.control.abort()

    def end_at(self, until: float) -> None:
        """Send nothing and wait for nothing after the monotonic time ``until``. Only before the call runs."""
        self.control.ends_at = until

    def give_up(self) -> Progress:
        """Send nothing more, as nobody waits for the answer; return how far the request had come."""
        return self.control.give_up()
