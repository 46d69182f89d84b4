#!/usr/bin/env python3
"""Prints the spans and metrics of a few calls, as OpenTelemetry sees them.

    pip install 'llm-sync[otel]'
    python examples/otel_console.py "Why is the sky blue?" openai/gpt-4o-mini anthropic/claude-haiku-4-5

The program sets up its own exporters here, to standard output. Without that, llm-sync uses those of OTEL_TRACES_EXPORTER and
OTEL_METRICS_EXPORTER: LLM_SYNC_OTEL=1 OTEL_TRACES_EXPORTER=console llm-sync generate "Hello".
"""

import os
import sys


def set_up() -> None:
    """What a program does once, before its first client: here to the terminal, elsewhere to a collector."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter())]))


def main(question: str, models: list[str]) -> int:
    """Ask every model below one span of the program's own; returns the number of models without an answer."""
    from opentelemetry import trace

    from llm_sync import LLMClient, ModelRequest

    with LLMClient.from_config() as client, trace.get_tracer("example").start_as_current_span("compare"):
        requests = [ModelRequest(question, model) for model in models]
        answers = client.generate_responses_concurrent(requests, return_exceptions=True)
    return sum(isinstance(answer, Exception) for answer in answers)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} QUESTION PROVIDER/MODEL …")
    os.environ["LLM_SYNC_OTEL"] = "1"  # the same as `observe: otel` in the configuration
    set_up()
    sys.exit(main(sys.argv[1], sys.argv[2:]))
