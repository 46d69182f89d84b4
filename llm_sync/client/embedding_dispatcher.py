"""From texts to their provider's queue: a Dispatcher for embeddings beside the client's own, over the same queues and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llm_sync.client import request_defaults
from llm_sync.client.calls import ProviderCall
from llm_sync.client.dispatcher import Dispatcher
from llm_sync.client.endpoints import Endpoint, listed_price
from llm_sync.config.routes import is_route
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import Adjustment
from llm_sync.models.embeddings import EmbeddingRequest, PreparedEmbedding
from llm_sync.providers.embeddings.limits import TextLimits
from llm_sync.providers.embeddings.provider import EmbeddingProvider

if TYPE_CHECKING:
    from llm_sync.client.endpoints import Endpoints
    from llm_sync.config.models import LLMConfig
    from llm_sync.dispatch.manager import ConcurrentLLMManager


class EmbeddingEndpoints(dict[str, Endpoint]):
    """The endpoints of one client with the embeddings of each provider in place of the provider; made on first use.

    Everything else of an endpoint is shared: HTTP client, gate and retries. ``endpoints[name]`` raises InvalidRequestError for
    a provider that has no embeddings, and what ``Endpoints`` raises.
    """

    def __init__(self, config: LLMConfig, manager: ConcurrentLLMManager, endpoints: Endpoints, *, strict: bool) -> None:
        super().__init__()
        self.spending = endpoints.spending
        self._config = config
        self._manager = manager
        self._endpoints = endpoints
        self._strict = strict

    def __missing__(self, name: str) -> Endpoint:
        endpoint = self._endpoints[name]
        provider = EmbeddingProvider(
            endpoint.provider,
            strict=self._strict,
            emit=self._manager.queue(name).emit,
            prices=None if self._config.prices == "off" else listed_price,
            limits=endpoint.gate.traffic.adapt,
        )
        return self.setdefault(name, endpoint._replace(provider=provider, steps=provider.steps))


class EmbeddingDispatcher(Dispatcher):
    """The Dispatcher of one client's embeddings: ``prepare`` takes an EmbeddingRequest, the answers are EmbeddingResponses.

    Queues, retries, rate limits, budgets, caches, events and middleware are those of ``chat``, the client's own dispatcher.
    Any thread may use it.
    """

    def __init__(self, chat: Dispatcher) -> None:
        self._chat = chat
        self.config, self.strict, self.strict_streaming = chat.config, chat.strict, chat.strict_streaming
        self.is_offline, self.keys, self.routed, self.caching = chat.is_offline, chat.keys, None, None
        self._manager = chat._manager  # noqa: SLF001  (one of its kind)
        endpoints: Any = EmbeddingEndpoints(self.config, self._manager, chat._endpoints, strict=chat.strict)  # noqa: SLF001
        self._endpoints = endpoints
        if chat.caching is not None:
            from llm_sync.client.caching import Caching

            self.caching = Caching(self.config, chat.caching.chosen, self._manager, self._endpoints, lambda: next(self.keys))

    @property
    def _middleware(self) -> Any:  # type: ignore[override]  # read where the client keeps it: it may be added later
        return self._chat._middleware  # noqa: SLF001

    def prepare(  # type: ignore[override]  # another kind of request
        self, request: EmbeddingRequest, *, changed: Iterable[Adjustment] = (), **options: Any
    ) -> PreparedEmbedding:
        """As Dispatcher.prepare. Configured settings of answers (temperature, provider_specific …) do not count for vectors.

        Raises what is wrong with the request, LLMConnectorError as there; InvalidRequestError for a provider without embeddings.
        """
        name, model = self.target(request.model)
        switched: Any = request  # read for its provider_specific alone
        clean, stripped = request_defaults.without_switches(switched, name, strict=self.strict_streaming)
        request = dataclasses.replace(request, model=model, provider_specific=clean.provider_specific)
        attempts = request_defaults.attempt_options(self.config.providers[name].entry(model).attempts, options)
        keyless = self.caching is not None and self.caching.cache_of(name, model) is not None
        provider: Any = self._endpoints[name].provider
        prepared: PreparedEmbedding = provider.prepare(request, attempts, (*changed, *stripped), keyless=keyless)
        if self._endpoints.spending is not None and not keyless:
            self._endpoints.spending.check(prepared)
        return prepared

    def call_for(self, prepared: Any, middleware: Any = None) -> ProviderCall:
        """As Dispatcher.call_for; its events say that it is for vectors."""
        call = super().call_for(prepared, middleware)
        call.operation = prepared.operation
        return call

    def target(self, model: str | None) -> tuple[str, str]:
        """The provider and the bare name of a model. Raises InvalidRequestError; the default model is one for answers."""
        if model is None:
            raise InvalidRequestError("no model is named", guidance='Name one for embeddings: "openai/text-embedding-3-small".')
        if is_route(self.config, model):
            raise InvalidRequestError(
                f"{model!r} names several models", guidance="Name one: vectors of two models cannot be compared."
            )
        name, bare = route(self.config, model)
        return name, bare

    def limits(self, model: str | None, dimensions: int | None, texts: int | None = None) -> TextLimits:
        """How much one request to a model may hold; ``texts``: the number that the program chose. Raises LLMConnectorError."""
        name, bare = self.target(model)
        provider: Any = self._endpoints[name].provider
        try:
            limits: TextLimits = provider.wire.limits_for(bare, dimensions)
        except LLMConnectorError as error:
            error.provider, error.model = error.provider or name, error.model or bare
            raise
        return limits.with_texts(texts)


def embedding_dispatcher(dispatcher: Dispatcher) -> EmbeddingDispatcher:
    """The embeddings of a client's dispatcher; made on first use."""
    made: EmbeddingDispatcher | None = dispatcher.embeddings
    if made is None:
        made = dispatcher.embeddings = EmbeddingDispatcher(
            dispatcher
        )  # two threads may make one each: they share all that counts
    return made
