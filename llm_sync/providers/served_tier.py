"""The service tier that served an answer, which decides its price: flex, batch, priority …"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADERS = ("x-gemini-service-tier", "x-ms-service-tier")
USUAL_TIERS = frozenset({"default", "standard", "on_demand", "auto"})
"""What providers call the tier of those who ask for none."""
_MAX_LENGTH = 40  # of a tier's name; anything longer is none


def served_tier(headers: Mapping[str, str], body: Any) -> str | None:
    """The tier in lower case, from the body (OpenAI, Groq; Anthropic and Gemini in their usage) or a header; None without any."""
    if not isinstance(body, dict):
        return None
    places = [body.get("service_tier")]
    for usage, name in (("usage", "service_tier"), ("usageMetadata", "serviceTier")):
        counts = body.get(usage)
        places.append(counts.get(name) if isinstance(counts, dict) else None)
    places += [headers.get(name) for name in _HEADERS]
    return next((tier.lower() for tier in places if isinstance(tier, str) and 0 < len(tier) <= _MAX_LENGTH), None)
