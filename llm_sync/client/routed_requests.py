"""Which requests go to a route, and what asks them. Loads routes only when one is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from llm_sync.client.dispatcher import Dispatcher, or_error
from llm_sync.client.endpoints import Endpoints
from llm_sync.config.models import LLMConfig, route_names
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.client.route_parts import Around
    from llm_sync.client.routes import Routes
    from llm_sync.dispatch.queue import ProviderRequestQueue
    from llm_sync.models.embeddings import Embeddings


class RoutedRequests:
    """The routes of one client, as ``client.dispatcher.routed``. Every method may be called from any thread.

    ``names``: the models' names that are routes whatever they contain; None and "" if the default model is one.
    """

    def __init__(self, config: LLMConfig, manager: ConcurrentLLMManager, dispatcher: Dispatcher, endpoints: Endpoints) -> None:
        self.names = route_names(config)
        self._config = config
        self._manager = manager
        self._dispatcher = dispatcher
        self._endpoints = endpoints
        self._made: Routes | None = None
        dispatcher.routed = self

    def over(self, dispatcher: Dispatcher, endpoints: Endpoints) -> RoutedRequests:
        """The same routes, whose models ``dispatcher`` asks: it gets them as its own."""
        return RoutedRequests(self._config, self._manager, dispatcher, endpoints)

    @property
    def _routes(self) -> Routes:
        if self._made is None:
            with import_lock:
                from llm_sync.client.routes import Routes

            endpoints = self._endpoints
            made = Routes(self._config, self._manager, self._dispatcher, endpoints.__getitem__, endpoints.breaker)
            self._made = made  # of two threads that meet, both may make some: they share breakers and queues
        return self._made

    def open_queue(self) -> ProviderRequestQueue:
        """The queue of all routes."""
        with import_lock:
            from llm_sync.dispatch.relay import RelayQueue

        return RelayQueue()  # type: ignore[return-value]  # it has what ConcurrentLLMManager needs of a queue

    def includes(self, request: Any) -> bool:
        """Whether ``request`` names a route."""
        model = getattr(request, "model", None)
        if model in self.names:
            return isinstance(request, ModelRequest)
        return isinstance(model, str) and "," in model and isinstance(request, ModelRequest) and self._routes.is_route(model)

    def ask(self, request: ModelRequest, wait_timeout: float | None, **options: Any) -> ModelResponse:
        """Ask and wait; options and errors as of ``LLMClient.generate``."""
        return (self._made or self._routes).ask(request, options, wait_timeout)

    def submit(
        self, request: ModelRequest, options: dict[str, Any], *, block: bool, timeout: float | None, around: Around | None = None
    ) -> Future[ModelResponse]:
        """Queue a request; the future ends with the route, and can be cancelled until its first model is asked.

        ``options``: those of ``Dispatcher.prepare``; ``around`` runs around each step, on the worker that sends it.
        """
        return self._routes.submit(request, options, block=block, timeout=timeout, around=around)  # type: ignore[no-any-return]

    def prepare(self, request: ModelRequest) -> Any:
        """What ``Dispatcher.run`` and ``Dispatcher.map`` take of a request, whether it names a route or a single model."""
        return self._routes.call_for(request) if self.includes(request) else self._dispatcher.prepare(request)

    def prepare_or_error(self, request: ModelRequest) -> Any:
        """As ``prepare``; what is wrong with this request alone is returned."""
        return or_error(self.prepare, request)

    def run(self, requests: Iterable[ModelRequest], *, return_exceptions: bool) -> list[Any]:
        """Check all, send all and wait for all; see ``LLMClient.generate_responses_concurrent``."""
        prepare = self.prepare_or_error if return_exceptions else self.prepare
        prepared = [prepare(request) for request in requests]
        sent = [each for each in prepared if not isinstance(each, LLMConnectorError)]
        outcomes = iter(self._dispatcher.run(sent, return_exceptions=return_exceptions))
        return [each if isinstance(each, LLMConnectorError) else next(outcomes) for each in prepared]

    def embed(self, texts: str | Iterable[str], model: str, **options: Any) -> Embeddings:
        """See ``LLMClient.embed``; models of embeddings have no routes: vectors of two models cannot be compared."""
        with import_lock:
            from llm_sync.client.embedding import embed

        return embed(self._dispatcher, texts, model, **options)

    def map(self, requests: Iterable[ModelRequest], *, window: int, return_exceptions: bool) -> Iterator[Any]:
        """Send them as they come, lazily; see ``LLMClient.map``."""
        prepare = self.prepare_or_error if return_exceptions else self.prepare
        return self._dispatcher.map(map(prepare, requests), window=window, return_exceptions=return_exceptions)
