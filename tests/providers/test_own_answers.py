"""A provider class written against the first names: generate_response, list_models and validate_config of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

import llm_sync
from llm_sync import (
    ConfigLoader,
    ConfigurationError,
    LLMClient,
    LLMProvider,
    ModelRequest,
    ModelResponse,
    ProviderConfig,
    ProviderFactory,
    Usage,
)


class Parrot(LLMProvider):
    """Speaks to its endpoint itself, over the HTTP client that it was given."""

    def validate_config(self) -> bool:
        """It wants models."""
        if not self.config.models:
            raise ConfigurationError("a parrot needs models")
        return True

    def generate_response(self, request: ModelRequest) -> ModelResponse:  # type: ignore[override]
        """One request, one answer."""
        body = json.dumps({"say": request.prompt}).encode()
        reply = self.http.post(f"{self.config.base_url}/say", body, {"Content-Type": "application/json"}, timeout=10)
        said = json.loads(reply.content)["said"]
        return ModelResponse(said, request.model or "", self.name, "stop", Usage(1, 1), datetime.now(timezone.utc), 1.0)

    def list_models(self) -> list[str]:  # type: ignore[override]
        """Those it knows."""
        return ["grey", "green"]


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The class under its type, and a server that says what it is asked to, as a base_url."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            data = json.dumps({"said": asked["say"]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    ProviderFactory.register("parrot", Parrot)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def config(base_url: str, models: str = "[grey]") -> Any:
    """A configuration of one parrot."""
    text = f"providers: {{p: {{type: parrot, base_url: '{base_url}', models: {models}}}}}"
    return ConfigLoader(known_types=ProviderFactory.types_for).load_text(text)


def test_it_answers_in_a_client(parrot: str) -> None:
    """In every way to ask: its method is called on a worker thread with the completed request."""
    with LLMClient(config(parrot)) as client:
        assert client.generate("hello", "p/grey").text == "hello"
        requests = [ModelRequest(text, "p/grey") for text in ("a", "b")]
        assert [answer.text for answer in client.generate_responses_concurrent(requests)] == ["a", "b"]
        assert list(client.list_all_models()["p"].models) == ["grey", "green"]


def test_its_check_is_used(parrot: str) -> None:
    """What validate_config raises is raised by check_providers, and by create."""
    bad = config(parrot, "[]")
    with LLMClient(bad) as client, pytest.raises(ConfigurationError, match="a parrot needs models"):
        client.check_providers(["p"])
    with pytest.raises(ConfigurationError, match="a parrot needs models"):
        ProviderFactory.create(bad.providers["p"])


def test_a_provider_works_by_itself(parrot: str) -> None:
    """ProviderFactory.create gives one that needs no client."""
    provider = ProviderFactory.create(config(parrot).providers["p"])
    assert provider.generate_response(ModelRequest("hello", "grey")).text == "hello"
    assert provider.list_models() == ["grey", "green"]
    assert provider.validate_config() is True


def test_a_built_in_provider_works_by_itself(serve_openai: Callable[[], Any]) -> None:
    """A type and the settings of an entry are enough."""
    server = serve_openai()
    settings = {"api_key": "sk-simulated-0123456789", "base_url": server.url("openai"), "models": ["gpt-4o-mini"]}
    provider = ProviderFactory.create("openai", **settings)
    assert provider.validate_config() is True
    assert provider.generate_response(ModelRequest("Say hello", "gpt-4o-mini")).text
    assert "gpt-4o-mini" in provider.list_models()


@pytest.fixture
def serve_openai() -> Iterator[Callable[[], Any]]:
    """The simulator."""
    from llm_sync.simulator import Simulator

    with Simulator() as simulator:
        yield lambda: simulator


def test_super_is_what_the_class_builds_on(serve_openai: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A generate_response may extend the built-in one, also within a client."""
    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))

    class Shouting(ProviderFactory.provider_class("openai")):  # type: ignore[misc]
        def generate_response(self, request: ModelRequest) -> ModelResponse:
            response: ModelResponse = super().generate_response(request)
            return dataclasses.replace(response, text=response.text.upper())

    ProviderFactory.register("shouting", Shouting)
    url = serve_openai().url("openai")
    text = f"providers: {{p: {{type: shouting, api_key: sk-simulated-0123456789, base_url: '{url}', models: [gpt-4o-mini]}}}}"
    with LLMClient(ConfigLoader(known_types=ProviderFactory.types_for).load_text(text)) as client:
        answer = client.generate("Say hello").text
    assert answer == answer.upper()


@pytest.mark.parametrize(
    "settings", [{"nonsense": 1}, {"api_key": "sk-0123456789", "base_url": "ftp://x"}], ids=["unknown", "impossible"]
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    """As those of a file."""
    with pytest.raises(ConfigurationError):
        ProviderFactory.create("openai", **settings)


def test_a_config_takes_no_settings() -> None:
    """They would be ignored."""
    with pytest.raises(TypeError, match="models"):
        ProviderFactory.create(ProviderConfig("p", "openai"), models=["x"])


@pytest.mark.parametrize(
    "name",
    [
        *("ProviderConfig", "LLMConfig", "ConfigLoader", "ConfigValidator", "HTTPClient", "RetryHandler", "LLMProvider"),
        *("ProviderRequestQueue", "ResponseValidator", "ConcurrentLLMManager", "ProviderFactory"),
    ],
)
def test_the_first_names_import_from_the_package(name: str) -> None:
    """Each is the class of that name."""
    assert getattr(llm_sync, name).__name__ == name
    assert name in llm_sync.__all__
