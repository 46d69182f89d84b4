"""Time limits that grow with what is asked for: what is served at half the price, or in the background, takes its time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from llm_sync.config.models import LLMConfig
from llm_sync.models import AttemptOptions

# A provider may hold a flex request for minutes, and may have no capacity for minutes: OpenAI and Google advise 15 to 20
# minutes for each attempt, and more retries.
FLEX: Mapping[str, Any] = {"timeout": 900.0, "deadline": 3600.0, "max_retries": 8, "retry_base": 2.0}

# A background answer may take as long as reasoning takes, or as long as was agreed, and then some.
_IN_BACKGROUND_S = {None: 3600.0, "soonest": 3600.0, "2h": 3 * 3600.0, "8h": 10 * 3600.0}

_DEFAULTS = AttemptOptions()


def in_background(window: str | None) -> Mapping[str, Any]:
    """The limits of an answer in the background; ``window``: the request's completion_window."""
    return {"deadline": _IN_BACKGROUND_S[window]}


def grown(
    options: AttemptOptions, limits: Mapping[str, Any], config: LLMConfig, provider: str, model: str, asked: Mapping[str, Any]
) -> AttemptOptions:
    """``options`` with the higher ones of ``limits``, where neither the configuration nor the call says anything.

    ``asked``: the options of the call; None: it does not set them.
    """
    higher = {
        name: value
        for name, value in limits.items()
        if asked.get(name) is None and value > getattr(options, name) in (getattr(_DEFAULTS, name), FLEX.get(name))
    }
    if not higher:
        return options
    listed = config.providers[provider].models
    number = next((number for number, entry in enumerate(listed) if entry.name == model), None)
    own = f"providers.{provider}"
    levels = ("defaults", own, f"{own}.default_params", f"{own}.models[{number}]")
    higher = {name: value for name, value in higher.items() if not any(f"{level}.{name}" in config.lines for level in levels)}
    return dataclasses.replace(options, **higher)
