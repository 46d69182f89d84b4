"""Which OpenAI models reason, and which settings they accept then. As of August 2026."""

from __future__ import annotations

import re
from typing import Any

from llm_sync.models import ModelRequest
from llm_sync.providers.adjustments import Adjustments

_REASONING = re.compile(r"^(?:o\d|gpt-5)")


def openai_model(model: str) -> str:
    """The model's bare name: ``openai/gpt-5-mini`` is ``gpt-5-mini``, ``ft:o4-mini:me::id`` is ``o4-mini:me::id``."""
    return model.rsplit("/", 1)[-1].lower().removeprefix("ft:")


def is_reasoning_model(model: str) -> bool:
    """Whether OpenAI serves the model with reasoning (o-series and GPT-5, but for its chat variant)."""
    name = openai_model(model)
    return bool(_REASONING.match(name)) and not name.startswith("gpt-5-chat")


# OpenAI accepts sampling parameters only while reasoning is off. First matching prefix wins:
# (prefix, reasons by default, takes reasoning_effort "none").
_EFFORT: tuple[tuple[re.Pattern[str], bool, bool], ...] = tuple(
    (re.compile(pattern), default, none)
    for pattern, default, none in (
        (r"gpt-5\.5-pro|gpt-5\.4-pro|gpt-5\.2-pro|gpt-5\.[123]-chat|gpt-5\.1-codex", True, False),
        (r"gpt-5\.[56]", True, True),
        (r"gpt-5\.[1234]", False, True),
        (r"gpt-5-chat", False, False),
        (r"gpt-5|o\d", True, False),
    )
)


def takes_sampling(model: str, effort: Any) -> bool:
    """Whether temperature and top_p may be sent to this OpenAI model at this reasoning effort (None: its default)."""
    name = openai_model(model)
    for pattern, reasons, takes_none in _EFFORT:
        if pattern.match(name):
            if effort is None:
                return not reasons
            return effort == "none" and takes_none
    return True


def sampling(request: ModelRequest, effort: Any, adjustments: Adjustments) -> dict[str, Any]:
    """temperature and top_p for an OpenAI model at this reasoning effort; what it does not accept is reported as lost."""
    model = request.model or ""
    asked = {name: value for name in ("temperature", "top_p") if (value := getattr(request, name)) is not None}
    if takes_sampling(model, effort):
        return asked
    for name, value in asked.items():
        adjustments.lose(name, value, None, f"{model} takes no sampling parameters while it reasons")
    return {}
