"""Sets OpenTelemetry up where the program has not done so itself: exporters by its usual variables, and a bounded flush at exit.

A program that has set up providers of its own keeps them; they flush as the program says.
"""

from __future__ import annotations

import atexit
import os
import threading
from importlib.metadata import EntryPoint, entry_points
from queue import Empty, SimpleQueue
from typing import Any

from opentelemetry import metrics, trace

from llm_sync.errors import ConfigurationError
from llm_sync.events import logger

OTLP_PACKAGE = "opentelemetry-exporter-otlp-proto-http"
FLUSH_S = 5.0  # how long the end of the program may wait for a collector
_QUEUED_SPANS = 2**14  # while they wait for the exporter, which sends them in groups

_log = logger("observe")
_TRACES, _METRICS = "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"
_GROUPS = {_TRACES: "opentelemetry_traces_exporter", _METRICS: "opentelemetry_metrics_exporter"}  # of entry points
_lock = threading.Lock()  # guards _done
_done: list[bool] = []


def set_up() -> None:
    """Make providers unless there are some. Called for each client; does its work once in a process.

    Raises ConfigurationError for an exporter that is named but not installed.
    """
    with _lock:
        if _done:
            return
        has_tracers = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        has_meters = type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"
        exporters = {name: _exporter(name) for name, has_own in ((_TRACES, has_tracers), (_METRICS, has_meters)) if not has_own}
        _done.append(True)  # not before: what is wrong with an exporter is said to each client
        made = [_MAKERS[name](exporter) for name, exporter in exporters.items() if exporter is not None]
        if made:
            _Flusher(made)


def without_exporter() -> list[str]:
    """The variables for which nothing is exported, as they name nothing and the usual exporter is not installed.

    Changes nothing. Raises ConfigurationError as ``set_up``.
    """
    return [variable for variable in _GROUPS if _entry_point(variable) is None and _named(variable) != "none"]


def _tracer_provider(exporter: Any) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_QUEUED_SPANS))
    trace.set_tracer_provider(provider)
    return provider


def _meter_provider(exporter: Any) -> Any:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    provider = MeterProvider([PeriodicExportingMetricReader(exporter)], shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider


_MAKERS = {_TRACES: _tracer_provider, _METRICS: _meter_provider}


def _named(variable: str) -> str:
    return os.environ.get(variable, "").strip()


def _exporter(variable: str) -> Any:
    """The exporter that the variable names (otlp, if none does); None for "none", or without the one that none named."""
    entry = _entry_point(variable)
    if entry is not None:
        return entry.load()()
    if not _named(variable):
        _log.warning("nothing is exported to OpenTelemetry: pip install %s, or set %s", OTLP_PACKAGE, variable)
    return None


def _entry_point(variable: str) -> EntryPoint | None:
    """Where the exporter is; None as of ``_exporter``. Raises ConfigurationError if it is named but not installed."""
    named = _named(variable)
    if named == "none":
        return None
    name = {"": "otlp_proto_http", "otlp": "otlp_proto_http"}.get(named, named)
    entry = next(iter(entry_points(group=_GROUPS[variable], name=name)), None)
    if entry is not None or not named:
        return entry
    raise ConfigurationError(
        f"{variable} names the exporter {named!r}, which is not installed",
        guidance=f"Install its package ({OTLP_PACKAGE} for otlp), or set the variable to console or none.",
    )


class _Flusher:
    """Shuts providers down at exit, in a thread of its own, for which the program waits a few seconds at most."""

    def __init__(self, providers: list[Any]) -> None:
        self._providers = providers
        self._begin: SimpleQueue[None] = SimpleQueue()
        self._end: SimpleQueue[None] = SimpleQueue()
        # Started now: at exit no thread can be started. A daemon: nobody waits for it longer than FLUSH_S.
        threading.Thread(target=self._run, name="llm-sync-otel-flush", daemon=True).start()
        self._process = os.getpid()
        atexit.register(self._flush)

    def _run(self) -> None:
        self._begin.get()
        for provider in self._providers:
            try:
                provider.shutdown()
            except Exception as error:  # noqa: BLE001, PERF203  (the other one is shut down, too)
                _log.debug("a provider of OpenTelemetry was not shut down: %s", error)
        self._end.put(None)

    def _flush(self) -> None:
        if self._process != os.getpid():
            return  # a forked child, which has no such thread
        self._begin.put(None)
        try:
            self._end.get(timeout=FLUSH_S)
        except Empty:
            _log.warning("OpenTelemetry's collector did not take everything within %g s", FLUSH_S)
