"""What a request can cost at most: files that only the provider has seen count as all that the model takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync.config.models import ProviderConfig
from llm_sync.models import AttemptOptions, Message, ModelRequest, Part, PreparedRequest
from llm_sync.providers import ProviderFactory
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.payload import encoded
from llm_sync.spending.estimate import _read

URL = "https://example.org/a.pdf"


def prepared(kind: str, *parts: Any, **config: Any) -> PreparedRequest:
    """A request with these parts."""
    request = ModelRequest(messages=[Message("user", parts=parts)], model="m")
    payload = ProviderFactory.dialect(ProviderConfig("p", kind, **config)).prepare_request(request, Adjustments())
    return PreparedRequest("p", kind, "m", "POST", "", encoded(payload), {}, AttemptOptions(), request)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("anthropic", {}),
        ("gemini", {}),
        ("openai-responses", {}),
        ("openrouter", {}),
        ("openai", {"base_url": "https://api.mistral.ai/v1"}),
    ],
)
def test_a_document_by_url_has_no_known_length(kind: str, config: Any) -> None:
    """In the form of every dialect that takes one."""
    body = json.loads(prepared(kind, "Read", Part("document", source=URL), **config).body)
    assert _read(body).stored
    assert not _read(json.loads(prepared(kind, "Read", **config).body)).stored
