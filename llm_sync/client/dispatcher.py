"""From a request to its provider's queue: prepared in the caller's thread, sent by a worker."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from llm_sync.client import request_defaults
from llm_sync.client.calls import LIST_MODELS, ProviderCall
from llm_sync.client.endpoints import Endpoint, Endpoints
from llm_sync.config.models import LLMConfig
from llm_sync.config.routing import route
from llm_sync.dispatch.manager import ConcurrentLLMManager, Item
from llm_sync.dispatch.wait import failed_future, finished_future
from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import log_facts, logger
from llm_sync.models import Adjustment, ModelRequest, ModelResponse, PreparedRequest
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.import_lock import import_lock
from llm_sync.runtime.steps import Steps, in_one_step

if TYPE_CHECKING:
    from llm_sync.client.caching import Caching
    from llm_sync.client.middleware import Middleware
    from llm_sync.spending.meter import Spending

Prepared = TypeVar("Prepared")

_log = logger("client")


def or_error(prepare: Callable[[ModelRequest], Prepared], request: ModelRequest) -> Prepared | LLMConnectorError:
    """What ``prepare`` returns for a request, or the error that it raises, but for ClientClosedError."""
    try:
        return prepare(request)
    except ClientClosedError:
        raise
    except LLMConnectorError as error:
        return error


class Dispatcher:
    """The way of one client's requests, as ``client.dispatcher``. Every method may be called from any thread.

    For code that does more with a request than ask it: check it without sending, keep it, send it later or through a
    middleware of its own. ``config`` is the configuration that counts: the client's own, in a simulation with its providers at
    the simulator. ``strict`` is as the client's; ``strict_streaming``: whether streaming switches are refused. ``caching``: the
    answer caches, if the client has any; ``is_offline``: nothing but what they have stored may be used.
    """

    _middleware_parts: Any = None  # what a call with middleware needs, once there is one

    def __init__(
        self, config: LLMConfig, manager: ConcurrentLLMManager, endpoints: Endpoints, *, strict: bool, strict_streaming: bool
    ) -> None:
        self.config = config
        self.strict = strict
        self.strict_streaming = strict or strict_streaming
        self._manager, self._endpoints = manager, endpoints
        self.keys = itertools.count(1)
        self.routed: Any = None  # the client's RoutedRequests, which have each model of a route prepared here
        self.embeddings: Any = None  # the EmbeddingDispatcher, once a program asks for vectors
        self.caching: Caching | None = None
        self.is_offline = False
        self._keyless = False  # whether the keys are looked at elsewhere, where the requests are sent
        self._middleware: tuple[Middleware, ...] = ()  # replaced, never changed: workers read it without a lock

    def open_caches(self, chosen: Any) -> None:
        """Store answers, by the settings that the program gave (None: as configured). Called once, before anything is sent.

        Raises ConfigurationError for settings or a folder that cannot be used.
        """
        from llm_sync.client.caching import Caching, effective_settings

        settings = effective_settings(chosen)
        self.is_offline = settings is not None and settings.offline
        self.caching = Caching(self.config, settings, self._manager, self._endpoints, lambda: next(self.keys))

    # Preparing ------------------------------------------------------------------------------------------------------

    def prepare(
        self, request: ModelRequest, *, changed: Iterable[Adjustment] = (), via: str | None = None, **options: Any
    ) -> PreparedRequest:
        """Everything that can be done for a request without the network: routed, completed, checked, encoded.

        ``options`` are those of ``client.generate_response`` but for ``wait_timeout``, and ``max_retry_after`` (seconds) and
        ``retry_timeouts``: they replace fields of AttemptOptions; ``target``: the Route it takes, whatever model it names.
        ``changed``: adjustments made before, for the response. ``via``: one of config.ways.WAYS; None: as configured.
        Nothing is sent or queued, no key file is read and no key command run.

        Raises what is wrong with the request: TypeError for what is no ModelRequest, else LLMConnectorError, also for a
        variable that is not set and a key of an impossible form; ClientClosedError once the client is closed.
        """
        if not isinstance(request, ModelRequest):
            raise TypeError(f"a request is a ModelRequest, not {type(request).__name__}")
        name, model = options.pop("target", None) or route(self.config, request.model)
        if _log.isEnabledFor(logging.DEBUG):
            log_facts(_log, "route", asked=request.model, provider=name, model=model)
        entry = self.config.providers[name].entry(model)
        adjustments = list(changed)
        for switch, asked in entry.stripped.items():
            adjustments.append(Adjustment(switch, asked, None, "the configuration asks for streaming, which llm-sync never does"))
        if request.provider_specific:
            request, stripped = request_defaults.without_switches(request, name, strict=self.strict_streaming)
            adjustments += stripped
        request = request_defaults.filled(request, model, entry)
        attempts = request_defaults.attempt_options(entry.attempts, options)
        may_be_stored = self.caching is not None and self.caching.cache_of(name, model) is not None
        keyless = may_be_stored or self._keyless
        prepared = self._endpoints[name].provider.prepare(request, attempts, adjustments, keyless=keyless)
        way = entry.via if via is None else via
        if (way is not None and way != "direct") or request.service_tier is not None or request.completion_window is not None:
            prepared = self._sent_via(way, prepared, options, is_asked=via is not None)
        if self._endpoints.spending is not None and not may_be_stored:  # a stored answer costs nothing
            self._endpoints.spending.check(prepared)
        return prepared

    def _sent_via(
        self, way: str | None, prepared: PreparedRequest, options: Mapping[str, Any], *, is_asked: bool
    ) -> PreparedRequest:
        with import_lock:  # few requests go another way
            from llm_sync.client.ways import sent_via

        dialect = self._endpoints[prepared.provider].provider.dialect
        return sent_via(way, prepared, dialect, self.config, options, strict=self.strict, is_asked=is_asked)

    def prepare_or_error(self, request: ModelRequest) -> PreparedRequest | LLMConnectorError:
        """As ``prepare``; what is wrong with this request alone is returned."""
        return or_error(self.prepare, request)

    # Sending --------------------------------------------------------------------------------------------------------

    def submit(
        self, prepared: PreparedRequest, *, middleware: Middleware | None = None, block: bool = True, timeout: float | None = None
    ) -> Future[ModelResponse]:
        """Queue a prepared request; the future carries the answer or its error, and can be cancelled until it is sent.

        ``middleware`` runs around this one call, outside of the client's own. The provider must be one of this client's.
        Raises ClientClosedError, and QueueFullError when ``max_queue`` is reached and ``block`` is False, or no room has come
        within ``timeout`` seconds.
        """
        if self.caching is not None and middleware is None:
            item = self._item(self.caching.numbered(prepared))
            if isinstance(item, Future):
                return item
            return self._manager.submit(*item, block=block, timeout=timeout)
        return self._manager.submit(prepared.provider, self.call_for(prepared, middleware), block=block, timeout=timeout)

    def ask(self, prepared: PreparedRequest, timeout: float | None = None) -> ModelResponse:
        """Queue a prepared request and wait for its answer, at most ``timeout`` seconds; errors as of ``client.generate``."""
        if self.caching is not None:
            prepared = self.caching.numbered(prepared)
            stored = self.stored(prepared)
            if stored is not None:
                return stored
        return self._manager.call(prepared.provider, self.call_for(prepared), timeout=timeout)  # type: ignore[no-any-return]

    def run(self, prepared: Iterable[PreparedRequest], *, return_exceptions: bool) -> list[Any]:
        """Send all and wait for all; see ConcurrentLLMManager.run."""
        return self._manager.run(self._items(prepared), return_exceptions=return_exceptions)

    def map(
        self, prepared: Iterable[PreparedRequest | LLMConnectorError], *, window: int, return_exceptions: bool
    ) -> Iterator[Any]:
        """Send them as they come, lazily; see ConcurrentLLMManager.map."""
        return self._manager.map(self._items(prepared), window=window, return_exceptions=return_exceptions)

    def stored(self, prepared: PreparedRequest) -> ModelResponse | None:
        """The answer that the cache has; None if the request has to be sent, also if middleware is to see it first.

        Raises the errors of the cache (CacheMissError …), and AuthenticationError if the request has to be sent without a key.
        """
        if self.caching is None or self._middleware:
            return None
        return self.caching.look_up(prepared)

    def is_stored(self, request: ModelRequest) -> bool:
        """Whether a request needs nothing to be sent, as far as is known without reading: offline, or its answer is stored."""
        try:
            return self.caching is not None and (self.is_offline or self.caching.is_stored(self.prepare(request)))
        except LLMConnectorError:
            return False  # reported when it is sent

    def _items(self, prepared: Iterable[Any]) -> Iterator[Item]:
        """What the manager takes for each request. Of equal ones the n-th is sample n for the cache."""
        count = None if self.caching is None else self.caching.count_samples()
        for each in prepared:
            if isinstance(each, LLMConnectorError):
                yield each
            elif not isinstance(each, PreparedRequest):
                yield each.relay_queue, each  # the call of a route, as RoutedRequests.prepare makes it
            elif count is None:
                yield each.provider, self.call_for(each)
            else:
                yield self._item(count(each))

    def _item(self, prepared: PreparedRequest) -> tuple[str, ProviderCall] | Future[Any]:
        """The call of a request, or a future that is done, if its answer is stored."""
        try:
            stored = self.stored(prepared)
        except LLMConnectorError as error:
            return failed_future(error)
        return (prepared.provider, self.call_for(prepared)) if stored is None else finished_future(stored)

    def add_middleware(self, middleware: Middleware) -> None:
        """Let ``middleware`` run around every call that is queued from now on; the first one added is the outermost."""
        self._middleware += (middleware,)

    def call_for(self, prepared: PreparedRequest, middleware: Middleware | None = None) -> ProviderCall:
        """What a worker runs to send a prepared request."""
        around = self._middleware if middleware is None else (middleware, *self._middleware)
        control = CallControl(next(self.keys))
        if not around:
            if self.caching is not None:
                return ProviderCall(self.caching.send, (prepared, control), control, prepared.model, self.caching.steps)
            endpoint = self._endpoints[prepared.provider]
            return ProviderCall(endpoint.provider.send, (prepared, control), control, prepared.model, endpoint.steps)
        if self._middleware_parts is None:
            with import_lock:  # few programs have one
                from llm_sync.client import middleware as parts
            self._middleware_parts = parts
        send = self._middleware_parts.Next(self._steps, around, control)
        is_in_steps = all(map(self._middleware_parts.has_steps, around))
        return ProviderCall(send, (prepared,), control, prepared.model, send.steps if is_in_steps else None)

    def _steps(self, prepared: PreparedRequest, control: CallControl) -> Steps[ModelResponse]:
        """Behind the middleware, which may have gone to another provider."""
        if self.caching is not None:
            return self.caching.steps(prepared, control)
        endpoint = self._endpoints[prepared.provider]
        if endpoint.steps is not None:
            return endpoint.steps(prepared, control)
        return in_one_step(partial(endpoint.provider.send, prepared, control))

    @property
    def queues(self) -> ConcurrentLLMManager:
        """The queues of the client."""
        return self._manager

    def another_endpoint(self, provider: str) -> Endpoint:
        """A further endpoint of a provider, with limits of its own, for requests that are sent from elsewhere."""
        return self._endpoints.another(provider)

    def over(self, replace: Callable[[str, Endpoint], Endpoint]) -> Dispatcher:
        """A copy for requests that are sent from elsewhere: the endpoint of each provider is ``replace(name, endpoint)``.

        Queues, gates, caches, budgets and the middleware of now are shared. Keys are not looked at here.
        """
        clone, endpoints = copy.copy(self), self._endpoints.replaced(replace)
        vars(clone).update(_keyless=True, _endpoints=endpoints)
        clone.caching = None if self.caching is None else self.caching.over(endpoints)
        self.routed.over(clone, endpoints)
        return clone

    # Providers ------------------------------------------------------------------------------------------------------

    def cooling_down(self, provider: str) -> float:
        """Seconds for which a provider asked to be sent nothing; 0.0 where it did not, or they are over."""
        until = self._endpoints[provider].gate.cooling_down_until
        return 0.0 if until is None else max(0.0, (until - datetime.now(timezone.utc)).total_seconds())

    def redact(self, provider: str, text: str) -> str:
        """``text`` with every secret of a provider that stands in it replaced by ``[key]``: for what is stored."""
        return str(self._endpoints[provider].provider.credential.redactor().whole(text))

    def endpoint(self, provider: str) -> Endpoint:
        """A provider with its HTTP client, for code that talks to it beside its requests. Raises as Endpoints does."""
        return self._endpoints[provider]

    @property
    def spending(self) -> Spending | None:
        """What keeps to the budgets of the client; None where there are none."""
        return self._endpoints.spending

    def check(self, provider: str) -> None:
        """Raise what keeps a provider from being used. Sends nothing, but reads a key file and runs a key command."""
        self._endpoints[provider].provider.check()

    def list_models(self, providers: Iterable[str], timeout: float | None) -> dict[str, list[str] | BaseException]:
        """What each provider lists, or the error that it has instead, all asked at once, each attempt within ``timeout``
        seconds. Raises ClientClosedError, and RuntimeError on a worker thread of any of them."""
        calls: dict[str, ProviderCall] = {}
        outcomes: dict[str, list[str] | BaseException] = {}
        for name in providers:
            attempts = request_defaults.attempt_options(self.config.providers[name].attempts, {"timeout": timeout})
            control = CallControl(next(self.keys))
            try:
                calls[name] = ProviderCall(self._endpoints[name].provider.list_models, (attempts, control), control)
                calls[name].operation = LIST_MODELS
            except LLMConnectorError as error:  # one provider that cannot be set up stops no other
                outcomes[name] = error
        outcomes.update(zip(calls, self._manager.run(calls.items(), return_exceptions=True), strict=True))
        return outcomes
