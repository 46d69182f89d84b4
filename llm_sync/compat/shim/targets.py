"""Where a shim's requests go: to the configuration that is found, else to the endpoint of the script's own settings.

The LLMClient is made with the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llm_sync.compat.shim import notices
from llm_sync.compat.shim import settings as script_settings
from llm_sync.compat.shim.settings import Settings, found_configuration, strict
from llm_sync.errors import InvalidRequestError, ModelNotFoundError

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient
    from llm_sync.config.models import LLMConfig
    from llm_sync.models.route import Route

_MAX_TARGETS = 32  # remembered endpoints and models; each keeps its client alive

_targets: dict[tuple[Settings, str | None], Target] = {}


class Target(NamedTuple):
    """Where one request goes. ``model``: its full name; ``type``: the provider's; ``chat``: whether the provider accepts OpenAI's
    chat bodies; ``own``: whether the script's settings decide; ``strict``: $LLM_SYNC_STRICT."""

    client: LLMClient
    model: str | None
    type: str
    chat: bool
    own: bool
    strict: bool


def resolve_target(settings: Settings, model: str | None) -> Target:
    """The target of a request for ``model``. Raises LLMConnectorError: no such model, or an invalid configuration."""
    if model is not None and type(model) is not str:
        if not isinstance(model, str):
            raise InvalidRequestError(f"model is a {type(model).__name__}", guidance="Give the model's name.")
        model = str.__str__(model)  # some scripts have their models in an enum
    found = _targets.get((settings, model))
    if found is None:
        found = _look_up_target(settings, model)
        if len(_targets) >= _MAX_TARGETS:
            _targets.clear()
        _targets[settings, model] = found
    return found


def _look_up_target(settings: Settings, model: str | None) -> Target:
    from llm_sync.compat.shim import shared_clients
    from llm_sync.openai_shape import speaks_chat

    file, strictly = found_configuration(), strict()
    if file is None:
        client, kind = shared_clients.by_settings(settings, strictly), settings.type
        name = None if model is None else f"{settings.name}/{model}"
    else:
        if settings.given:
            notices.notify_once(f"requests go where {file} says; {', '.join(settings.given)} of the script is not used")
        client = shared_clients.by_file(file, strictly)
        found = _route(client.config, settings, model, file)
        name, kind = f"{found.provider}/{found.model}", client.config.providers[found.provider].type
    return Target(client, name, kind, speaks_chat(kind), file is None, strictly)


def _route(config: LLMConfig, settings: Settings, model: str | None, file: str) -> Route:
    """Route as usual; a model that no provider lists goes to the provider of the original's type."""
    from llm_sync.config.routing import maker, route
    from llm_sync.models.route import Route
    from llm_sync.validation import shown

    try:
        return route(config, model)
    except ModelNotFoundError:
        own = None if model is None or "/" in model or config.listing(model) else maker(config, model, settings.type)
        if own is None:
            raise
        notices.notify_once(f"{shown(str(model))} is listed by no provider of {file}; {own} is asked for it")
        return Route(own, str(model))


def client_of(settings: Settings) -> LLMClient:
    """The client for these settings, for calls without a model. Raises ConfigurationError."""
    from llm_sync.compat.shim import shared_clients

    file = found_configuration()
    return shared_clients.by_settings(settings, strict()) if file is None else shared_clients.by_file(file, strict())


def close(cancel_pending: bool = False) -> None:
    """Close every client of the shims after its queued requests, or cancel these.

    The next request looks for a configuration again.
    """
    from llm_sync.compat.shim import shared_clients

    script_settings.reset()
    _targets.clear()
    shared_clients.close(cancel_pending)
