"""One provider's embeddings: prepared by the wire, sent as everything else of the provider."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from llm_sync import streaming
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.events import Event
from llm_sync.models import Adjustment, AttemptOptions
from llm_sync.models.embeddings import EmbeddingRequest, PreparedEmbedding
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.attempt import AttemptMaker
from llm_sync.providers.base import LLMProvider
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.embeddings.reader import EmbeddingReader
from llm_sync.providers.embeddings.wire import EmbeddingWire
from llm_sync.providers.error_context import add_context
from llm_sync.providers.payload import encoded, merge
from llm_sync.providers.ports import Limits, Prices
from llm_sync.providers.request_urls import RequestURLs
from llm_sync.runtime.import_lock import import_lock


class EmbeddingProvider(LLMProvider):
    """The embeddings of ``chat``, a provider of the same entry, whose HTTP client, key, retries and rate limits it shares.

    Raises InvalidRequestError if its dialect has no embeddings.
    """

    def __init__(
        self,
        chat: LLMProvider,
        *,
        strict: bool = False,
        emit: Callable[[Event], None] | None = None,
        prices: Prices | None = None,
        limits: Limits | None = None,
    ) -> None:
        vars(self).update(vars(chat))  # all of it is shared, but for what follows
        self.wire = wire_for(chat.dialect)
        self.reader = EmbeddingReader(self.wire, self.credential, strict=strict, prices=prices)
        self._attempts = AttemptMaker(self.config, self.http, self.credential, self.reader, emit, limits)
        self._strict = strict
        self._emit = emit
        urls: Any = self.wire  # it has of a dialect what RequestURLs asks for
        self._urls = RequestURLs(urls)

    def prepare(  # type: ignore[override]  # another kind of request
        self,
        request: EmbeddingRequest,
        options: AttemptOptions | None = None,
        adjustments: Iterable[Adjustment] = (),
        *,
        keyless: bool = False,
    ) -> PreparedEmbedding:
        """As LLMProvider.prepare. Raises LLMConnectorError for whatever is wrong with the request, its URL, variables or key."""
        wire, model, made = self.wire, request.model or "", Adjustments(adjustments, strict=self._strict)
        try:
            payload = wire.prepare_request(request, made)
            merge(payload, wire.normalize_extras(request.provider_specific), made, wire.forbidden)
            wire.check_formats(payload)
            body = encoded(payload)
            self.config.require_variables(without_secrets=keyless)
            url = self._urls.queued.get(model) or self._urls.add_queued(model)
            sent_to = self._urls.sent.get(url) or self._urls.add_sent(url)
            streaming.refuse_switches(payload, sent_to)
            if not keyless:
                self.credential.get().check_without_io()
        except LLMConnectorError as error:
            add_context(error, self.config, request.model)
            raise
        return PreparedEmbedding(
            provider=self.name,
            dialect=self.config.type,
            model=model,
            method="POST",
            url=url,
            body=body,
            headers=self._queued_headers or self._remember_headers(),
            options=options or self.config.attempts,
            request=request,
            adjustments=tuple(made.made),
            notices=tuple(made.notices),
        )


def wire_for(dialect: Dialect) -> EmbeddingWire:
    """The embeddings of a dialect. Raises InvalidRequestError if it has none."""
    module, _, name = (dialect.embeddings or "").partition(":")
    if not module:
        raise InvalidRequestError(
            f"type {dialect.config.type!r} has no embeddings",
            provider=dialect.name,
            guidance="Ask a model of another provider: openai and compatible servers, gemini, openrouter (docs/embeddings.md).",
        )
    with import_lock:
        made: EmbeddingWire = getattr(importlib.import_module(module), name)(dialect)
    return made
