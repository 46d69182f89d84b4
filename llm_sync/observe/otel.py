"""Spans and metrics of OpenTelemetry, from events alone, by its semantic conventions for generative AI.

A span begins when a request is queued, with what is current in the caller's thread as its parent, and ends with the request.
While the worker of a provider with a ``concurrency`` of 1 sends it, the span is the current one of that thread. Events have no
prompts and no answers, so spans have none, unless a ContentRecorder (content.py) adds them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from llm_sync import __version__
from llm_sync.config.models import ProviderConfig
from llm_sync.events import CacheHit, Event, Finished, Queued, Rerouted, Retrying, Started, Waiting
from llm_sync.models import Usage
from llm_sync.observe.provider_names import attributes_of
from llm_sync.runtime import fork

OPERATION, MODEL, CHAT = "gen_ai.operation.name", "gen_ai.request.model", "chat"
_DURATIONS_S = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_TOKENS = [4**power for power in range(14)]
_COUNTS = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}


class _Open(NamedTuple):
    """A request under way: its span, the parent's context, the attributes of its measurements, and when it was queued."""

    span: Span
    parent: Any
    measured: dict[str, Any]
    at: float
    retries: list[int]


class _Current(threading.local):
    """What a thread has made current, the parent of what it queues next, and key and parent of what ended last."""

    token: Any = None
    parent: Any = None
    ended: tuple[int, Any] = (0, None)


class Telemetry:
    """A listener of one client's events; see llm_sync.events for its threads. Raises nothing but what the tools raise."""

    def __init__(self, providers: Mapping[str, ProviderConfig]) -> None:
        self._tracer = trace.get_tracer("llm_sync", __version__)
        meter = metrics.get_meter("llm_sync", __version__)
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_DURATIONS_S,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._retries = meter.create_counter("llm_sync.client.retries", unit="{attempt}", description="Attempts after the first.")
        self._of_provider = {name: attributes_of(provider) for name, provider in providers.items()}
        # Their workers have one request at a time: the span can be the current one of the thread.
        self._alone = {name for name, provider in providers.items() if provider.concurrency == 1}
        self._open: dict[int, _Open] = {}
        self._current = _Current()
        fork.watch(self)

    def on_event(self, event: Event) -> None:
        """Begin, continue or end the span of the event's request."""
        if isinstance(event, Queued):
            self._begin(event)
        elif isinstance(event, Finished):
            self._end(event)
        elif isinstance(event, Started):
            if event.provider in self._alone:
                self._make_current(event.key)
        elif isinstance(event, Retrying):
            self._retry(event)
        elif isinstance(event, Waiting):
            self._add(event.key, "llm_sync.waiting", {"llm_sync.reason": event.reason, "llm_sync.seconds": event.seconds})
        elif isinstance(event, CacheHit):
            self._cache_hit(event)
        elif isinstance(event, Rerouted):
            self._reroute(event)

    def describe(self, key: int, attributes: Mapping[str, str]) -> None:
        """Add attributes to the span of a request under way. Any thread may call it."""
        opened = self._open.get(key)
        if opened is not None:
            opened.span.set_attributes(attributes)

    def reset_after_fork(self) -> None:
        """In the child: the parent's requests end in the parent."""
        self._open = {}
        self._current = _Current()

    def _begin(self, event: Queued) -> None:
        parent, self._current.parent = self._current.parent or otel_context.get_current(), None
        measured = self._attributes(event)
        span = self._tracer.start_span(_name(measured), context=parent, kind=SpanKind.CLIENT, attributes=measured)
        self._open[event.key] = _Open(span, parent, measured, event.at, [])

    def _attributes(self, event: Queued | CacheHit) -> dict[str, Any]:
        known = {**self._of_provider.get(event.provider, {}), OPERATION: event.operation or CHAT}
        return {**known, MODEL: event.model} if event.model else known  # a listing has none

    def _make_current(self, key: int) -> None:
        opened = self._open.get(key)
        self._leave()
        if opened is not None:
            self._current.token = otel_context.attach(trace.set_span_in_context(opened.span))

    def _leave(self) -> None:
        """What this thread made current is over; it ended in another thread, if it is still there."""
        token, self._current.token = self._current.token, None
        if token is not None:
            otel_context.detach(token)

    def _add(self, key: int, name: str, attributes: dict[str, Any]) -> None:
        opened = self._open.get(key)
        if opened is not None:
            opened.span.add_event(name, attributes)

    def _retry(self, event: Retrying) -> None:
        opened = self._open.get(event.key)
        if opened is None:
            return
        opened.retries.append(event.number)
        attributes: dict[str, Any] = {"error.type": event.error, "llm_sync.seconds": event.seconds}
        attributes["llm_sync.attempt"] = event.number
        opened.span.add_event("llm_sync.retry", attributes)
        self._retries.add(1, {**opened.measured, "error.type": event.error})

    def _reroute(self, event: Rerouted) -> None:
        """Emitted by the thread that queues the next model of the route, after the failed one has ended: same parent."""
        key, parent = self._current.ended
        self._current.parent = parent if key == event.key else None

    def _end(self, event: Finished) -> None:
        opened = self._open.pop(event.key, None)
        self._leave()
        if opened is None:
            return
        self._current.ended = (event.key, opened.parent)
        span, failed = opened.span, {} if event.error is None else {"error.type": event.error}
        if event.error not in (None, "cancelled"):
            span.set_status(Status(StatusCode.ERROR, event.message.partition("\n")[0][:200]))
        span.set_attributes({**failed, **_counts(event.usage)})
        if opened.retries:
            span.set_attribute("http.request.resend_count", len(opened.retries))
        span.end()
        self._measure(opened.measured, failed, event.usage, event.at - opened.at)

    def _measure(self, measured: dict[str, Any], failed: dict[str, str], usage: Usage | None, seconds: float) -> None:
        self._durations.record(max(0.0, seconds), {**measured, **failed})
        if usage is None:
            return
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                self._tokens.record(count, {**measured, "gen_ai.token.type": kind})

    def _cache_hit(self, event: CacheHit) -> None:
        """Nothing was sent: a span of its own, unless Finished is to end one."""
        if event.queued:
            opened = self._open.get(event.key)
            if opened is not None:
                opened.span.set_attribute("llm_sync.cached", True)
            return
        attributes = {**self._attributes(event), "llm_sync.cached": True}
        start = time.time_ns() - int(event.elapsed * 1e9)
        self._tracer.start_span(_name(attributes), kind=SpanKind.CLIENT, attributes=attributes, start_time=start).end()


def _name(attributes: Mapping[str, Any]) -> str:
    return f"{attributes[OPERATION]} {attributes.get(MODEL, '')}".rstrip()


def _counts(usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {}
    return {name: count for name, field in _COUNTS.items() if (count := getattr(usage, field, None)) is not None}
