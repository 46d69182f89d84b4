"""How each API is asked for a service tier; loaded for requests that name one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_sync.models.fields import ANTHROPIC
from llm_sync.providers.adjustments import Adjustments

if TYPE_CHECKING:
    from llm_sync.config.pricing import Pricing

IsAt = Callable[..., bool]
"""``is_at(*domains)``: whether requests go to a host of one of them."""


class AskedTier(NamedTuple):
    """What asks for a tier: fields of the payload, and headers. ``note``: what is different about it, if anything is."""

    payload: Mapping[str, Any]
    headers: Mapping[str, str] = {}
    note: str = ""


def add_tier(
    payload: dict[str, Any], tier: str, asked: AskedTier | None, provider: str, adjustments: Adjustments
) -> Mapping[str, str]:
    """Ask for a tier in the payload, and return the headers that ask for it. ``asked``: how; None: the API has no such tier.

    Then it is lost. Raises InvalidRequestError for that, under strict.
    """
    if asked is None:
        if tier != "default":  # what everybody gets who cannot choose
            adjustments.lose("service_tier", tier, None, f"{provider} has no such tier")
        return {}
    payload.update(asked.payload)
    if asked.note:
        adjustments.note("service_tier", tier, {**asked.payload, **asked.headers}, asked.note)
    return asked.headers


def cost_in_tier(cost: float, pricing: Pricing, tier: str, api: str, is_at: IsAt) -> float | None:
    """What costs ``cost`` at the usual price, as a tier has it; None where nothing says what the tier costs."""
    factor = pricing.service_tiers.get(tier, _usual_factor(tier, api, is_at))
    return None if factor is None else round(cost * factor, 12)


def _usual_factor(tier: str, api: str, is_at: IsAt) -> float | None:
    """What providers ask for a tier, as a part of their usual price, where that is the same for all models."""
    if tier == "flex":
        return 1.0 if is_at("groq.com") else 0.5
    if tier == "batch":
        return 0.8 if is_at("x.ai") else 0.5
    return 1.0 if tier == "priority" and api == ANTHROPIC else None


# OpenAI's shape ---------------------------------------------------------------------------------------------------------

_OPENAI = {"flex": "flex", "priority": "priority", "default": "default"}
_GROQ = {"flex": "flex", "priority": "performance", "default": "on_demand"}
_NO_FLEX = {"priority": "priority", "default": "default"}
# Hosts with tiers of their own, and hosts without any, which ignore or refuse the field (facts as of November 2026).
_TIERS: Mapping[str, Mapping[str, str]] = {
    "groq.com": _GROQ,
    "x.ai": _NO_FLEX,
    "fireworks.ai": _NO_FLEX,
}
_NO_TIERS = (
    *("mistral.ai", "deepseek.com", "together.xyz", "together.ai", "moonshot.cn", "moonshot.ai", "z.ai", "bigmodel.cn"),
    *("aliyuncs.com", "volces.com", "baidubce.com", "siliconflow.cn", "siliconflow.com", "minimax.io", "minimaxi.com"),
    *("perplexity.ai", "cohere.com", "cohere.ai", "nvidia.com", "sambanova.ai", "anthropic.com", "huggingface.co"),
)


def openai_tier(tier: str, is_at: IsAt) -> AskedTier | None:
    """``service_tier``, in the words of the host. Servers that nobody knows get OpenAI's: gateways pass them on."""
    if is_at(*_NO_TIERS):
        return None
    words = next((words for host, words in _TIERS.items() if is_at(host)), _OPENAI)
    word = words.get(tier)
    if word is None:
        return None
    return AskedTier({"service_tier": word}, note="" if word == tier else f"this endpoint calls it {word}")


# The others -------------------------------------------------------------------------------------------------------------


def anthropic_tier(tier: str) -> AskedTier | None:
    """Priority is capacity that was bought: ``auto`` uses it as long as it lasts."""
    word = {"priority": "auto", "default": "standard_only"}.get(tier)
    if word is None:
        return None
    note = "Anthropic's auto uses the priority capacity that you have bought" if tier == "priority" else ""
    return AskedTier({"service_tier": word}, note=note)


def gemini_tier(tier: str, *, on_google_cloud: bool) -> AskedTier | None:
    """``serviceTier``; on Google Cloud a header asks for it, at the global location only."""
    if not on_google_cloud:
        return AskedTier({"serviceTier": {"default": "standard"}.get(tier, tier)})
    if tier == "default":
        return AskedTier({})
    headers = {"X-Vertex-AI-LLM-Request-Type": "shared", "X-Vertex-AI-LLM-Shared-Request-Type": tier}
    return AskedTier({}, headers, "Google Cloud takes it as headers, at location global")
