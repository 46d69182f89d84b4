"""Routes of one client: several models under one name, asked in turn until one answers. Outermost around a call.

Each entry is prepared and queued like a request of its own, for its own provider, with that provider's queue, retries, limits and
middleware. A step runs on a worker of its provider; when it fails, that worker queues the next one and goes on with its own work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llm_sync.attempts.breaker import Breaker
from llm_sync.client import request_defaults, route_rules
from llm_sync.client.dispatcher import Dispatcher
from llm_sync.client.endpoints import Endpoint
from llm_sync.client.known_routes import KnownRoute, KnownRoutes
from llm_sync.client.route_call import RouteCall
from llm_sync.client.route_parts import Around, Step
from llm_sync.client.route_step import StepMiddleware
from llm_sync.config.models import LLMConfig
from llm_sync.config.routes import ResolvedEntry, is_route
from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.relay import RelayQueue, may_be_worker
from llm_sync.errors import BudgetExceededError, CacheMissError, ClientClosedError, LLMConnectorError
from llm_sync.events import Rerouted
from llm_sync.models import ModelRequest, ModelResponse, PreparedRequest
from llm_sync.models.route import RouteStep

QUEUE = "\0routes"  # how ConcurrentLLMManager names the queue of all routes; no provider has such a name


class Routes:
    """The routes of one client. Every method may be called from any thread."""

    def __init__(
        self,
        config: LLMConfig,
        manager: ConcurrentLLMManager,
        dispatcher: Dispatcher,
        endpoint: Callable[[str], Endpoint],
        breaker: Callable[[str], Breaker],
    ) -> None:
        self._config = config
        self._manager = manager
        self._dispatcher = dispatcher
        self._endpoint = endpoint
        self._known = KnownRoutes(config, manager, endpoint, breaker)

    def is_route(self, model: str | None) -> bool:
        """Whether ``model`` names a route, or is None and the default model is one."""
        return is_route(self._config, model)

    def ask(self, request: ModelRequest, options: Mapping[str, Any], wait_timeout: float | None) -> ModelResponse:
        """Ask and wait; errors as of ``LLMClient.generate``."""
        call = self.call_for(request, options)
        if may_be_worker() and call.on_worker():
            raise dispatch_errors.own_worker(call.provider)
        return self._manager.call(QUEUE, call, timeout=wait_timeout)  # type: ignore[no-any-return]

    def submit(
        self,
        request: ModelRequest,
        options: Mapping[str, Any],
        *,
        block: bool,
        timeout: float | None,
        around: Around | None = None,
    ) -> Any:
        """Queue a request; the future ends with the route. It can be cancelled until the first model is asked."""
        return self._manager.submit(QUEUE, self.call_for(request, options, around=around), block=block, timeout=timeout)

    def call_for(
        self, request: ModelRequest, options: Mapping[str, Any] | None = None, *, around: Around | None = None
    ) -> RoutedCall:
        """What asks a route: its models are found, the request is copied, and the first step is prepared.

        ``options``: those of ``Dispatcher.prepare``; those that are None count as not given. ``around`` runs around each step.
        Raises what is wrong with the request.
        """
        known = self._known.known.get(request.model) or self._known.of(request.model)
        call = RoutedCall(self, known, request, options or {}, around)
        step = self.next_step(call, force=False)
        if step is None:  # all of them are known to fail: the first is asked all the same, as without a route
            call.left, call.steps = known.candidates.copy(), []
            step = self.next_step(call, force=True)
        assert step is not None  # noqa: S101  (it is asked, or what is wrong with the request was raised)
        if step.stored is not None or around is not None:
            call.first = step
            return call
        call.step = step  # nothing stands around it, so the caller's future waits for it
        call.provider, call.model = step.entry.target
        call.first_queue = step.candidate.queue
        if call.first_queue is None:
            call.first_queue = step.candidate.queue = self._manager.queue(call.provider)
        call.first_call = self._dispatcher.call_for(step.prepared)
        call.key = call.first_call.key
        steps = call.first_call.make_steps  # not those of a cache or of middleware, which may keep the answer
        call.owns_answer = steps is not None and steps is self._endpoint(call.provider).steps
        return call

    # What a call needs (route_call.Way) -----------------------------------------------------------------------------

    def next_step(self, call: RouteCall, *, force: bool) -> Step | None:
        """The next entry that can be asked, taken from ``call.left``; those that cannot are noted. None: there is none."""
        assert isinstance(call, RoutedCall)  # noqa: S101  (call_for makes no others)
        while call.left:
            candidate = call.left.pop(0)
            entry, breaker = candidate.entry, candidate.breaker
            numbered = None  # the request as the cache counts it
            if self._dispatcher.caching is not None:
                numbered, stored = self._looked_up(call, entry)
                if stored is not None and numbered is not None:
                    return Step(candidate, numbered, False, stored)
                if numbered is None:
                    continue
            probe = False
            if not force and (breaker.interval or breaker.shared is not None):
                refusal, probe = breaker.ask()
                if refusal is not None:
                    call.steps.append(candidate.step_of_refusal(refusal))
                    continue
            if candidate.window is not None and call.steps:
                misfit = candidate.does_not_fit(call.request_for(entry), candidate.window)
                if misfit is not None:
                    call.note(entry, misfit)
                    continue
            prepared = numbered or self._prepared(call, entry)
            if prepared is None:
                continue
            # In a batch, the last one of a route waits while its provider cools down.
            if not force and "rate_limit" in call.route.classes and (call.left or call.around is None):
                gate = candidate.gate
                if gate is None:
                    gate = candidate.gate = self._endpoint(entry.target.provider).gate
                cooling = gate.refusal(prepared.options.max_retry_after)
                if cooling is not None:
                    call.note(entry, cooling)
                    continue
            if probe:
                prepared = replace(prepared, options=replace(prepared.options, max_retries=0))
            return Step(candidate, prepared, probe)
        return None

    def _prepared(self, call: RoutedCall, entry: ResolvedEntry) -> PreparedRequest | None:
        """What an entry is sent; None if it cannot be asked, which is noted. Raises what is wrong with the first one.

        A spent budget, and a client that is closed, end the route whichever entry it is.
        """
        try:
            request = call.request_for(entry) if entry.settings or call.is_under_way else call.request
            if not entry.attempts:
                return self._dispatcher.prepare(request, target=entry.target, **call.options)
            given = {name: value for name, value in call.options.items() if value is not None}
            return self._dispatcher.prepare(request, target=entry.target, **{**entry.attempts, **given})
        except (ClientClosedError, BudgetExceededError):
            raise
        except LLMConnectorError as error:
            classes = call.route.classes
            may_skip = route_rules.goes_on(error, classes, retry_timeouts=True, first=True) and bool(call.left)
            if not call.steps and not may_skip:
                raise
            error.attempts = 0
            call.note(entry, error)
            return None

    def _looked_up(self, call: RoutedCall, entry: ResolvedEntry) -> tuple[PreparedRequest | None, ModelResponse | None]:
        """The request as the answer cache counts it (None: this entry is passed over), and the answer that the cache has.

        Offline, where nothing is sent, an answer of any model of the route will do. Raises the errors of the cache.
        """
        prepared, caching = self._prepared(call, entry), self._dispatcher.caching
        if prepared is None or caching is None:
            return prepared, None
        prepared = caching.numbered(prepared)
        try:
            return prepared, self._dispatcher.stored(prepared)
        except CacheMissError as error:
            if not call.left:
                raise
            call.note(entry, error)
            return None, None

    def queue(self, call: RouteCall, step: Step, **options: Any) -> None:
        """Put the step into its provider's queue, with StepMiddleware around it; ``step.future`` is set before that."""
        queue = self._manager.queue_for_step(step.entry.target.provider)
        step.future = queue.prepare(self._dispatcher.call_for(step.prepared, StepMiddleware(call)))
        step.future.ends_at, step.future.continues = call.ends_at, call.is_under_way
        queue.accept(step.future, **options)

    def goes_on(self, call: RouteCall, error: LLMConnectorError, step: Step) -> bool:
        """Whether the route goes on after ``error``."""
        assert isinstance(call, RoutedCall)  # noqa: S101
        first = all(former.attempts == 0 for former in call.steps)
        return route_rules.goes_on(
            error, call.route.classes, retry_timeouts=step.prepared.options.retry_timeouts, first=first
        ) and bool(call.left)

    def report(self, step: RouteStep, key: int, target: str) -> None:
        """Emit the event that the route goes on to ``target``; ``key``: of the request that failed."""
        event = Rerouted(
            step.provider,
            key,
            model=step.model,
            error=step.error or "",
            message=step.message.strip().partition("\n")[0].rstrip(),
            target=target,
            attempts=step.attempts,
            possibly_billed=step.possibly_billed,
        )
        self._manager.queue_for_step(step.provider).emit(event)

    def may_continue(self) -> bool:
        """Whether further steps may be queued."""
        queue: Any = self._manager.opened(QUEUE)
        return isinstance(queue, RelayQueue) and queue.may_continue()

    def on_worker(self, call: RouteCall) -> bool:
        """Whether the calling thread is a worker that the call may need."""
        assert isinstance(call, RoutedCall)  # noqa: S101
        for provider in call.known.providers:
            queue = self._manager.opened(provider)
            if queue is not None and queue.on_worker():
                return True
        return False


