"""Spans and metrics of OpenTelemetry, looked at with its SDK's exporters in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import llm_sync
from llm_sync import LLMClient, LLMConnectorError, Message, ModelRequest, ToolCall
from llm_sync.config import ConfigLoader
from llm_sync.config.models import ProviderConfig
from llm_sync.errors import ConfigurationError
from llm_sync.observe import otel_setup
from llm_sync.observe.provider_names import attributes_of
from llm_sync.simulator import Response, Simulator

CONFIG = """
observe: otel
defaults: {retry_base: 0, max_retries: 1, model: openai/gpt-4o-mini}
providers:
  openai: {api_key: test-key-1, base_url: "<openai>", models: [gpt-4o-mini]}
  anthropic: {api_key: test-key-2, base_url: "<anthropic>", models: [claude-haiku-4-5]}
"""


def configured(simulator: Simulator) -> str:
    """CONFIG with the simulator's addresses."""
    return CONFIG.replace("<openai>", simulator.url("openai")).replace("<anthropic>", simulator.url("anthropic"))


class Seen:
    """What OpenTelemetry got."""

    def __init__(self, spans: InMemorySpanExporter, reader: InMemoryMetricReader) -> None:
        self._spans = spans
        self._reader = reader

    def spans(self) -> list[Any]:
        """The ended spans."""
        return list(self._spans.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        """The data points of one metric."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Providers as a program sets them up, new for each test."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", meters)
    return Seen(exporter, reader)


@pytest.fixture
def behave() -> dict[str, Callable[[Any], Response | None]]:
    """What the simulator answers: ``behave["all"]`` decides, None for as usual."""
    return {}


@pytest.fixture
def client(seen: Seen, behave: dict[str, Any]) -> Iterator[LLMClient]:
    """A client that is watched."""

    def answer(record: Any) -> Response | None:
        judge = behave.get("all")
        return None if judge is None else judge(record)

    with Simulator(on_request=answer) as simulator, LLMClient(ConfigLoader().load_text(configured(simulator))) as opened:
        yield opened


def failed(status: int) -> Response:
    """An error of a provider."""
    return Response(status, {"error": {"message": "it fails", "type": "error", "code": None}})


def test_a_call_is_a_client_span(client: LLMClient, seen: Seen) -> None:
    """By the conventions: its name, kind, operation, provider, model, server and tokens; no prompt and no answer."""
    response = client.generate("A very secret prompt")
    (span,) = seen.spans()
    assert (span.name, span.kind.name, span.status.status_code) == ("chat gpt-4o-mini", "CLIENT", StatusCode.UNSET)
    attributes = dict(span.attributes)
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["gen_ai.usage.input_tokens"] == response.usage.input_tokens
    assert attributes["gen_ai.usage.output_tokens"] == response.usage.output_tokens
    assert "secret" not in span.to_json()
    assert response.text[:20] not in span.to_json()


def test_a_listing_is_an_operation_of_its_own(client: LLMClient, seen: Seen) -> None:
    """The conventions have no name for it, and allow one of one's own; no model is asked, no tokens are counted."""
    client.list_all_models()
    spans = seen.spans()
    assert {span.name for span in spans} == {"list_models"}
    assert {span.attributes["gen_ai.operation.name"] for span in spans} == {"list_models"}
    points = seen.points("gen_ai.client.operation.duration")
    assert {point.attributes["gen_ai.operation.name"] for point in points} == {"list_models"}
    assert not any("gen_ai.request.model" in each.attributes for each in (*spans, *points))
    assert seen.points("gen_ai.client.token.usage") == []


@pytest.mark.parametrize("cached", [False, True])
def test_vectors_are_another_operation(seen: Seen, cached: bool, tmp_path: Path) -> None:
    """Spans and measurements of embeddings are called so, asked or from the cache."""
    with Simulator() as simulator, LLMClient(ConfigLoader().load_text(configured(simulator)), cache=str(tmp_path)) as client:
        for _ in range(1 + cached):
            client.embed(["one", "two"], "openai/text-embedding-3-small")
    span = seen.spans()[-1]
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes["gen_ai.operation.name"] == "embeddings"
    assert ("llm_sync.cached" in span.attributes) is cached
    for metric in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage"):
        assert {point.attributes["gen_ai.operation.name"] for point in seen.points(metric)} == {"embeddings"}


@pytest.mark.parametrize("concurrency", [1, 8])
def test_prompts_and_answers_are_recorded_if_asked_for(seen: Seen, monkeypatch: pytest.MonkeyPatch, concurrency: int) -> None:
    """As JSON of the conventions: roles, texts, tools, files by their kind, a finish reason; a provider's key is replaced."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    call = ToolCall("call_1", "add", {"a": 1})
    turns = [Message("user", "add test-key-1"), Message("assistant", tool_calls=[call])]
    turns.append(Message("tool", "1", tool_call_id="call_1"))
    requests = [
        ModelRequest("Look", system_prompt="Be brief", images=["https://example.com/a.png"]),
        ModelRequest(messages=turns, tools=[{"name": "add", "parameters": {"type": "object"}}]),
    ]
    with Simulator() as simulator:
        text = configured(simulator).replace("models:", f"concurrency: {concurrency}, models:", 1)
        with LLMClient(ConfigLoader().load_text(text)) as client:
            answers = client.generate_responses_concurrent(requests)
    by_turns = {len(json.loads(span.attributes["gen_ai.input.messages"])): span.attributes for span in seen.spans()}
    first, second = by_turns[1], by_turns[3]
    assert json.loads(first["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief"}]
    parts = [{"type": "blob", "modality": "image"}, {"type": "text", "content": "Look"}]
    assert json.loads(first["gen_ai.input.messages"]) == [{"role": "user", "parts": parts}]
    answered = {"type": "text", "content": answers[0].text}
    assert json.loads(first["gen_ai.output.messages"]) == [{"role": "assistant", "parts": [answered], "finish_reason": "stop"}]
    assert json.loads(second["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "add [key]"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "call_1", "name": "add", "arguments": {"a": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "1"}]},
    ]


def test_of_a_failed_call_the_prompt_is_recorded(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of an answer that is cut what there is of it; the error is the caller's as ever."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
    with (
        Simulator(on_request=lambda record: failed(400) if "wrong" in str(record.payload) else None) as simulator,
        LLMClient(ConfigLoader().load_text(configured(simulator))) as client,
    ):
        with pytest.raises(LLMConnectorError):
            client.generate("wrong")
        cut = client.generate("Count to a hundred.", max_tokens=3)
    wrong, counted = (span.attributes for span in seen.spans())
    assert "wrong" in wrong["gen_ai.input.messages"]
    assert "gen_ai.output.messages" not in wrong
    (message,) = json.loads(counted["gen_ai.output.messages"])
    assert (message["parts"], message["finish_reason"]) == ([{"type": "text", "content": cut.text}], "length")


def test_the_parent_is_the_caller_s(client: LLMClient, seen: Seen) -> None:
    """The span that is current where the call is made, for blocking calls and for submit; the worker runs elsewhere."""
    tracer = trace.get_tracer("program")
    with tracer.start_as_current_span("outer") as outer:
        client.generate("one")
        future = client.submit(ModelRequest("two"))
    future.result(10)
    spans = {span.name: span for span in seen.spans()}
    children = [span for span in seen.spans() if span.name.startswith("chat")]
    assert len(children) == 2
    assert {span.parent.span_id for span in children} == {outer.get_span_context().span_id}
    assert spans["outer"].parent is None


def test_the_span_is_current_while_it_is_sent(client: LLMClient, seen: Seen) -> None:
    """What a worker does for the request (an instrumented HTTP library) nests below its span, and nothing else does."""
    inside: list[int] = []
    client.add_middleware(
        lambda request, send: (inside.append(trace.get_current_span().get_span_context().span_id), send(request))[1]
    )
    client.generate("one")
    client.generate("two")
    assert inside == [span.context.span_id for span in seen.spans()]
    outside: list[bool] = []
    ended = threading.Event()
    future = client.submit(ModelRequest("three"))
    future.add_done_callback(lambda _: (outside.append(trace.get_current_span().is_recording()), ended.set()))
    assert ended.wait(10)
    assert outside == [False]


def test_a_failure_is_an_error_with_its_class(client: LLMClient, seen: Seen, behave: dict[str, Any]) -> None:
    """``error.type`` is the class of the error; retries are events of the span."""
    behave["all"] = lambda record: failed(503)
    with pytest.raises(LLMConnectorError):
        client.generate("hello")
    (span,) = seen.spans()
    assert span.status.status_code == StatusCode.ERROR
    assert span.attributes["error.type"] == "ProviderUnavailableError"
    assert span.attributes["http.request.resend_count"] == 1
    assert [event.name for event in span.events if event.name == "llm_sync.retry"] == ["llm_sync.retry"]


def test_steps_of_a_route_have_the_same_parent(client: LLMClient, seen: Seen, behave: dict[str, Any]) -> None:
    """Each model that is asked has a span of its own, all below the caller's."""
    behave["all"] = lambda record: failed(503) if record.provider == "openai" else None
    with trace.get_tracer("program").start_as_current_span("outer") as outer:
        client.generate("hello", "openai/gpt-4o-mini,anthropic/claude-haiku-4-5")
    chats = [span for span in seen.spans() if span.name.startswith("chat")]
    assert [span.name for span in chats] == ["chat gpt-4o-mini", "chat claude-haiku-4-5"]
    assert {span.parent.span_id for span in chats} == {outer.get_span_context().span_id}


def test_everything_adds_up_to_the_status(client: LLMClient, seen: Seen, behave: dict[str, Any]) -> None:
    """A thousand calls, with retries and failures: spans, durations, tokens and retries are those of status()."""

    def judge(record: Any) -> Response | None:
        number = int(record.payload["messages"][0]["content"].split()[1])
        if number % 10 == 3:
            return failed(503)  # whatever is tried
        return failed(400) if number % 10 == 7 else None

    behave["all"] = judge
    outcomes = client.generate_responses_concurrent(
        [ModelRequest(f"number {number}") for number in range(1000)], return_exceptions=True
    )
    status = client.status()["openai"]
    spans = seen.spans()
    errors = [span.attributes["error.type"] for span in spans if "error.type" in span.attributes]
    assert len(spans) == 1000
    assert len(spans) - len(errors) == status.done == 800
    assert {kind: errors.count(kind) for kind in set(errors)} == dict(status.failed)
    durations = seen.points("gen_ai.client.operation.duration")
    assert sum(point.count for point in durations) == 1000
    assert sum(point.count for point in durations if "error.type" not in point.attributes) == status.done
    assert sum(point.value for point in seen.points("llm_sync.client.retries")) == status.retries == 100
    answers = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in seen.points("gen_ai.client.token.usage")}
    assert tokens["input"] == sum(answer.usage.input_tokens for answer in answers)
    assert tokens["output"] == sum(answer.usage.output_tokens for answer in answers)


