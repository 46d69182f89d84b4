"""The interfaces of what a provider is given: the HTTP client, the retry handler, the list of prices; and of credentials."""

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

Sign = Callable[[str, str, Mapping[str, str], "bytes | None"], Mapping[str, str]]
"""From method, URL, headers and body of an attempt to its headers with a signature, which holds for some minutes."""


class Credential(Protocol):
    """What authenticates requests to a provider. ``source``: where it comes from, in words, without the secret. ``sign``: called
    for each attempt, after ``headers``, where a secret signs what is sent."""

    source: str | None

    @property
    def sign(self) -> Sign | None:
        """What signs an attempt, or None."""

    @property
    def is_ready(self) -> bool:
        """Whether ``headers`` would return at once: without I/O, and without waiting for a thread that does some."""

    def headers(self) -> dict[str, str]:
        """The headers that carry it. Raises AuthenticationError if it is not available."""

    def check(self) -> None:
        """Raise AuthenticationError if it is certainly not available. Makes no network call."""

    def check_without_io(self) -> None:
        """Like ``check``, for the caller's thread: reads no file and runs no command."""

    def identity(self) -> str:
        """A text that is equal for equal credentials, in any process, and does not reveal them. Raises AuthenticationError."""

    def secrets(self) -> tuple[str, ...]:
        """The texts that must never be shown."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """After a 401 to a request that carried ``refused``: whether there is another one now, fetched if need be.

        A credential that another thread has renewed meanwhile is not renewed again.
        """
