"""Service tiers: how each API is asked for one, which one served an answer, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync import errors
from llm_sync.config.models import ModelEntry, Pricing
from llm_sync.models import ModelRequest
from llm_sync.models.fields import SERVICE_TIERS
from llm_sync.providers.served_tier import served_tier

GROQ = {"base_url": "https://api.groq.com/openai/v1"}
XAI = {"base_url": "https://api.x.ai/v1"}
MISTRAL = {"base_url": "https://api.mistral.ai/v1"}
GATEWAY = {"base_url": "https://llm.example/v1"}
VERTEX = {"auth": "google-cloud", "project": "p", "location": "global", "base_url": None, "key": None}


@pytest.mark.parametrize(
    ("kind", "config", "sent"),
    [
        ("openai", {}, ["flex", "priority", "default"]),
        ("openai-responses", {}, ["flex", "priority", "default"]),
        ("openrouter", {}, ["flex", "priority", "default"]),
        ("openai", GATEWAY, ["flex", "priority", "default"]),
        ("openai", GROQ, ["flex", "performance", "on_demand"]),
        ("openai", XAI, [None, "priority", "default"]),
        ("openai", MISTRAL, [None, None, None]),
        ("anthropic", {}, [None, "auto", "standard_only"]),
        ("gemini", {}, ["flex", "priority", "standard"]),
    ],
)
def test_each_api_is_asked_in_its_own_words(payload: Any, kind: str, config: Any, sent: list[str | None]) -> None:
    """Where there is no such tier, nothing is sent."""
    bodies = [payload(kind, config=config, service_tier=tier) for tier in SERVICE_TIERS]
    assert [body.get("service_tier", body.get("serviceTier")) for body in bodies] == sent


@pytest.mark.parametrize(
    ("kind", "config", "tier", "expected"),
    [
        ("openai", MISTRAL, "flex", [("service_tier", None)]),
        ("openai", MISTRAL, "default", []),
        ("openai", GROQ, "priority", [("service_tier", {"service_tier": "performance"})]),
        ("openai", {}, "flex", []),
        ("anthropic", {}, "flex", [("service_tier", None)]),
    ],
)
def test_what_is_sent_otherwise_is_an_adjustment(
    adjustments: Any, kind: str, config: Any, tier: str, expected: list[Any]
) -> None:
    """Under strict a tier that does not exist is refused; ``default``, which everybody has, never."""
    made = [each for each in adjustments(kind, config=config, service_tier=tier) if each[0] == "service_tier"]
    assert made == expected


def test_strict_refuses_a_tier_that_does_not_exist(provider: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.InvalidRequestError, match="service_tier='flex' cannot be sent: p has no such tier"):
        provider("anthropic", strict=True).prepare(ModelRequest("x", "m", service_tier="flex", max_tokens=5))


def test_on_google_cloud_headers_ask_for_a_tier(provider: Any) -> None:
    """The payload does not."""
    prepared = provider("gemini", **VERTEX).prepare(ModelRequest("x", "m", service_tier="flex"), keyless=True)
    assert prepared.headers["X-Vertex-AI-LLM-Shared-Request-Type"] == "flex"
    assert b"ier" not in prepared.body
    assert "X-Vertex-AI-LLM-Shared-Request-Type" not in provider("gemini", **VERTEX).prepare(ModelRequest("x", "m")).headers


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, {"service_tier": "Flex"}, "flex"),
        ({}, {"usage": {"service_tier": "batch"}}, "batch"),
        ({}, {"usageMetadata": {"serviceTier": "priority"}}, "priority"),
        ({}, {"usageMetadata": {"trafficType": "ON_DEMAND_FLEX"}}, "flex"),
        ({}, {"usageMetadata": {"trafficType": "ON_DEMAND"}}, None),
        ({"x-gemini-service-tier": "flex"}, {}, "flex"),
        ({"x-ms-service-tier": "priority"}, {"service_tier": None}, "priority"),
        ({}, {"service_tier": ["flex"], "usage": [1], "usageMetadata": {"trafficType": {}}}, None),
        ({}, ["x"], None),
    ],
)
def test_the_tier_that_served_is_read_where_each_api_says_it(headers: Any, body: Any, expected: str | None) -> None:
    """Anything that is no word is none."""
    assert served_tier(headers, body) == expected


@pytest.mark.parametrize(
    ("config", "tier", "own", "expected"),
    [
        ({}, "default", {}, 6.0),
        ({}, "flex", {}, 3.0),
        (GROQ, "flex", {}, 6.0),
        ({}, "priority", {}, None),
        ({}, "priority", {"priority": 2}, 12.0),
        ({}, "flex", {"flex": 0.25}, 1.5),
        ({}, "scale", {}, 6.0),
    ],
)
def test_a_configured_price_is_that_of_the_tier_that_served(
    provider: Any, reply: Any, config: Any, tier: str, own: dict[str, float], expected: float | None
) -> None:
    """Half for flex, as the providers have it; unknown for one that nobody has priced."""
    body = {
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000},
        "service_tier": tier,
    }
    models = (ModelEntry("m", pricing=Pricing(2.0, 8.0, service_tiers=own)),)
    answer = provider("openai", reply(body), models=models, **config).generate_response(ModelRequest("x", "m"))
    assert answer.cost_estimate == expected


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"message": "Resource unavailable", "code": "resource_unavailable", "type": "resource_unavailable"}),
        (498, {"message": "Flex tier capacity exceeded, please try again", "code": "capacity_exceeded"}),
        (429, {"message": "There is no capacity available for service tier flex."}),
    ],
)
def test_no_capacity_is_retried_and_is_no_rate_limit(provider: Any, reply: Any, status: int, error: Any) -> None:
    """So no rate is lowered for it; the guidance names the tier where the provider does."""
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        provider("openai", reply({"error": error}, status)).generate_response(ModelRequest("x", "m", service_tier="flex"))
    assert caught.value.retryable is True
    assert "service tier" in str(caught.value.guidance) or "code" not in error
