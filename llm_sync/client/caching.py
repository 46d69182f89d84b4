"""The answer caches of one client: which request has which, and how its provider reads what they have stored."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from llm_sync.cache.answers import AnswerCache, Asked, Reading
from llm_sync.cache.entry import Entry
from llm_sync.cache.imported import response_of
from llm_sync.cache.key import request_digest
from llm_sync.cache.recording import recording_settings
from llm_sync.cache.samples import SampleCounter
from llm_sync.cache.settings import CacheSettings, settings_of
from llm_sync.client.cache_choice import RECORDING_VARIABLE
from llm_sync.errors import ConfigurationError, LLMConnectorError, ResponseValidationError, UnusableAnswerError
from llm_sync.events import CacheHit
from llm_sync.models import ModelResponse, PreparedRequest, Reply
from llm_sync.providers.base import LLMProvider
from llm_sync.runtime.steps import Steps, run

if TYPE_CHECKING:
    from llm_sync.client.endpoints import Endpoints
    from llm_sync.config.models import LLMConfig
    from llm_sync.dispatch.manager import ConcurrentLLMManager
    from llm_sync.runtime.cancellation import CallControl

_HEADERS = frozenset({"content-type", "retry-after", "retry-after-ms", "x-should-retry"})
_MAX_ROUTES = 1024  # models whose cache is remembered


class Caching:
    """Looks answers up before a request is queued, and stores what comes. Any thread may use it.

    ``chosen``: the settings that the program gave; what they leave open, and everything without them, is as configured.
    ``new_key`` gives the keys of events. Raises ConfigurationError for a folder that cannot be used.
    """

    def __init__(
        self,
        config: LLMConfig,
        chosen: CacheSettings | None,
        manager: ConcurrentLLMManager,
        endpoints: Endpoints,
        new_key: Callable[[], int],
    ) -> None:
        self._config = config
        self.chosen = chosen
        self._manager = manager
        self._endpoints = endpoints
        self._new_key = new_key
        self._caches: dict[CacheSettings, AnswerCache] = {}
        self._routes: dict[tuple[str, str], AnswerCache | None] = {}
        self._readings: dict[str, Reading] = {}
        for name in config.providers:
            self.cache_of(name, "")

    def over(self, endpoints: Endpoints) -> Caching:
        """The same caches, for requests to ``endpoints``, which need no key here."""
        clone = copy.copy(self)
        vars(clone).update(_endpoints=endpoints, _readings={}, _is_keyless=True)
        return clone

    def cache_of(self, provider: str, model: str) -> AnswerCache | None:
        """The cache of a model's answers; None if they are not stored."""
        key = (provider, model)
        if key not in self._routes:
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[key] = self._opened(provider, model)
        return self._routes[key]

    def numbered(self, prepared: PreparedRequest) -> PreparedRequest:
        """A single request with the number of its sample, where those are counted."""
        cache = self.cache_of(prepared.provider, prepared.model)
        return prepared if cache is None else cache.numbered(prepared)

    def count_samples(self) -> Callable[[PreparedRequest], PreparedRequest]:
        """What numbers the requests of one call: of those that are equal, the n-th asks for sample n."""
        counter = SampleCounter()

        def numbered(prepared: PreparedRequest) -> PreparedRequest:
            cache = self.cache_of(prepared.provider, prepared.model)
            if cache is None:
                return prepared
            return cache.numbered(prepared) if cache.settings.counted else counter.numbered(prepared)

        return numbered

    def store_response(self, prepared: PreparedRequest, response: Mapping[str, Any], stored: datetime) -> bool:
        """Store a response that a record of a batch has; False if there is an answer of use already, or it cannot be stored.

        Raises ConfigurationError if answers of this model are not stored.
        """
        cache = self.cache_of(prepared.provider, prepared.model)
        if cache is None:
            raise ConfigurationError(
                f"answers of {prepared.provider}/{prepared.model} are not stored", guidance="Turn its cache on."
            )
        if cache.serves(prepared, reading := self._reading(prepared.provider)):
            return False
        body = reading.redact(prepared.body)
        entry = Entry(
            digest=request_digest(prepared),
            sample=prepared.sample,
            dialect=prepared.dialect,
            url=prepared.url,
            model=prepared.model,
            body=body,
            stored=stored,
            response=response,
            usage={name: count for name, count in (response.get("usage") or {}).items() if count is not None},
            cost=response.get("cost_estimate"),
            redacted=body != prepared.body,
        )
        return cache.store.put(entry)

    def is_stored(self, prepared: PreparedRequest) -> bool:
        """Whether an answer seems to be stored; it is not read."""
        cache = self.cache_of(prepared.provider, prepared.model)
        return cache is not None and cache.has(prepared)

    def look_up(self, prepared: PreparedRequest) -> ModelResponse | None:
        """The stored answer; None if the request has to be sent: then its key and variables are fit for that.

        Raises AuthenticationError if they are not, BudgetExceededError if no budget has room for it, CacheMissError offline, and
        the error that is stored, if any is.
        """
        cache = self.cache_of(prepared.provider, prepared.model)
        if cache is None:
            return None
        began = time.monotonic()
        response = cache.look_up(prepared, self._reading(prepared.provider))
        if response is None:
            if not getattr(self, "_is_keyless", False):
                _check_key(self._endpoints[prepared.provider].provider, prepared.model)
            if self._endpoints.spending is not None:
                self._endpoints.spending.check(prepared)
        else:
            self._report(prepared, response, self._new_key(), queued=False, elapsed=time.monotonic() - began)
        return response

    def send(self, prepared: PreparedRequest, control: CallControl) -> ModelResponse:
        """On a worker: the stored answer, or that of an equal request in flight, or that of the provider, which is stored."""
        return run(self.steps(prepared, control))

    def steps(self, prepared: PreparedRequest, control: CallControl) -> Steps[ModelResponse]:
        """``send`` in steps, for a worker that sends many requests at once."""
        provider = self._endpoints[prepared.provider].provider
        cache = self.cache_of(prepared.provider, prepared.model)
        if cache is None:
            if type(provider).send is not LLMProvider.send:
                return provider.send(prepared, control)
            return (yield from provider.steps(prepared, control))
        began = time.monotonic()
        ask = partial(_ask, provider, prepared, control)
        response = yield from cache.ask_once(prepared, self._reading(prepared.provider), control, ask)
        if response.cached:
            self._report(prepared, response, control.key, queued=True, elapsed=time.monotonic() - began)
        return response

    def _report(self, prepared: PreparedRequest, response: ModelResponse, key: int, *, queued: bool, elapsed: float) -> None:
        event = CacheHit(
            prepared.provider,
            key,
            model=prepared.model,
            queued=queued,
            elapsed=elapsed,
            usage=response.usage,
            operation=prepared.operation,
            saved=vars(response)["saved_estimate"],  # not looked at: it may take longer to find out than the hit
        )
        self._manager.queue(prepared.provider).emit(event)
        if self._endpoints.spending is not None:
            self._endpoints.spending.record_hit(prepared, response)

    def _opened(self, provider: str, model: str) -> AnswerCache | None:
        entry = self._config.providers[provider].entry(model)
        configured, settings = settings_of(entry.cache), self.chosen
        if settings is None:
            settings = configured
        elif configured is not None and not settings.counted:
            settings = _completed(settings, configured)
        if settings is None:
            return None
        return self._caches.get(settings) or self._caches.setdefault(settings, AnswerCache(settings))

    def _reading(self, provider: str) -> Reading:
        reading = self._readings.get(provider)
        if reading is None:
            instance = self._endpoints[provider].provider
            names = {name.lower() for name in instance.dialect.request_id_headers}
            reading = self._readings[provider] = Reading(_Judge(instance), _Redaction(instance), _HEADERS | names)
        return reading


