"""Where a shim's requests go: to the configuration that is found, else to what the script's own settings say.

Imports little: a script that only makes a client pays for no more. The LLMClient is made with the first request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llm_sync.compat import notices
from llm_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_sync.client import LLMClient
    from llm_sync.config.models import LLMConfig

STRICT_VARIABLE = "LLM_SYNC_STRICT"
TIMEOUT = 600.0  # seconds for one attempt and
MAX_RETRIES = 2  # retries after the first, as the originals have them, where no configuration says otherwise
_CONCURRENCY = 32  # a script's own threads decide how many requests are in flight, as with the originals
_SLACK = 120.0  # seconds of a deadline for the waits between attempts

_chat_speakers: dict[type, bool] = {}
_found: dict[tuple[str | None, ...], str | None] = {}  # what was looked for, and the file; replaced by equals only


def strict() -> bool:
    """Whether $LLM_SYNC_STRICT asks for exceptions where the originals would hand on a cut, blocked or empty answer."""
    return os.environ.get(STRICT_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")


def found_configuration() -> str | None:
    """The configuration file that a run without a name would use, or None. One look per process, folder and environment.

    Raises ConfigurationError when $LLM_SYNC_CONFIG names one that is not there.
    """
    named = os.environ.get("LLM_SYNC_CONFIG") or None
    try:
        where = os.getcwd()
    except OSError:  # the folder is gone
        where = ""
    key = (named, os.environ.get("LLM_SYNC_CONFIG_DIR"), where)
    if key not in _found:
        from llm_sync.config.loader import ConfigLoader

        try:
            _found[key] = os.path.abspath(ConfigLoader().find(None))
        except ConfigurationError:
            if named is not None:
                raise
            _found[key] = None
    return _found[key]


@dataclass(frozen=True)
class Settings:
    """One endpoint as a script names it. ``name`` is the provider's in messages; ``given``: the arguments that a
    configuration would overrule, for the notice that says so. Compares and hashes by what makes a client different."""

    name: str
    type: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    key_header: str | None = None  # where it is not the dialect's own
    given: tuple[str, ...] = field(default=(), compare=False)

    def config(self) -> LLMConfig:
        """A configuration of this one provider, which takes any model's name."""
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
    """Seconds for a request of so many attempts and the waits between them."""
    return timeout * (max_retries + 1) + _SLACK


def pairs(mapping: Mapping[str, object] | None) -> tuple[tuple[str, str], ...]:
    """Headers or query fields, hashable; those that are None are left out."""
    return tuple((str(name), str(value)) for name, value in (mapping or {}).items() if value is not None)


def speaks_chat(kind: str) -> bool:
    """Whether providers of this ``type`` take OpenAI's chat bodies themselves; every call asks. Raises ConfigurationError."""
    from llm_sync.providers.factory import ProviderFactory

    found = ProviderFactory.provider_class(kind)
    if found not in _chat_speakers:
        from llm_sync.openai_shape import speaks_chat as looked_up

        _chat_speakers[found] = looked_up(kind)
    return _chat_speakers[found]


class Place(NamedTuple):
    """Where one request goes: the client, the model's full name, its provider's ``type``; ``own``: by the script's settings;
    ``strict``: by $LLM_SYNC_STRICT, as it was when the call came in."""

    client: LLMClient
    model: str | None
    type: str
    own: bool
    strict: bool


def place(settings: Settings, model: str | None) -> Place:
    """Where a request for ``model`` goes. Raises LLMConnectorError: no such model, a configuration with mistakes."""
    from llm_sync.compat import shared_clients

    file, strictly = found_configuration(), strict()
    if file is None:
        name = None if model is None else f"{settings.name}/{model}"
        return Place(shared_clients.by_settings(settings, strictly), name, settings.type, True, strictly)
    if settings.given:
        notices.tell_once(f"requests go where {file} says; {', '.join(settings.given)} of the script is not used")
    client = shared_clients.by_file(file, strictly)
    from llm_sync.routing import route

    found = route(client.config, model)
    return Place(client, f"{found.provider}/{found.model}", client.config.providers[found.provider].type, False, strictly)


def client_of(settings: Settings) -> LLMClient:
    """The client for these settings, for what is about no model. Raises ConfigurationError."""
    from llm_sync.compat import shared_clients

    file = found_configuration()
    return shared_clients.by_settings(settings, strict()) if file is None else shared_clients.by_file(file, strict())
