"""From a reply to the response it is, or the error it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_sync import errors, streaming
from llm_sync.errors import LLMConnectorError
from llm_sync.events import log_facts, logger
from llm_sync.models import ModelResponse, PreparedRequest, Reply, UnusableResponse
from llm_sync.models.pending_cost import PRICE_SOURCE, PendingCost, PricedMetadata
from llm_sync.providers.answer import Answer, Cut, parsed_object, problem_with, way_out_of
from llm_sync.providers.credentials import ProviderCredential
from llm_sync.providers.dialect import Dialect, Page
from llm_sync.providers.error_mapping import STREAM_ONLY, is_retryable, read_api_error
from llm_sync.providers.fenced_json import without_fence
from llm_sync.providers.json_body import parse_body, structure_of
from llm_sync.providers.ports import BilledAnswer, Prices
from llm_sync.providers.required_calls import ignored_choice, ignored_choice_error
from llm_sync.providers.served_tier import PRICED_TIERS, USUAL_TIERS, served_tier
from llm_sync.providers.turns import tagged, tagged_calls
from llm_sync.providers.unusable_answers import malformed, unreadable, without_text
from llm_sync.providers.url_secrets import without_secrets
from llm_sync.runtime.import_lock import import_lock
from llm_sync.validation import ResponseValidator

if TYPE_CHECKING:
    from llm_sync.providers.guidance import Target

Keep = Callable[[Reply, int], object]
"""Called with a reply and the number of its attempt."""

_log = logger("providers")
_MAX_TEXT = 65_536  # characters of a page that an error keeps
_UNREADABLE = object()
_STREAM_GUIDANCE = "llm-sync never streams: use a model or an endpoint that answers in one piece."


class ReplyReader:
    """Reads, validates and judges what one provider answers, in the dialect's words. Sends nothing; any thread may use it.

    ``credential`` tells which keys a reply must not show, and where the key came from. ``prices``: of models for which the
    configuration has none.
    """

    def __init__(self, dialect: Dialect, credential: ProviderCredential, *, strict: bool, prices: Prices | None = None) -> None:
        self.dialect = dialect
        self._credential = credential
        self._strict = strict
        self._prices = prices
        self._validators: dict[int, tuple[Mapping[str, Any], ResponseValidator]] = {}  # by the schema's id

    def parts(self) -> dict[str, Any]:
        """What another reader for the same provider is made of."""
        return {"dialect": self.dialect, "credential": self._credential, "strict": self._strict, "prices": self._prices}

    def response(self, prepared: PreparedRequest, reply: Reply, number: int) -> ModelResponse:
        """The response to ``prepared`` that a reply to attempt ``number`` is. Raises the error that it is instead."""
        dialect = self.dialect
        body = self._good_body(reply)
        wrong = self._validator(dialect.schema_for(body)).check(body)
        if wrong:
            _log.error("%s: malformed answer: %s", dialect.name, self._credential.redactor().text(str(structure_of(body))))
            came = Answer(dialect.partial_text(body), usage=dialect.read_usage(body), cost=dialect.cost_in(body))
            response = UnusableResponse(**self._facts(prepared, reply, number, body, came, {"raw": body}))
            raise malformed(reply, wrong, self.target(), dialect.request_id(reply, body), response)
        answer = dialect.read_answer(body)
        request, unfenced = prepared.request, None
        if request.response_schema is not None:
            answer, unfenced = without_fence(_structured(answer, prepared), request)
        parsed, misfits = parsed_object(answer, prepared.request)
        metadata = {"finish_reason_raw": answer.finish_reason_raw, "thinking": answer.thinking, "parsed": parsed, "raw": body}
        facts = self._facts(prepared, reply, number, body, answer, metadata)
        problem = problem_with(answer, strict=self._strict, structured=request.response_schema is not None)
        if isinstance(problem, errors.EmptyResponseError):
            others = dialect.other_content(body)
            problem = without_text(others) if others else problem
        if problem is None and misfits:
            problem = errors.ResponseValidationError(
                "the answer does not fit the response_schema: " + "; ".join(str(field) for field in misfits),
                fields=misfits,
                partial_text=answer.text or None,
                guidance="Ask again, simplify the schema, or use a model with structured output.",
            )
        if unfenced is not None:
            facts["adjustments"] = (*facts["adjustments"], unfenced)
        ignored = None if prepared.request.tool_choice is None else ignored_choice(answer, prepared)
        if problem is None and ignored is not None:
            facts["adjustments"] = (*facts["adjustments"], ignored)
            if self._strict:
                problem = ignored_choice_error(ignored, answer.text)
            else:
                _log.warning("%s/%s: tool_choice was sent, but %s", dialect.name, prepared.model, ignored.reason)
        if problem is not None:
            problem.status = reply.status
            problem.request_id = facts["request_id"]
            if isinstance(problem, errors.UnusableAnswerError):
                problem.response = UnusableResponse(**facts)
            raise problem
        if isinstance(answer.outcome, Cut):
            cut = answer.outcome
            _log.warning("%s/%s: %s cut the answer. %s", dialect.name, prepared.model, cut.limit, way_out_of(cut))
        elif _log.isEnabledFor(logging.DEBUG):
            log_facts(_log, "validation passed", provider=dialect.name, model=prepared.model)
        return ModelResponse(**facts)

    def keeping(self, prepared: PreparedRequest, keep: Keep) -> Callable[[Reply, int], ModelResponse]:
        """What reads a reply to ``prepared``, and calls ``keep`` with it first."""

        def read(reply: Reply, number: int) -> ModelResponse:
            keep(reply, number)
            return self.response(prepared, reply, number)

        return read

    def listing(self, reply: Reply, number: int) -> Page:
        """The page of a listing that a reply is. Raises the error that it is instead."""
        dialect = self.dialect
        body = self._good_body(reply)
        if isinstance(body, list) and "data" in dialect.listing_schema:
            body = {"data": body}  # Together lists so
        wrong = self._validator(dialect.listing_schema_for(body)).check(body)
        if wrong:
            _log.error("%s: malformed listing: %s", dialect.name, self._credential.redactor().text(str(structure_of(body))))
            raise malformed(reply, wrong, self.target(), dialect.request_id(reply, body), None)
        return dialect.read_listing(body)

    def error(self, reply: Reply) -> LLMConnectorError:
        """The error that a reply with a bad status is."""
        try:
            body: Any = parse_body(reply.content)
        except (ValueError, RecursionError):
            body = reply.content.decode("utf-8", "replace")
        return self._error(reply, body)

    def too_deep(self, reply: Reply) -> LLMConnectorError:
        """The error of a body that could be parsed only just, as it is nested so deeply."""
        return self._error(reply, None) if reply.status >= 300 else self._unreadable(reply)

    def target(self) -> Target:
        """What guidance may name about the provider."""
        dialect = self.dialect
        own = urlsplit(dialect.base_url()).hostname == urlsplit(dialect.default_base_url or "").hostname
        with import_lock:
            from llm_sync.providers.guidance import Target

        return Target(
            dialect.name,
            dialect.type,
            without_secrets(dialect.base_url()),
            self._credential.source,
            dialect.keys_page if own else None,
            dialect.billing_page if own else None,
        )

    def _facts(
        self, prepared: PreparedRequest, reply: Reply, number: int, body: Any, answer: Answer, metadata: dict[str, Any]
    ) -> dict[str, Any]:
        """The fields of the response; what ``metadata`` holds no value for is taken out of it."""
        stateful = answer.state is not None or (answer.tool_calls and any(call.state for call in answer.tool_calls))
        origin = self.dialect.origin(prepared.model) if stateful else None
        if origin is not None:
            metadata["state"] = tagged(answer.state, origin)
        for key in ("finish_reason_raw", "thinking", "parsed", "state"):
            if key in metadata and metadata[key] is None:
                del metadata[key]
        at, tier = datetime.now(timezone.utc), served_tier(reply.headers, body)
        if tier is not None and tier not in USUAL_TIERS:
            metadata["tier"] = tier
        cost, metadata = self._cost(prepared, answer, tier, at, metadata)
        return {
            "text": answer.text,
            "model": answer.model or prepared.model,
            "provider": self.dialect.name,
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "timestamp": at,
            "latency_ms": round(reply.elapsed * 1000, 3),
            "attempts": number,
            "request_id": self.dialect.request_id(reply, body),
            "tool_calls": answer.tool_calls if origin is None else tagged_calls(answer.tool_calls, origin),
            "adjustments": prepared.adjustments,
            "cost_estimate": cost,
            "metadata": metadata,
            "id": prepared.request.id,
        }

    def _good_body(self, reply: Reply) -> Any:
        """The parsed body of a good reply; anything else raises what it is."""
        try:
            body = parse_body(reply.content)
        except (ValueError, RecursionError):
            body = _UNREADABLE  # raised outside the except: the parser's error holds the whole body
        # A whole answer is one, whatever its content type says: gateways mislabel it.
        if (
            body is _UNREADABLE
            and reply.status < 300
            and streaming.is_stream(reply.headers.get("content-type", ""), reply.content)
        ):
            raise errors.StreamingNotSupportedError(
                "the server answered with an event stream", status=reply.status, guidance=_STREAM_GUIDANCE
            )
        if reply.status >= 300:
            raise self._error(reply, reply.content.decode("utf-8", "replace") if body is _UNREADABLE else body)
        if body is _UNREADABLE:
            raise self._unreadable(reply)
        if reply.status == 202:
            raise errors.StreamingNotSupportedError(
                "the provider deferred the answer (HTTP status 202)",
                status=202,
                guidance="It has no id by which it could be fetched: send the request without background or deferred mode.",
            )
        body = self.dialect.unwrap(body)
        inner = self.dialect.error_in(body)
        if inner is not None:
            raise self._error(reply, inner, body)
        return body

    def _error(self, reply: Reply, body: Any, around: Any = None) -> LLMConnectorError:
        """The error a reply stands for; ``around``: the body of a 200 that holds it."""
        api_error = read_api_error(reply.status, body, reply.headers)
        if STREAM_ONLY.search(api_error.message):
            return errors.StreamingNotSupportedError(api_error.message, status=api_error.status, guidance=_STREAM_GUIDANCE)
        kind = self.dialect.classify(api_error, reply.headers)
        with import_lock:  # imported on the first failure
            from llm_sync.providers.guidance import guidance_for
            from llm_sync.providers.retry_after import retry_hint

        hint = retry_hint(reply.headers if reply.status >= 300 else {}, body)  # some send retry-after with every 200
        error = kind(
            api_error.message,
            status=api_error.status,
            request_id=self.dialect.request_id(reply, body),
            retryable=is_retryable(kind, api_error, reply.headers.get("x-should-retry")),
            retry_after=hint,
            partial_text=self.dialect.partial_text(around) or None,
            body=body[:_MAX_TEXT] if isinstance(body, str) else body,
            guidance=guidance_for(kind, api_error, self.target(), hint),
        )
        if isinstance(error, errors.ContentBlockedError):
            error.reason = next(iter(api_error.words), None) or "content policy"
        return error

    def _unreadable(self, reply: Reply) -> LLMConnectorError:
        return unreadable(reply, self.target(), self.dialect.request_id(reply, None))

    def _validator(self, schema: Mapping[str, Any]) -> ResponseValidator:
        known = self._validators.get(id(schema))
        if known is None:  # the schema is kept beside its validator: no other one can get its id
            known = self._validators[id(schema)] = (schema, ResponseValidator(dict(schema)))
        return known[1]

    def _cost(
        self, prepared: PreparedRequest, answer: Answer, tier: str | None, at: datetime, metadata: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """USD: the provider's own figure, else by the configured price, else by the list of prices, else None; and the metadata
        with the price's source. The list is looked at when somebody looks at the cost."""
        if answer.cost is not None:
            metadata[PRICE_SOURCE] = "provider"
            return answer.cost, metadata
        model = prepared.model
        pricing = self.dialect.config.entry(model).pricing
        cost = None if pricing is None else pricing.cost(answer.usage)
        if pricing is not None and cost is not None and tier in PRICED_TIERS:
            with import_lock:  # few answers are served in one
                from llm_sync.providers.service_tier import cost_in_tier

            cost = cost_in_tier(cost, pricing, str(tier), self.dialect.type, self.dialect.is_at)
        if cost is not None:
            metadata[PRICE_SOURCE] = "configuration"
            return cost, metadata
        if self._prices is None or answer.usage.input_tokens is None:
            return None, metadata
        find = partial(self._listed_price, model, answer.model or model, answer.usage, tier, metadata["raw"], at)
        pending, priced = PendingCost(find), PricedMetadata(metadata)
        priced.pending = pending
        return pending, priced

    def _listed_price(self, *billed: Any) -> tuple[float | None, str | None]:
        """What an answer cost by the list of prices; ``billed``: the values of a BilledAnswer but for the address."""
        dialect = self.dialect
        url = dialect.default_base_url if dialect.config.simulated else dialect.base_url()  # a simulation costs what it plays
        return (None, None) if self._prices is None else self._prices(BilledAnswer(url or "", *billed))


def _structured(answer: Answer, prepared: PreparedRequest) -> Answer:
    """The answer as text, where the schema was sent as a tool."""
    if not answer.tool_calls:
        return answer
    with import_lock:
        from llm_sync.providers.structured_output import from_tool

    return from_tool(answer, prepared)
