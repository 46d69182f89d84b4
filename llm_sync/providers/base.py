"""A provider: one entry of the configuration at work. Payload out, reply in, an answer or one of our errors.

The dialect says what differs between endpoints; HTTP client and retry handler are handed in. No socket is opened here.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from llm_sync import streaming
from llm_sync.config.models import ProviderConfig, is_credential
from llm_sync.errors import ConfigurationError, LLMConnectorError
from llm_sync.events import Adjusted, Event, log_facts, logger
from llm_sync.models import Adjustment, AttemptOptions, ModelRequest, ModelResponse, PreparedRequest
from llm_sync.providers import message_parts
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.attempt import AttemptMaker, Exchange
from llm_sync.providers.credentials import ProviderCredential
from llm_sync.providers.dialect import Dialect, Page
from llm_sync.providers.error_context import add_context
from llm_sync.providers.former_hooks import FormerHooks
from llm_sync.providers.json_body import structure_of
from llm_sync.providers.payload import encoded, merge, refuse_further_choices
from llm_sync.providers.ports import HTTP, Limits, Prices, Retry
from llm_sync.providers.reply_reader import Keep, ReplyReader
from llm_sync.providers.request_urls import RequestURLs
from llm_sync.providers.url_secrets import secret_names
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.import_lock import import_lock
from llm_sync.runtime.steps import Steps, run

if TYPE_CHECKING:
    from llm_sync.providers.background import BackgroundAttempts

_log = logger("providers")


class LLMProvider(FormerHooks):
    """One provider. Stateless between requests but for its credential; may be used by several threads.

    ``dialect_class``: how it speaks. ``http``, ``retry``, ``prices``, ``limits``: see ports.py. ``strict`` refuses what would
    otherwise be adjusted, and truncated answers. ``emit`` is called with every event.
    """

    dialect_class: ClassVar[type[Dialect]] = Dialect  # type: ignore[type-abstract]  # subclasses have one of their own

    def __init__(
        self,
        config: ProviderConfig,
        http: HTTP,
        retry: Retry,
        *,
        strict: bool = False,
        emit: Callable[[Event], None] | None = None,
        prices: Prices | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.config = config
        self.name = config.name
        self.http = http
        self.retry_handler = retry
        self.dialect = self._made_dialect(config)
        self.credential = ProviderCredential(self.dialect, http)
        self.reader = ReplyReader(self.dialect, self.credential, strict=strict, prices=prices)
        self._attempts = self._own_attempts = AttemptMaker(
            config, http, self.credential, self.reader, emit, limits, self._in_background
        )
        self._retry = retry
        self._strict = strict
        self._emit = emit
        self._urls = RequestURLs(self.dialect)
        self._queued_headers: Mapping[str, str] | None = None

    # The story -----------------------------------------------------------------------------------------------------

    def prepare(
        self,
        request: ModelRequest,
        options: AttemptOptions | None = None,
        adjustments: Iterable[Adjustment] = (),
        *,
        keyless: bool = False,
    ) -> PreparedRequest:
        """Build, merge, check and encode what ``request`` sends: everything that can be done without the network.

        ``request.model`` is the bare model name; ``adjustments`` were made before and come back on the response. Reads no key
        file, runs no key command. Raises LLMConnectorError for whatever is wrong with the request, its URL, variables or key.
        ``keyless``: the key is not looked at, as the answer may be stored: the client looks at it before it sends.
        """
        dialect, model, made = self.dialect, request.model or "", Adjustments(adjustments, strict=self._strict)
        try:
            if request.prompt is None or request.documents or request.tools or request.cache_system:
                message_parts.check(request, dialect, made)
            payload = (
                self._structured(request, made) if request.response_schema is not None else dialect.prepare_request(request, made)
            )
            headers = self._queued_headers or self._remember_headers()
            if request.service_tier is not None:
                headers = self._with_tier(payload, request, made, headers)
            if extra := dialect.extras_for(request, made):
                merge(payload, extra, made, dialect.forbidden)
            refuse_further_choices(payload, dialect.choice_counts)
            body = encoded(payload)
            if self.config.unset:
                self.config.require_variables(without_secrets=keyless)
            url = self._urls.queued.get(model) or self._urls.add_queued(model)
            sent_to = self._urls.sent.get(url) or self._urls.add_sent(url)
            streaming.refuse_switches({**request.provider_specific, **payload}, sent_to)
            if not keyless:
                (self.credential.made or self.credential.get()).check_without_io()
        except LLMConnectorError as error:
            add_context(error, self.config, request.model)
            raise
        return PreparedRequest(
            provider=self.name,
            dialect=self.config.type,
            model=model,
            method="POST",
            url=url,
            body=body,
            headers=headers,
            options=options or self.config.attempts,
            request=request,
            adjustments=tuple(made.made),
            notices=tuple(made.notices),
        )

    def send(self, prepared: PreparedRequest, control: Any = None, *, keep: Keep | None = None) -> ModelResponse:
        """Send what ``prepare`` made, with retries by its options, and give the checked answer.

        ``keep`` is called with each reply, and the number of its attempt, before it is read: for code that stores replies.
        Raises LLMConnectorError; every one names this provider and the model.
        """
        return run(LLMProvider.steps(self, prepared, control, keep=keep))

    def steps(self, prepared: PreparedRequest, control: Any = None, *, keep: Keep | None = None) -> Steps[ModelResponse]:
        """``send`` in steps, for a worker that sends many requests at once. They raise what it raises."""
        if prepared.notices or _log.isEnabledFor(logging.DEBUG):
            self._announce(prepared, getattr(control, "key", 0))
        read = partial(self.reader.response, prepared) if keep is None else self.reader.keeping(prepared, keep)
        url = self._urls.sent.get(prepared.url) or self._urls.add_sent(prepared.url)
        exchange = Exchange(prepared.method, url, prepared.body, prepared.headers, control, read, prepared, keep is not None)
        make: Any = partial(self._attempts.make, exchange)
        try:
            if prepared.in_background:
                make = self._in_background(exchange).make
            response: ModelResponse = yield from self._retry.steps(make, prepared.options, control, prepared)
            return response
        except LLMConnectorError as error:
            add_context(error, self.config, prepared.model or None)
            raise

    def attempt(
        self, prepared: PreparedRequest, number: int, timeout: float, control: Any, *, keep: Keep | None = None
    ) -> Steps[ModelResponse]:
        """One attempt of what ``prepare`` made, in steps: without gate and retries, which another process has.

        ``number`` counts from 1; ``timeout`` in seconds. Raises LLMConnectorError, naming this provider and the model.
        """
        read = partial(self.reader.response, prepared) if keep is None else self.reader.keeping(prepared, keep)
        url = self._urls.sent.get(prepared.url) or self._urls.add_sent(prepared.url)
        exchange = Exchange(prepared.method, url, prepared.body, prepared.headers, control, read, prepared)
        try:
            response: ModelResponse = yield from self._attempts.make(exchange, number, timeout)
            return response
        except LLMConnectorError as error:
            add_context(error, self.config, prepared.model or None)
            raise

    def with_attempts_by(self, make: Callable[[AttemptMaker, Any], Any]) -> LLMProvider:
        """A copy that has its attempts made by ``make(own attempt maker, emit)``, as in another process. Raises nothing."""
        clone = copy.copy(self)
        vars(clone)["_attempts"] = make(self._attempts, self._emit)
        return clone

    def generate_response(
        self,
        request: ModelRequest,
        options: AttemptOptions | None = None,
        control: Any = None,
        adjustments: Iterable[Adjustment] = (),
    ) -> ModelResponse:
        """``prepare`` and ``send`` in one. Raises LLMConnectorError."""
        # Not those of a subclass: they call its own generate_response (own_answers.py), which may have called this one.
        prepared = LLMProvider.prepare(self, request, options, adjustments)
        return LLMProvider.send(self, prepared, CallControl() if control is None else control)

    def list_models(self, options: AttemptOptions | None = None, control: Any = None) -> list[str]:
        """The ids of every model the endpoint lists, all pages, in its order. Raises LLMConnectorError."""
        options = options or self.config.attempts
        control = CallControl() if control is None else control
        headers = self._queued_headers or self._remember_headers()
        with import_lock:
            from llm_sync.providers.model_pages import all_pages

        def fetch(exchange: Exchange) -> Page:
            page: Page = run(self._retry.steps(partial(self._attempts.make, exchange), options, control))
            return page

        try:
            return all_pages(self.reader, headers, control, fetch)
        except LLMConnectorError as error:
            add_context(error, self.config, None)
            raise

    # What can be asked without sending anything ---------------------------------------------------------------------

    def identity(self) -> str:
        """Dialect, address and what proves who asks, as one digest: equal for what shares limits, in any process.

        Raises AuthenticationError when the key cannot be had.
        """
        parts = urlsplit(self.dialect.base_url())
        address = f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix(self.dialect.path)}"
        extra = {**self.config.headers, **self.config.query}
        proofs = [f"{name.lower()}={value}" for name, value in sorted(extra.items()) if is_credential(name)]
        text = "\0".join([self.config.type, address, self.credential.get().identity(), *proofs])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def check(self) -> None:
        """Raise what is known without sending anything: an unset variable, no key, an impossible one, no base_url.

        That is an AuthenticationError or a ConfigurationError.
        """
        if self.validate_config() is False:  # a subclass may say so instead of raising
            raise ConfigurationError("validate_config() says that the configuration cannot be used", provider=self.name)

    def validate_config(self) -> bool:
        """``check``, to be extended in a subclass: True, or an LLMConnectorError that says what is wrong."""
        try:
            self.config.require_variables()
            self.dialect.base_url()
            self.credential.get().check()
        except LLMConnectorError as error:
            add_context(error, self.config, None)
            raise
        return True

    def base_url(self) -> str:
        """Where requests go, ``{model}`` not filled in. Raises ConfigurationError where nothing says so."""
        return self.dialect.base_url()

    def key_source(self) -> str | None:
        """Where the key comes from, in words, without the key; None where none is sent. Raises LLMConnectorError."""
        return self.credential.get().source

    def reset_after_fork(self) -> None:
        """In the child: forget the credential, whose lock a thread that is gone may hold."""
        self.credential.reset_after_fork()

    def _structured(self, request: ModelRequest, made: Adjustments) -> dict[str, Any]:
        with import_lock:  # few requests have a schema
            from llm_sync.providers.structured_output import payload_for

        return payload_for(self.dialect, request, made)

    def _with_tier(
        self, payload: dict[str, Any], request: ModelRequest, made: Adjustments, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        with import_lock:  # few requests have one
            from llm_sync.providers.service_tier import add_tier

        asked = self.dialect.service_tier(request.service_tier or "", request.model or "")
        return {**headers, **add_tier(payload, request.service_tier or "", asked, self.name, made)}

    # Parts ----------------------------------------------------------------------------------------------------------

    def _remember_headers(self) -> Mapping[str, str]:
        """The headers of every request, but for credentials: those are added when it is sent."""
        secret = secret_names(self.config, "headers")
        self._queued_headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            **self.dialect.fixed_headers,
            **{name: value for name, value in self.config.headers.items() if name not in secret},
        }
        return self._queued_headers

    def _in_background(self, exchange: Exchange) -> BackgroundAttempts:
        """What asks for an answer in the background, and fetches it, in this process."""
        with import_lock:  # few requests go that way
            from llm_sync.providers.background import BackgroundAttempts

        return BackgroundAttempts(self._own_attempts, self.reader, exchange, self._emit)

    def _announce(self, prepared: PreparedRequest, key: int) -> None:
        """Tell what is sent differently from what was asked and, to those who debug, what the payload looks like."""
        for notice in prepared.notices if self._emit else ():
            self._emit(Adjusted(self.name, key, text=notice.text, lost=notice.lost))  # type: ignore[misc]
        if _log.isEnabledFor(logging.DEBUG):
            body = prepared.body
            facts = {"path": urlsplit(prepared.url).path, "bytes": len(body), "shape": structure_of(json.loads(body))}
            log_facts(_log, "payload", provider=self.name, key=key, model=prepared.model, **facts)
