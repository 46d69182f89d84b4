"""The providers of a client: each with its HTTP client, retry policy and rate gate, made on first use."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from llm_sync.attempts.rate_gate import Gate
from llm_sync.attempts.retry import RetryHandler
from llm_sync.attempts.traffic import Traffic
from llm_sync.client import simulation
from llm_sync.config.models import LLMConfig, ProviderConfig
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.status import ProviderStatus
from llm_sync.providers.factory import ProviderFactory
from llm_sync.runtime.import_lock import import_lock
from llm_sync.transport.adapter import SessionHook
from llm_sync.transport.client import HTTPClient
from llm_sync.transport.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_sync.attempts.breaker import Breaker
    from llm_sync.machine.breakers import SharedBreaker
    from llm_sync.models import ModelResponse, PreparedRequest, RateLimits
    from llm_sync.providers.base import LLMProvider
    from llm_sync.providers.ports import BilledAnswer
    from llm_sync.runtime.cancellation import CallControl
    from llm_sync.runtime.steps import Steps
    from llm_sync.spending.meter import Spending


def listed_price(answer: BilledAnswer) -> tuple[float | None, str | None]:
    """The cost of an answer in USD by the list of prices, and its source; imported when somebody looks at a cost.

    The list has prices of public services: for a server on this machine it is not even loaded.
    """
    if _is_on_this_machine(answer.base_url):
        return None, None
    with import_lock:
        from llm_sync.spending.price_list import cost_of

    return cost_of(answer)


@lru_cache(maxsize=64)  # a program has a few addresses, and every answer asks
def _is_on_this_machine(base_url: str) -> bool:
    return is_loopback(urlsplit(base_url).hostname)


def spending_of(config: LLMConfig, max_cost: float | None, tag: str | None) -> Spending | None:
    """What keeps to the budgets of a client; None where there are none, no maximum and no tag: then nothing is imported.

    Raises ConfigurationError for a maximum or a tag that is none.
    """
    named = any(provider.budgets or any(entry.budgets for entry in provider.models) for provider in config.providers.values())
    if not named and max_cost is None and tag is None:
        return None
    with import_lock:
        from llm_sync.spending.meter import made_spending

    return made_spending(config, max_cost, tag)


def http_client_for(config: ProviderConfig, session: SessionHook | None = None) -> HTTPClient:
    """The HTTP client of a provider; it opens no socket before its first request."""
    simulation.require_support(config)
    return HTTPClient(
        pool_size=config.concurrency,
        proxy=config.proxy,
        ca_bundle=config.ca_bundle,
        client_cert=config.client_cert,
        client_key=config.client_key,
        session=None if config.simulated else session,
        max_response_bytes=config.max_response_bytes,
        allow_insecure=config.allow_insecure,
        local_only=config.simulated,
    )


class Endpoint(NamedTuple):
    """What all requests to one provider share. ``steps``: the provider's ``send`` in steps; None if it has one of its own."""

    provider: LLMProvider
    http: HTTPClient
    gate: Gate
    steps: Callable[[PreparedRequest, CallControl], Steps[ModelResponse]] | None


