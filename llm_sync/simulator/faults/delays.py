"""Actions that delay a request, or refuse it when a rate limit is exceeded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import FORMS_SETTING, SECONDS, Action, ResponseAction, Schema, mapping
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.faults.error_responses import error_response
from llm_sync.simulator.faults.rate_limits import LimitExceeded, RateLimiter
from llm_sync.simulator.faults.retry_after import DEFAULT_FORMS, limit_headers
from llm_sync.simulator.faults.seeded_random import delay_seconds
from llm_sync.simulator.server.response import Response, with_headers

_COUNT: Schema = {"type": "integer", "min": 1, "max": 10**9, "meta": {"expected": "a whole number, 1 or more"}}
_TIME: Schema = {**SECONDS, "required": True}
_SIGMA: Schema = {"type": "number", "required": True, "min": 0, "max": 10, "check_with": "finite"}
_SIGMA["meta"] = {"expected": "a number from 0 to 10"}
_PER = ["provider", "model", "key", "all"]


class Latency(Action):
    """A delay before the answer."""

    name = "latency"
    short = "seconds"
    schema: ClassVar[Schema] = mapping(
        "seconds, or a mapping with uniform, normal, exponential or lognormal",
        seconds=SECONDS,
        uniform={
            "type": "list",
            "minlength": 2,
            "maxlength": 2,
            "schema": SECONDS,
            "meta": {"expected": "[MIN, MAX] seconds"},
        },
        normal=mapping("{mean: SECONDS, deviation: SECONDS}", mean=_TIME, deviation=_TIME),
        exponential=mapping("{mean: SECONDS}", mean=_TIME),
        lognormal=mapping("{median: SECONDS, sigma: NUMBER}", median=_TIME, sigma=_SIGMA),
        most=SECONDS,
    )

    def seconds(self, point: float) -> float:
        """The delay at the point ``point`` of (0, 1) of the distribution."""
        return delay_seconds(self.setting, point)


class RateLimit(ResponseAction):
    """An enforced rate limit. Requests within the limit are answered as without the rule, with the limit's headers added."""

    name = "rate_limit"
    schema: ClassVar[Schema] = mapping(
        "a mapping with requests_per_minute, tokens_per_minute or concurrency",
        requests_per_minute=_COUNT,
        tokens_per_minute=_COUNT,
        concurrency=_COUNT,
        burst=_COUNT,
        per={"type": "string", "allowed": _PER, "meta": {"expected": ", ".join(_PER)}},
        hint=FORMS_SETTING,
        retry_after=SECONDS,
    )

    def __init__(self, setting: Any) -> None:
        super().__init__(setting)
        self.limiter = RateLimiter(setting)
        hint = setting.get("hint")
        self._forms: tuple[str, ...] | None = None if hint is None else (hint,) if isinstance(hint, str) else tuple(hint)

    def enter(self, context: RequestContext) -> tuple[Response | None, Callable[[], None] | None]:
        """An error response, or None and a function to be called when the request has ended."""
        name = self._usage_name(context)
        exceeded = self.limiter.enter(name)
        if exceeded is not None:
            return self._error(context, exceeded), None
        if "tokens_per_minute" in self.setting:
            exceeded = self.limiter.spend(name, sum(context.normal_response().tokens or (0, 0)))
            if exceeded is not None:
                self.limiter.leave(name)
                return self._error(context, exceeded), None
        return None, lambda: self.limiter.leave(name)

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """Adds the state of the limits to the headers of an answer."""
        response = context.normal_response() if previous is None else previous
        headers = limit_headers(context.type_name, self.limiter.states(self._usage_name(context)))
        return response._replace(headers=with_headers(response.headers, headers)) if headers else response

    def _usage_name(self, context: RequestContext) -> str:
        per = self.setting.get("per", "provider")
        return {"provider": context.dialect.provider, "model": context.call.model, "key": context.key_hash or "", "all": ""}[per]

    def _error(self, context: RequestContext, exceeded: LimitExceeded) -> Response:
        state, wait = exceeded.state, exceeded.wait
        words = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}[state.kind]
        details = f"Limit {state.limit}, Used {state.limit - state.remaining}, Requested {exceeded.requested}."
        message = None
        if context.type_name.startswith("openai"):
            verb = "Rate limit reached" if wait is not None else "Request too large"
            message = f"{verb} for {context.call.model or 'this project'} on {words}: {details}"
        if wait is not None:
            wait = max(wait, self.setting.get("retry_after", 0.0))
        forms = DEFAULT_FORMS[context.type_name] if self._forms is None else self._forms
        return error_response(
            "rate_limit",
            context.dialect,
            context.type_name,
            details={"model": context.call.model},
            message=message,
            wait=wait,
            forms=forms,
            limit=state,
        )