def effective_settings(chosen: Any) -> CacheSettings | None:
    """The settings that the program chose, unless a test records or replays. Raises ConfigurationError."""
    recording = os.environ.get(RECORDING_VARIABLE)
    return settings_of(chosen) if recording is None else recording_settings(recording)


def _completed(settings: CacheSettings, configured: CacheSettings) -> CacheSettings:
    """What the program gave, with the configured values for what it left open."""
    own = {name: getattr(configured, name) for name in ("dir", "max_age", "max_bytes") if getattr(settings, name) is None}
    return dataclasses.replace(settings, **own, errors=settings.errors or configured.errors)


def _ask(provider: LLMProvider, prepared: PreparedRequest, control: CallControl) -> Steps[Asked]:
    """Send a request, in steps, and keep the reply to its last attempt."""
    replies: dict[int | None, Reply] = {}
    try:
        if type(provider).send is LLMProvider.send:
            keep = partial(_keep, replies)
            response = yield from provider.steps(prepared, control, keep=keep)
        else:  # a way of its own, of which there are no replies: its answers are not stored
            response = provider.send(prepared, control)
    except LLMConnectorError as error:
        return Asked(error, replies.get(error.attempts))
    return Asked(response, replies.get(response.attempts))


def _keep(replies: dict[int | None, Reply], reply: Reply, number: int) -> None:
    replies[number] = reply


