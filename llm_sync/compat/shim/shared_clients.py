"""The LLMClients of the shims: one per settings and process, so that a script may make a new ``OpenAI()`` for each call."""

from __future__ import annotations

import atexit
import dataclasses

from llm_sync.client.client import LLMClient
from llm_sync.client.shared_clients import SharedClients
from llm_sync.compat.shim.settings import Settings
from llm_sync.config.secrets import Secret

_MAX_CLIENTS = 32  # limits the connections of a service that has a key for each of its users

_clients = SharedClients(most=_MAX_CLIENTS)
atexit.register(_clients.close)


def by_settings(endpoint: Settings, strict: bool) -> LLMClient:
    """The client for an endpoint that the script describes. Any thread may call this, also in a forked child."""
    endpoint = dataclasses.replace(
        endpoint, own_address=False, own_key=False
    )  # one client, whether script or environment names it
    return _clients.made((endpoint, strict), lambda: LLMClient(endpoint.config(), strict=strict))


def by_file(path: str, strict: bool) -> LLMClient:
    """The client for a configuration file. Raises ConfigurationError."""
    return _clients.made((path, strict), lambda: LLMClient.from_config(path, strict=strict))


def by_file_and_key(path: str, strict: bool, provider: str, settings: Settings) -> LLMClient:
    """The client for a configuration file, in which ``provider`` is asked with the script's own key and headers."""

    def make() -> LLMClient:
        config = by_file(path, strict).config
        entry = config.providers[provider]
        key = Secret.literal(settings.api_key, provider=provider) if settings.api_key else None
        own = dataclasses.replace(entry, key=key, headers={**entry.headers, **dict(settings.headers)})
        return LLMClient(dataclasses.replace(config, providers={**config.providers, provider: own}), strict=strict)

    return _clients.made((path, strict, provider, settings), make)


def close(cancel_pending: bool = False) -> None:
    """Close all of them after their queued requests, or cancel these."""
    _clients.close(cancel_pending)
