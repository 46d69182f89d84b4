"""What the providers list, and which configured models are not among it."""

from __future__ import annotations

import re

from llm_sync.client.dispatcher import Dispatcher
from llm_sync.client.request_defaults import check_seconds
from llm_sync.config.models import LLMConfig
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelListing

_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")  # at the end of a model's name


def list_all_models(config: LLMConfig, dispatcher: Dispatcher, timeout: float | None) -> dict[str, ModelListing]:
    """The listing of every provider, or its error, each attempt within ``timeout`` seconds. Raises InvalidRequestError for one
    that is no time."""
    check_seconds("timeout", timeout)
    outcomes = dispatcher.list_models(config.providers, timeout)
    return {name: _listing(config, name, outcomes[name]) for name in config.providers}


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
