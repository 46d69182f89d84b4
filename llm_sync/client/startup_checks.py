"""Checks of a configuration when a client is made, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_sync.config.models import LLMConfig
from llm_sync.config.validator import ConfigValidator
from llm_sync.errors import ConfigurationError, LLMConnectorError, Problem
from llm_sync.providers.factory import ProviderFactory

if TYPE_CHECKING:
    from llm_sync.client.endpoints import Endpoints


def check_config(config: LLMConfig, *, strict: bool, strict_streaming: bool) -> None:
    """Raise ConfigurationError with everything that is wrong.

    ``strict``: unset variables of keys too. ``strict_streaming``: switches that were stripped on loading too.
    """
    validator = ConfigValidator(ProviderFactory.types_for(provider.type for provider in config.providers.values()))
    problems = validator.validate_config(config)
    if strict:
        problems += validator.validate_environment_variables(config)
    if strict_streaming:
        problems += _switches_in(config)
    _refuse(problems)


def check_usual_keys(config: LLMConfig, endpoints: Endpoints) -> None:
    """Raise ConfigurationError with the providers that name no key, and whose dialect's usual variable has none."""
    problems = []
    for name, entry in config.providers.items():
        try:
            if entry.key is None:
                endpoints[name].provider.check()
        except LLMConnectorError as error:  # noqa: PERF203  (all of them are reported)
            problems.append(Problem(error.message, f"providers.{name}", config.file, entry.line, error.guidance))
    _refuse(problems)


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigurationError("the configuration cannot be used", problems=tuple(problems))


def _switches_in(config: LLMConfig) -> list[Problem]:
    """The streaming switches that were stripped from a configuration that was loaded without ``strict_streaming``."""
    problems = []
    for name, provider in config.providers.items():
        switches = dict.fromkeys([*provider.stripped, *(switch for model in provider.models for switch in model.stripped)])
        if switches:
            message = f"asks for streaming ({', '.join(switches)})"
            problems.append(Problem(message, f"providers.{name}", config.file, provider.line, "leave it out"))
    return problems
