"""What the call of a route is made of: its steps, what stands around them, and what it needs from the routes of its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.models.route import RouteStep
from llm_sync.runtime.steps import Steps

if TYPE_CHECKING:
    from llm_sync.client.known_routes import Candidate
    from llm_sync.client.middleware import Next

Around = Callable[[PreparedRequest, "Next", Any, Callable[[PreparedRequest], Steps[ModelResponse]]], Steps[ModelResponse]]
"""``around(prepared, send, call, further)``, in steps, around each step of a RouteCall: ``further(prepared)`` goes on."""


class Step:
    """A model of the route that is asked. ``probe``: it is a single attempt, to find out whether the provider answers again.
    ``stored``: the answer that the cache has, so that nobody is asked."""

    __slots__ = ("breaker", "candidate", "entry", "future", "prepared", "probe", "stored")

    def __init__(self, candidate: Candidate, prepared: PreparedRequest, probe: bool, stored: ModelResponse | None = None) -> None:
        self.candidate = candidate
        self.entry = candidate.entry
        self.breaker = candidate.breaker
        self.prepared = prepared
        self.probe = probe
        self.stored = stored
        self.future: Any = None  # a RequestFuture, once it is queued; None of a first call


class Way(Protocol):
    """What a RouteCall needs from the routes of its client; ``call`` is that RouteCall."""

    def next_step(self, call: Any, *, force: bool) -> Step | None:
        """The next entry that can be asked, taken from ``call.left``; those that cannot are noted. None: there is none.

        ``force``: ask the first even if its provider is known to fail. Raises what is wrong with the request.
        """

    def queue(self, call: Any, step: Step, **options: Any) -> None:
        """Put the step into its provider's queue, with code of the call around it; ``step.future`` is set before that."""

    def goes_on(self, call: Any, error: LLMConnectorError, step: Step) -> bool:
        """Whether the route goes on after ``error``."""

    def report(self, step: RouteStep, key: int, target: str) -> None:
        """Emit the event that the route goes on to ``target``; ``key``: of the request that failed."""

    def may_continue(self) -> bool:
        """Whether further steps may be queued."""

    def on_worker(self, call: Any) -> bool:
        """Whether the calling thread is a worker that the call may need."""
