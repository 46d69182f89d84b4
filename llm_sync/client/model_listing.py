"""What the providers list, and which configured models are not among it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_sync.config.models import LLMConfig
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelListing

if TYPE_CHECKING:
    from llm_sync.client.calls import Calls, ProviderCall

_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")  # at the end of a model's name


def list_all_models(
    config: LLMConfig, calls: Calls, run: Callable[[list[tuple[str, ProviderCall]]], list[Any]], timeout: float | None
) -> dict[str, ModelListing]:
    """The listing of every provider, or its error, each attempt within ``timeout`` seconds.

    ``run`` makes all calls at once and gives answers and exceptions in their order.
    """
    made: dict[str, tuple[str, ProviderCall]] = {}
    failed: dict[str, LLMConnectorError] = {}
    for name in config.providers:
        try:
            made[name] = calls.listing(name, timeout)
        except LLMConnectorError as error:  # noqa: PERF203  (one provider that cannot be set up stops no other)
            failed[name] = error
    outcomes = dict(zip(made, run(list(made.values())), strict=True))
    return {name: _listing(config, name, failed.get(name) or outcomes[name]) for name in config.providers}


def _listing(config: LLMConfig, name: str, outcome: list[str] | BaseException) -> ModelListing:
    if isinstance(outcome, LLMConnectorError):
        return ModelListing(error=outcome)
    if isinstance(outcome, BaseException):
        raise outcome
    listed = tuple(model.removeprefix("models/") for model in outcome)
    known = {spelling for model in listed for spelling in _spellings(model)}
    configured = [entry.name for entry in config.providers[name].models]
    return ModelListing(listed, tuple(model for model in configured if not known & _spellings(model)))


def _spellings(model: str) -> set[str]:
    """A model's bare name and its undated alias: providers serve ``claude-x-1`` and list ``claude-x-1-20250929`` only."""
    bare = model.removeprefix("models/")
    return {bare, _DATE.sub("", bare)}
