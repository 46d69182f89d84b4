"""A world in which a script finds neither keys nor a configuration, unless a test puts them there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync.compat import anthropic, litellm, openai
from llm_sync.compat.shim import notices, settings, targets
from llm_sync.simulator import RequestRecord, Response, Simulator

KEY = "sk-script-0123456789abcdef"
HELLO = [{"role": "user", "content": "Say hello"}]
_VARIABLES = ("OPENAI_", "ANTHROPIC_", "AZURE_", "LLM_SYNC_", "GROQ_", "GEMINI_", "OLLAMA_", "GOOGLE_")


class Upstream:
    """Simulated providers. ``answers``: what they say in place of their own answers, in turn; ``bodies``: what they were sent."""

    def __init__(self) -> None:
        self.answers: list[Response] = []
        self.judge: Callable[[RequestRecord], Response | None] | None = None  # answers in their place, by the request
        self.simulator = Simulator(on_request=self._next)

    def _next(self, record: RequestRecord) -> Response | None:
        if self.judge is not None:
            return self.judge(record)
        return self.answers.pop(0) if self.answers else None

    @property
    def bodies(self) -> list[Any]:
        """The payload of every request."""
        return [record.payload for record in self.simulator.requests]

    def url(self, kind: str = "openai") -> str:
        """The base_url of a provider of this type."""
        return self.simulator.url(kind)

    def fail(self, status: int, body: Any = None, *, times: int = 1, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Refuse the next requests so."""
        told = body or {"error": {"message": f"status {status}", "type": "error", "param": "it", "code": "code"}}
        fields = (("content-type", "application/json"), ("x-request-id", "req_1"), ("request-id", "req_1"), *headers)
        self.answers += [Response(status, told, fields)] * times

    def say(self, text: str | None = "said", finish: str = "stop", **message: Any) -> None:
        """Answer the next request with this chat completion."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        self.answers.append(Response(200, body))


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No variable, no configuration, no client of an earlier test, and the originals' modules as they are at first."""
    for name in list(os.environ):
        if name.startswith(_VARIABLES) and name not in ("LLM_SYNC_RUNTIME_DIR", "LLM_SYNC_TEST_INSTALLED"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path)
    settings.reset()
    monkeypatch.setattr(notices, "_notified", set())
    for module in (openai, litellm, anthropic):
        for name, value in list(vars(module).items()):
            if not name.startswith("_") and (value is None or isinstance(value, (str, bool, list))):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(openai, "api_key", None)
    monkeypatch.setitem(openai.BEFORE, "api_key", None)
    yield
    targets.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Simulated providers, which must not have failed inside, nor been asked to stream."""
    opened = Upstream()
    with opened.simulator:
        yield opened
        assert opened.simulator.faults == []
        assert opened.simulator.stream_attempts == 0


@pytest.fixture
def client(upstream: Upstream) -> Any:
    """openai's client of today, without retries."""
    return openai.OpenAI(api_key=KEY, base_url=upstream.url(), max_retries=0)


@pytest.fixture
def claude(upstream: Upstream) -> Any:
    """anthropic's client, without retries."""
    return anthropic.Anthropic(api_key=KEY, base_url=upstream.url("anthropic"), max_retries=0)


@pytest.fixture
def old(upstream: Upstream) -> Any:
    """openai's module as 0.28 has it, pointed at the simulated provider."""
    openai.api_key = KEY
    openai.api_base = upstream.url()
    return openai


@pytest.fixture
def lite(upstream: Upstream) -> Callable[..., Any]:
    """litellm.completion, pointed at the simulated provider of the model, without retries."""

    def completion(model: str = "openai/gpt-4o-mini", messages: Any = HELLO, **arguments: Any) -> Any:
        kind = model.partition("/")[0]
        given = {"api_key": KEY, "api_base": upstream.url(kind), "num_retries": 0, **arguments}
        return litellm.completion(model=model, messages=messages, **given)

    return completion


@pytest.fixture
def configured(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of four providers that $LLM_SYNC_CONFIG names; its path."""
    path = tmp_path / "providers.yaml"
    kinds = {"openai": "gpt-4o-mini, gpt-4o", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash", "other": "gpt-4.1"}
    lines = ["defaults: {model: openai/gpt-4o-mini, retry_base: 0, max_retries: 0}", "providers:"]
    for name, models in kinds.items():
        kind = "openai-responses" if name == "other" else name
        lines.append(f"  {name}: {{type: {kind}, api_key: {KEY}, base_url: '{upstream.url(kind)}', models: [{models}]}}")
    path.write_text("\n".join(lines))
    monkeypatch.setenv("LLM_SYNC_CONFIG", str(path))
    return path
