"""One request on its way through a route: who is asked next, and what came of those before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch.relay import RelayedFuture, settle
from llm_sync.errors import ClientClosedError, LLMConnectorError, RequestTimeoutError
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.models.route import RouteStep
from llm_sync.runtime import clock, pauses
from llm_sync.runtime.cancellation import Progress
from llm_sync.runtime.steps import Steps

if TYPE_CHECKING:
    from llm_sync.attempts.breaker import Breaker
    from llm_sync.client.middleware import Next
    from llm_sync.config.routes import ResolvedEntry

Around = Callable[[PreparedRequest, "Next", "RouteCall", Callable[[PreparedRequest], Steps[ModelResponse]]], Steps[ModelResponse]]
"""``around(prepared, send, call, further)``, in steps, around each step of a route: ``further(prepared)`` goes on."""


class Step:
    """A model of the route that is asked. ``probe``: it is a single attempt, to find out whether the provider answers again.
    ``stored``: the answer that the cache has, so that nobody is asked."""

    __slots__ = ("breaker", "entry", "future", "prepared", "probe", "stored")

    def __init__(
        self,
        entry: ResolvedEntry,
        prepared: PreparedRequest,
        breaker: Breaker,
        probe: bool,
        stored: ModelResponse | None = None,
    ) -> None:
        self.entry = entry
        self.prepared = prepared
        self.breaker = breaker
        self.probe = probe
        self.stored = stored
        self.future: Any = None  # a RequestFuture, once it is queued


class Way(Protocol):
    """What a call needs from the routes of its client."""

    def next_step(self, call: RouteCall, *, force: bool) -> Step | None:
        """The next entry that can be asked, taken from ``call.left``; those that cannot are noted. None: there is none.

        ``force``: ask the first even if its provider is known to fail. Raises what is wrong with the request.
        """

    def queue(self, call: RouteCall, step: Step, **options: Any) -> None:
        """Put the step into its provider's queue, with code of the call around it; ``step.future`` is set before that."""

    def goes_on(self, call: RouteCall, error: LLMConnectorError, step: Step) -> bool:
        """Whether the route goes on after ``error``."""

    def report(self, step: RouteStep, key: int, target: str) -> None:
        """Emit the event that the route goes on to ``target``; ``key``: of the request that failed."""

    def may_continue(self) -> bool:
        """Whether further steps may be queued."""

    def on_worker(self, call: RouteCall) -> bool:
        """Whether the calling thread is a worker that the call may need."""


