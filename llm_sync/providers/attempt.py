"""One attempt of a request: its credential, its HTTP exchange, and the reply read."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from llm_sync.config.models import ProviderConfig
from llm_sync.errors import LLMConnectorError, StreamingNotSupportedError
from llm_sync.events import AttemptEnded, AttemptStarted, Event, content_logger, log_facts
from llm_sync.models import PreparedRequest, Reply
from llm_sync.providers.credentials import ProviderCredential
from llm_sync.providers.ports import HTTP, Limits
from llm_sync.providers.rate_limit_headers import rate_limits
from llm_sync.providers.reply_reader import ReplyReader
from llm_sync.runtime.steps import Blocking, HTTPCall, Steps

_content = content_logger()


class Exchange(NamedTuple):
    """What every attempt of one request sends, and what reads the reply: ``read(reply, number)``.

    ``prepared``: None for a listing. ``keeps_reply``: whether ``read`` also stores the reply.
    """

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    control: Any
    read: Callable[[Reply, int], Any]
    prepared: PreparedRequest | None = None
    keeps_reply: bool = False


class AttemptMaker:
    """Makes the attempts of one provider's requests, in steps. Stateless; any thread may use it."""

    def __init__(
        self,
        config: ProviderConfig,
        http: HTTP,
        credential: ProviderCredential,
        reader: ReplyReader,
        emit: Callable[[Event], None] | None,
        limits: Limits | None = None,
        deferred: Callable[[Exchange], Any] | None = None,
    ) -> None:
        self._deferred = deferred  # gives what can fetch an answer that comes deferred (BackgroundAttempts)
        self._limits = limits
        self._name = config.name
        self._headers = config.headers
        self._http = http
        self._credential = credential
        self._reader = reader
        self._emit = emit

    def make(self, exchange: Exchange, number: int, timeout: float) -> Steps[Any]:
        """One HTTP exchange, read; a reply that refuses a key which can be renewed is answered by renewing it, once."""
        method, url, body, fixed, control, read = exchange[:6]
        key = getattr(control, "key", 0)
        if self._emit:
            self._emit(AttemptStarted(self._name, key, number, timeout))
        started = time.monotonic()
        try:
            credential = self._credential.made or self._credential.get()
            proof = credential.headers() if credential.is_ready else (yield Blocking(credential.headers))
            if body and number == 1 and _content.isEnabledFor(logging.DEBUG):
                self._log_content("payload", key, body)  # the key is known by now: a prompt may hold it
            headers: Mapping[str, str] = {**fixed, **proof, **self._headers}
            if credential.sign is not None:
                headers = credential.sign(method, url, headers, body)
            reply: Reply = yield HTTPCall(self._http, method, url, body, headers, timeout, control)
            refused = reply.status >= 400 and self._reader.dialect.refuses_key(reply)
            if refused and (yield Blocking(partial(credential.renew, proof))):
                headers = {**fixed, **(yield Blocking(credential.headers)), **self._headers}
                if credential.sign is not None:
                    headers = credential.sign(method, url, headers, body)
                left = max(0.001, started + timeout - time.monotonic())
                reply = yield HTTPCall(self._http, method, url, body, headers, left, control)
            if self._limits is not None and (limits := rate_limits(reply.headers)) is not None:
                self._limits(limits)
        except GeneratorExit:  # nothing runs these steps any more: this is a forked child
            raise
        except BaseException as error:
            if self._emit:
                self._emit(AttemptEnded(self._name, key, number, time.monotonic() - started, error=type(error).__name__))
            raise
        if self._emit:
            self._emit(AttemptEnded(self._name, key, number, time.monotonic() - started, status=reply.status))
        if body and _content.isEnabledFor(logging.DEBUG):
            self._log_content("answer", key, reply.content)
        try:
            return read(reply, number)
        except StreamingNotSupportedError as error:
            self.redact(error)
            failure: LLMConnectorError = error
        except LLMConnectorError as error:
            self.redact(error)
            raise
        except RecursionError:
            failure = self._reader.too_deep(reply)
        if self._deferred is not None and exchange.prepared is not None and isinstance(failure, StreamingNotSupportedError):
            return (yield from self._deferred(exchange).finish(reply, number, failure))
        raise failure  # outside the except: its traceback would hold the deep body

    def redact(self, error: LLMConnectorError) -> None:
        """Make keys in an error unreadable: the provider may have echoed them."""
        self._credential.redactor().error(error)

    def without_events(self) -> AttemptMaker:
        """The same for exchanges that are no attempts: nobody is told of them."""
        quiet = copy.copy(self)
        vars(quiet).update(_emit=None, _deferred=None)
        return quiet

    def _log_content(self, what: str, key: int, content: bytes) -> None:
        text = self._credential.redactor().text(content.decode("utf-8", "replace"))
        log_facts(_content, what, provider=self._name, key=key, content=text)
