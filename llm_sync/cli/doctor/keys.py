"""Each provider's key: where it comes from and whether it can be one. Shows no key, and runs no command."""

from __future__ import annotations

from collections.abc import Iterator

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.doctor.findings import FAIL, OK, WARN, Finding
from llm_sync.config import LLMConfig, ProviderConfig
from llm_sync.config.routes import is_route, resolve_route
from llm_sync.config.routing import route
from llm_sync.errors import AuthenticationError, ConfigurationError, LLMConnectorError

_TOPIC = "key"


def check(config: LLMConfig) -> Iterator[Finding]:
    """A line for each provider. A key that is merely not set is a failure for the providers that a plain call needs."""
    needed = needed_providers(config)
    for name, provider in config.providers.items():
        yield _checked(name, provider, needed=name in needed)


def needed_providers(config: LLMConfig) -> tuple[str, ...]:
    """The providers that are asked when no model is named; all of them, if there is no default."""
    try:
        if is_route(config, None):
            return resolve_route(config, None).providers()
        return (route(config, None).provider,)
    except LLMConnectorError:
        return tuple(config.providers)


def _checked(name: str, provider: ProviderConfig, *, needed: bool) -> Finding:
    try:
        provider.require_variables()
        if provider.key is None:
            offline = config_access.offline_provider(provider)
            offline.check()
            source = offline.key_source()
            return Finding(OK, _TOPIC, name, f"from {source}" if source else "none is needed")
        if provider.key.kind == "command":
            provider.key.check_command()
            return Finding(OK, _TOPIC, name, f"from {provider.key.source}; the program exists, it is not run here")
        provider.key.reveal()
    except (AuthenticationError, ConfigurationError) as error:
        unset = "is not set" in error.message or "does not set" in error.message or "no key" in error.message
        status = exit_codes.AUTHENTICATION if isinstance(error, AuthenticationError) else exit_codes.CONFIGURATION
        return Finding(WARN if unset and not needed else FAIL, _TOPIC, name, error.message, error.guidance, status)
    if provider.key.is_literal and not provider.simulated:
        hint = "Write api_key: ${VARIABLE}, so that the file can be shown to others."
        return Finding(WARN, _TOPIC, name, "the key is in the configuration itself", hint)
    return Finding(OK, _TOPIC, name, f"from {provider.key.source}, of a possible form")
