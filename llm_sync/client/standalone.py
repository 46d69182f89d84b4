"""A provider that works by itself, without a client: what ``ProviderFactory.create`` gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_sync.attempts.rate_gate import Gate
from llm_sync.attempts.retry import RetryHandler
from llm_sync.client.endpoints import http_client_for, listed_price
from llm_sync.client.simulation import apply_simulation
from llm_sync.config.loader import ConfigLoader
from llm_sync.config.models import LLMConfig, ProviderConfig
from llm_sync.providers.base import LLMProvider
from llm_sync.providers.factory import ProviderFactory
from llm_sync.runtime import fork


def standalone_provider(config: ProviderConfig | str, settings: Mapping[str, Any]) -> LLMProvider:
    """The provider of ``config``, or of a type with ``settings``. Any thread may use it, and a forked child.

    Raises ConfigurationError, and what its ``check`` raises.
    """
    if isinstance(config, ProviderConfig):
        if settings:
            raise TypeError(f"settings belong to the name of a type, not to a ProviderConfig: {', '.join(settings)}")
        whole = LLMConfig({config.name: config})
    else:
        text = json.dumps({"providers": {config: dict(settings)}})
        whole = ConfigLoader(known_types=ProviderFactory.types_for).load_text(text)
    (entry,) = apply_simulation(whole).providers.values()
    http = http_client_for(entry)
    gate = Gate(entry.name, requests_per_minute=entry.requests_per_minute)
    kind = ProviderFactory.provider_class(entry.type)
    provider = kind(entry, http, RetryHandler(gate, provider=entry.name), prices=listed_price)
    for each in (provider, http, gate):
        fork.watch(each)
    provider.check()
    return provider
