"""What an answer costs by the configuration's pricing, and what a request can cost at most."""

from __future__ import annotations

from typing import Any

import pytest

from llm_sync.config.pricing import PriceTier, Pricing, pricing_from
from llm_sync.models import Usage

FULL = Pricing(2.0, 8.0, cached_input=0.5, cache_write=2.5, tiers=(PriceTier(200_000, input=4.0, output=12.0),))


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(1000, 100), 1000 * 2 + 100 * 8),
        (Usage(1000, 100, cached_tokens=400), 600 * 2 + 400 * 0.5 + 100 * 8),
        (Usage(1000, 100, 400, None, 500), 100 * 2 + 400 * 0.5 + 500 * 2.5 + 100 * 8),
        (Usage(1000, 100, reasoning_tokens=90), 1000 * 2 + 100 * 8),
        (Usage(200_000, 0), 200_000 * 2),
        (Usage(200_001, 10, cached_tokens=1), 200_000 * 4 + 0.5 + 10 * 12),
        (Usage(100, 0, cached_tokens=101), 101 * 0.5),
    ],
)
def test_each_kind_of_token_has_its_price(usage: Usage, dollars: float) -> None:
    """Per million; a tier holds for all tokens, and keeps the prices that it does not name."""
    assert FULL.cost(usage) == pytest.approx(dollars / 1e6)


def test_without_prices_of_their_own_cached_tokens_cost_as_input_does() -> None:
    """As before there were such prices."""
    assert Pricing(2.0, 8.0).cost(Usage(1000, 100, 400, None, 500)) == pytest.approx((1000 * 2 + 100 * 8) / 1e6)


@pytest.mark.parametrize("usage", [Usage(), Usage(5), Usage(None, 5)])
def test_an_unknown_count_makes_an_unknown_cost(usage: Usage) -> None:
    """None, never 0."""
    assert FULL.cost(usage) is None


def test_the_most_is_at_least_the_cost_of_whatever_may_be_used() -> None:
    """Within so many tokens, in any mixture; a longer tier may be cheaper."""
    cheaper = Pricing(2.0, 8.0, tiers=(PriceTier(1000, input=1.0, output=1.0),))
    for pricing in (FULL, cheaper, Pricing(0.0, 0.0)):
        for used in (0, 999, 1001, 200_001):
            most = pricing.most(used, 50)
            for usage in (Usage(used, 50), Usage(used, 50, used), Usage(used, 50, 0, 50, used), Usage(used // 2, 0)):
                assert (pricing.cost(usage) or 0.0) <= most + 1e-12


def test_a_file_s_pricing_becomes_tiers(tmp_path: Any) -> None:
    """In any order of the file."""
    mapping = {"input": 1, "output": 2, "tiers": [{"above": 500, "input": 9}, {"above": 100, "input": 3, "cache_write": 4}]}
    pricing = pricing_from(mapping)
    assert [pricing.cost(Usage(count, 0)) for count in (100, 101, 501)] == pytest.approx([100e-6, 303e-6, 501 * 9e-6])
