"""What tokens cost, as a configuration says it, and what an answer or an attempt costs by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, NamedTuple

from llm_sync.models import Usage
from llm_sync.models.frozen import Frozen, dataclass


@dataclass(frozen=True, repr=False, eq=False)
class PriceTier(Frozen):
    """Prices for prompts of more than ``above`` tokens, in US dollars per million tokens. None: as without the tier."""

    above: int
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Pricing(Frozen):
    """US dollars per million tokens.

    ``cached_input``: of what is read from the provider's prompt cache, ``cache_write``: of what is written to it; None: as
    ``input``. ``tiers``: prices by the length of the prompt; the last tier that it exceeds holds for all tokens.
    ``service_tiers``: a service tier -> what it costs as a part of these prices (0.5: half).
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    tiers: tuple[PriceTier, ...] = ()
    service_tiers: Mapping[str, float] = field(default_factory=dict)

    def cost(self, usage: Usage) -> float | None:
        """USD for what was used; None where the counts of input or output are unknown."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        rates = self._rates(usage.input_tokens)
        cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        fresh = max(0, usage.input_tokens - cached - written)
        parts = ((fresh, rates.input), (cached, rates.cached), (written, rates.written), (usage.output_tokens, rates.output))
        return round(sum(tokens * rate for tokens, rate in parts) / 1_000_000, 12)  # without the noise of binary fractions

    def times(self, factor: float) -> Pricing:
        """Prices that are ``factor`` times these."""
        tiers = tuple(PriceTier(tier.above, **_multiplied(tier, factor)) for tier in self.tiers)
        return Pricing(**_multiplied(self, factor), tiers=tiers)  # type: ignore[arg-type]

    def most(self, input_tokens: int, output_tokens: int) -> float:
        """The most that a request of at most so many tokens can cost, in USD."""
        reached = [self._rates(0), *(self._rates(tier.above + 1) for tier in self.tiers if tier.above < input_tokens)]
        dearest_input = max(max(rates.input, rates.cached, rates.written) for rates in reached)
        dearest_output = max(rates.output for rates in reached)
        return round((input_tokens * dearest_input + output_tokens * dearest_output) / 1_000_000, 12)

    def _rates(self, prompt_tokens: int) -> _Rates:
        """The prices that hold for a prompt of this length."""
        prices: dict[str, Any] = {name: getattr(self, name) for name in _KINDS}
        exceeded = [tier for tier in sorted(self.tiers, key=lambda tier: tier.above) if prompt_tokens > tier.above]
        for tier in exceeded[-1:]:
            prices.update({name: value for name in _KINDS if (value := getattr(tier, name)) is not None})
        fresh = prices["input"]
        cached = fresh if prices["cached_input"] is None else prices["cached_input"]
        return _Rates(fresh, prices["output"], cached, fresh if prices["cache_write"] is None else prices["cache_write"])


_KINDS = ("input", "output", "cached_input", "cache_write")


def _multiplied(prices: PriceTier | Pricing, factor: float) -> dict[str, float]:
    return {name: value * factor for name in _KINDS if (value := getattr(prices, name)) is not None}


class _Rates(NamedTuple):
    """What each kind of token costs in one tier."""

    input: float
    output: float
    cached: float
    written: float


def pricing_from(mapping: dict[str, Any]) -> Pricing:
    """The Pricing of a configuration's mapping, which was checked."""
    tiers = tuple(PriceTier(**tier) for tier in mapping.get("tiers", ()))
    return Pricing(**{**mapping, "tiers": tiers})
