"""One attempt, told once for every dialect: payload out, reply in, an answer or one of our errors.

A dialect is a subclass that says what differs on its wire (docs/providers.md shows a whole one). The HTTP client and the
retry handler are handed in; nothing here opens a socket or starts a thread.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from llm_sync import errors, streaming
from llm_sync.config.models import ProviderConfig, is_credential
from llm_sync.errors import LLMConnectorError, ModelNotFoundError, ProviderError
from llm_sync.events import Adjusted, AttemptEnded, AttemptStarted, Event, content_logger, log_facts, logger
from llm_sync.models import Adjustment, AttemptOptions, ModelRequest, ModelResponse, Reply
from llm_sync.providers.answer import skeleton
from llm_sync.providers.credentials import Credential, credential_for
from llm_sync.providers.guidance import guidance_for_no_listing
from llm_sync.providers.payload import Changes, merge
from llm_sync.providers.ports import HTTP, Retry
from llm_sync.providers.reply_reader import ReplyReader

_log = logger("providers")
_content = content_logger()
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_MOST_URLS = 256
_MAX_PAGES = 200  # of a model listing: a server that never ends it is not followed for ever


class LLMProvider(ReplyReader):
    """A dialect at one endpoint. Stateless between requests but for its credential; may be used by several threads."""

    def __init__(
        self,
        config: ProviderConfig,
        http: HTTP,
        retry: Retry,
        *,
        strict: bool = False,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        super().__init__(config, strict=strict)
        self._http = http
        self._retry = retry
        self._emit = emit
        self._urls: dict[str, str] = {}  # by model

    # The story -----------------------------------------------------------------------------------------------------

    def generate_response(
        self,
        request: ModelRequest,
        options: AttemptOptions | None = None,
        control: Any = None,
        adjustments: Iterable[Adjustment] = (),
    ) -> ModelResponse:
        """Ask once, with retries by ``options``, and give the checked answer.

        ``request.model`` is the bare model name. ``adjustments`` were made before and come back on the response.
        Raises LLMConnectorError; every one names this provider and the model.
        """
        key = getattr(control, "key", 0)

        def tell(adjustment: Adjustment, lost: bool) -> None:
            if self._emit:
                self._emit(Adjusted(self.name, key, text=adjustment.without_text(), lost=lost))

        changes = Changes(adjustments, strict=self._strict, tell=tell)
        try:
            url, body = self._wire_form(request, changes)
            if _log.isEnabledFor(logging.DEBUG):
                facts = {"path": urlsplit(url).path, "bytes": len(body), "shape": skeleton(json.loads(body))}
                log_facts(_log, "payload", provider=self.name, key=key, model=request.model, **facts)

            def attempt(number: int, timeout: float) -> ModelResponse:
                reply = self._exchange("post", url, body, timeout, control, number)
                if _content.isEnabledFor(logging.DEBUG):
                    told = self._scrubber().text(reply.content.decode("utf-8", "replace"))
                    log_facts(_content, "answer", provider=self.name, key=key, content=told)
                settled: ModelResponse = self._scrubbed(self._settle, reply, request, number, changes)
                return settled

            response: ModelResponse = self._retry.call(attempt, options or AttemptOptions(), control)
            return response
        except LLMConnectorError as error:
            self._describe(error, request.model)
            raise

    def list_models(self, options: AttemptOptions | None = None, control: Any = None) -> list[str]:
        """The ids of every model the endpoint lists, all pages, in its order. Raises LLMConnectorError."""
        options = options or AttemptOptions()
        found: dict[str, None] = {}
        query = dict(self.listing_query)
        try:
            if "{model}" in self._base_url():
                raise errors.InvalidRequestError(
                    "the models cannot be listed, as base_url holds {model}", guidance="List its models under models."
                )
            for _ in range(_MAX_PAGES):
                url = self._url(self.listing_path, "", query)

                def attempt(number: int, timeout: float, url: str = url) -> tuple[list[str], dict[str, str] | None]:
                    reply = self._exchange("get", url, b"", timeout, control, number)
                    page: tuple[list[str], dict[str, str] | None] = self._scrubbed(self._settle_listing, reply)
                    return page

                ids, following = self._retry.call(attempt, options, control)
                found.update(dict.fromkeys(ids))
                if not following or following == query:
                    break
                query = following
            return list(found)
        except LLMConnectorError as error:
            if isinstance(error, errors.ModelNotFoundError):
                error.guidance = guidance_for_no_listing(self._place())
            self._describe(error, None)
            raise

    def identity(self) -> str:
        """Dialect, address and what proves who asks, as one digest: equal for what shares limits, in any process.

        Raises AuthenticationError when the key cannot be had.
        """
        parts = urlsplit(self._base_url())
        address = f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix(self.path)}"
        extra = {**self.config.headers, **self.config.query}
        proofs = [f"{name.lower()}={value}" for name, value in sorted(extra.items()) if is_credential(name)]
        told = "\0".join([self.config.type, address, self._key().identity(), *proofs])
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()

    def check(self) -> None:
        """Raise what can be told without sending anything: an unset variable, no key, an impossible one, no base_url."""
        try:
            self.config.require_variables()
            self._key().check()
        except LLMConnectorError as error:
            self._describe(error, None)
            raise

    def base_url(self) -> str:
        """Where requests go, ``{model}`` not filled in. Raises ConfigurationError where nothing says so."""
        return self._base_url()

    def key_source(self) -> str | None:
        """Where the key comes from, in words, without the key; None where none is sent. Raises LLMConnectorError."""
        return self._key().source

    def reset_after_fork(self) -> None:
        """In the child: forget the credential, whose lock a thread that is gone may hold."""
        self._credential = None

    def _wire_form(self, request: ModelRequest, changes: Changes) -> tuple[str, bytes]:
        self.config.require_variables()
        payload = self._prepare_request(request, changes)
        merge(payload, self._normalized_extras(request.provider_specific), changes, self.forbidden)
        url = self._request_url(request.model or "")
        streaming.refuse_switches({**request.provider_specific, **payload}, url)
        try:
            body = _ENCODER.encode(payload).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise errors.InvalidRequestError(
                f"the request cannot be written as JSON: {error}",
                guidance="Use strings, finite numbers, lists and mappings only.",
            ) from None
        return url, body

    def _request_url(self, model: str) -> str:
        """Where requests for ``model`` go; putting it together anew takes a sixteenth of a whole call."""
        url = self._urls.get(model)
        if url is None:
            if len(self._urls) >= _MOST_URLS:
                self._urls.clear()
            url = self._urls[model] = self._url(self._path_for(model), model, {})
        return url

    def _url(self, path: str, model: str, query: Mapping[str, str]) -> str:
        parts = urlsplit(self._base_url())
        base = parts._replace(query="", fragment="").geturl().rstrip("/").removesuffix(self.path)  # may be pasted with it
        asked = {**dict(parse_qsl(parts.query)), **self.config.query, **query}
        url = base.replace("{model}", quote(model, safe="")) + path
        return f"{url}?{urlencode(asked)}" if asked else url

    def _headers(self, proof: Mapping[str, str]) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            **self.fixed_headers,
            **proof,
            **self.config.headers,
        }

    def _key(self) -> Credential:
        if self._credential is None:
            self._credential = credential_for(self.config, self, self._base_url(), self._http)
        return self._credential

    def _exchange(self, verb: str, url: str, body: bytes, timeout: float, control: Any, number: int) -> Reply:
        """One HTTP exchange; a 401 for a token that can be renewed is answered by renewing it, once."""
        key = getattr(control, "key", 0)
        ends = time.monotonic() + timeout
        if self._emit:
            self._emit(AttemptStarted(self.name, key, number, timeout))
        started = time.monotonic()
        try:
            credential = self._key()
            proof = credential.headers()
            if body and number == 1 and _content.isEnabledFor(logging.DEBUG):  # the key is known by now: a prompt may hold it
                log_facts(_content, "payload", provider=self.name, key=key, content=self._scrubber().text(body.decode("utf-8")))
            reply = self._send(verb, url, body, proof, timeout, control)
            if reply.status == 401 and credential.renew(proof):
                reply = self._send(verb, url, body, credential.headers(), max(0.001, ends - time.monotonic()), control)
        except BaseException as error:
            if self._emit:
                self._emit(AttemptEnded(self.name, key, number, time.monotonic() - started, error=type(error).__name__))
            raise
        if self._emit:
            self._emit(AttemptEnded(self.name, key, number, time.monotonic() - started, status=reply.status))
        return reply

    def _send(self, verb: str, url: str, body: bytes, proof: Mapping[str, str], timeout: float, control: Any) -> Reply:
        headers = self._headers(proof)
        if verb == "get":
            return self._http.get(url, headers, timeout=timeout, control=control)
        return self._http.post(url, body, headers, timeout=timeout, control=control)

    def _describe(self, error: LLMConnectorError, model: str | None) -> None:
        error.provider = error.provider or self.name
        error.model = error.model or model
        if isinstance(error, ModelNotFoundError) and model is not None:
            near = difflib.get_close_matches(model, [entry.name for entry in self.config.models if entry.name != model], n=1)
            error.guidance = " ".join(filter(None, (f"Did you mean {self.name}/{near[0]}?" if near else "", error.guidance)))
        if isinstance(error, ProviderError) and error.guidance is None and error.status is None:
            error.guidance = f"Check base_url of provider {self.name!r} and the network, or raise timeout."

    def _scrubbed(self, read: Callable[..., Any], reply: Reply, *rest: Any) -> Any:
        """Read the reply; the key is taken out of an error, should the provider have echoed it."""
        try:
            return read(reply, *rest)
        except LLMConnectorError as error:
            self._scrubber().error(error)
            raise
        except RecursionError:
            failure = self._error(reply, None) if reply.status >= 300 else self._unreadable(reply)
        raise failure  # JSON that is only just not nested too deeply to be parsed
