"""Tools that mock, record, block or trace HTTP see every request, the first one and those over a kept connection."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from llm_sync import LLMClient, LLMConnectorError

from .conftest import Server, body

PATH = "/chat/completions"


@pytest.fixture(params=["first", "kept"])
def client(request: pytest.FixtureRequest, server: Server, configure: Callable[..., str]) -> Iterator[LLMClient]:
    """A client that has sent nothing, and one that has a connection on which the fast path was used."""
    with LLMClient.from_config(configure(server)) as made:
        if request.param == "kept":
            for _ in range(3):
                made.generate("warm", "p/m")
        server.seen.clear()
        yield made


def ask(client: LLMClient, prompt: str = "hi") -> str:
    """The answer's text."""
    return client.generate(prompt, "p/m", max_retries=0, timeout=10).text


def needs(module: str) -> Any:
    """The tool; skips where it is not installed."""
    return pytest.importorskip(module)


def test_responses(client, server):
    """A mock of responses answers, and after it the server does."""
    with needs("responses").RequestsMock() as mock:
        mock.post(server.base + PATH, body=body("mocked"))
        assert [ask(client), ask(client)] == ["mocked", "mocked"]
    assert server.seen == []
    assert ask(client) == "re hi"


def test_requests_mock(client, server):
    """A mock of requests-mock answers, and after it the server does."""
    with needs("requests_mock").Mocker() as mock:
        mock.post(server.base + PATH, text=body("mocked"))
        assert [ask(client), ask(client)] == ["mocked", "mocked"]
    assert server.seen == []
    assert ask(client) == "re hi"


def test_vcrpy_records_and_plays(client, server, tmp_path):
    """A first run records, a second one sends nothing: not even one request of it may be billed."""
    recorder = needs("vcr").VCR(cassette_library_dir=str(tmp_path), match_on=["method", "uri", "body"])
    for turn in range(2):
        with recorder.use_cassette("tape.yaml") as cassette:
            assert [ask(client, "one"), ask(client, "two")] == ["re one", "re two"]
        assert server.prompts() == ["one", "two"]
        assert cassette.play_count == 2 * turn
    assert ask(client, "live") == "re live"


def test_vcrpy_refuses_what_it_does_not_have(client, server, tmp_path):
    """With record mode "none" a request that the cassette does not have raises, and is not sent."""
    recorder = needs("vcr").VCR(cassette_library_dir=str(tmp_path), record_mode="none")
    with recorder.use_cassette("empty.yaml"), pytest.raises(Exception, match="(?i)overwrite|cassette"):
        ask(client)
    assert server.seen == []


def test_vcrpy_around_the_import(server, configure, tmp_path):
    """A cassette that is open while llm-sync is imported records and plays, too."""
    needs("vcr")
    program = """
import sys, vcr
with vcr.VCR(cassette_library_dir=sys.argv[2]).use_cassette("tape.yaml"):
    import llm_sync
    print(llm_sync.generate("hi", "p/m", config=sys.argv[1]).text)
"""
    for _ in range(2):
        command = [sys.executable, "-W", "ignore", "-c", program, configure(server), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout == "re hi\n", done.stderr
    assert server.prompts() == ["hi"]


def test_httpretty(client, server):
    """Mocked wherever httpretty can mock requests itself (not with urllib3 2.3 and later); never live."""
    httpretty = needs("httpretty")
    url = server.base + PATH
    with httpretty.enabled(allow_net_connect=False):
        httpretty.register_uri(httpretty.POST, url, body=body("mocked"))
        try:
            mocks = requests.post(url, json={}, timeout=5).text == body("mocked")
        except Exception:  # (its own UnmockedError)
            mocks = False
        with contextlib.nullcontext() if mocks else pytest.raises(Exception, match="socket"):
            assert ask(client) == "mocked"
    assert server.seen == []


def test_pytest_socket_blocks_sockets(client, server):
    """While sockets are disabled nothing is sent, not even over a connection that is open already."""
    tool = needs("pytest_socket")
    tool.disable_socket()
    try:
        with pytest.raises(tool.SocketBlockedError):
            ask(client)
    finally:
        tool.enable_socket()
    assert server.seen == []
    assert ask(client) == "re hi"


def test_pytest_socket_blocks_hosts(client, server):
    """Hosts that are not allowed are not asked, not even over a connection that is open already."""
    tool = needs("pytest_socket")
    tool.socket_allow_hosts(["10.0.0.1"])
    try:
        with pytest.raises(tool.SocketConnectBlockedError):
            ask(client)
    finally:
        tool._remove_restrictions()
    assert server.seen == []
    assert ask(client) == "re hi"


@pytest.mark.parametrize("instrumentor", ["requests.RequestsInstrumentor", "urllib3.URLLib3Instrumentor"])
def test_opentelemetry_traces(client, server, instrumentor):
    """Each request has a span, and carries its traceparent."""
    module, _, name = instrumentor.partition(".")
    if importlib.util.find_spec("opentelemetry") is None:
        pytest.skip("opentelemetry is not installed")
    instrumentation = needs(f"opentelemetry.instrumentation.{module}")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = getattr(instrumentation, name)()
    tracer.instrument(tracer_provider=provider)
    try:
        assert [ask(client), ask(client)] == ["re hi", "re hi"]
    finally:
        tracer.uninstrument()
    assert len(exporter.get_finished_spans()) == 2
    parents = [headers.get("traceparent") for _, headers in server.seen]
    assert None not in parents
    assert len(set(parents)) == 2
    ask(client)
    assert "traceparent" not in server.seen[-1][1]


def test_a_refused_request_is_our_error(client, server):
    """A mock without the address leads to an error of ours or of the tool, and nothing is sent."""
    responses = needs("responses")
    with responses.RequestsMock(assert_all_requests_are_fired=False), pytest.raises((LLMConnectorError, OSError)):
        ask(client)
    assert server.seen == []