def test_a_cancelled_request_ends_its_span(client: LLMClient, seen: Seen, behave: dict[str, Any]) -> None:
    """It is no error of the provider."""
    release = threading.Event()
    behave["all"] = lambda record: None if release.wait(10) else failed(500)
    busy = [client.submit(ModelRequest("busy"))]
    waiting = client.submit(ModelRequest("too late"))
    assert waiting.cancel()
    release.set()
    for future in busy:
        future.result(10)
    ended = [span for span in seen.spans() if span.attributes.get("error.type") == "cancelled"]
    assert [span.status.status_code for span in ended] == [StatusCode.UNSET]


@pytest.mark.parametrize(
    ("provider", "name", "address"),
    [
        (ProviderConfig("mine", "openai"), "openai", "api.openai.com"),
        (ProviderConfig("a", "anthropic"), "anthropic", "api.anthropic.com"),
        (ProviderConfig("g", "gemini"), "gcp.gemini", "generativelanguage.googleapis.com"),
        (ProviderConfig("v", "gemini", auth="google-cloud", project="p"), "gcp.vertex_ai", "generativelanguage.googleapis.com"),
        (ProviderConfig("z", "openai", base_url="https://x.openai.azure.com/openai/v1"), "azure.ai.openai", "x.openai.azure.com"),
        (ProviderConfig("groq", "openai", base_url="https://api.groq.com/openai/v1"), "groq", "api.groq.com"),
        (ProviderConfig("vllm", "openai", base_url="http://127.0.0.1:8000/v1"), "vllm", "127.0.0.1"),
        (ProviderConfig("r", "openrouter"), "openrouter", "openrouter.ai"),
    ],
)
def test_providers_have_the_names_of_the_conventions(provider: ProviderConfig, name: str, address: str) -> None:
    """Where the conventions have none, the entry's own name stands."""
    attributes = attributes_of(provider)
    assert (attributes["gen_ai.provider.name"], attributes["server.address"]) == (name, address)