class Endpoints(dict[str, Endpoint]):
    """The endpoints of one client by the provider's name; ``endpoints[name]`` makes a missing one, on any thread.

    Making one opens no socket. Raises what is wrong with the provider's entry, and ClientClosedError if ``manager`` is closed.
    """

    def __init__(
        self,
        config: LLMConfig,
        manager: ConcurrentLLMManager,
        strict: bool = False,
        spending: Spending | None = None,
        session: SessionHook | None = None,
    ) -> None:
        super().__init__()
        self.spending = spending
        self._session = session
        self._config = config
        self._manager = manager
        self._strict = strict
        self.breakers: dict[str, Breaker] = {}  # of the providers that a route has named

    def breaker(self, name: str) -> Breaker:
        """The breaker of a provider, made on first use."""
        breaker = self.breakers.get(name)
        if breaker is None:
            with import_lock:
                from llm_sync.attempts.breaker import Breaker

            breaker = self.breakers.setdefault(name, Breaker(name, shared=self._shared_breaker(name)))
        return breaker

    def _shared_breaker(self, name: str) -> SharedBreaker | None:
        """What the breaker shares with other processes, if ``machine_wide`` is set."""
        if not self._config.providers[name].machine_wide:
            return None
        with import_lock:
            from llm_sync.machine.breakers import SharedBreaker
            from llm_sync.machine.folder import SharedDirectory

        return SharedBreaker(SharedDirectory(self[name].provider.identity))

    def __missing__(self, name: str) -> Endpoint:
        # Two threads may both build one: no socket is open yet, and setdefault keeps the first.
        return self.setdefault(name, self._build(self._config.providers[name]))

    def another(self, name: str) -> Endpoint:
        """A further endpoint of a provider, with limits of its own."""
        return self._build(self._config.providers[name])

    def replaced(self, replace: Callable[[str, Endpoint], Endpoint]) -> Endpoints:
        """Other endpoints for the same providers, each made of one of these by ``replace``; breakers and money are shared."""
        return _ReplacedEndpoints(self, replace)

    def statuses(self, used: Mapping[str, ProviderStatus]) -> dict[str, ProviderStatus]:
        """The status of every provider: ``used`` has the counts of those that were used."""
        names = self._config.providers
        return {name: dataclasses.replace(used.get(name, ProviderStatus()), **self._until(name)) for name in names}

    def _until(self, name: str) -> dict[str, Any]:
        """What the status says of a provider beside its counts: until when it is not asked, and how much it is found to take."""
        endpoint, breaker = self.get(name), self.breakers.get(name)
        return {
            "cooling_down_until": None if endpoint is None else endpoint.gate.cooling_down_until,
            "breaker_open_until": None if breaker is None else breaker.open_until,
            "concurrency": None if endpoint is None or (auto := endpoint.gate.traffic.auto) is None else auto.limit,
        }

    def close(self) -> None:
        """Close the connections of all, and the ledger."""
        for endpoint in list(self.values()):
            endpoint.http.close()
        if self.spending is not None:
            self.spending.close()

    def shared_maximum(self) -> dict[str, Any]:
        """The ``max_cost`` for a copy of the client, which shares it; empty without one."""
        return {} if self.spending is None else {"max_cost": self.spending.shared_maximum()}

    def reset_after_fork(self) -> None:
        """In a forked child: give all of them new connections, locks and waits."""
        for endpoint in list(self.values()):
            endpoint.provider.reset_after_fork()
            endpoint.http.reset_after_fork()
            endpoint.gate.reset_after_fork()

    def _build(self, config: ProviderConfig) -> Endpoint:
        http = http_client_for(config, self._session)
        emit = self._manager.queue(config.name).emit  # the queue counts every event before it passes it to listeners
        gate = Gate(config.name, emit=emit, **self._limits_of(config))
        retry = RetryHandler(gate, provider=config.name, emit=emit, spending=self.spending)
        kind = ProviderFactory.provider_class(config.type)
        with import_lock:
            from llm_sync.providers.base import LLMProvider  # imported with the first provider

        options: dict[str, Any] = {} if self._config.prices == "off" else {"prices": listed_price}
        options["limits"] = self.limits_listener(config.name, gate)
        provider = kind(config, http, retry, strict=self._strict, emit=emit, **options)
        return Endpoint(provider, http, gate, provider.steps if kind.send is LLMProvider.send else None)

    def limits_listener(self, name: str, gate: Gate) -> Callable[[RateLimits], None]:  # noqa: ARG002  (a worker's needs the name)
        """What is called with the limits that a provider reports."""
        return gate.traffic.adapt

    def _limits_of(self, config: ProviderConfig) -> dict[str, Any]:
        """What limits a provider's attempts: pace, number in flight, and what other processes share under ``machine_wide``."""
        lowest, highest = config.concurrency_from, config.concurrency
        paces: dict[str, Any] = {"requests_per_minute": config.requests_per_minute, "tokens_per_minute": config.tokens_per_minute}
        if (
            lowest is None and config.tokens_per_minute is None and not config.machine_wide
        ):  # the gate keeps to requests by itself
            return {"requests_per_minute": config.requests_per_minute, "traffic": Traffic(concurrency=highest)}
        with import_lock:
            from llm_sync.attempts.auto_concurrency import AutoConcurrency
            from llm_sync.attempts.pace import Pace

        if config.machine_wide:
            return self._shared_limits(config, paces)
        auto = None if lowest is None else AutoConcurrency(lowest, highest)
        pace = Pace(concurrency=highest, **paces) if any(paces.values()) else None
        return {"traffic": Traffic(pace=pace, auto=auto, concurrency=highest)}

    def _shared_limits(self, config: ProviderConfig, paces: dict[str, Any]) -> dict[str, Any]:
        with import_lock:
            from llm_sync.attempts.auto_concurrency import AutoConcurrency
            from llm_sync.attempts.pace import Pace
            from llm_sync.machine.cooldowns import CoolDowns
            from llm_sync.machine.folder import SharedDirectory
            from llm_sync.machine.semaphore import MachineSemaphore
            from llm_sync.machine.shared_numbers import FileStore

        def identity() -> str:  # called later: the provider is made after its gate
            return self[config.name].provider.identity()

        directory, highest = SharedDirectory(identity), config.concurrency
        pace = auto = None
        if any(paces.values()):
            pace = Pace(concurrency=highest, store=FileStore(directory, "pace"), **paces)
        if config.concurrency_from is not None:
            auto = AutoConcurrency(config.concurrency_from, highest, FileStore(directory, "auto"))
        if auto is None:
            slot = MachineSemaphore(directory, highest, config.name)
        else:
            slot = MachineSemaphore(directory, lambda: auto.limit, config.name, on_full=auto.note_full)
        traffic = Traffic(pace=pace, auto=auto, count_in_flight=slot.count_held, concurrency=highest)
        return {"slot": slot, "cool_downs": CoolDowns(directory), "traffic": traffic}


class _ReplacedEndpoints(Endpoints):
    """See ``Endpoints.replaced``."""

    def __init__(self, originals: Endpoints, replace: Callable[[str, Endpoint], Endpoint]) -> None:
        vars(self).update(vars(originals))
        self._originals = originals
        self._replace = replace

    def __missing__(self, name: str) -> Endpoint:
        return self.setdefault(name, self._replace(name, self._originals[name]))