class RouteCall:
    """One request to a route. See dispatch.relay.Relay for the threads; a single thread at a time moves it on.

    ``left``: the entries that were not considered yet. ``steps``: what came of the others. ``step``: the one under way.
    """

    def __init__(self, way: Way, name: str, entries: list[ResolvedEntry], key: int, around: Around | None = None) -> None:
        self.way = way
        self.name = name
        self.left = entries
        self.key = key
        self.around = around
        self.steps: list[RouteStep] = []
        self.step: Step | None = None
        self.first: Step | None = None  # prepared by the thread that made the call
        self.provider, self.model = entries[0].target
        self.is_under_way = False  # whether a step was queued: the next ones continue the request
        self.deadline: float | None = None  # seconds for the whole route
        self._began_at: float | None = None  # monotonic; when the first provider was asked that made an attempt
        self._future: RelayedFuture | None = None
        self._stopped = False

    def __call__(self) -> Any:
        """A relay is begun, not called."""
        raise RuntimeError("a route has no worker of its own")

    # Moving on ------------------------------------------------------------------------------------------------------

    def begin(self, future: RelayedFuture, *, block: bool, timeout: float | None) -> None:
        """Queue the first step, in the caller's thread. Raises what keeps it from being queued."""
        self._future = future
        step, self.first = self.first, None
        assert step is not None  # noqa: S101  (Routes.call_for prepares it)
        self._enter(step, block=block, timeout=timeout)

    def _enter(self, step: Step, **options: Any) -> None:
        self.provider, self.model = step.entry.target
        future = self._future
        if future is not None:
            future.moved_to(self.provider, self.model)
        self.step = step
        if step.stored is not None:
            if future is not None and future.start():
                self._end(self._answered(step.stored, 0.0), None)
            return
        self.way.queue(self, step, **options)
        self.is_under_way = True
        inner = step.future
        assert inner is not None  # noqa: S101  (queue sets it)
        if self._stopped:  # meanwhile, so the thread that stopped it may have met the former step
            inner.withdraw()
        inner.add_done_callback(self._on_step_done)

    def start_step(self, prepared: PreparedRequest) -> tuple[Step, PreparedRequest]:
        """On the worker: the step that is to be sent now, and its request with what is left of the deadline."""
        step, future = self.step, self._future
        if step is None or future is None or not future.start():
            if step is not None and step.future is not None:
                step.future.given_up = True  # nobody waits: it counts as cancelled
            raise ClientClosedError("the request was cancelled before it was sent", provider=prepared.provider, attempts=0)
        return step, self._within_deadline(prepared)

    def note_attempt(self, began: float) -> None:
        """Something was sent in a step that began at a monotonic time: from the first one on, the deadline runs."""
        if self._began_at is None:
            self._began_at = began

    def _within_deadline(self, prepared: PreparedRequest) -> PreparedRequest:
        if self.deadline is None:
            self.deadline = prepared.options.deadline
        left = self._time_left()
        if left is None:
            return prepared
        if left <= 0:
            raise RequestTimeoutError(
                f"the deadline of {self.deadline:g} s passed before this model of the route was asked",
                provider=prepared.provider,
                model=prepared.model,
                attempts=0,
            )
        options = replace(prepared.options, deadline=min(left, prepared.options.deadline))
        return replace(prepared, options=options)

    def _time_left(self) -> float | None:
        """Seconds until the deadline; None while nothing was sent."""
        if self._began_at is None or self.deadline is None:
            return None
        now = clock.now()
        return self.deadline - (now - self._began_at - pauses.seconds_between(self._began_at, now))

    def _on_step_done(self, inner: Any) -> None:
        """Done-callback of a step: on its worker, or in the thread that cancelled it."""
        step, future = self.step, self._future
        if step is None or future is None or inner is not step.future:
            return
        if inner.cancelled() or inner.given_up:
            if not future.cancel():
                self._end(None, self._finished(dispatch_errors.cancelled(self.provider, self.model)))
            return
        failure = inner.failure
        if failure is None:
            self._end(self._answered(inner.value, inner.elapsed or 0.0), None)
        elif not isinstance(failure, LLMConnectorError):
            self._end(None, failure)
        else:
            self._after_failure(step, failure, inner.elapsed or 0.0)

    def _after_failure(self, step: Step, error: LLMConnectorError, elapsed: float) -> None:
        left = self._time_left()
        goes_on = not self._stopped and self.way.may_continue() and self.way.goes_on(self, error, step)
        noted = self.note(step.entry, error, elapsed)
        if goes_on and left is not None and left <= 0:
            advice = f"No other model of the route is asked: the deadline of {self.deadline:g} s has passed."
            error.guidance = f"{error.guidance} {advice}" if error.guidance else advice
            goes_on = False
        if not goes_on:
            self._end(None, self._finished(error))
            return
        try:
            following = self.way.next_step(self, force=False)
            if following is None:
                self._end(None, self._finished(error))
                return
            self.way.report(noted, step.future.key, "/".join(following.entry.target))
            self._enter(following)
        except Exception as failure:  # noqa: BLE001  (whatever it is, the caller waits for an end)
            self._end(None, self._finished(failure) if isinstance(failure, LLMConnectorError) else failure)

    def note(self, entry: ResolvedEntry, error: LLMConnectorError, elapsed: float = 0.0) -> RouteStep:
        """Remember what came of an entry that did not answer, asked or not, and return it."""
        billed = getattr(error, "response", None)
        usage, cost = getattr(billed, "usage", None), getattr(billed, "cost_estimate", None)
        tokens = getattr(usage, "input_tokens", None), getattr(usage, "output_tokens", None)
        attempts, possibly_billed = error.attempts or 0, error.possibly_billed
        step = RouteStep(
            *entry.target, type(error).__name__, error.message, attempts, possibly_billed, cost, *tokens, elapsed=elapsed
        )
        self.steps.append(step)
        return step

    # The end --------------------------------------------------------------------------------------------------------

    def _answered(self, answer: Any, elapsed: float) -> Any:
        """The answer, with the whole route on it."""
        if not isinstance(answer, ModelResponse):
            return answer
        usage, cost = answer.usage, answer.cost_estimate
        step = self.step
        assert step is not None  # noqa: S101  (an answer came from one)
        last = RouteStep(
            *step.entry.target,
            attempts=answer.attempts,
            cost=cost,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            elapsed=elapsed,
        )
        routed = object.__new__(type(answer))  # its values were checked
        routed.__dict__.update(answer.__dict__, route=(*self.steps, last))
        return routed

    def _finished(self, error: LLMConnectorError) -> LLMConnectorError:
        """The error that ends the route, with all steps on it."""
        error.route = tuple(self.steps)
        error.possibly_billed = max(error.possibly_billed, sum(step.possibly_billed for step in self.steps))
        asked = [step for step in self.steps if (step.provider, step.model) != (error.provider, error.model)]
        if asked:
            names = ", ".join(f"{step.provider}/{step.model} ({step.error})" for step in asked)
            others = f"The others of the route {self.name!r} did not answer either: {names}."
            error.guidance = f"{error.guidance} {others}" if error.guidance else others
        return error

    def _end(self, value: Any, failure: BaseException | None) -> None:
        future, self._future = self._future, None
        if future is not None:
            settle(future, value, failure)

    @property
    def ends_at(self) -> float | None:
        """Monotonic; when the caller stops waiting, if it waits from the beginning."""
        return None if self._future is None else self._future.ends_at

    # For other threads ----------------------------------------------------------------------------------------------

    def on_worker(self) -> bool:
        """Whether the calling thread is a worker that the call may need."""
        return self.way.on_worker(self)

    def ended_step(self) -> object | None:
        """The future of the current step if it has ended, else None."""
        inner = self.step.future if self.step is not None else None
        return inner if inner is not None and inner.done() else None

    def withdraw(self) -> None:
        """Cancel the step that is queued, if it is not sent yet."""
        self._stopped = True
        inner = self.step.future if self.step is not None else None
        if inner is not None:
            inner.cancel()

    def stop_retrying(self) -> None:
        """No further attempt, and no further step."""
        self._stopped = True
        inner = self.step.future if self.step is not None else None
        if inner is not None:
            inner.stop_retrying()

    def abort(self) -> None:
        """End the step under way too."""
        self._stopped = True
        inner = self.step.future if self.step is not None else None
        if inner is not None:
            inner.withdraw()

    def give_up(self) -> Progress:
        """Send nothing more, as nobody waits for the answer; return how far the request had come."""
        self._stopped = True
        made = sum(step.attempts for step in self.steps)
        inner = self.step.future if self.step is not None else None
        if inner is None or inner.cancel():
            return Progress(False, made, "")
        progress = inner.give_up()
        return Progress(False, made, "") if progress is None else progress._replace(attempts=progress.attempts + made)
