"""The prices of the models of one configuration: its own ``pricing``, else the list's."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from llm_sync.config.models import LLMConfig
from llm_sync.config.pricing import Pricing
from llm_sync.errors import LLMConnectorError
from llm_sync.models.fields import ANTHROPIC
from llm_sync.providers.factory import ProviderFactory
from llm_sync.spending import price_list

_DEARER = frozenset({"priority", "performance", "fast", "ultrafast"})


class ModelPrice(NamedTuple):
    """``pricing``: None where no price is known. ``context_window``: the most tokens of a request and its answer, or None.

    ``per_request``: what each request costs beside its tokens, in USD.
    """

    pricing: Pricing | None
    context_window: int | None = None
    per_request: float = 0.0


def model_price(config: LLMConfig, provider: str, model: str, tier: str | None = None) -> ModelPrice:
    """What a model costs now; of several prices for one kind of token, the dearest. Any thread may call it."""
    entry = config.providers[provider]
    own, window = entry.entry(model).pricing, entry.entry(model).context_window
    listed = None if config.prices == "off" else price_list.find_model(_address(config, provider), model)
    if window is None and listed is not None:
        window = price_list.context_window(listed)
    dearer = tier in _DEARER
    if own is not None and dearer:
        factor = own.service_tiers.get(str(tier), 1.0 if entry.type == ANTHROPIC else None)
        own = None if factor is None else own.times(max(1.0, factor))
        return ModelPrice(own, window)
    if own is not None or listed is None:
        return ModelPrice(own, window)
    now = datetime.now(timezone.utc)
    tier = tier if dearer else None  # what is asked for at half the price may be served at the usual one
    return ModelPrice(price_list.pricing_of(listed, tier, now), window, price_list.fee_of(listed, now))


def _address(config: LLMConfig, provider: str) -> str:
    """Where requests go, or would go: a simulation costs what it plays."""
    dialect = ProviderFactory.dialect(config.providers[provider])
    try:
        return (dialect.default_base_url or "") if config.providers[provider].simulated else dialect.base_url()
    except LLMConnectorError:
        return ""
