"""Fixtures: a simulator, a plain HTTP client for it, and llm-sync's client for tests of both."""

from __future__ import annotations

import http.client
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

# The tests are not a package, so what those of job APIs share is loaded under a name of its own.
if "simulated_jobs" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("simulated_jobs", Path(__file__).with_name("jobs.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["simulated_jobs"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["simulated_jobs"])

HEADERS = {
    "openai": {"Authorization": "Bearer good-key"},
    "openai-responses": {"Authorization": "Bearer good-key"},
    "anthropic": {"x-api-key": "good-key", "anthropic-version": "2023-06-01"},
    "gemini": {"x-goog-api-key": "good-key"},
    "gemini-interactions": {"x-goog-api-key": "good-key"},
    "openrouter": {"Authorization": "Bearer good-key"},
    "bedrock": {"Authorization": "Bearer good-key"},
}
MODELS = {
    "openai": "gpt-4o-mini",
    "openai-responses": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-2.0-flash",
    "gemini-interactions": "gemini-2.0-flash",
    "openrouter": "openai/gpt-4o-mini",
    "bedrock": "amazon.nova-lite-v1:0",
}


class Got:
    """One response: ``status``, ``headers`` (lower-case names), ``raw`` bytes, ``body`` as JSON."""

    def __init__(self, status: int, headers: Mapping[str, str], raw: bytes) -> None:
        self.status = status
        self.headers = headers
        self.raw = raw

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    def __repr__(self) -> str:
        return f"<{self.status} {self.raw[:300]!r}>"


class Wire:
    """One keep-alive connection to a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Got:
        """Sends any request; ``body`` is bytes, or a document that is sent as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, content, dict(headers or {}))
        response = self.connection.getresponse()
        return Got(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def ask(self, dialect: str, payload: Any, *, model: str | None = None, headers: Mapping[str, str] | None = None) -> Got:
        """Sends a generation request; ``payload`` lacks only the model."""
        model = MODELS[dialect] if model is None else model
        path = (
            self.simulator.url(dialect)[len(self.simulator.root) :]
            + {
                "openai": "/chat/completions",
                "openai-responses": "/responses",
                "anthropic": "/v1/messages",
                "gemini": f"/models/{model}:generateContent",
                "openrouter": "/chat/completions",
                "gemini-interactions": "/interactions",
                "bedrock": f"/model/{quote(model, safe='')}/converse",
            }[dialect]
        )
        if dialect not in ("gemini", "bedrock") and isinstance(payload, dict):
            payload = {"model": model, **payload}
        return self.send("POST", path, payload, HEADERS[dialect] if headers is None else headers)

    def prompt(self, dialect: str, prompt: str = "Say hello", *, model: str | None = None, limit: int | None = None) -> Got:
        """A minimal payload in each dialect."""
        return self.ask(dialect, question(dialect, prompt, limit=limit, model=model), model=model)


def question(dialect: str, prompt: str = "Say hello", *, limit: int | None = None, model: str | None = None) -> dict[str, Any]:
    """The payload of one prompt, without the model."""
    messages = [{"role": "user", "content": prompt}]
    if dialect == "anthropic":
        return {"messages": messages, "max_tokens": 1000 if limit is None else limit}
    if dialect == "gemini-interactions":
        return {"input": prompt, **({} if limit is None else {"generation_config": {"max_output_tokens": limit}})}
    if dialect == "bedrock":
        config = {} if limit is None else {"inferenceConfig": {"maxTokens": limit}}
        return {"messages": [{"role": "user", "content": [{"text": prompt}]}], **config}
    if dialect == "gemini":
        config = {} if limit is None else {"generationConfig": {"maxOutputTokens": limit}}
        return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **config}
    if dialect == "openai-responses":
        return {"input": prompt, **({} if limit is None else {"max_output_tokens": limit})}
    return {"messages": messages, **({} if limit is None else {"max_completion_tokens": limit})}


def text_of(dialect: str, body: Any) -> str:
    """The text of the answer."""
    if dialect == "anthropic":
        return "".join(block["text"] for block in body["content"] if block["type"] == "text")
    if dialect == "gemini-interactions":
        steps = [step for step in body["steps"] if step["type"] == "model_output"]
        return "".join(content["text"] for step in steps for content in step["content"])
    if dialect == "bedrock":
        return "".join(block.get("text", "") for block in body["output"]["message"]["content"])
    if dialect == "gemini":
        parts = body["candidates"][0]["content"].get("parts", [])
        return "".join(part.get("text", "") for part in parts if not part.get("thought"))
    if dialect == "openai-responses":
        items = [item for item in body["output"] if item["type"] == "message"]
        return "".join(part["text"] for item in items for part in item["content"])
    return body["choices"][0]["message"]["content"] or ""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A running simulator; the test fails if it had internal errors."""
    with Simulator() as started:
        yield started
        assert started.faults == []


@pytest.fixture
def wire(simulator: Simulator) -> Iterator[Wire]:
    """A connection to the simulator."""
    opened = Wire(simulator)
    yield opened
    opened.connection.close()


@pytest.fixture
def connect() -> Iterator[Callable[[Simulator], Wire]]:
    """Opens further connections, which are closed after the test."""
    opened: list[Wire] = []

    def make(simulator: Simulator) -> Wire:
        opened.append(Wire(simulator))
        return opened[-1]

    yield make
    for each in opened:
        each.connection.close()


@pytest.fixture(params=sorted(HEADERS))
def dialect(request: pytest.FixtureRequest) -> str:
    """Each dialect in turn."""
    return str(request.param)


def error_of(dialect: str, body: Any) -> dict[str, Any]:
    """The error with its message."""
    if dialect == "bedrock":  # what checks the keys writes Message
        return {"message": body.get("message") or body.get("Message"), **body}
    error: dict[str, Any] = body["error"]
    return error


@pytest.fixture
def shapes() -> Any:
    """The differences between the dialects, for tests of all of them."""

    class Shapes:
        headers = HEADERS
        models = MODELS
        question = staticmethod(question)
        text_of = staticmethod(text_of)
        error_of = staticmethod(error_of)

    return Shapes


@pytest.fixture
def client_of() -> Iterator[Callable[..., LLMClient]]:
    """Creates clients of a simulator, with one provider per dialect; they do not retry by default."""
    opened: list[LLMClient] = []

    def make(simulator: Simulator, **defaults: Any) -> LLMClient:
        providers = {name: {"type": name, "api_key": "good-key", "base_url": simulator.url(name)} for name in HEADERS}
        document = {"defaults": {"max_retries": 0, **defaults}, "providers": providers}
        opened.append(LLMClient(ConfigLoader().load_text(json.dumps(document))))
        return opened[-1]

    yield make
    for each in opened:
        each.close(cancel_pending=True, grace=0)
