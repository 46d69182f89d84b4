"""Where a shim's requests go: where the script itself says, else where the configuration that is found says.

A base_url of the script's own is kept unless the user maps it; its own key is used at the host that it is meant for.

The LLMClient is made with the first request.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from llm_sync.compat.shim import notices
from llm_sync.compat.shim import settings as script_settings
from llm_sync.compat.shim.settings import Settings, configuration, found_configuration, normalized, routes, strict
from llm_sync.errors import ConfigurationError, InvalidRequestError, ModelNotFoundError
from llm_sync.models import grammar

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient
    from llm_sync.config.models import LLMConfig, ProviderConfig
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
            raise InvalidRequestError(f"model is {grammar.type_name(model)}", guidance="Give the model's name.")
        model = str.__str__(model)  # some scripts have their models in an enum
    target = _targets.get((settings, model))
    if target is None:
        target = _look_up_target(settings, model)
        if len(_targets) >= _MAX_TARGETS:
            _targets.clear()
        _targets[settings, model] = target
    return target


def _look_up_target(settings: Settings, model: str | None) -> Target:
    from llm_sync.compat.shim import shared_clients
    from llm_sync.models.route import Route
    from llm_sync.openai_shape import speaks_chat

    file = found_configuration() if follows_configuration(settings) else None
    if file is None:
        client, kind, own = shared_clients.by_settings(settings, strict()), settings.type, True
        name = None if model is None else f"{settings.name}/{model}"
    else:
        client, own = shared_clients.by_file(file, strict()), False
        provider = _mapped_provider(settings, file)
        if provider is None and model is not None and (routed := _routed_target(client, settings, model, file)) is not None:
            return routed
        route = Route(provider, model) if provider and model else _route(client.config, settings, model, file)
        if settings.own_key and _is_own_host(settings, client.config.providers[route.provider]):
            client = shared_clients.by_file_and_key(file, strict(), route.provider, settings)
        elif settings.given:
            _notify_overruled(settings, file)
        name, kind = f"{route.provider}/{route.model}", client.config.providers[route.provider].type
    return Target(client, name, kind, speaks_chat(kind), own, strict())


def _routed_target(client: LLMClient, settings: Settings, model: str, file: str) -> Target | None:
    """The target of a model's name that is a route of the configuration; None for a single model."""
    from llm_sync.config.routes import is_route, resolve_route
    from llm_sync.openai_shape import speaks_chat

    if not is_route(client.config, model):
        return None
    if settings.given:
        _notify_overruled(settings, file)
    types = [client.config.providers[provider].type for provider in resolve_route(client.config, model).providers()]
    return Target(client, model, types[0], all(speaks_chat(kind) for kind in types), False, strict())


def follows_configuration(settings: Settings) -> bool:
    """Whether requests go where the configuration says.

    Without a base_url of the script's own they do, if one is found; a file in the working folder that the user has not trusted
    does not overrule a key of the script's own either. Otherwise the user has to say so: by $LLM_SYNC_ROUTE
    (``run-script --route``), or by a provider of the configuration with that base_url. Raises ConfigurationError.
    """
    mapped_by_user = routes().all or normalized(settings.base_url or "") in routes().providers
    if not configuration().chosen and (settings.own_address or settings.own_key) and not mapped_by_user:
        notices.notify_once(
            f"requests go to {_host(settings)}, as the script says: {configuration().file} was only found in the working folder, "
            "and is not trusted (run-script --route config changes that)"
        )
        return False
    file = found_configuration()
    if file is None:
        return False
    if not settings.own_address or routes().all or _mapped_provider(settings, file):
        return True
    notices.notify_once(
        f"requests go to {_host(settings)}, as the script says, not where {file} says (run-script --route config changes that)"
    )
    return False


def _notify_overruled(settings: Settings, file: str) -> None:
    verb = "is" if len(settings.given) == 1 else "are"
    notices.notify_once(f"requests go where {file} says; {', '.join(settings.given)} of the script {verb} not used")


def _mapped_provider(settings: Settings, file: str) -> str | None:
    """The provider of the configuration that the script's own base_url stands for, if any."""
    from llm_sync.compat.shim import shared_clients

    if not settings.own_address or settings.base_url is None or routes().all:
        return None
    address = normalized(settings.base_url)
    providers = shared_clients.by_file(file, strict()).config.providers
    named = routes().providers.get(address)
    if named is not None and named not in providers:
        raise ConfigurationError(
            f"{script_settings.ROUTE_VARIABLE} maps {address} to {named!r}, which {file} does not have",
            guidance=f"Its providers are {', '.join(providers)}.",
        )
    return named or next((name for name, entry in providers.items() if normalized(entry.base_url or "") == address), None)


def _is_own_host(settings: Settings, provider: ProviderConfig) -> bool:
    """Whether the provider is asked at the host that the script's key is meant for: the one that it names, or the original's."""
    from llm_sync.client.simulation import URL_VARIABLE
    from llm_sync.providers.factory import ProviderFactory

    if provider.simulated or os.environ.get(URL_VARIABLE):  # the simulator takes a key of its own
        return False
    default = ProviderFactory.dialect_class(settings.type).default_base_url
    meant = settings.base_url if settings.own_address else default
    asked = provider.base_url or ProviderFactory.dialect_class(provider.type).default_base_url
    return _authority(meant) == _authority(asked) != ""


def _authority(base_url: str | None) -> str:
    return normalized(base_url or "").partition("://")[2].partition("/")[0]


def _host(settings: Settings) -> str:
    return _authority(settings.base_url).rpartition("@")[2] or "the usual host"


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

    file = found_configuration() if follows_configuration(settings) else None
    if file is None:
        return shared_clients.by_settings(settings, strict())
    return shared_clients.by_file(file, strict())


def close(cancel_pending: bool = False) -> None:
    """Close every client of the shims after its queued requests, or cancel these.

    The next request looks for a configuration again.
    """
    from llm_sync.compat.shim import shared_clients

    script_settings.reset()
    _targets.clear()
    shared_clients.close(cancel_pending)
