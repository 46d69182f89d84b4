"""What a client's requests are doing at this moment: a fold of its events, for whoever shows it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from llm_sync import events
from llm_sync.events import Event


@dataclass(frozen=True)
class Request:
    """One request. ``state``: queued, asked, waiting (until ``until``, why: ``reason``), answered, failed or cancelled.

    ``since``: when the state began; ``begun``: when a worker took it. Times are those of events.
    """

    provider: str
    model: str
    state: str = "queued"
    since: float = 0.0
    begun: float = 0.0
    attempt: int = 1
    reason: str = ""
    until: float = 0.0


@dataclass(frozen=True)
class ProviderCounts:
    """A provider's requests: how many are where, and the reason of its latest retry or failure."""

    queued: int = 0
    in_flight: int = 0
    answered: int = 0
    failed: int = 0
    retries: int = 0
    reason: str = ""


@dataclass
class _Provider:
    """Counts that no request under way tells."""

    answered: int = 0
    failed: int = 0
    retries: int = 0
    reason: str = ""


class Underway:
    """The fold; hand it to ``LLMClient.add_listener``. Any thread may call any method.

    It remembers the requests under way, and of those that ended the latest ``kept``.
    """

    def __init__(self, *, kept: int = 100, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept = kept
        self._lock = threading.Lock()  # guards both
        self._requests: dict[int, Request] = {}  # by key, in the order of asking
        self._providers: dict[str, _Provider] = {}

    def __call__(self, event: Event) -> None:
        """Fold one event in."""
        with self._lock:
            provider = self._providers.setdefault(event.provider, _Provider())
            if isinstance(event, events.Queued):
                self._requests[event.key] = Request(event.provider, event.model, since=event.at)
                return
            request = self._requests.get(event.key)
            if isinstance(event, events.Retrying):
                provider.retries += 1
                provider.reason = event.message or event.error
            if request is not None:
                self._requests[event.key] = _after(request, event)
            if isinstance(event, events.Finished):
                self._finish(provider, event)

    def _finish(self, provider: _Provider, event: events.Finished) -> None:
        if event.error is None:
            provider.answered += 1
        elif event.error != "cancelled":
            provider.failed += 1
            provider.reason = event.message or event.error
        ended = [key for key, request in self._requests.items() if not _open(request)]
        for key in ended[: max(0, len(ended) - self._kept)]:
            del self._requests[key]

    def requests(self) -> list[Request]:
        """Those under way, and the latest that ended, in the order of asking."""
        with self._lock:
            return list(self._requests.values())

    def providers(self) -> dict[str, ProviderCounts]:
        """The counts of each provider that was asked anything."""
        with self._lock:
            states = Counter(
                (request.provider, request.state == "queued") for request in self._requests.values() if _open(request)
            )
            return {
                name: ProviderCounts(
                    states[name, True], states[name, False], counts.answered, counts.failed, counts.retries, counts.reason
                )
                for name, counts in self._providers.items()
            }

    def words(self, request: Request) -> str:
        """What a request is doing, for a person: how long, and why it waits."""
        now = self._clock()
        if request.state == "queued":
            return f"queued, {_seconds(now - request.since)}"
        if request.state == "asked":
            again = f" (attempt {request.attempt})" if request.attempt > 1 else ""
            return f"asked, {_seconds(now - request.begun)}{again}"
        if request.state == "waiting":
            left = f" for {_seconds(request.until - now)}" if request.until > now else ""
            return f"waits{left}: {request.reason}"
        if request.state == "cancelled":
            return "cancelled"
        taken = _seconds(request.since - request.begun)
        return f"answered after {taken}" if request.state == "answered" else f"failed after {taken}: {request.reason}"


def _open(request: Request) -> bool:
    return request.state in ("queued", "asked", "waiting")


def _after(request: Request, event: Event) -> Request:
    """The request after what happened to it."""
    if isinstance(event, events.Started):
        return replace(request, state="asked", since=event.at, begun=event.at)
    if isinstance(event, events.AttemptStarted):
        return replace(request, state="asked", since=event.at, attempt=event.number, reason="")
    if isinstance(event, events.Retrying):
        return replace(request, state="waiting", since=event.at, reason=event.message or event.error, until=0.0)
    if isinstance(event, events.Waiting):
        reason = request.reason if event.reason == "retry" and request.reason else _REASONS.get(event.reason, event.reason)
        return replace(request, state="waiting", since=event.at, reason=reason, until=event.at + event.seconds)
    if isinstance(event, events.Finished):
        begun = request.begun or event.at
        state = "answered" if event.error is None else "cancelled" if event.error == "cancelled" else "failed"
        reason = event.message.removeprefix(f"{request.provider}/{request.model}: ") or event.error or ""
        return replace(request, state=state, since=event.at, begun=begun, reason=reason)
    return request


_REASONS = {
    "retry": "it is tried again",
    "cool-down": "the provider asked for a pause",
    "pace": "requests_per_minute",
    "slot": "another process asks this provider",
}


def _seconds(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
