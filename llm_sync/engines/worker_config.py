"""The configuration of a worker: that of the run, without the limits that the coordinator keeps to."""

from __future__ import annotations

import dataclasses

from llm_sync.config.models import LLMConfig, ProviderConfig


def worker_config(config: LLMConfig) -> LLMConfig:
    """The configuration without what the coordinator keeps to."""
    return dataclasses.replace(
        config, providers={name: _unlimited(each) for name, each in config.providers.items()}, strict=False
    )


def _unlimited(config: ProviderConfig) -> ProviderConfig:
    return dataclasses.replace(
        config, machine_wide=False, max_queue=None, requests_per_minute=None, tokens_per_minute=None, concurrency_from=None
    )
