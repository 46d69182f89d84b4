"""What an error says beside its message: whose it is, and what to do next where nothing says so yet."""

from __future__ import annotations

import difflib

from llm_sync.config.models import ProviderConfig
from llm_sync.errors import LLMConnectorError, ModelNotFoundError, ProviderError


def add_context(error: LLMConnectorError, config: ProviderConfig, model: str | None) -> None:
    """Name the provider and the model on ``error``, and add the guidance that it lacks."""
    error.provider = error.provider or config.name
    error.model = error.model or model
    if isinstance(error, ModelNotFoundError) and model is not None:
        near = difflib.get_close_matches(model, [entry.name for entry in config.models if entry.name != model], n=1)
        error.guidance = " ".join(filter(None, (f"Did you mean {config.name}/{near[0]}?" if near else "", error.guidance)))
    if isinstance(error, ProviderError) and error.guidance is None and error.status is None:
        error.guidance = f"Check base_url of provider {config.name!r} and the network, or raise timeout."
