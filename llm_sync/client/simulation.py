"""Providers that a simulator answers, whatever their configuration says.

``llm-sync simulate -- COMMAND`` and the pytest fixture hand COMMAND a configuration of their own. Whoever names another one
(``--config``, ``LLMClient.from_config("x.yaml")``, a script for another package) would ask the real provider with the real
key, and pay for a rehearsal. So the variable that tells where the simulator is decides: while it is set, a client asks what it
would ask elsewhere at the simulator's door for that type, and knows no key but the simulator's. What is on this machine
already is left as it is. Decided when a client is made; calls do not ask again.
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

# What follows the simulator's address in the base_url of each type; the simulator, which shares no code with us, has it too.
DOORS = {
    "openai": "/openai/v1",
    "openai-responses": "/openai/v1",
    "anthropic": "/anthropic",
    "gemini": "/gemini/v1beta",
    "openrouter": "/openrouter/api/v1",
}
# Likewise what else speaks one of the types: Google Cloud, Azure, and hosts whose OpenAI-compatible doors are played.
VERTEX, AZURE, AZURE_CLASSIC = "/v1/projects/simulated/locations/global", "/azure/openai/v1", "/azure/openai/deployments/{model}"
COMPATIBLE = {
    "generativelanguage.googleapis.com": "/gemini/v1beta/openai",
    "api.anthropic.com": "/anthropic/v1",
    "openrouter.ai": DOORS["openrouter"],
}
_ANY_KEY = "sk-simulated"  # for a simulator that was started by hand, and takes every key
_VERSION = "api-version"  # without one in the query, Azure's classic door has no such path
_PLAIN_HEADERS = ("anthropic-beta", "anthropic-version")  # they change what is answered, and are no credential under any name
# What belongs to the real address. None of it goes to the simulator, as there may be keys in all of it.
_REPLACED = ("base_url", "headers", "query", "auth", "project", "location", "proxy", "ca_bundle")

_log = logger("simulated")
_said: set[str] = set()


class Rehearsal(NamedTuple):
    """A configuration as its client is to go by it. ``redirected``: the providers whose requests go to ``url`` instead;
    ``refused``: those that cannot be asked, as the simulator has no door for their type, each with the error that says so."""

    config: LLMConfig
    url: str | None = None
    redirected: tuple[str, ...] = ()
    refused: Mapping[str, ConfigurationError] = MappingProxyType({})

    @property
    def told(self) -> str:
        """Who is answered by whom, in words; "" where all is as configured."""
        if not self.redirected:
            return ""
        names = ", ".join(map(shown, self.redirected))
        return f"answered by the simulator at {self.url} ({URL_VARIABLE}), not as configured: {names}"


def rehearsal(config: LLMConfig) -> Rehearsal:
    """``config`` with every provider that would be asked elsewhere moved to the simulator; as it is where there is none.

    Reads no key, file or command. Raises ConfigurationError for a variable that names anything but this machine.
    """
    stage = _stage()
    if stage is None:
        return Rehearsal(config)
    providers = {name: stage.set_for(provider) for name, provider in config.providers.items()}
    needed = {unset for provider in providers.values() for unset in provider.unset}
    dropped = {unset for provider in config.providers.values() for unset in provider.unset if unset not in needed}
    unset = tuple(each for each in config.unset if each not in dropped)
    redirected = [name for name, provider in providers.items() if provider.base_url != config.providers[name].base_url]
    refused = {name: error for name, provider in providers.items() if (error := _without_door(provider)) is not None}
    found = dataclasses.replace(config, providers=providers, unset=unset)
    return Rehearsal(found, stage.url, tuple(name for name in redirected if name not in refused), refused)


def rehearsed(config: LLMConfig) -> LLMConfig:
    """The configuration of ``rehearsal``. Where it moves anything, that is a warning, and, in a program that has set up no
    logging, a line on standard error once for each configuration: nobody is to take such answers for the real ones."""
    found = rehearsal(config)
    if found.redirected:
        if _is_heard():
            _log.warning("%s", found.told)
        elif found.told not in _said:
            _said.add(found.told)
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, full, or None under pythonw
                sys.stderr.write(f"llm-sync: {found.told}\n")
    return found.config


def _is_heard() -> bool:
    """Whether a handler takes what is logged. The package's own keeps Python's last resort from printing, and takes nothing."""
    logger: logging.Logger | None = _log
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def require_door(provider: ProviderConfig) -> None:
    """Raise ConfigurationError for a provider that the simulator should play, and cannot."""
    error = _without_door(provider)
    if error is not None:
        raise error


def _without_door(provider: ProviderConfig) -> ConfigurationError | None:
    if not provider.simulated or provider.base_url is not None:
        return None
    return ConfigurationError(
        f"the simulator has no door for type {provider.type!r}, so it cannot play this provider",
        provider=provider.name,
        guidance=f"Give it a base_url on this machine, or unset {URL_VARIABLE} to ask the real one.",
    )


class _Stage(NamedTuple):
    """Where the simulator is, and what it takes."""

    url: str
    key: Secret
    ca_bundle: str | None

    def set_for(self, provider: ProviderConfig) -> ProviderConfig:
        """``provider`` as it is rehearsed."""
        if provider.simulated:
            return provider  # set before, as the command line does
        return self._marked(provider) if _is_here(provider) else self._moved(provider)

    def _moved(self, provider: ProviderConfig) -> ProviderConfig:
        """At the simulator's door for its type, or nowhere where there is none (see ``require_door``)."""
        door = _door(provider)
        gone = [field_path(("providers", provider.name, name)) for name in _REPLACED]
        return dataclasses.replace(
            provider,
            base_url=None if door is None else self.url + door,
            key=None if door is None else self.key,
            defaults=_without_keys(provider.defaults),
            models=tuple(dataclasses.replace(entry, defaults=_without_keys(entry.defaults)) for entry in provider.models),
            headers={name: value for name, value in provider.headers.items() if _is_plain(provider, name)},
            query={_VERSION: "simulated"} if _VERSION in provider.query or f"{_VERSION}=" in (provider.base_url or "") else {},
            # with a key its token is not fetched: the key is sent in its place
            auth=GOOGLE_CLOUD if door == VERTEX else None,
            project=None,
            location=None,
            proxy="",  # none, whatever the environment says
            ca_bundle=self.ca_bundle,
            allow_insecure=False,
            unset=tuple(unset for unset in provider.unset if not _is_dropped(unset, gone)),
            templates={},
            simulated=True,
        )

    def _marked(self, provider: ProviderConfig) -> ProviderConfig:
        """As it is: on this machine. Simulated too, where it is this simulator that the configuration names."""
        host = (provider.base_url or "").partition("://")[2].partition("/")[0]
        same = host.endswith(f":{urlsplit(self.url).port}")
        return dataclasses.replace(provider, simulated=True) if same else provider


