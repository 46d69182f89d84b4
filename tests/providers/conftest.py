"""Providers without a network: an in-memory HTTP double, and a provider of any type from keyword options."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from llm_sync.config.models import ProviderConfig
from llm_sync.config.secrets import Secret
from llm_sync.models import ModelRequest, Reply
from llm_sync.providers import ProviderFactory

KEY = "sk-test-0123456789abcdefghijklmnop"
DOCS = Path(__file__).parents[2] / "docs" / "providers.md"
EXAMPLE = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
_EXAMPLE_CODE = compile(EXAMPLE, str(DOCS), "exec")
BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "openai-responses": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
    "openrouter": "https://openrouter.ai/api/v1",
    "gemini-interactions": "https://generativelanguage.googleapis.com/v1beta",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
    "acme": "https://llm.acme.example",
}


class Sent(NamedTuple):
    """One exchange as the double saw it."""

    verb: str
    url: str
    headers: Mapping[str, str]
    body: Any
    timeout: float

    @property
    def query(self) -> dict[str, str]:
        """The URL's query."""
        return dict(parse_qsl(urlsplit(self.url).query))


class Web:
    """The HTTP client's double: gives the replies in turn (the last one for ever), and records what is asked.

    A reply may be a callable of what was sent, or an exception.
    """

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.sent: list[Sent] = []

    def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, timeout: float, control: Any = None
    ) -> Reply:
        """The next reply."""
        return self._answer(Sent(method, url, dict(headers), json.loads(body) if body and body[:1] == b"{" else body, timeout))

    def _answer(self, sent: Sent) -> Reply:
        self.sent.append(sent)
        found = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(found, BaseException):
            raise found
        return found(sent) if callable(found) else found


class Once:
    """The retry handler's double: one attempt."""

    def steps(self, attempt: Callable[[int, float], Any], options: Any, control: Any, request: Any = None) -> Any:
        return attempt(1, 10.0)


def make_reply(body: Any = b"", status: int = 200, /, **headers: str) -> Reply:
    """A Reply; bytes and text as they are, anything else as JSON; ``x_request_id`` is the header x-request-id."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Reply(status, named, content, 0.25)


def make_provider(kind: str, *replies: Any, strict: bool = False, emit: Any = None, retry: Any = None, **config: Any) -> Any:
    """A provider called ``p`` of type ``kind`` over a Web of ``replies``, which is its ``web``."""
    web = Web(*replies)
    config.setdefault("key", Secret.literal(KEY))
    config.setdefault("base_url", BASE_URLS.get(kind))
    settings = ProviderConfig(name=config.pop("name", "p"), type=kind, **config)
    made = ProviderFactory.provider_class(kind)(settings, web, retry or Once(), strict=strict, emit=emit)
    made.web = web
    return made


@pytest.fixture(autouse=True)
def example_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dialect that the documentation shows, registered by its very text; gone after the test."""
    monkeypatch.setattr(ProviderFactory, "_classes", dict(ProviderFactory._classes))
    exec(_EXAMPLE_CODE, {"__name__": "acme"})  # noqa: S102  (our own documentation)


@pytest.fixture
def provider() -> Callable[..., Any]:
    """``provider(kind, *replies, **config)``: see make_provider."""
    return make_provider


@pytest.fixture
def reply() -> Callable[..., Reply]:
    """``reply(body, status, **headers)``: see make_reply."""
    return make_reply


@pytest.fixture
def key() -> str:
    """The key that every made provider has, unless it is told another."""
    return KEY


@pytest.fixture
def payload(provider: Callable[..., Any]) -> Callable[..., Any]:
    """``payload(kind, request fields…, config={…})``: the body as sent, whatever comes back."""

    def build(kind: str, /, *, model: str = "some-model", config: Mapping[str, Any] | None = None, **fields: Any) -> Any:
        made = provider(kind, make_reply({"error": {"message": "not answered"}}, 400), **(config or {}))
        if not fields.keys() & {"prompt", "messages"}:
            fields["prompt"] = "ping"
        with pytest.raises(Exception, match="not answered"):
            made.generate_response(ModelRequest(model=model, **fields))
        return made.web.sent[0].body

    return build


@pytest.fixture
def adjustments(provider: Callable[..., Any]) -> Callable[..., Any]:
    """``adjustments(kind, request fields…)``: (parameter, sent) of each adjustment, as the response has them."""

    def build(kind: str, /, *, model: str = "some-model", config: Mapping[str, Any] | None = None, **fields: Any) -> Any:
        made = provider(kind, make_reply(), **(config or {}))
        fields.setdefault("prompt", "ping")
        prepared = made.prepare(ModelRequest(model=model, **fields))
        return [(adjustment.parameter, adjustment.sent) for adjustment in prepared.adjustments]

    return build
