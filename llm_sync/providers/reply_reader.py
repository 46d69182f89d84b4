"""From a reply to the response it is, or the error it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from llm_sync import errors, streaming
from llm_sync.config.models import ProviderConfig
from llm_sync.errors import LLMConnectorError
from llm_sync.events import log_facts, logger
from llm_sync.models import ModelRequest, ModelResponse, Reply, UnusableResponse
from llm_sync.providers.answer import Answer, parsed_object, problem_with, skeleton
from llm_sync.providers.credentials import Credential
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.error_mapping import STREAM_ONLY, is_retryable, read_fault
from llm_sync.providers.guidance import Place, guidance_for
from llm_sync.providers.json_body import parse_body
from llm_sync.providers.payload import Changes
from llm_sync.providers.redaction import Scrubber, secrets_in
from llm_sync.providers.retry_after import retry_hint
from llm_sync.providers.unusable_answers import malformed, unreadable
from llm_sync.validation import ResponseValidator

_log = logger("providers")


class ReplyReader(Dialect):
    """The incoming half of a provider: reads, validates, judges. Pure but for its log."""

    def __init__(self, config: ProviderConfig, *, strict: bool) -> None:
        self.config = config
        self.name = config.name
        self._strict = strict
        self._credential: Credential | None = None
        self._validators: dict[int, tuple[Mapping[str, Any], ResponseValidator]] = {}  # by the schema's id

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
                latency_ms=round(reply.elapsed * 1000, 3),
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
            "latency_ms": round(reply.elapsed * 1000, 3),
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
            log_facts(_log, "validation passed", provider=self.name, model=request.model)
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
        hint = retry_hint(reply.headers if reply.status >= 300 else {}, body)  # some send retry-after with every 200
        retryable = is_retryable(kind, fault, reply.headers.get("x-should-retry"))
        error = kind(
            fault.message,
            status=fault.status,
            request_id=self._request_id(reply, body),
            retryable=retryable,
            retry_after=hint,
            partial_text=self._partial_text(around) or None,
            body=body[:_LONGEST_TEXT] if isinstance(body, str) else body,
            guidance=guidance_for(kind, fault, self._place(), hint),
        )
        if isinstance(error, errors.ContentBlockedError):
            error.reason = next(iter(fault.words), None) or "content policy"
        return error

    def _unreadable(self, reply: Reply) -> LLMConnectorError:
        return unreadable(reply, self._place(), self._request_id(reply, None))

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

    def _scrubber(self) -> Scrubber:
        kept = self._credential.secrets() if self._credential else ()
        return Scrubber([*kept, *secrets_in(self.config, self._base_url())])


_LONGEST_TEXT = 65_536  # characters of a page that an error keeps
_UNREADABLE = object()
_STREAM_GUIDANCE = "llm-sync never streams: use a model or an endpoint that answers in one piece."


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
