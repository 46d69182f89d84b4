"""What a worker runs: one request, or one listing of models, that can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_sync.runtime.cancellation import CallControl, Progress


class ProviderCall:
    """One call on its way through a queue; ``run(*arguments)`` makes it. A worker runs it once; any thread may stop it.

    ``key`` tells it apart in events, ``model`` names what it asks.
    """

    def __init__(self, run: Callable[..., Any], arguments: tuple[Any, ...], control: CallControl, model: str = "") -> None:
        self._run = run
        self._arguments = arguments
        self._control = control
        self.key = control.key
        self.model = model

    def __call__(self) -> Any:
        """Make the call and give what it returns."""
        return self._run(*self._arguments)

    def stop_retrying(self) -> None:
        """No further attempt, no further wait."""
        self._control.stop_retrying()

    def abort(self) -> None:
        """End the attempt under way too."""
        self._control.abort()

    def give_up(self) -> Progress:
        """Send nothing more, as nobody waits for the answer; return how far the request had come."""
        return self._control.give_up()
