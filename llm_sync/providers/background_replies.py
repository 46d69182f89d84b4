"""What replies about background answers say: whether to look again, and when; and the error of an answer that is lost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from llm_sync import errors
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse, PreparedRequest, Reply
from llm_sync.models.pending_cost import PRICE_SOURCE, PendingCost
from llm_sync.providers.background_wire import BackgroundWire
from llm_sync.providers.json_body import parse_body

PASSING = frozenset({408, 409, 425, 429, 498, 499})
"""Statuses below 500 after which another look may succeed."""
_MAYBE_MADE = frozenset({408, 499, 502, 504, 520, 524})  # a gateway's word: the provider behind it may have taken the request
_HINTS = (("openai-poll-after-ms", 1000.0), ("retry-after-ms", 1000.0), ("retry-after", 1.0))
_MAX_HINT_S = 300.0


def lost(prepared: PreparedRequest, what: str, cause: LLMConnectorError | None) -> errors.ProviderError:
    """The error of an answer that may have been made and billed, but cannot be fetched. It has no status: a batch would take that
    of a gateway for trouble on the way, and send the request again."""
    reason = f": {cause.message}" if cause is not None else ""
    return errors.ProviderError(
        f"{what}{reason}",
        provider=prepared.provider,
        model=prepared.model or None,
        retryable=False,
        possibly_billed=1,
        guidance="It is not asked again by itself, as it may be billed. If you want that: --rebuy (rebuy=True) in a batch.",
    )


def may_be_made(error: LLMConnectorError) -> bool:
    """Whether a create that ended so may have been taken."""
    return not isinstance(error, errors.ClientClosedError) and (bool(error.possibly_billed) or error.status in _MAYBE_MADE)


def body_of(reply: Reply) -> Any:
    """The body of a reply, parsed; None if it is no JSON."""
    try:
        return parse_body(reply.content)
    except (ValueError, RecursionError):
        return None


def status_of(reply: Reply) -> Any:
    """The word for how far the answer is; None without any."""
    body = body_of(reply)
    return body.get("status") if isinstance(body, Mapping) else None


def is_answer(reply: Reply) -> bool:
    """Whether the body is one of the API's, and not that of a proxy or a gateway in between, or half of one."""
    body = body_of(reply)
    return isinstance(body, Mapping) and any(body.get(name) for name in ("output", "choices", "error", "status", "steps"))


def only_answer(wire: BackgroundWire, reply: Reply) -> Reply:
    """The reply that a direct call would have got."""
    body = body_of(reply)
    answer = wire.answer(body)
    return reply if answer is body else dataclasses.replace(reply, content=json.dumps(answer).encode())


def asked_pause(reply: Reply) -> float | None:
    """The seconds that a reply asks to wait; None without a number."""
    for name, unit in _HINTS:
        value = reply.headers.get(name)
        try:
            seconds = float(value or "nan") / unit
        except ValueError:
            continue
        if 0 < seconds <= _MAX_HINT_S:
            return seconds
    return None


_WINDOWS = {"2h": 0.7, "8h": 0.6}  # what a later answer costs, as a part of the usual price (OpenAI, autumn 2026)


def at_its_price(response: ModelResponse, reply: Reply) -> ModelResponse:
    """The response with the cost of the completion window that the reply says it had; the same without any."""
    body = body_of(reply)
    options = body.get("background_options") if isinstance(body, Mapping) else None
    window = options.get("completion_window") if isinstance(options, Mapping) else None
    factor = _WINDOWS.get(window) if isinstance(window, str) else None
    cost = vars(response)["cost_estimate"]  # perhaps pending: looking it up takes longer than many a request
    if factor is None or cost is None or dict.get(response.metadata, PRICE_SOURCE) == "provider":
        return response
    cheaper: Any = PendingCost(partial(_times, cost, factor)) if isinstance(cost, PendingCost) else round(cost * factor, 12)
    return dataclasses.replace(response, cost_estimate=cheaper)


def _times(cost: PendingCost, factor: float) -> tuple[float | None, str | None]:
    usual, source = cost.found()
    return None if usual is None else round(usual * factor, 12), source
