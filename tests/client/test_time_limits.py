"""Requests that take their time get time limits that fit, where nobody set them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient, ModelRequest
from llm_sync.models import AttemptOptions


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``options(keys of the file, model, options of the call…)``: the AttemptOptions of a flex request."""
    monkeypatch.setenv("KEY", "sk-test")

    def build(text: str = "", model: str = "o/m", tier: str = "flex", **call: Any) -> AttemptOptions:
        path = tmp_path / "c.yaml"
        path.write_text(
            f"providers:\n  o: {{type: openai, api_key: '${{KEY}}', models: [m, {{name: own, timeout: 5}}]{text}}}\n"
            "  a: {type: anthropic, api_key: '${KEY}'}\n"
        )
        with LLMClient.from_config(str(path)) as client:
            return client.dispatcher.prepare(ModelRequest("x", model, service_tier=tier), **call).options

    return build


def test_flex_gets_more_time_and_more_retries(options: Any) -> None:
    """What OpenAI and Google advise."""
    made = options()
    assert (made.timeout, made.deadline, made.max_retries, made.retry_base) == (900.0, 3600.0, 8, 2.0)


@pytest.mark.parametrize(
    ("text", "model", "call", "timeout", "deadline"),
    [
        (", timeout: 120", "o/m", {}, 120.0, 3600.0),
        (", default_params: {deadline: 600}", "o/m", {}, 900.0, 600.0),
        ("", "o/own", {}, 5.0, 3600.0),
        ("", "o/m", {"timeout": 120.0}, 120.0, 3600.0),
        ("", "o/m", {"timeout": None, "deadline": 30}, 900.0, 30),
    ],
)
def test_what_is_set_stays(options: Any, text: str, model: str, call: Any, timeout: float, deadline: float) -> None:
    """In the configuration at any level or by the call, also at the default's value."""
    made = options(text, model, **call)
    assert (made.timeout, made.deadline) == (timeout, deadline)


@pytest.mark.parametrize(("model", "tier"), [("a/claude-haiku-4-5", "flex"), ("o/m", "priority"), ("o/m", "default")])
def test_other_tiers_and_providers_without_it_keep_the_usual_limits(options: Any, model: str, tier: str) -> None:
    """Their answers come as fast as ever."""
    assert options("", model, tier) == AttemptOptions()


def test_a_flex_budget_reserves_the_usual_price_and_a_dearer_tier_its_own(tmp_path: Path) -> None:
    """Flex may be served, and billed, at the usual price; a dearer tier without a price is refused."""
    path = tmp_path / "c.yaml"
    path.write_text(
        "providers: {o: {type: openai, api_key: sk-test, models: [{name: m, pricing: {input: 2, output: 8, service_tiers: "
        "{priority: 2, flex: 0.5}}}]}}\n"
    )
    with LLMClient.from_config(str(path), max_cost=0.5) as client:
        spending = client._endpoints.spending
        assert spending is not None

        def bound(tier: str | None) -> float:
            return spending._bound(client.dispatcher.prepare(ModelRequest("x", "o/m", max_tokens=1000, service_tier=tier)))

        usual = bound(None)
        assert bound("flex") == pytest.approx(usual, rel=0.05)  # a longer payload
        assert bound("priority") == pytest.approx(2 * usual, rel=0.05)
