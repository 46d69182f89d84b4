"""One attempt, told once for every dialect: payload out, reply in, an answer or one of our errors.

A dialect is a subclass that says what differs on its wire (docs/providers.md shows a whole one). The HTTP client and the
retry handler are handed in; nothing here opens a socket or starts a thread.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from llm_sync import errors, streaming
from llm_sync.config.models import ProviderConfig
from llm_sync.errors import LLMConnectorError, ProviderError
from llm_sync.events import Adjusted, AttemptEnded, AttemptStarted, Event, logger
from llm_sync.models import Adjustment, AttemptOptions, ModelRequest, ModelResponse, Reply, UnusableResponse, Usage
from llm_sync.providers.answer import Answer, parsed_object, problem_with, skeleton
from llm_sync.providers.body import parse_body
from llm_sync.providers.credentials import Credential, credential_for
from llm_sync.providers.faults import STREAM_ONLY, ErrorClass, Fault, error_class, is_retryable, read_fault
from llm_sync.providers.guidance import Place, guidance_for
from llm_sync.providers.hints import retry_hint
from llm_sync.providers.payload import Changes, merge
from llm_sync.providers.ports import HTTP, Retry
from llm_sync.providers.scrub import Scrubber, secrets_in
from llm_sync.providers.unusable import malformed, unreadable
from llm_sync.validation import ResponseValidator

_log = logger("providers")
_MAX_PAGES = 200  # of a model listing: a server that never ends it is not followed for ever


class LLMProvider(ABC):
    """A dialect at one endpoint. Stateless between requests but for its credential; may be used by several threads."""

    type: ClassVar[str] = ""
    default_base_url: ClassVar[str | None] = None
    key_variables: ClassVar[tuple[str, ...]] = ()  # read when no key is configured, on the dialect's own host only
    key_header: ClassVar[str] = "Authorization"
    key_prefix: ClassVar[str] = "Bearer "
    fixed_headers: ClassVar[Mapping[str, str]] = {}
    path: ClassVar[str] = "/chat/completions"
    listing_path: ClassVar[str] = "/models"
    listing_query: ClassVar[Mapping[str, str]] = {}  # of the first page
    request_id_headers: ClassVar[tuple[str, ...]] = ("x-request-id", "request-id")
    response_schema: ClassVar[Mapping[str, Any]] = {}
    listing_schema: ClassVar[Mapping[str, Any]] = {
        "data": {
            "type": "list",
            "required": True,
            "nullable": True,
            "schema": {"type": "dict", "schema": {"id": {"type": "string", "required": True}}},
        }
    }
    error_words: ClassVar[Mapping[str, ErrorClass]] = {}
    forbidden: ClassVar[frozenset[str]] = frozenset({"model", "messages", "prompt", "input", "contents"})
    keys_page: ClassVar[str | None] = None
    billing_page: ClassVar[str | None] = None

    def __init__(
        self,
        config: ProviderConfig,
        http: HTTP,
        retry: Retry,
        *,
        strict: bool = False,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.config = config
        self.name = config.name
        self._http = http
        self._retry = retry
        self._strict = strict
        self._emit = emit
        self._credential: Credential | None = None
        self._validators: dict[int, tuple[Mapping[str, Any], ResponseValidator]] = {}  # by the schema's id

    # What a dialect says -------------------------------------------------------------------------------------------

    @abstractmethod
    def _prepare_request(self, request: ModelRequest, changes: Changes) -> dict[str, Any]:
        """The payload for ``request``, without provider_specific; what cannot be sent goes through ``changes``."""

    @abstractmethod
    def _read_answer(self, body: Any) -> Answer:
        """What ``body``, which fits the response schema, says."""

    def _read_usage(self, body: Any) -> Usage:
        """The token counts of any body whatsoever; unknown ones None."""
        return Usage()

    def _cost_in(self, body: Any) -> float | None:
        """What the answer cost in USD, where any body whatsoever tells."""
        return None

    def _read_listing(self, body: Any) -> tuple[list[str], dict[str, str] | None]:
        """The model ids of a page, and the query of the next one or None."""
        return [item["id"] for item in body.get("data") or ()], None

    def _unwrapped(self, body: Any) -> Any:
        """The part of a 200's body that is the answer."""
        return body

    def _error_in(self, body: Any) -> Any:
        """The error body inside a 200, or None."""
        return body if isinstance(body, dict) and body.get("error") else None

    def _schema_for(self, body: Any) -> Mapping[str, Any]:
        """The schema this body is held against."""
        return self.response_schema

    def _listing_schema_for(self, body: Any) -> Mapping[str, Any]:
        """The schema this page of a listing is held against."""
        return self.listing_schema

    def _classify(self, fault: Fault, headers: Mapping[str, str]) -> ErrorClass:
        """The class of ours that ``fault`` means."""
        return error_class(fault, self.error_words)

    def _normalized_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """provider_specific in the spelling of the payload."""
        return extras

    def _base_url(self) -> str:
        url = self.config.base_url or self.default_base_url
        if not url:
            raise errors.ConfigurationError(
                f"provider {self.name!r} has no base_url", guidance=f"Set base_url: type {self.type!r} has no host of its own."
            )
        return url

    def _path_for(self, model: str) -> str:
        return self.path

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
                self._emit(Adjusted(self.name, key, text=str(adjustment), lost=lost))

        changes = Changes(adjustments, strict=self._strict, tell=tell)
        try:
            url, body = self._wire_form(request, changes)
            _log.debug("%s/%s: POST %s, %d bytes", self.name, request.model, urlsplit(url).path, len(body))

            def attempt(number: int, timeout: float) -> ModelResponse:
                reply = self._exchange("post", url, body, timeout, control, number)
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
            self._describe(error, None)
            raise

    def check(self) -> None:
        """Raise what can be told without sending anything: an unset variable, no key, an impossible one, no base_url."""
        try:
            self.config.require_variables()
            self._key().check()
        except LLMConnectorError as error:
            self._describe(error, None)
            raise

    def reset_after_fork(self) -> None:
        """In the child: forget the credential, whose lock a thread that is gone may hold."""
        self._credential = None

    # Out -----------------------------------------------------------------------------------------------------------

    def _wire_form(self, request: ModelRequest, changes: Changes) -> tuple[str, bytes]:
        self.config.require_variables()
        payload = self._prepare_request(request, changes)
        merge(payload, self._normalized_extras(request.provider_specific), changes, self.forbidden)
        url = self._url(self._path_for(request.model or ""), request.model or "", {})
        streaming.refuse_switches({**request.provider_specific, **payload}, url)
        try:
            body = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise errors.InvalidRequestError(
                f"the request cannot be written as JSON: {error}",
                guidance="Use strings, finite numbers, lists and mappings only.",
            ) from None
        return url, body

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

    # In ------------------------------------------------------------------------------------------------------------

    def _settle(self, reply: Reply, request: ModelRequest, number: int, changes: Changes) -> ModelResponse:
        """The response a reply is, or the error it is."""
        body = self._good_body(reply)
        wrong = self._validator(self._schema_for(body)).check(body)
        if wrong:
            _log.error("%s: malformed answer: %s", self.name, self._scrubber().text(str(skeleton(body))))
            response = UnusableResponse(
                text="",
                model=request.model or "",
                provider=self.name,
                finish_reason="other",
                usage=self._read_usage(body),
                timestamp=datetime.now(timezone.utc),
                latency_ms=reply.elapsed * 1000,
                attempts=number,
                request_id=self._request_id(reply, body),
                adjustments=tuple(changes.made),
                cost_estimate=self._cost(Answer(usage=self._read_usage(body), cost=self._cost_in(body)), request.model or ""),
                metadata={"raw": body},
                id=request.id,
            )
            raise malformed(reply, wrong, self._place(), self._request_id(reply, body), response)
        return self._parse_response(body, reply, request, number, changes)

    def _parse_response(self, body: Any, reply: Reply, request: ModelRequest, number: int, changes: Changes) -> ModelResponse:
        answer = self._read_answer(body)
        parsed, misfits = parsed_object(answer, request)
        metadata = {"finish_reason_raw": answer.finish_reason_raw, "thinking": answer.thinking, "parsed": parsed, "raw": body}
        facts: dict[str, Any] = {
            "text": answer.text,
            "model": answer.model or request.model or "",
            "provider": self.name,
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "timestamp": datetime.now(timezone.utc),
            "latency_ms": reply.elapsed * 1000,
            "attempts": number,
            "request_id": self._request_id(reply, body),
            "tool_calls": answer.tool_calls,
            "adjustments": tuple(changes.made),
            "cost_estimate": self._cost(answer, request.model or ""),
            "metadata": {key: value for key, value in metadata.items() if value is not None},
            "id": request.id,
        }
        problem = problem_with(answer, strict=self._strict)
        if problem is None and misfits:
            problem = errors.ResponseValidationError(
                "the answer does not fit the response_schema: " + "; ".join(str(field) for field in misfits),
                fields=misfits,
                guidance="Ask again, simplify the schema, or use a model with structured output.",
            )
        if problem is not None:
            problem.status = reply.status
            problem.request_id = facts["request_id"]
            if isinstance(problem, errors.UnusableAnswerError):
                problem.response = UnusableResponse(**facts)
            raise problem
        if answer.finish_reason == "length":
            _log.warning("%s/%s: %s cut the answer; raise max_tokens", self.name, request.model, answer.limit)
        else:
            _log.debug("%s/%s: the answer passed validation", self.name, request.model)
        return ModelResponse(**facts)

    def _settle_listing(self, reply: Reply) -> tuple[list[str], dict[str, str] | None]:
        body = self._good_body(reply)
        if isinstance(body, list) and "data" in self.listing_schema:
            body = {"data": body}  # Together lists so
        wrong = self._validator(self._listing_schema_for(body)).check(body)
        if wrong:
            _log.error("%s: malformed listing: %s", self.name, self._scrubber().text(str(skeleton(body))))
            raise malformed(reply, wrong, self._place(), self._request_id(reply, body), None)
        return self._read_listing(body)

    def _good_body(self, reply: Reply) -> Any:
        """The parsed body of a good reply; anything else raises what it is."""
        content_type = reply.headers.get("content-type", "")
        if reply.status < 300 and streaming.is_stream(content_type, reply.content):
            raise errors.StreamingNotSupportedError(
                "the server answered with an event stream", status=reply.status, guidance=_STREAM_GUIDANCE
            )
        try:
            body = parse_body(reply.content)
        except (ValueError, RecursionError):
            body = _UNREADABLE  # raised outside the except: the parser's error holds the whole body
        if reply.status >= 300:
            raise self._error(reply, reply.content.decode("utf-8", "replace") if body is _UNREADABLE else body)
        if body is _UNREADABLE:
            raise self._unreadable(reply)
        if reply.status == 202:
            raise errors.StreamingNotSupportedError(
                "the provider deferred the answer (HTTP status 202)",
                status=202,
                guidance="Send the request without background or deferred mode: llm-sync waits for the whole answer.",
            )
        body = self._unwrapped(body)
        inner = self._error_in(body)
        if inner is not None:
            raise self._error(reply, inner, body)
        return body

    def _error(self, reply: Reply, body: Any, around: Any = None) -> LLMConnectorError:
        """The error a reply stands for; ``around``: the body of a 200 that holds it."""
        fault = read_fault(reply.status, body)
        if STREAM_ONLY.search(fault.message):
            return errors.StreamingNotSupportedError(fault.message, status=fault.status, guidance=_STREAM_GUIDANCE)
        kind = self._classify(fault, reply.headers)
        hint = retry_hint(reply.headers, body)
        retryable = is_retryable(kind, fault, reply.headers.get("x-should-retry"))
        error = kind(
            fault.message,
            status=fault.status,
            request_id=self._request_id(reply, body),
            retryable=retryable,
            retry_after=hint,
            partial_text=self._partial_text(around) or None,
            guidance=guidance_for(kind, fault, self._place(), hint),
        )
        if isinstance(error, errors.ContentBlockedError):
            error.reason = next(iter(fault.words), None) or "content policy"
        return error

    def _unreadable(self, reply: Reply) -> LLMConnectorError:
        return unreadable(reply, self._place(), self._request_id(reply, None))

    def _partial_text(self, body: Any) -> str:
        """Text that had come before an error inside a 200, from any body whatsoever."""
        return ""

    # Facts ---------------------------------------------------------------------------------------------------------

    def _validator(self, schema: Mapping[str, Any]) -> ResponseValidator:
        found = self._validators.get(id(schema))
        if found is None:  # the schema is kept beside its validator: no other one can get its id
            found = self._validators[id(schema)] = (schema, ResponseValidator(dict(schema)))
        return found[1]

    def _request_id(self, reply: Reply, body: Any) -> str | None:
        for name in self.request_id_headers:
            value = reply.headers.get(name)
            if value:
                return value
        found = body.get("request_id") if isinstance(body, dict) else None
        return found if isinstance(found, str) else None

    def _cost(self, answer: Answer, model: str) -> float | None:
        """USD: the provider's own figure, else tokens times the configured price, else None."""
        if answer.cost is not None:
            return answer.cost
        pricing = self.config.entry(model).pricing
        usage = answer.usage
        if pricing is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        return (usage.input_tokens * pricing.input + usage.output_tokens * pricing.output) / 1_000_000

    def _place(self) -> Place:
        source = self._credential.source if self._credential else None
        own = urlsplit(self._base_url()).hostname == urlsplit(self.default_base_url or "").hostname
        return Place(
            self.name,
            self.type,
            _without_secrets(self._base_url()),
            source,
            self.keys_page if own else None,
            self.billing_page if own else None,
        )

    def _describe(self, error: LLMConnectorError, model: str | None) -> None:
        error.provider = error.provider or self.name
        error.model = error.model or model
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

    def _scrubber(self) -> Scrubber:
        kept = self._credential.secrets() if self._credential else ()
        return Scrubber([*kept, *secrets_in(self.config, self._base_url())])


_UNREADABLE = object()
_STREAM_GUIDANCE = "llm-sync never streams: use a model or an endpoint that answers in one piece."


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
