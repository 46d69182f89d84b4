"""Prices from the package genai-prices (extra ``[prices]``): offline data of many providers.

Importing it takes 0.2 s of CPU, a price 150 µs: it is loaded when somebody looks at a cost that the configuration and the
provider do not tell. Its HTTP library loads asyncio; nothing of ours uses either.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from llm_sync.config.pricing import PriceTier, Pricing
from llm_sync.events import logger
from llm_sync.models import Usage
from llm_sync.providers.ports import BilledAnswer
from llm_sync.runtime.import_lock import import_lock

SOURCE = "genai-prices"
# Tiers that are priced apart: without a price for one of them, the usual price would be wrong. Groq's flex costs as usual.
_OTHER_TIERS = frozenset({"flex", "batch", "priority", "performance", "fast", "ultrafast"})
_USUAL_PRICE = frozenset({("groq", "flex")})
_FLEX_AS_BATCH = ("google",)  # providers whose flex costs what their batches cost

_EMBEDDINGS = re.compile(r"embed|voyage")

_log = logger("spending")
_loaded: list[Any] = []  # the package's snapshot, once it was looked for; None without the package


class ListedModel(NamedTuple):
    """A model of the list. ``provider`` and ``model`` are the package's own objects."""

    provider: Any
    model: Any


def cost_of(answer: BilledAnswer) -> tuple[float | None, str | None]:
    """The cost in USD and its source; (None, None) where the list has no price for it. Any thread may call it."""
    try:
        listed = find_model(answer.base_url, answer.answered) or find_model(answer.base_url, answer.asked)
        context = None if listed is None else _context(listed, answer.tier)
        if listed is None or context is None:
            return None, None
        usage = _usage(listed, answer)
        price = listed.model.calc_price(usage, listed.provider, genai_request_timestamp=answer.at, price_context=context)
        return round(float(price.total_price), 12), SOURCE
    except Exception as error:  # noqa: BLE001  (foreign code and data: no answer is lost over its price)
        _log.debug("no price of %s: %s", answer.answered, error)
        return None, None


def find_model(base_url: str, model: str) -> ListedModel | None:
    """The list's entry for a model at an address, or None: an unknown address, an unknown model, or no package."""
    snapshot = _snapshot()
    if snapshot is None or not base_url or not model:
        return None
    try:
        return ListedModel(*snapshot.find_provider_model(model, None, None, base_url))
    except LookupError:
        return None


def pricing_of(listed: ListedModel, tier: str | None, at: datetime) -> Pricing | None:
    """A model's prices now, the dearest of each kind (text, images, audio): for what a request can cost at most.

    None where the list has no price for the tier.
    """
    context = _context(listed, tier)
    if context is None:
        return None
    prices = vars(listed.model.get_prices(at, context))
    levels = sorted({0, *(step.start for price in prices.values() for step in getattr(price, "tiers", ()))})
    by_level = [(level, _dearest(prices, level, "input", "cache"), _dearest(prices, level, "output")) for level in levels]
    if all(output is None for _, _, output in by_level) and not _makes_vectors(listed):
        return None
    tiers = tuple(PriceTier(level, sent, made) for level, sent, made in by_level[1:])
    return Pricing(by_level[0][1] or 0.0, by_level[0][2] or 0.0, tiers=tiers)


def fee_of(listed: ListedModel, at: datetime) -> float:
    """What each request costs beside its tokens, in USD."""
    fee = vars(listed.model.get_prices(at)).get("requests_kcount")
    return float(fee) / 1000 if isinstance(fee, Decimal) else 0.0


def context_window(listed: ListedModel) -> int | None:
    """The most tokens that a model can read and write in one request, where the list tells."""
    window = listed.model.context_window
    return window if isinstance(window, int) and window > 0 else None


def _dearest(prices: dict[str, Any], prompt_tokens: int, *kinds: str) -> float | None:
    """The highest price per million tokens among those of a kind, for prompts over a length."""
    found = []
    for key, price in prices.items():
        if price is not None and key.endswith("_mtok") and key.startswith(kinds):
            steps = [step.price for step in getattr(price, "tiers", ()) if step.start <= prompt_tokens]
            found.append(steps[-1] if steps else getattr(price, "base", price))
    return float(max(found)) if found and all(isinstance(price, Decimal) for price in found) else None


def _makes_vectors(listed: ListedModel) -> bool:
    """Whether a model has no output that could cost anything: the list knows embedding models by their names alone."""
    return _EMBEDDINGS.search(listed.model.id) is not None


def _snapshot() -> Any:
    if not _loaded:
        with import_lock:
            try:
                from genai_prices.data_snapshot import get_snapshot
            except ImportError:
                _log.debug("genai-prices is not installed: costs without pricing in the configuration are unknown")
                _loaded.append(None)
            else:
                _loaded.append(get_snapshot())
    return _loaded[0]


def _context(listed: ListedModel, tier: str | None) -> dict[str, str] | None:
    """What selects the prices of a tier; empty for the usual ones, None where the list has none for the tier."""
    if tier not in _OTHER_TIERS or (listed.provider.id, tier) in _USUAL_PRICE:
        return {}
    batch = {"processing": "batch"}
    wanted = [batch] if tier == "batch" else [{"service_tier": str(tier)}]
    if tier == "flex" and listed.provider.id in _FLEX_AS_BATCH:
        wanted.append(batch)
    variants = listed.model.price_variants or () if any(own is listed.model for own in listed.provider.models) else ()
    priced = [variant.when for variant in variants]
    return next((when for when in wanted if when in priced), None)


def _usage(listed: ListedModel, answer: BilledAnswer) -> Any:
    """What was used, in the package's terms: read from the body where that agrees with our counts, as it tells more apart."""
    read = []
    for extractor in listed.provider.extractors or ():
        try:
            _, usage = extractor.extract(answer.body)
            if (usage.input_tokens, usage.output_tokens) == (answer.usage.input_tokens, answer.usage.output_tokens):
                read.append(usage)
        except Exception as error:  # noqa: BLE001, PERF203  (a body of another kind)
            _log.debug("%s: %s", extractor.api_flavor, error)
    return max(read, key=lambda usage: len(vars(usage)), default=None) or _own_usage(answer.usage)


def _own_usage(usage: Usage) -> Any:
    from genai_prices import Usage as PricedUsage

    if usage.input_tokens is None or usage.output_tokens is None:
        raise ValueError("the answer tells no counts of tokens")
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_tokens or None,
        "cache_write_tokens": usage.cache_write_tokens or None,
        "output_reasoning_tokens": usage.reasoning_tokens or None,
    }
    return PricedUsage(**{name: count for name, count in counts.items() if count is not None})
