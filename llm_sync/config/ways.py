"""The ways in which requests go to a provider, and which way a model's requests go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_sync.errors import InvalidRequestError

if TYPE_CHECKING:
    from llm_sync.config.models import LLMConfig, ProviderConfig

DIRECT, BACKGROUND, BATCH = WAYS = ("direct", "background", "batch")
"""``direct``: one call, whose reply is the answer. ``background``: the provider works on it, and is asked for the answer until it
is there. ``batch``: many requests in one file, through the provider's Batch API."""


def checked_way(via: str | None) -> str | None:
    """``via`` as a program gives it. Raises InvalidRequestError if it is none of WAYS."""
    if via is not None and via not in WAYS:
        raise InvalidRequestError(f"via={via!r} is not a way of sending", guidance=f"Give one of {', '.join(WAYS)}.")
    return via


def way_of(provider: ProviderConfig, model: str, chosen: str | None = None) -> str:
    """The way of a model's requests: ``chosen`` by the call, else what the file says for the model; else direct."""
    return chosen or provider.entry(model).via or DIRECT


def is_own_choice(config: LLMConfig, provider: str, model: str) -> bool:
    """Whether the file itself names a way in the entry of this provider or model, not only in the defaults."""
    models = config.providers[provider].models
    number = next((number for number, entry in enumerate(models) if entry.name == model), None)
    paths = (f"providers.{provider}", f"providers.{provider}.default_params", f"providers.{provider}.models[{number}]")
    return any(f"{path}.via" in config.lines for path in paths)