# Turning it on


def run(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of its own, with this llm_sync."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LLM_SYNC_OTEL", "COV_"))}
    place = str(Path(llm_sync.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": place, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


PROGRAM = """
import sys
from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator
with Simulator() as simulator:
    text = 'providers: {openai: {api_key: test-key-1, base_url: "%s"}}' % simulator.url("openai")
    with LLMClient(ConfigLoader().load_text(text)) as client:
        for number in range(COUNT):
            client.generate(f"hello {number}", "gpt-4o-mini")
print("otel" if "opentelemetry" in sys.modules else "nothing")
"""


def test_nothing_is_loaded_without_it(tmp_path: Path) -> None:
    """Neither the package nor a thread; LLM_SYNC_OTEL=0 turns off what a configuration asks for."""
    assert run(PROGRAM.replace("COUNT", "1"), tmp_path).stdout.endswith("nothing\n")
    off = PROGRAM.replace("COUNT", "1").replace("'providers:", "'observe: otel\\nproviders:")
    assert run(off, tmp_path, LLM_SYNC_OTEL="0").stdout.endswith("nothing\n")


def test_the_variable_turns_it_on_and_nothing_is_lost_at_exit(tmp_path: Path) -> None:
    """Exporters are set up by OpenTelemetry's own variables; what is queued at exit is exported."""
    ran = run(
        PROGRAM.replace("COUNT", "20"),
        tmp_path,
        LLM_SYNC_OTEL="1",
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="console",
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('"name": "chat gpt-4o-mini"') == 20
    assert '"name": "gen_ai.client.operation.duration"' in ran.stdout


SLOW = """
import threading, time
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
class Dead(SpanExporter):
    def export(self, spans):
        time.sleep(60)
        return SpanExportResult.FAILURE
    def shutdown(self):
        time.sleep(60)
import llm_sync.observe.otel_setup as setup
setup._exporter = lambda variable: Dead() if "TRACES" in variable else None
setup.FLUSH_S = 1.0
"""


def test_a_dead_collector_holds_nobody_up(tmp_path: Path) -> None:
    """Neither the calls nor, for longer than the limit, the end of the program."""
    began = time.monotonic()
    ran = run(SLOW + PROGRAM.replace("COUNT", "5"), tmp_path, LLM_SYNC_OTEL="1")
    assert ran.returncode == 0, ran.stderr
    assert time.monotonic() - began < 25


def test_a_missing_exporter_is_named(tmp_path: Path) -> None:
    """One that is asked for by name is an error; without a name a warning, and the calls work."""
    ran = run(PROGRAM.replace("COUNT", "1"), tmp_path, LLM_SYNC_OTEL="1", OTEL_TRACES_EXPORTER="nonsense")
    assert "OTEL_TRACES_EXPORTER names the exporter 'nonsense', which is not installed" in ran.stderr


def test_a_missing_exporter_is_named_to_each_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that goes on after the first error is not left without spans in silence."""
    monkeypatch.setattr(otel_setup, "_done", [])
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", None)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "nonsense")
    config = ConfigLoader().load_text("observe: otel\nproviders: {openai: {api_key: test-key-1}}")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="OTEL_METRICS_EXPORTER names the exporter 'nonsense'"):
            LLMClient(config)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for without the extra, it says how to get it."""
    monkeypatch.setitem(sys.modules, "llm_sync.observe.otel", None)
    config = ConfigLoader().load_text("observe: otel\nproviders: {openai: {api_key: test-key-1}}")
    with pytest.raises(ConfigurationError) as caught:
        LLMClient(config)
    assert "llm-sync[otel]" in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_spans_of_its_own(client: LLMClient, seen: Seen) -> None:
    """The parent's open spans end in the parent; the child's calls begin new ones."""
    client.generate("in the parent")
    child = os.fork()
    if child == 0:
        try:
            client.generate("in the child")
            os._exit(0 if len(seen.spans()) == 2 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert len(seen.spans()) == 1


def test_the_example_s_calls_are_seen(seen: Seen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """examples/otel_console.py: its calls are spans below its own one."""
    import importlib.util

    path = Path(__file__).parents[2] / "examples" / "otel_console.py"
    spec = importlib.util.spec_from_file_location("otel_console", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with Simulator() as simulator:
        file = tmp_path / "llms.yaml"
        file.write_text(f"providers: {{openai: {{api_key: test-key-1, base_url: '{simulator.url('openai')}'}}}}")
        monkeypatch.setenv("LLM_SYNC_CONFIG", str(file))
        monkeypatch.setenv("LLM_SYNC_OTEL", "1")
        assert example.main("hello", ["openai/gpt-4o-mini", "openai/gpt-4o"]) == 0
    spans = {span.name: span for span in seen.spans()}
    outer = spans.pop("compare")
    assert spans.keys() == {"chat gpt-4o-mini", "chat gpt-4o"}
    assert {span.parent.span_id for span in spans.values()} == {outer.context.span_id}
