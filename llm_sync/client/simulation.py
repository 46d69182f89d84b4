"""Simulation: while a variable names a simulator, it answers instead of the configured providers.

``llm-sync simulate -- COMMAND`` and the pytest fixture give COMMAND a configuration for the simulator. If COMMAND names another
one (``--config``, ``LLMClient.from_config("x.yaml")``, a script for another package), it would send its requests to the real
provider with the real key, and be billed. So the variable URL_VARIABLE decides: while it is set, a client sends its requests to
the simulator's endpoint for the provider's type, with the simulator's key. Providers on this machine are left unchanged. The
variable is read when a client is created, not again by its calls.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llm_sync.config.models import GOOGLE_CLOUD, LLMConfig, ProviderConfig, RequestDefaults, Unset, is_credential
from llm_sync.config.secrets import Secret
from llm_sync.errors import ConfigurationError
from llm_sync.events import logger
from llm_sync.providers.factory import ProviderFactory
from llm_sync.validation import field_path, shown

URL_VARIABLE = "LLM_SYNC_SIMULATOR_URL"
KEY_VARIABLE = "LLM_SYNC_SIMULATOR_KEY"
CA_VARIABLE = "LLM_SYNC_SIMULATOR_CA"

# The path after the simulator's address in the base_url of each type. The simulator has the same table; it shares no code.
BASE_PATHS = {
    "openai": "/openai/v1",
    "openai-responses": "/openai/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini/v1beta",
    "gemini-interactions": "/gemini/v1beta",
    "openrouter": "/openrouter/api/v1",
    "bedrock": "/bedrock",
}
# The same for other endpoints: Google Cloud, Azure, and the hosts with OpenAI-compatible endpoints that are simulated.
VERTEX, AZURE, AZURE_CLASSIC = "/v1/projects/simulated/locations/global", "/azure/openai/v1", "/azure/openai/deployments/{model}"
BEDROCK_OPENAI = "/bedrock/openai/v1"
COMPATIBLE = {
    "generativelanguage.googleapis.com": "/gemini/v1beta/openai",
    "api.anthropic.com": "/anthropic/v1",
    "openrouter.ai": BASE_PATHS["openrouter"],
    "api.mistral.ai": "/mistral/v1",
    "api.voyageai.com": "/voyage/v1",
    "api.cohere.com": "/cohere/v2",
    "api.groq.com": "/groq/openai/v1",
    "api.x.ai": "/xai/v1",
}
_ANY_KEY = "sk-simulated"  # for a simulator that was started by hand and accepts every key
_VERSION = "api-version"  # Azure's classic API requires one in the query
_KEPT_HEADERS = ("anthropic-beta", "anthropic-version")  # they affect the answer, and are never credentials
# Settings that belong to the real address. None is sent to the simulator, because any of them may contain keys.
_REPLACED = (
    "base_url",
    "headers",
    "query",
    "auth",
    "project",
    "location",
    "region",
    "profile",
    "proxy",
    "ca_bundle",
    "client_cert",
    "client_key",
)

_log = logger("simulated")
_printed: set[str] = set()


class SimulatedConfig(NamedTuple):
    """The configuration for a client. ``redirected``: the providers whose requests go to ``url`` instead; ``refused``: the
    providers whose type the simulator does not support, each with the error for its requests."""

    config: LLMConfig
    url: str | None = None
    redirected: tuple[str, ...] = ()
    refused: Mapping[str, ConfigurationError] = MappingProxyType({})

    @property
    def notice(self) -> str:
        """A sentence that names the redirected providers; "" if there are none."""
        if not self.redirected:
            return ""
        names = ", ".join(map(shown, self.redirected))
        return f"answered by the simulator at {self.url} ({URL_VARIABLE}), not as configured: {names}"


def simulated_config(config: LLMConfig) -> SimulatedConfig:
    """``config`` with every provider that is not on this machine redirected to the simulator; unchanged without a simulator.

    Reads no key and no file, and runs no command. Raises ConfigurationError if the variable names another machine.
    """
    simulator = _simulator_from_environment()
    if simulator is None:
        return SimulatedConfig(config)
    providers = {name: simulator.redirect(provider) for name, provider in config.providers.items()}
    needed = {unset for provider in providers.values() for unset in provider.unset}
    dropped = {unset for provider in config.providers.values() for unset in provider.unset if unset not in needed}
    unset = tuple(variable for variable in config.unset if variable not in dropped)
    redirected = [name for name, provider in providers.items() if provider.base_url != config.providers[name].base_url]
    refused = {name: error for name, provider in providers.items() if (error := _unsupported(provider)) is not None}
    changed = dataclasses.replace(config, providers=providers, unset=unset)
    return SimulatedConfig(changed, simulator.url, tuple(name for name in redirected if name not in refused), refused)


def apply_simulation(config: LLMConfig) -> LLMConfig:
    """The configuration of ``simulated_config``. If providers are redirected, logs a warning, so that nobody takes simulated
    answers for real ones. In a program without logging, prints it to standard error instead, once per configuration."""
    simulated = simulated_config(config)
    if simulated.redirected:
        if _is_logged():
            _log.warning("%s", simulated.notice)
        elif simulated.notice not in _printed:
            _printed.add(simulated.notice)
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, full, or None under pythonw
                sys.stderr.write(f"llm-sync: {simulated.notice}\n")
    return simulated.config


def _is_logged() -> bool:
    """Whether a handler other than the package's NullHandler gets the log messages."""
    logger: logging.Logger | None = _log
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def require_support(provider: ProviderConfig) -> None:
    """Raise ConfigurationError for a provider that is simulated but whose type the simulator does not support."""
    error = _unsupported(provider)
    if error is not None:
        raise error


