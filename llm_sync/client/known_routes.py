"""The routes that a client has used, each with what is the same for all its requests: looked up once, not for each call."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_sync.attempts.breaker import Breaker
from llm_sync.client import route_rules
from llm_sync.client.endpoints import Endpoint
from llm_sync.config.models import LLMConfig
from llm_sync.config.routes import ResolvedEntry, ResolvedRoute, resolve_route
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.errors import ContextLengthExceededError, LLMConnectorError
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.models.route import RouteStep

if TYPE_CHECKING:
    from llm_sync.attempts.rate_gate import Gate
    from llm_sync.dispatch.queue import ProviderRequestQueue

MAX_KNOWN = 256  # of ad hoc ones there may be any number


class Candidate:
    """One entry of a route. ``window``: the context window of its model in tokens, None if the configuration does not say.
    ``queue``: of its provider, and ``gate``, once a request needed them. ``passed_over``: what the breaker said last of it, and
    what the record says then: while that does not change, it is the same for all requests."""

    __slots__ = ("breaker", "entry", "gate", "passed_over", "queue", "window")

    def __init__(self, entry: ResolvedEntry, breaker: Breaker, window: int | None) -> None:
        self.entry = entry
        self.breaker = breaker
        self.window = window
        self.queue: ProviderRequestQueue | None = None
        self.gate: Gate | None = None
        self.passed_over: tuple[LLMConnectorError | None, RouteStep | None] = (None, None)

    def step_of_refusal(self, refusal: LLMConnectorError) -> RouteStep:
        """What the record says of an entry that the breaker refused."""
        known, step = self.passed_over
        if step is None or known is not refusal:
            step = step_of(self.entry, refusal)
            self.passed_over = (refusal, step)
        return step

    def does_not_fit(self, request: ModelRequest, window: int) -> LLMConnectorError | None:
        """Why a request is not sent to a model that is only asked because another one failed: it cannot fit."""
        tokens = route_rules.tokens_at_least(request)
        if tokens <= window:
            return None
        provider, model = self.entry.target
        message = f"the request has at least {tokens} tokens with its answer, the context window of the model {window}"
        return ContextLengthExceededError(message, provider=provider, model=model, attempts=0)


def step_of(entry: ResolvedEntry, error: LLMConnectorError, elapsed: float = 0.0) -> RouteStep:
    """What the record says of an entry that did not answer, asked or not."""
    billed = getattr(error, "response", None)
    usage, cost = getattr(billed, "usage", None), getattr(billed, "cost_estimate", None)
    tokens = getattr(usage, "input_tokens", None), getattr(usage, "output_tokens", None)
    attempts, possibly_billed = error.attempts or 0, error.possibly_billed
    name = type(error).__name__
    return RouteStep(*entry.target, name, error.message, attempts, possibly_billed, cost, *tokens, elapsed=elapsed)


def step_of_answer(entry: ResolvedEntry, answer: ModelResponse, elapsed: float) -> RouteStep:
    """What the record says of the entry that answered."""
    step, usage = object.__new__(RouteStep), answer.usage
    values = {
        "provider": entry.target.provider,
        "model": entry.target.model,
        "error": None,
        "message": "",
        "attempts": answer.attempts,
        "possibly_billed": 0,
        "cost": answer.__dict__["cost_estimate"],  # perhaps pending: looking it up takes longer than many a request
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "elapsed": elapsed,
    }
    object.__setattr__(step, "__dict__", values)  # many requests make one: this takes a third of the time of a call
    return step


def whole_route(former: list[RouteStep], entry: ResolvedEntry, elapsed: float, answer: ModelResponse) -> tuple[RouteStep, ...]:
    """The steps ``former``, and that of the entry that answered."""
    return (*former, step_of_answer(entry, answer, elapsed))


class KnownRoute:
    """A route of one client. ``route``: its entries; ``providers``: those of its entries, each once."""

    def __init__(self, route: ResolvedRoute, candidates: list[Candidate], queues: ConcurrentLLMManager) -> None:
        self.route = route
        self.providers = route.providers()
        self.candidates = candidates
        self._queues = queues
        self._turns = itertools.count()
        self._cycle = cycle(tuple(entry.weight for entry in route.entries))  # round-robin: all weights are 1

    def in_order(self) -> list[Candidate]:
        """The candidates in the order in which one request asks them, for a route that has a ``spread``."""
        if self.route.spread == "least-busy":
            busy = [self._load(candidate) for candidate in self.candidates]
            start = busy.index(min(busy))
        else:
            start = self._cycle[next(self._turns) % len(self._cycle)]
        return self.candidates[start:] + self.candidates[:start]

    def _load(self, candidate: Candidate) -> int:
        status = self._queues.queue(candidate.entry.target.provider).status()
        return status.queued + status.in_flight


class KnownRoutes:
    """The routes of one client by the model's name. Every method may be called from any thread."""

    def __init__(
        self,
        config: LLMConfig,
        manager: ConcurrentLLMManager,
        endpoint: Callable[[str], Endpoint],
        breaker: Callable[[str], Breaker],
    ) -> None:
        self._config = config
        self._manager = manager
        self._endpoint = endpoint
        self._breaker = breaker
        self.known: dict[str | None, KnownRoute] = {}

    def of(self, model: str | None) -> KnownRoute:
        """The route that a model's name stands for. Raises as ``resolve_route``."""
        known = self.known.get(model)
        if known is None:
            if len(self.known) >= MAX_KNOWN:
                self.known.clear()
            route = resolve_route(self._config, model)
            for provider in route.providers():
                with contextlib.suppress(LLMConnectorError):  # raised again when it is asked
                    self._endpoint(provider)  # now: while the client closes, none is made
            candidates = [self._candidate(entry) for entry in route.entries]
            known = self.known.setdefault(model, KnownRoute(route, candidates, self._manager))
        return known

    def _candidate(self, entry: ResolvedEntry) -> Candidate:
        name, model = entry.target
        try:
            breaker = self._breaker(name)
        except LLMConnectorError:  # raised again when it is asked: it has no address, so it shares nothing with other processes
            breaker = Breaker(name)
        return Candidate(entry, breaker, self._config.providers[name].entry(model).context_window)


def cycle(weights: tuple[int, ...]) -> list[int]:
    """Indexes in an order in which each occurs as often as its weight says, evenly spread."""
    indexes: list[int] = []
    credit = [0] * len(weights)
    for _ in range(sum(weights)):
        credit = [have + weight for have, weight in zip(credit, weights, strict=True)]
        chosen = credit.index(max(credit))
        credit[chosen] -= sum(weights)
        indexes.append(chosen)
    return indexes
