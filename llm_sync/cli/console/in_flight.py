"""The requests of a client that are queued or in flight, followed by its events, for the progress display."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from llm_sync import events
from llm_sync.events import Event

_OPEN = ("queued", "sent", "waiting")
_WAIT_REASONS = {
    "retry": "the request is retried",
    "cool-down": "the provider asked for a pause",
    "pace": "requests_per_minute",
    "slot": "another process is using this provider",
    "concurrency": "concurrency: auto",
    "budget": "a budget, most of which other requests have reserved",
}


@dataclass(frozen=True)
class TrackedRequest:
    """One request. ``state``: queued, sent, waiting (until ``until``, for ``reason``), answered, failed or cancelled.

    ``since``: when the state began; ``started``: when a worker took the request. Both in seconds, on the clock of events.
    """

    provider: str
    model: str
    state: str = "queued"
    since: float = 0.0
    started: float = 0.0
    attempt: int = 1
    reason: str = ""
    until: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in _OPEN


@dataclass(frozen=True)
class ProviderCounts:
    """A provider's requests by state, and the reason of its latest retry or failure."""

    queued: int = 0
    in_flight: int = 0
    answered: int = 0
    failed: int = 0
    retries: int = 0
    reason: str = ""


@dataclass
class _EndedCounts:
    """What the open requests of a provider do not show."""

    answered: int = 0
    failed: int = 0
    retries: int = 0
    reason: str = ""


class InFlightRequests:
    """A listener for ``LLMClient.add_listener``. Any thread may call any method.

    It keeps the open requests, and of those that ended the latest ``max_ended``. ``clock``: that of the events.
    """

    def __init__(self, *, max_ended: int = 100, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._max_ended = max_ended
        self._lock = threading.Lock()  # guards both
        self._requests: dict[int, TrackedRequest] = {}  # by key, in the order of submission
        self._ended: dict[str, _EndedCounts] = {}  # by provider

    def __call__(self, event: Event) -> None:
        """Apply one event."""
        with self._lock:
            counts = self._ended.setdefault(event.provider, _EndedCounts())
            if isinstance(event, events.Queued):
                self._requests[event.key] = TrackedRequest(event.provider, event.model, since=event.at)
                return
            request = self._requests.get(event.key)
            if isinstance(event, events.Retrying):
                counts.retries += 1
                counts.reason = event.message or event.error
            if request is not None:
                self._requests[event.key] = _apply(request, event)
            if isinstance(event, events.Finished):
                self._finish(counts, event)

    def _finish(self, counts: _EndedCounts, event: events.Finished) -> None:
        if event.error is None:
            counts.answered += 1
        elif event.error != "cancelled":
            counts.failed += 1
            counts.reason = event.message or event.error
        ended = [key for key, request in self._requests.items() if not request.is_open]
        for key in ended[: max(0, len(ended) - self._max_ended)]:
            del self._requests[key]

    def requests(self) -> list[TrackedRequest]:
        """The open requests, and the latest that ended, in the order of submission."""
        with self._lock:
            return list(self._requests.values())

    def providers(self) -> dict[str, ProviderCounts]:
        """The counts of each provider that got any request."""
        with self._lock:
            states = Counter((each.provider, each.state == "queued") for each in self._requests.values() if each.is_open)
            return {
                name: ProviderCounts(
                    states[name, True], states[name, False], counts.answered, counts.failed, counts.retries, counts.reason
                )
                for name, counts in self._ended.items()
            }

    def oldest(self, provider: str) -> str | None:
        """For how long the oldest request of a provider is in flight, and what it waits for; None if none is."""
        with self._lock:
            open_ones = [
                each for each in self._requests.values() if each.provider == provider and each.state in ("sent", "waiting")
            ]
        if not open_ones:
            return None
        request = min(open_ones, key=lambda each: each.started)
        waits = self.describe(request) if request.state == "waiting" else ""
        return f"oldest in flight {_duration(self._clock() - request.started)}{f' ({waits})' if waits else ''}"

    def describe(self, request: TrackedRequest) -> str:
        """The state of a request in words: for how long, and why it waits."""
        now = self._clock()
        if request.state == "queued":
            return f"queued, {_duration(now - request.since)}"
        if request.state == "sent":
            again = f" (attempt {request.attempt})" if request.attempt > 1 else ""
            return f"in flight, {_duration(now - request.started)}{again}"
        if request.state == "waiting":
            left = f" for {_duration(request.until - now)}" if request.until > now else ""
            return f"waiting{left}: {request.reason}"
        if request.state == "cancelled":
            return "cancelled"
        taken = _duration(request.since - request.started)
        return f"answered after {taken}" if request.state == "answered" else f"failed after {taken}: {request.reason}"


def _apply(request: TrackedRequest, event: Event) -> TrackedRequest:
    """The request after the event."""
    if isinstance(event, events.Started):
        return replace(request, state="sent", since=event.at, started=event.at)
    if isinstance(event, events.AttemptStarted):
        return replace(request, state="sent", since=event.at, attempt=event.number, reason="")
    if isinstance(event, events.Retrying):
        return replace(request, state="waiting", since=event.at, reason=event.message or event.error, until=0.0)
    if isinstance(event, events.Waiting):
        reason = request.reason if event.reason == "retry" and request.reason else _WAIT_REASONS.get(event.reason, event.reason)
        return replace(request, state="waiting", since=event.at, reason=reason, until=event.at + event.seconds)
    if isinstance(event, events.Finished):
        return _end(request, event)
    return request


def _end(request: TrackedRequest, event: events.Finished) -> TrackedRequest:
    state = "answered" if event.error is None else "cancelled" if event.error == "cancelled" else "failed"
    reason = event.message.removeprefix(f"{request.provider}/{request.model}: ") or event.error or ""
    return replace(request, state=state, since=event.at, started=request.started or event.at, reason=reason)


def _duration(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