def _check_key(provider: LLMProvider, model: str) -> None:
    """Raise what ``prepare`` raises of variables and the key when it is not to do without them."""
    try:
        provider.config.require_variables()
        provider.credential.get().check_without_io()
    except LLMConnectorError as error:
        error.provider, error.model = error.provider or provider.name, error.model or model
        raise


class _Judge:
    """Reads stored replies by the code that reads those that have just come."""

    def __init__(self, provider: LLMProvider) -> None:
        self._provider = provider

    def __call__(self, prepared: PreparedRequest, entry: Entry) -> ModelResponse:
        try:
            response = self._read(prepared, entry)
        except LLMConnectorError as error:
            error.provider, error.model = error.provider or prepared.provider, error.model or prepared.model
            error.attempts = 0
            if isinstance(error, UnusableAnswerError) and error.response is not None:
                error.response = _marked(error.response, entry)
            raise
        return _marked(response, entry)

    def _read(self, prepared: PreparedRequest, entry: Entry) -> ModelResponse:
        if entry.reply is None:
            return response_of(entry, prepared)
        try:
            return self._provider.reader.response(prepared, entry.reply, 0)
        except RecursionError:
            pass
        raise ResponseValidationError(f"the stored answer {entry.key[:12]} is nested too deeply")


def _marked(response: ModelResponse, entry: Entry) -> ModelResponse:
    """A response that was just read, as one that was not asked for: it costs nothing, and has the time at which it was given."""
    values = vars(response)  # in place: nobody else has it yet, and a copy would take as long as reading the file
    values.update(
        timestamp=entry.stored,
        attempts=0,
        cached=True,
        saved_estimate=values["cost_estimate"],  # perhaps pending
        cost_estimate=0.0,
    )
    return response


class _Redaction:
    """Removes the secrets of a provider from bytes."""

    def __init__(self, provider: LLMProvider) -> None:
        self._provider = provider
        self._used: tuple[str, ...] | None = None
        self._redactor: Any = None

    def __call__(self, content: bytes) -> bytes:
        credential = self._provider.credential
        used = credential.made.secrets() if credential.made else ()
        redactor = self._redactor
        if used is not self._used or redactor is None:
            redactor = self._redactor = credential.redactor()
            self._used = used
        text = content.decode("utf-8", "surrogateescape")
        clean: str = redactor.whole(text)
        return content if clean == text else clean.encode("utf-8", "surrogateescape")