class RoutedCall(RouteCall):
    """A RouteCall with what its steps are prepared from. ``options``: those that the caller gave."""

    relay_queue = QUEUE

    def __init__(
        self, way: Routes, known: KnownRoute, request: ModelRequest, options: Mapping[str, Any], around: Around | None
    ) -> None:
        left = known.candidates.copy() if known.route.spread is None else known.in_order()
        super().__init__(way, known.route.name, left, around)
        self.known = known
        self.route = known.route
        self._is_shared = not _has_mutable_parts(request)
        self.request = request if self._is_shared else _detached(request)
        self.options = options

    def request_for(self, entry: ResolvedEntry) -> ModelRequest:
        """The request as one entry gets it: with the entry's settings where the request has none."""
        request = self.request
        if self._is_shared and self.is_under_way:  # the caller may have put something into the empty mapping by now
            self._is_shared, self.request = False, _changed(request, {"provider_specific": {}})
            request = self.request
        return _changed(request, request_defaults.settings_for(request, entry.settings)) if entry.settings else request


def _detached(request: ModelRequest) -> ModelRequest:
    """A copy that shares nothing mutable with the caller's: later steps are prepared from it."""
    return request.detached(**request_defaults.files_read(request))


def _has_mutable_parts(request: ModelRequest) -> bool:
    """Whether a request has more than a prompt and values that nobody can change, or files that are to be read now."""
    if request.messages or request.provider_specific or request.images or request.documents or request.tools:
        return True
    return request.response_schema is not None or request.tool_choice is not None


def _changed(request: ModelRequest, values: Mapping[str, Any]) -> ModelRequest:
    """A copy with other values: all were checked before, and what prepares the copy shares nothing with it."""
    fresh: ModelRequest = object.__new__(type(request))
    fresh.__dict__.update(request.__dict__, **values)
    return fresh
