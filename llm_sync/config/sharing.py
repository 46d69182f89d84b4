"""A part of the limits of a configuration, for one of several runs that share a provider without knowing of each other."""

from __future__ import annotations

import dataclasses

from llm_sync.config.budgets import Budget
from llm_sync.config.models import LLMConfig, ProviderConfig
from llm_sync.errors import ConfigurationError


def share_of(config: LLMConfig, part: int, parts: int) -> LLMConfig:
    """The configuration with one of ``parts`` equal shares (``part`` from 1) of paces, concurrency and budgets.

    A concurrency that is not set stays 1. Raises ConfigurationError if one that is set is less than ``parts``.
    """
    return dataclasses.replace(
        config,
        providers={name: _provider(each, part, parts) for name, each in config.providers.items()},
        budgets={name: budget_share(budget, parts) for name, budget in config.budgets.items()},
    )


def budget_share(budget: Budget, parts: int) -> Budget:
    """One share of a budget."""
    return dataclasses.replace(budget, usd=budget.usd / parts)


def whole_share(number: int, part: int, parts: int) -> int:
    """The share of a whole number: the first shares get what is left over."""
    return number // parts + (part <= number % parts)


def _provider(provider: ProviderConfig, part: int, parts: int) -> ProviderConfig:
    if 1 < provider.concurrency < parts:
        raise ConfigurationError(
            f"concurrency {provider.concurrency} cannot be divided among {parts} runs",
            provider=provider.name,
            guidance=f"Let at most {provider.concurrency} runs share it, or set it to {parts} or more.",
        )
    paces = {
        name: value / parts
        for name in ("requests_per_minute", "tokens_per_minute")
        if (value := getattr(provider, name)) is not None
    }
    least = provider.concurrency_from
    return dataclasses.replace(
        provider,
        concurrency=max(1, whole_share(provider.concurrency, part, parts)),
        concurrency_from=None if least is None else max(1, least // parts),
        **paces,
    )