def _unsupported(provider: ProviderConfig) -> ConfigurationError | None:
    if not provider.simulated or provider.base_url is not None:
        return None
    return ConfigurationError(
        f"the simulator does not support provider type {provider.type!r}",
        provider=provider.name,
        guidance=f"Give it a base_url on this machine, or unset {URL_VARIABLE} to use the real provider.",
    )


class _Simulator(NamedTuple):
    """The simulator's address, key and CA file."""

    url: str
    key: Secret
    ca_bundle: str | None

    def redirect(self, provider: ProviderConfig) -> ProviderConfig:
        """``provider`` as it is used in a simulation."""
        if provider.simulated:
            return provider  # it was redirected before, by the command line
        return self._marked_if_simulator(provider) if _is_on_this_machine(provider) else self._redirected(provider)

    def _redirected(self, provider: ProviderConfig) -> ProviderConfig:
        """``provider`` at the simulator's endpoint for its type; base_url is None if there is none (see ``require_support``)."""
        base_path = _base_path(provider)
        replaced = [field_path(("providers", provider.name, name)) for name in _REPLACED]
        return dataclasses.replace(
            provider,
            base_url=None if base_path is None else self.url + base_path,
            key=None if base_path is None else self.key,
            defaults=_without_keys(provider.defaults),
            models=tuple(dataclasses.replace(entry, defaults=_without_keys(entry.defaults)) for entry in provider.models),
            headers={name: value for name, value in provider.headers.items() if _keeps_header(provider, name)},
            query={_VERSION: "simulated"} if _VERSION in provider.query or f"{_VERSION}=" in (provider.base_url or "") else {},
            # no token is fetched: the simulator's key is sent instead
            auth=GOOGLE_CLOUD if base_path == VERTEX else None,
            project=None,
            location=None,
            region=None,
            profile=None,
            proxy="",  # no proxy, not even one from the environment
            ca_bundle=self.ca_bundle,
            client_cert=None,
            client_key=None,
            allow_insecure=False,
            unset=tuple(unset for unset in provider.unset if not _is_dropped(unset, replaced)),
            templates={},
            simulated=True,
        )

    def _marked_if_simulator(self, provider: ProviderConfig) -> ProviderConfig:
        """A provider on this machine, unchanged, but marked as simulated if its base_url is this simulator."""
        host = (provider.base_url or "").partition("://")[2].partition("/")[0]
        same = host.endswith(f":{urlsplit(self.url).port}")
        return dataclasses.replace(provider, simulated=True) if same else provider


