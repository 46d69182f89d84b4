"""Routes of one client: several models under one name, asked in turn until one answers. Outermost around a call.

Each entry is prepared and queued like a request of its own, for its own provider, with that provider's queue, retries, limits and
middleware. A step runs on a worker of its provider; when it fails, that worker queues the next one and goes on with its own work.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llm_sync.attempts.breaker import Breaker
from llm_sync.client import request_defaults, route_rules
from llm_sync.client.dispatcher import Dispatcher
from llm_sync.client.endpoints import Endpoint
from llm_sync.client.route_call import Around, RouteCall, Step
from llm_sync.client.route_step import StepMiddleware
from llm_sync.config.models import LLMConfig
from llm_sync.config.routes import ResolvedEntry, ResolvedRoute, is_route, resolve_route
from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.relay import RelayQueue
from llm_sync.errors import (
    BudgetExceededError,
    CacheMissError,
    ClientClosedError,
    ContextLengthExceededError,
    LLMConnectorError,
)
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
        self._breaker = breaker
        self._known: dict[str | None, ResolvedRoute] = {}
        self._turns: dict[str, itertools.count[int]] = {}

    def is_route(self, model: str | None) -> bool:
        """Whether ``model`` names a route, or is None and the default model is one."""
        return is_route(self._config, model)

    def ask(self, request: ModelRequest, options: Mapping[str, Any], wait_timeout: float | None) -> ModelResponse:
        """Ask and wait; errors as of ``LLMClient.generate``."""
        call = self.call_for(request, options)
        if call.on_worker():
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
        self._manager.queue(QUEUE)  # raises if the client is closed
        route = self._resolved(request.model)
        call = RoutedCall(self, route, _detached(request), options or {}, next(self._dispatcher.keys), around)
        call.left = self._order(route)
        call.first = self.next_step(call, force=False)
        if call.first is None:  # all of them are known to fail: the first is asked all the same, as without a route
            call.left, call.steps = self._order(route), []
            call.first = self.next_step(call, force=True)
        return call

    def _resolved(self, model: str | None) -> ResolvedRoute:
        known = self._known.get(model)
        if known is None:
            if len(self._known) >= 256:  # of ad hoc ones there may be any number
                self._known.clear()
            known = self._known[model] = resolve_route(self._config, model)
            for provider in known.providers():
                with contextlib.suppress(LLMConnectorError):  # raised again when it is asked
                    self._endpoint(provider)  # now: while the client closes, none is made
        return known

    def _order(self, route: ResolvedRoute) -> list[ResolvedEntry]:
        """The entries in the order in which this request asks them."""
        entries = list(route.entries)
        if route.spread is None:
            return entries
        if route.spread == "least-busy":
            busy = [self._load(entry) for entry in entries]
            start = busy.index(min(busy))
        else:
            cycle = _cycle(tuple(entry.weight for entry in entries))  # round-robin: all weights are 1
            turn = next(self._turns.setdefault(route.name, itertools.count()))
            start = cycle[turn % len(cycle)]
        return entries[start:] + entries[:start]

    def _load(self, entry: ResolvedEntry) -> int:
        status = self._manager.queue(entry.target.provider).status()
        return status.queued + status.in_flight

    # What a call needs (route_call.Way) -----------------------------------------------------------------------------

    def next_step(self, call: RouteCall, *, force: bool) -> Step | None:
        """The next entry that can be asked, taken from ``call.left``; those that cannot are noted. None: there is none."""
        assert isinstance(call, RoutedCall)  # noqa: S101  (call_for makes no others)
        while call.left:
            entry = call.left.pop(0)
            numbered = None  # the request as the cache counts it
            if self._dispatcher.caching is not None:
                numbered, stored = self._looked_up(call, entry)
                if stored is not None and numbered is not None:
                    return Step(entry, numbered, self._breaker(entry.target.provider), False, stored)
                if numbered is None:
                    continue
            breaker = self._breaker(entry.target.provider)
            refusal, probe = (None, False) if force else breaker.ask()
            if refusal is None:
                refusal = self._does_not_fit(call, entry)
            if refusal is not None:
                call.note(entry, refusal)
                continue
            prepared = numbered or self._prepared(call, entry)
            if prepared is None:
                continue
            cooling = None if force else self._cooling(call, prepared)
            if cooling is not None:
                call.note(entry, cooling)
                continue
            if probe:
                prepared = replace(prepared, options=replace(prepared.options, max_retries=0))
            return Step(entry, prepared, breaker, probe)
        return None

    def _prepared(self, call: RoutedCall, entry: ResolvedEntry) -> PreparedRequest | None:
        """What an entry is sent; None if it cannot be asked, which is noted. Raises what is wrong with the first one.

        A spent budget, and a client that is closed, end the route whichever entry it is.
        """
        try:
            return self._dispatcher.prepare(call.request_for(entry), **{**entry.attempts, **call.options})
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

    def _cooling(self, call: RoutedCall, prepared: PreparedRequest) -> LLMConnectorError | None:
        """Why a model is passed over while its provider cools down. In a batch, the last one of a route waits instead."""
        if "rate_limit" not in call.route.classes or (call.around is not None and not call.left):
            return None
        return self._endpoint(prepared.provider).gate.refusal(prepared.options.max_retry_after)

    def _does_not_fit(self, call: RoutedCall, entry: ResolvedEntry) -> LLMConnectorError | None:
        """Why a request is not sent to a model that is only asked because another one failed: it cannot fit."""
        window = self._config.providers[entry.target.provider].entry(entry.target.model).context_window
        if window is None or not call.steps:
            return None
        tokens = route_rules.tokens_at_least(call.request_for(entry))
        if tokens <= window:
            return None
        message = f"the request has at least {tokens} tokens with its answer, the context window of the model {window}"
        return ContextLengthExceededError(message, provider=entry.target.provider, model=entry.target.model, attempts=0)

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
        queues = [self._manager.opened(provider) for provider in call.route.providers()]
        return any(queue is not None and queue.on_worker() for queue in queues)


class RoutedCall(RouteCall):
    """A RouteCall with what its steps are prepared from. ``options``: those that the caller gave."""

    relay_queue = QUEUE

    def __init__(
        self,
        way: Routes,
        route: ResolvedRoute,
        request: ModelRequest,
        options: Mapping[str, Any],
        key: int,
        around: Around | None,
    ) -> None:
        super().__init__(way, route.name, list(route.entries), key, around)
        self.route = route
        self.request = request
        self.options = {name: value for name, value in options.items() if value is not None}

    def request_for(self, entry: ResolvedEntry) -> ModelRequest:
        """The request as one entry gets it: with its model, and its settings where the request has none."""
        values = request_defaults.settings_for(self.request, entry.settings)
        fresh: ModelRequest = object.__new__(type(self.request))  # checked and detached before; what prepares it copies it
        fresh.__dict__.update(self.request.__dict__, model="/".join(entry.target), **values)
        return fresh


def _detached(request: ModelRequest) -> ModelRequest:
    """A copy that shares nothing mutable with the caller's: later steps are prepared from it."""
    return request.detached(**request_defaults.files_read(request))


def _cycle(weights: tuple[int, ...]) -> list[int]:
    """Indexes in an order in which each occurs as often as its weight says, evenly spread."""
    cycle: list[int] = []
    credit = [0] * len(weights)
    for _ in range(sum(weights)):
        credit = [have + weight for have, weight in zip(credit, weights, strict=True)]
        chosen = credit.index(max(credit))
        credit[chosen] -= sum(weights)
        cycle.append(chosen)
    return cycle
