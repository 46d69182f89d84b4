"""One request on its way through a route: who is asked next, and what came of those before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from llm_sync.client.known_routes import Candidate, step_of, whole_route
from llm_sync.client.route_parts import Around, Step, Way
from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.relay import settle
from llm_sync.dispatch.relayed_future import RelayedFuture
from llm_sync.errors import ClientClosedError, LLMConnectorError, RequestTimeoutError
from llm_sync.models import ModelResponse, PreparedRequest
from llm_sync.models.route import RouteStep
from llm_sync.runtime import clock, pauses
from llm_sync.runtime.cancellation import Progress

if TYPE_CHECKING:
    from llm_sync.client.calls import ProviderCall
    from llm_sync.config.routes import ResolvedEntry
    from llm_sync.dispatch.queue import ProviderRequestQueue


class RouteCall:
    """One request to a route. See dispatch.relay.Relay for the threads; a single thread at a time moves it on.

    ``left``: the candidates that were not considered yet. ``steps``: what came of the others. ``step``: the one under way.
    ``first_call``: what sends the first step while the caller's future is the step's own, which saves a second one;
    ``first_queue``: where it waits then; ``key``: that call's; ``owns_answer``: whether nobody else has the answer that it gives.
    """

    key: int | None = None
    step: Step | None = None
    first: Step | None = None  # prepared by the thread that made the call
    first_call: ProviderCall | None = None
    first_queue: ProviderRequestQueue | None = None
    owns_answer = False
    is_under_way = False  # whether a step was queued: the next ones continue the request
    deadline: float | None = None  # seconds for the whole route
    _began_at: float | None = None  # monotonic; when the first provider was asked that made an attempt
    _future: RelayedFuture | None = None
    _stopped = False

    def __init__(self, way: Way, name: str, candidates: list[Candidate], around: Around | None = None) -> None:
        self.way = way
        self.name = name
        self.left = candidates
        self.around = around
        self.steps: list[RouteStep] = []
        self.provider, self.model = candidates[0].entry.target

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
                self._end(self.answered(step.stored, 0.0), None)
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
        if step is None or future is None or not future.may_run_step():
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
            self._end(self.answered(inner.value, inner.elapsed or 0.0), None)
        elif not isinstance(failure, LLMConnectorError):
            self._end(None, failure)
        else:
            self._after_failure(step, failure, inner.elapsed or 0.0)

    def _after_failure(self, step: Step, error: LLMConnectorError, elapsed: float) -> None:
        try:
            following = self._following(step, error, elapsed)
            if following is None:
                self._end(None, self._finished(error))
            else:
                self._go_on(step.future.key, *following)
        except Exception as failure:  # noqa: BLE001  (whatever it is, the caller waits for an end)
            self._end(None, self._finished(failure) if isinstance(failure, LLMConnectorError) else failure)

    def _following(self, step: Step, error: LLMConnectorError, elapsed: float) -> tuple[RouteStep, Step] | None:
        """Note that a step failed; return the note, and the next step. None if there is none, or the route must not go on."""
        left = self._time_left()
        goes_on = not self._stopped and self.way.may_continue() and self.way.goes_on(self, error, step)
        noted = self.note(step.entry, error, elapsed)
        if goes_on and left is not None and left <= 0:
            advice = f"No other model of the route is asked: the deadline of {self.deadline:g} s has passed."
            error.guidance = f"{error.guidance} {advice}" if error.guidance else advice
            goes_on = False
        following = self.way.next_step(self, force=False) if goes_on else None
        return None if following is None else (noted, following)

    def _go_on(self, key: int, failed: RouteStep, following: Step) -> None:
        """Queue the next step. ``key``: of the request that failed."""
        self.way.report(failed, key, "/".join(following.entry.target))
        self._enter(following)

    def note(self, entry: ResolvedEntry, error: LLMConnectorError, elapsed: float = 0.0) -> RouteStep:
        """Remember what came of an entry that did not answer, asked or not, and return it."""
        step = step_of(entry, error, elapsed)
        self.steps.append(step)
        return step

    # While the first step has the caller's own future, on its worker --------------------------------------------------

    def failed_first(self, future: RelayedFuture, error: BaseException) -> BaseException | None:
        """The first step has failed: what the caller gets; None if the route goes on, and ends ``future`` later."""
        step, elapsed = self.step, future.elapsed or 0.0
        assert step is not None  # noqa: S101  (Routes.call_for sets it)
        self._future, self.is_under_way = future, True
        if not isinstance(error, LLMConnectorError):
            return error
        step.breaker.failed(error, probe=step.probe)
        self.deadline = step.prepared.options.deadline
        if error.attempts:
            self.note_attempt(clock.now() - elapsed)
        try:
            following = None if future.given_up else self._following(step, error, elapsed)
            if following is None:
                return self._finished(error)
            self.first_call = None
            future.leave_step_queue(error)
            self._go_on(future.key, *following)
        except Exception as failure:  # noqa: BLE001  (whatever it is, the caller waits for an end)
            return self._finished(failure) if isinstance(failure, LLMConnectorError) else failure
        return None

    # The end --------------------------------------------------------------------------------------------------------

    def answered(self, answer: Any, elapsed: float) -> Any:
        """A step has ended after so many seconds: its answer, with the whole route on it."""
        step = self.step
        assert step is not None  # noqa: S101  (an answer came from one)
        breaker = step.breaker
        if self.first_call is not None and (breaker.failed_attempts or breaker.interval):
            breaker.succeeded()
        if not isinstance(answer, ModelResponse):
            return answer
        if self.owns_answer and self.first_call is not None:  # a copy, and the steps, would take longer than all else here
            answer.__dict__["route"] = partial(whole_route, self.steps, step.entry, elapsed)
            return answer
        values = answer.__dict__.copy()
        values["route"] = whole_route(self.steps, step.entry, elapsed, answer)
        routed = object.__new__(type(answer))  # its values were checked
        object.__setattr__(routed, "__dict__", values)
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
        under_way = self._stop()
        if under_way is not None:
            under_way.stop_retrying()

    def abort(self) -> None:
        """End the step under way too."""
        under_way = self._stop()
        if isinstance(under_way, RequestFuture):
            under_way.withdraw()
        elif under_way is not None:
            under_way.abort()

    def end_at(self, until: float) -> None:
        """Send and wait for nothing in the first step after the monotonic time ``until``. Only before it runs."""
        if self.first_call is not None:
            self.first_call.end_at(until)

    def give_up(self) -> Progress:
        """Send nothing more, as nobody waits for the answer; return how far the request had come."""
        under_way = self._stop()
        made = sum(step.attempts for step in self.steps)
        if under_way is None or (isinstance(under_way, RequestFuture) and under_way.cancel()):
            return Progress(False, made, "")
        progress = under_way.give_up()
        return Progress(False, made, "") if progress is None else progress._replace(attempts=progress.attempts + made)

    def _stop(self) -> Any:
        """Begin no further step; return what is under way, a call or a RequestFuture, if anything is."""
        self._stopped = True
        first, step = self.first_call, self.step
        return first if first is not None else step.future if step is not None else None
