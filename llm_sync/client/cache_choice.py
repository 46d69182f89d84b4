"""Whether a client has an answer cache at all. Imports nothing of it: a client without one pays nothing for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llm_sync.config.models import LLMConfig

Cache = bool | str | os.PathLike[str] | Mapping[str, Any] | None
"""The argument ``cache`` of LLMClient."""

RECORDING_VARIABLE = "LLM_SYNC_RECORDING"
"""Set by the fixture ``llm_recorded`` for its test: the settings of the cassette, as JSON. It overrules everything else."""


def is_wanted(config: LLMConfig, given: Cache) -> bool:
    """Whether a client of ``config`` that was given ``given`` stores answers, of any of its models."""
    if RECORDING_VARIABLE in os.environ:
        return True
    if given is not None:
        return given is not False
    return any(
        provider.cache is not None or any(model.cache is not None for model in provider.models)
        for provider in config.providers.values()
    )
