"""What a script's own settings and the environment say: one endpoint, whether a configuration is found, whether to be strict.

Imports little: a script that only makes a client pays for no more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from llm_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_sync.config.models import LLMConfig

STRICT_VARIABLE = "LLM_SYNC_STRICT"
ROUTE_VARIABLE = "LLM_SYNC_ROUTE"
# Defaults of the originals, used where no configuration says otherwise.
TIMEOUT = 600.0  # seconds for one attempt
MAX_RETRIES = 2  # after the first attempt
_CONCURRENCY = 32  # the script's threads decide how many requests are in flight, as with the originals
_SLACK = 120.0  # seconds of a deadline for the waits between attempts

_environment: list[tuple[Configuration, bool, Routes]] = []  # what was looked up; empty until then


class Configuration(NamedTuple):
    """The configuration file that is found, None for none. ``chosen``: the user named it, keeps it in a folder of their own, or
    trusts it; one that merely is in the working folder does not overrule what a script says itself. ``refusal``: why it may
    not be used at all."""

    file: str | None = None
    chosen: bool = True
    refusal: ConfigurationError | None = None


class Routes(NamedTuple):
    """What $LLM_SYNC_ROUTE maps: ``all`` that a script sends, or the base URLs in ``providers``, to the configuration."""

    all: bool = False
    providers: Mapping[str, str] = MappingProxyType({})


def strict() -> bool:
    """Whether $LLM_SYNC_STRICT asks for exceptions where the originals return a cut, blocked or empty answer."""
    return _read_environment()[1]


def found_configuration() -> str | None:
    """The configuration file that is used when none is named, or None.

    Raises ConfigurationError when $LLM_SYNC_CONFIG names one that is not there, and for one that needs to be trusted first.
    """
    file, _, refusal = configuration()
    if refusal is not None:  # a new one for each call: a traceback belongs to one
        raise ConfigurationError(refusal.message, problems=refusal.problems, guidance=refusal.guidance)
    return file


def configuration() -> Configuration:
    """The same, also of a file that may not be used. Raises ConfigurationError when $LLM_SYNC_CONFIG names no file."""
    return _read_environment()[0]


def routes() -> Routes:
    """The base URLs that the user maps to providers of the configuration. Raises ConfigurationError for an unreadable one."""
    return _read_environment()[2]


def _read_environment() -> tuple[Configuration, bool, Routes]:
    """Looked up by the first call of a process, valid for all later ones: reading the environment in each call is slow."""
    if not _environment:
        wanted = os.environ.get(STRICT_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")
        _environment.append((_find(), wanted, _parse_routes(os.environ.get(ROUTE_VARIABLE, ""))))
    return _environment[0]


def _parse_routes(text: str) -> Routes:
    providers: dict[str, str] = {}
    everything = False
    for entry in text.split():
        address, equals, provider = entry.rpartition("=")
        if entry == "config":
            everything = True
        elif equals and address and provider:
            providers[normalized(address)] = provider
        else:
            raise ConfigurationError(
                f"{ROUTE_VARIABLE} holds {entry!r}, which is no route",
                guidance="Write config, or BASE_URL=PROVIDER with a provider of the configuration.",
            )
    return Routes(everything, providers)


def normalized(base_url: str) -> str:
    """A base URL for comparing: without a slash at the end, scheme and host in lower case."""
    scheme, separator, rest = base_url.strip().rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}"


def _find() -> Configuration:
    from llm_sync.config.loader import ConfigLoader

    loader = ConfigLoader()
    try:
        path, of_project = loader.locate()
    except ConfigurationError:
        if os.environ.get("LLM_SYNC_CONFIG"):
            raise
        return Configuration()
    file = os.path.abspath(path)
    if not of_project:
        return Configuration(file)
    from llm_sync.config import trust

    try:
        loader.find_trusted()
        return Configuration(file, trust.trust_status(file).state == trust.TRUSTED)
    except ConfigurationError as error:
        return Configuration(file, False, error)


def reset() -> None:
    """Look it up again at the next call."""
    _environment.clear()


@dataclass(frozen=True)
class Settings:
    """One endpoint as a script describes it.

    ``name``: the provider's name in messages; ``given``: the settings that the script gives itself, for notices.
    ``own_address``, ``own_key``: whether base_url and key are among them (the environment's are not). Equality and hash use
    only what makes a target different.
    """

    name: str
    type: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    key_header: str | None = None  # if it differs from the dialect's own
    given: tuple[str, ...] = field(default=(), compare=False)
    own_address: bool = False
    own_key: bool = False

    def __hash__(self) -> int:
        """Computed once: every call looks up its client by it."""
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            endpoint = (self.name, self.type, self.api_key, self.base_url, self.headers, self.query, self.key_header)
            known = self.__dict__["_hash"] = hash(endpoint)
        return known

    def config(self) -> LLMConfig:
        """A configuration with this one provider, which accepts any model name."""
        from llm_sync.config.models import Auth, LLMConfig, ProviderConfig
        from llm_sync.config.secrets import Secret
        from llm_sync.models import AttemptOptions

        provider = ProviderConfig(
            name=self.name,
            type=self.type,
            key=Secret.literal(self.api_key, provider=self.name) if self.api_key else None,
            base_url=self.base_url,
            attempts=AttemptOptions(timeout=TIMEOUT, deadline=deadline(TIMEOUT, MAX_RETRIES), max_retries=MAX_RETRIES),
            headers=dict(self.headers),
            query=dict(self.query),
            auth=Auth(self.key_header) if self.key_header else None,
            concurrency=_CONCURRENCY,
        )
        return LLMConfig({self.name: provider})


def deadline(timeout: float, max_retries: int) -> float:
    """Seconds for a request with this many retries, including the waits between attempts."""
    return timeout * (max_retries + 1) + _SLACK


def pairs(mapping: Mapping[str, object] | None) -> tuple[tuple[str, str], ...]:
    """Headers or query fields in hashable form, without those that are None."""
    return tuple((str(name), str(value)) for name, value in (mapping or {}).items() if value is not None)
