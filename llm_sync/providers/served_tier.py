"""The service tier that served an answer, which decides its price: flex, batch, priority …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.models.attempts import by_lower_name

USUAL_TIERS = frozenset({"default", "standard", "on_demand", "auto"})
"""What providers call the tier of those who ask for none."""
PRICED_TIERS = frozenset({"flex", "batch", "priority", "performance", "fast", "ultrafast"})
"""Tiers whose price is not the usual one."""

_HEADERS = ("x-gemini-service-tier", "x-ms-service-tier")
_ON_GOOGLE_CLOUD = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}  # of usageMetadata.trafficType
_MAX_LENGTH = 40  # of a tier's name; anything longer is none


def served_tier(headers: Mapping[str, str], body: Any) -> str | None:
    """The tier in lower case, from the body (OpenAI, Groq; Anthropic and Gemini in their usage) or a header; None without any."""
    if not isinstance(body, dict):
        return None
    usage, counts = body.get("usage"), body.get("usageMetadata")
    in_usage = usage.get("service_tier") if isinstance(usage, dict) else None
    in_counts = counts.get("serviceTier") if isinstance(counts, dict) else None
    for tier in (body.get("service_tier"), in_usage, in_counts, *map(by_lower_name(headers).get, _HEADERS)):
        if tier and isinstance(tier, str) and len(tier) <= _MAX_LENGTH:
            return tier.lower()
    own = body.get("serviceTier")  # Bedrock's
    if isinstance(own, dict) and isinstance(own.get("type"), str):
        return str(own["type"])[:_MAX_LENGTH].lower()
    return _ON_GOOGLE_CLOUD.get(str(counts.get("trafficType"))) if isinstance(counts, dict) else None
