"""Streaming switches: stripped with one warning and told, or refused; never on the wire."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import ConfigurationError, LLMClient, ModelRequest, StreamingNotSupportedError
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Response, Simulator

OpenClient = Callable[..., LLMClient]

MODELS = {
    "openai": "gpt-4o-mini",
    "openai-responses": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.0-flash",
    "openrouter": "openai/gpt-4o-mini",
}
SWITCHES: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
IN_CONFIG = """\
providers:
  openai:
    api_key: test-key
    base_url: "<openai>"
    default_params:
      provider_specific: {stream: true, stream_options: {include_usage: true}, user: me}
    models: [gpt-4o-mini]
"""


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged at WARNING or above."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_switches_in_a_request_are_stripped_and_told(
    client: LLMClient, upstream: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names the parameters, the response lists them, and the payload says that it is no stream."""
    with caplog.at_level(logging.DEBUG, "llm_sync"):
        response = client.generate("x", "openai/gpt-4o-mini", provider_specific={**SWITCHES, "user": "me"})
    (warning,) = warnings_in(caplog)
    assert "stream, stream_options" in warning
    assert [(a.parameter, a.asked, a.sent) for a in response.adjustments] == [
        ("stream", True, None),
        ("stream_options", {"include_usage": True}, None),
    ]
    sent = upstream.requests[0].payload
    assert sent["stream"] is False
    assert "stream_options" not in sent
    assert sent["user"] == "me"
    assert upstream.stream_attempts == 0


@pytest.mark.parametrize("dialect", MODELS)
def test_no_dialect_ever_asks_for_a_stream(open_client: OpenClient, upstream: Simulator, dialect: str) -> None:
    """Whatever the dialect and however streaming is asked for, the server sees a plain request."""
    client = open_client(f'providers: {{p: {{type: {dialect}, api_key: test-key, base_url: "<{dialect}>"}}}}')
    asked = {**SWITCHES, "background": True, "alt": "sse", "stream_format": "sse"}
    response = client.generate("x", MODELS[dialect], max_tokens=50, provider_specific=asked)
    assert {a.parameter for a in response.adjustments} >= set(asked)
    (record,) = upstream.requests
    assert record.stream is None
    assert record.payload.get("stream", False) is False
    assert {"background", "alt", "stream_options", "stream_format"}.isdisjoint(record.payload)


def test_switches_that_are_off_are_left_out_in_silence(
    client: LLMClient, upstream: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """``stream: false`` asks for what is done anyway: no warning, no adjustment."""
    with caplog.at_level(logging.WARNING, "llm_sync"):
        response = client.generate("x", "openai/gpt-4o-mini", provider_specific={"stream": False, "stream_options": None})
    assert (warnings_in(caplog), response.adjustments) == ([], ())
    assert "stream_options" not in upstream.requests[0].payload


def test_switches_in_a_configuration_are_stripped_once_with_one_warning(
    write_config: Callable[[str], str], upstream: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning comes at load and names file, line and parameters; each response tells it, no request warns again."""
    path = tmp_path / "llms.yaml"
    path.write_text(write_config(IN_CONFIG))
    with caplog.at_level(logging.DEBUG, "llm_sync"), LLMClient.from_config(str(path)) as client:
        responses = [client.generate("x"), client.submit(ModelRequest("y")).result(10)]
    (warning,) = warnings_in(caplog)
    assert f"{path}:6" in warning
    assert "stream and stream_options" in warning
    for response in responses:
        assert [(a.parameter, a.asked, a.sent) for a in response.adjustments] == [
            ("stream", True, None),
            ("stream_options", {"include_usage": True}, None),
        ]
    assert [(r.payload["stream"], r.payload["user"], "stream_options" in r.payload) for r in upstream.requests] == [
        (False, "me", False)
    ] * 2


@pytest.mark.parametrize("name", ["stream", "stream_options", "background"])
def test_streaming_as_an_argument_is_refused(client: LLMClient, upstream: Simulator, name: str) -> None:
    """generate(stream=True) cannot be meant otherwise: the error says what to do, and nothing is sent."""
    with pytest.raises(StreamingNotSupportedError, match=f"^{name} was asked for.* Leave it out: the call blocks") as raised:
        client.generate("x", "openai/gpt-4o-mini", **{name: True})
    assert raised.value.retryable is False
    assert upstream.requests == []


def test_stream_false_as_an_argument_is_what_is_done_anyway(client: LLMClient) -> None:
    """Calls written for other packages name stream=False; it asks for nothing."""
    assert client.generate("x", "openai/gpt-4o-mini", stream=False).adjustments == ()


def test_strict_streaming_refuses_switches_in_requests(
    open_client: OpenClient, upstream: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Instead of stripping them, the call names them and who was asked; switches that are off still pass."""
    client = open_client(strict_streaming=True)
    with pytest.raises(StreamingNotSupportedError, match=r"stream, stream_options.*Leave these out") as raised:
        client.submit(ModelRequest("x", "openai/gpt-4o-mini", provider_specific=SWITCHES))
    assert raised.value.provider == "openai"
    assert (upstream.requests, warnings_in(caplog)) == ([], [])
    assert client.generate("x", "openai/gpt-4o-mini", provider_specific={"stream": False}).text


def test_strict_streaming_refuses_switches_in_a_configuration(write_config: Callable[[str], str], tmp_path: Path) -> None:
    """Named with file and line from a file, and also in a configuration that was loaded before and stripped then."""
    path = tmp_path / "llms.yaml"
    path.write_text(write_config(IN_CONFIG))
    with pytest.raises(ConfigurationError, match=f"{path}:6.*stream"):
        LLMClient.from_config(str(path), strict_streaming=True)
    with pytest.raises(ConfigurationError, match=r"providers\.openai: asks for streaming \(stream, stream_options\)"):
        LLMClient(ConfigLoader().load_config(path), strict_streaming=True)


def test_strict_streaming_of_the_configuration_holds_for_requests(open_client: OpenClient) -> None:
    """``defaults: {strict_streaming: true}`` is as good as the argument."""
    client = open_client('defaults: {strict_streaming: true}\nproviders: {openai: {api_key: test-key, base_url: "<openai>"}}')
    with pytest.raises(StreamingNotSupportedError):
        client.generate("x", "gpt-4o-mini", provider_specific={"stream": True})


def test_a_schema_or_tool_may_have_a_property_called_stream(client: LLMClient, upstream: Simulator) -> None:
    """Only the top level is searched: what is described to the model is nobody's switch."""
    schema = {"type": "object", "properties": {"stream": {"type": "boolean"}}}
    response = client.generate("x", "openai/gpt-4o-mini", tools=[{"name": "play", "parameters": schema}])
    assert response.adjustments == ()
    assert upstream.requests[0].payload["tools"][0]["function"]["parameters"] == schema


def test_a_stream_that_comes_back_all_the_same_is_an_error(write_config: Any) -> None:
    """A server that streams unasked is not taken for one that answers."""
    stream = Response(200, b'data: {"choices": []}\n\ndata: [DONE]\n\n', (("content-type", "text/event-stream"),))
    with Simulator(on_request=lambda record: stream) as streaming:
        text = f"providers: {{openai: {{api_key: k, base_url: {streaming.url()}}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client, pytest.raises(StreamingNotSupportedError):
            client.generate("x", "m")
        assert len(streaming.requests) == 1
