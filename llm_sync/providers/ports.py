"""What a provider is handed: the HTTP client and the retry handler, as it sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from llm_sync.models import AttemptOptions, Reply


class HTTP(Protocol):
    """What a provider asks of the HTTP client."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, control: Any = None) -> Reply: ...
    def get(self, url: str, headers: Mapping[str, str], *, timeout: float, control: Any = None) -> Reply: ...


class Retry(Protocol):
    """What a provider asks of the retry handler: call ``attempt(number, timeout)`` until it is settled."""

    def call(self, attempt: Callable[[int, float], Any], options: AttemptOptions, control: Any) -> Any: ...
