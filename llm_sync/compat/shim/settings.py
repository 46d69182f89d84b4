"""Where a shim's requests go: to the configuration that is found, else to what the script's own settings say.

Imports little: a script that only makes a client pays for no more. The LLMClient is made with the first request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from llm_sync.compat.shim import notices
from llm_sync.errors import ConfigurationError, InvalidRequestError, ModelNotFoundError

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient
    from llm_sync.config.models import LLMConfig
    from llm_sync.models.route import Route

STRICT_VARIABLE = "LLM_SYNC_STRICT"
TIMEOUT = 600.0  # seconds for one attempt and
MAX_RETRIES = 2  # retries after the first, as the originals have them, where no configuration says otherwise
_CONCURRENCY = 32  # a script's own threads decide how many requests are in flight, as with the originals
_SLACK = 120.0  # seconds of a deadline for the waits between attempts

_MOST_PLACES = 32  # endpoints and models remembered; each holds on to its client

_looked: list[tuple[str | None, bool]] = []  # what found_configuration and strict found, once they have looked
_places: dict[tuple[Settings, str | None], Place] = {}


def strict() -> bool:
    """Whether $LLM_SYNC_STRICT asks for exceptions where the originals would hand on a cut, blocked or empty answer."""
    return _once()[1]


def found_configuration() -> str | None:
    """The configuration file that a run without a name would use, or None.

    Raises ConfigurationError when $LLM_SYNC_CONFIG names one that is not there.
    """
    return _once()[0]


def _once() -> tuple[str | None, bool]:
    """What the first call of a process finds holds for all of them: every call asks, and environments are slow to read."""
    if not _looked:
        wanted = os.environ.get(STRICT_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")
        _looked.append((_find(), wanted))
    return _looked[0]


def _find() -> str | None:
    from llm_sync.config.loader import ConfigLoader

    try:
        return os.path.abspath(ConfigLoader().find(None))
    except ConfigurationError:
        if os.environ.get("LLM_SYNC_CONFIG"):
            raise
        return None


def forget() -> None:
    """Look again with the next call."""
    _looked.clear()
    _places.clear()


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

    def __hash__(self) -> int:
        """Reckoned once: every call looks its client up by it."""
        found: int | None = self.__dict__.get("_hash")
        if found is None:
            key_and_place = (self.name, self.type, self.api_key, self.base_url, self.headers, self.query, self.key_header)
            found = self.__dict__["_hash"] = hash(key_and_place)
        return found

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


class Place(NamedTuple):
    """Where one request goes: the client, the model's full name, its provider's ``type``, and whether that speaks OpenAI's
    ``chat``. ``own``: by the script's settings; ``strict``: by $LLM_SYNC_STRICT."""

    client: LLMClient
    model: str | None
    type: str
    chat: bool
    own: bool
    strict: bool


def place(settings: Settings, model: str | None) -> Place:
    """Where a request for ``model`` goes. Raises LLMConnectorError: no such model, a configuration with mistakes."""
    if model is not None and type(model) is not str:
        if not isinstance(model, str):
            raise InvalidRequestError(f"model is a {type(model).__name__}", guidance="Give the model's name.")
        model = str.__str__(model)  # of an enum, as some scripts have their models
    found = _places.get((settings, model))
    if found is None:
        found = _looked_up(settings, model)
        if len(_places) >= _MOST_PLACES:
            _places.clear()
        _places[settings, model] = found
    return found


def _looked_up(settings: Settings, model: str | None) -> Place:
    from llm_sync.compat.shim import shared_clients
    from llm_sync.openai_shape import speaks_chat

    file, strictly = _once()
    if file is None:
        client, kind = shared_clients.by_settings(settings, strictly), settings.type
        name = None if model is None else f"{settings.name}/{model}"
    else:
        if settings.given:
            notices.tell_once(f"requests go where {file} says; {', '.join(settings.given)} of the script is not used")
        client = shared_clients.by_file(file, strictly)
        found = _routed(client.config, settings, model, file)
        name, kind = f"{found.provider}/{found.model}", client.config.providers[found.provider].type
    return Place(client, name, kind, speaks_chat(kind), file is None, strictly)


def _routed(config: LLMConfig, settings: Settings, model: str | None, file: str) -> Route:
    """As everywhere; but an old script's model, which nobody lists, is asked for where the original would ask."""
    from llm_sync.config.routing import maker, route
    from llm_sync.models.route import Route
    from llm_sync.validation import shown

    try:
        return route(config, model)
    except ModelNotFoundError:
        own = None if model is None or "/" in model or config.listing(model) else maker(config, model, settings.type)
        if own is None:
            raise
        notices.tell_once(f"{shown(str(model))} is listed by no provider of {file}; {own} is asked for it")
        return Route(own, str(model))


def client_of(settings: Settings) -> LLMClient:
    """The client for these settings, for what is about no model. Raises ConfigurationError."""
    from llm_sync.compat.shim import shared_clients

    file = found_configuration()
    return shared_clients.by_settings(settings, strict()) if file is None else shared_clients.by_file(file, strict())