def _stage() -> _Stage | None:
    url = os.environ.get(URL_VARIABLE)
    if not url:
        return None
    from llm_sync.transport.urls import is_loopback, origin_of, validate_url  # loads requests: for rehearsals alone

    try:
        parts = validate_url(url)
    except ConfigurationError as error:
        raise _unfit(f"cannot be used: {error.message}") from None
    if not is_loopback(parts.hostname):
        # One that somebody else's environment left behind must not send prompts anywhere.
        raise _unfit(f"names {origin_of(parts)}, which is not this machine")
    if parts.path.strip("/") or parts.query:
        raise _unfit("has something behind host and port")
    # A literal: the variable may be gone, or another simulator's, by the time the first request reads it.
    key = Secret("literal", os.environ.get(KEY_VARIABLE) or _ANY_KEY, where=KEY_VARIABLE)
    return _Stage(f"{parts.scheme}://{parts.netloc}", key, os.environ.get(CA_VARIABLE) or None)


def _unfit(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{URL_VARIABLE} {problem}",
        guidance="'llm-sync simulate' sets it for the command that it runs; unset it to ask the configured providers.",
    )


def _is_here(provider: ProviderConfig) -> bool:
    """Whether ``provider`` is asked on this machine as it is; what cannot be told is not."""
    from llm_sync.transport.urls import is_loopback, validate_proxy, validate_url

    try:
        url = ProviderFactory.dialect(provider).base_url()  # a dialect of somebody else's may have an address of its own
        if not is_loopback(validate_url(url).hostname):
            return False
        proxy = validate_proxy(provider.proxy)
    except Exception:  # noqa: BLE001  (whatever somebody else's dialect raises without a network: it is refused, not asked)
        return False
    return proxy is None or is_loopback(proxy.host)  # a proxy elsewhere has another idea of localhost


def _door(provider: ProviderConfig) -> str | None:
    """What follows the simulator's address in place of a provider's own; None where nobody plays its type."""
    usual = DOORS.get(provider.type)
    if usual is not None and provider.auth == GOOGLE_CLOUD:
        return VERTEX if provider.type in ("anthropic", "gemini") else usual
    if usual != DOORS["openai"]:
        return usual
    address, _, path = (provider.base_url or "").partition("://")[2].partition("/")
    host = address.partition(":")[0].lower()
    if host.endswith(".azure.com"):
        return AZURE_CLASSIC if path.startswith("openai/deployments/") else AZURE
    return COMPATIBLE.get(host, usual) if provider.type == "openai" else usual


def _is_plain(provider: ProviderConfig, header: str) -> bool:
    return header.lower() in _PLAIN_HEADERS and ("headers", header) not in provider.templates


def _without_keys(defaults: RequestDefaults) -> RequestDefaults:
    """``defaults`` with what a payload's own parameters hold of keys (of a search service, say) masked."""
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
