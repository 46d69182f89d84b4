"""The interfaces of what a provider is given: the HTTP client, the retry handler and the list of prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from llm_sync.models import AttemptOptions, PreparedRequest, RateLimits, Reply, Usage
from llm_sync.runtime.steps import Steps


class HTTP(Protocol):
    """The HTTP client."""

    def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, timeout: float, control: Any = None
    ) -> Reply: ...


class Retry(Protocol):
    """The retry handler: makes ``attempt(number, timeout)`` until it succeeds or no retry is left, in steps."""

    def steps(
        self,
        attempt: Callable[[int, float], Steps[Any]],
        options: AttemptOptions,
        control: Any,
        request: PreparedRequest | None = None,
    ) -> Steps[Any]: ...


Limits = Callable[[RateLimits], None]
"""Is told what the provider reports of its rate limits, when little is left."""


class BilledAnswer(NamedTuple):
    """What the price of an answer depends on. ``asked`` and ``answered``: the model's name in the request and in the answer;
    ``tier``: the service tier that served it, in lower case, or None; ``body``: the answer as it came; ``at``: when."""

    base_url: str
    asked: str
    answered: str
    usage: Usage
    tier: str | None
    body: Any
    at: datetime


Prices = Callable[[BilledAnswer], "tuple[float | None, str | None]"]
"""What an answer cost in USD, and the name of the price's source; both None where no price is known. Raises nothing."""