def _simulator_from_environment() -> _Simulator | None:
    url = os.environ.get(URL_VARIABLE)
    if not url:
        return None
    from llm_sync.transport.urls import is_loopback, origin_of, validate_url  # loads requests, so only in a simulation

    try:
        parts = validate_url(url)
    except ConfigurationError as error:
        raise _bad_variable(f"cannot be used: {error.message}") from None
    if not is_loopback(parts.hostname):
        # A variable left over from another environment must not send prompts to another machine.
        raise _bad_variable(f"names {origin_of(parts)}, which is not this machine")
    if parts.path.strip("/") or parts.query:
        raise _bad_variable("has more than host and port")
    # A literal, because the variable may have changed before the first request.
    key = _simulator_key(os.environ.get(KEY_VARIABLE) or _ANY_KEY)
    return _Simulator(f"{parts.scheme}://{parts.netloc}", key, os.environ.get(CA_VARIABLE) or None)


class _SimulatorKey(Secret):
    """The simulator's key. It is nobody's secret, so it pickles: workers in other processes ask the simulator, too."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _simulator_key, (self._state()[1],)


def _simulator_key(key: str) -> _SimulatorKey:
    return _SimulatorKey("literal", key, where=KEY_VARIABLE)


def _bad_variable(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{URL_VARIABLE} {problem}",
        guidance="'llm-sync simulate' sets it for the command that it runs; unset it to use the configured providers.",
    )


def _is_on_this_machine(provider: ProviderConfig) -> bool:
    """Whether the base_url of ``provider`` is on this machine; False if that is unknown."""
    from llm_sync.transport.proxies import validate_proxy
    from llm_sync.transport.urls import is_loopback, validate_url

    try:
        url = ProviderFactory.dialect(provider).base_url()  # a third-party dialect may have an address of its own
        if not is_loopback(validate_url(url).hostname):
            return False
        proxy = validate_proxy(provider.proxy)
    except Exception:  # noqa: BLE001  (a third-party dialect may raise anything: the provider is then refused)
        return False
    return proxy is None or is_loopback(proxy.host)  # to a proxy on another machine, localhost is that machine


def _base_path(provider: ProviderConfig) -> str | None:
    """The path of the simulator's endpoint for a provider; None if its type is not supported."""
    usual = BASE_PATHS.get(provider.type)
    if usual is not None and provider.auth == GOOGLE_CLOUD:
        return VERTEX if provider.type in ("anthropic", "gemini") else usual
    if usual != BASE_PATHS["openai"]:
        return usual
    address, _, path = (provider.base_url or "").partition("://")[2].partition("/")
    host = address.partition(":")[0].lower()
    if host.startswith("bedrock") and host.endswith((".amazonaws.com", ".api.aws")):
        return BEDROCK_OPENAI
    if host.endswith(".azure.com"):
        return AZURE_CLASSIC if path.startswith("openai/deployments/") else AZURE
    if provider.type != "openai" or "compatibility" in path:  # Cohere has both: OpenAI's form, and its own
        return usual
    return COMPATIBLE.get(host, usual)


def _keeps_header(provider: ProviderConfig, header: str) -> bool:
    return header.lower() in _KEPT_HEADERS and ("headers", header) not in provider.templates


def _without_keys(defaults: RequestDefaults) -> RequestDefaults:
    """``defaults`` with keys in provider_specific (of a search service, for example) masked."""
    return dataclasses.replace(defaults, provider_specific=_masked("", dict(defaults.provider_specific)))


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(key, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(name, item) for item in value]
    return "***" if isinstance(value, str) and is_credential(name) else value


def _is_dropped(unset: Unset, fields: list[str]) -> bool:
    last = unset.field.rpartition(".")[2].partition("[")[0]
    if ".provider_specific." in unset.field and is_credential(last):
        return True
    return any(unset.field == field or unset.field.startswith((f"{field}.", f"{field}[")) for field in fields)
