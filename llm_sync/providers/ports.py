"""The interfaces of what a provider is given: the HTTP client and the retry handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from llm_sync.models import AttemptOptions, Reply


class HTTP(Protocol):
    """The HTTP client."""

    def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, timeout: float, control: Any = None
    ) -> Reply: ...


class Retry(Protocol):
    """The retry handler: calls ``attempt(number, timeout)`` until it succeeds or no retry is left."""

    def call(self, attempt: Callable[[int, float], Any], options: AttemptOptions, control: Any) -> Any: ...
