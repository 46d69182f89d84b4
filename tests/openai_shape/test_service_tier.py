"""``service_tier`` of OpenAI's bodies is the request's own field, so that every provider gets it in its words."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync.models.fields import SERVICE_TIERS
from llm_sync.openai_shape import chat_request, responses_request

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
RESPONSES = {"model": "m", "input": "x"}


def parsed(form: str, native: bool, **more: Any) -> Any:
    """The parsed body of a form."""
    if form == "chat":
        return chat_request({**CHAT, **more}, native=native)
    return responses_request({**RESPONSES, **more}, native=native, chat=False)


@pytest.mark.parametrize("form", ["chat", "responses"])
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("tier", SERVICE_TIERS)
def test_a_tier_is_a_field_for_every_provider(form: str, native: bool, tier: str) -> None:
    """No longer a parameter that only one API takes; nothing is lost by it."""
    made = parsed(form, native, service_tier=tier)
    assert (made.request.service_tier, made.request.provider_specific, made.adjustments) == (tier, {}, ())


@pytest.mark.parametrize("form", ["chat", "responses"])
@pytest.mark.parametrize("tier", ["auto", "scale", ["flex"], 5])
def test_other_words_go_to_native_providers_as_they_are(form: str, tier: Any) -> None:
    """Others lose them with an adjustment."""
    assert parsed(form, True, service_tier=tier).request.provider_specific == {"service_tier": tier}
    foreign = parsed(form, False, service_tier=tier)
    assert (foreign.request.service_tier, [made.parameter for made in foreign.adjustments]) == (None, ["service_tier"])
