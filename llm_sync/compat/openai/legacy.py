"""The calls of openai 0.28, such as ``openai.ChatCompletion.create(…)``, which take their settings from the module."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from llm_sync.compat.openai import calls, embedding_calls, parameters
from llm_sync.compat.openai.error import AuthenticationError, InvalidAPIType, InvalidRequestError, map_error
from llm_sync.compat.openai.response_objects import OpenAIObject
from llm_sync.compat.shim.calls import CallContext, extended, seconds
from llm_sync.compat.shim.error_mapping import translate_errors
from llm_sync.compat.shim.parameters import Table
from llm_sync.compat.shim.settings import Settings, configuration, found_configuration, pairs
from llm_sync.compat.shim.targets import follows_configuration
from llm_sync.compat.shim.unsupported import ASYNC, Refused, refuse

_AZURE = ("azure", "azure_ad", "azuread")
_OWN = ("api_key", "api_base", "api_type", "api_version", "organization", "headers", "request_timeout", "engine", "deployment_id")


def _module() -> Any:
    return sys.modules["llm_sync.compat.openai"]


class ChatCompletion:
    """``openai.ChatCompletion``."""

    @classmethod
    def create(cls, **arguments: Any) -> Any:
        """A chat completion as an OpenAIObject. Raises the exceptions of ``openai.error``."""
        return _create(calls.chat_completion, parameters.LEGACY_CHAT, arguments)


class Completion:
    """``openai.Completion``, sent as a chat."""

    @classmethod
    def create(cls, **arguments: Any) -> Any:
        """A completion as an OpenAIObject. Raises the exceptions of ``openai.error``."""
        return _create(calls.text_completion, parameters.LEGACY_COMPLETION, arguments)


class Embedding:
    """``openai.Embedding``."""

    @classmethod
    def create(cls, **arguments: Any) -> Any:
        """Vectors of texts as an OpenAIObject. Raises the exceptions of ``openai.error``."""
        return _create(embedding_calls.embed, parameters.LEGACY_EMBEDDING, arguments)


class Model:
    """``openai.Model``."""

    @classmethod
    def list(cls, **arguments: Any) -> Any:
        """Every model, under ``data``. Raises the exceptions of ``openai.error``."""
        with translate_errors(map_error):
            context, rest = _context(arguments, parameters.LEGACY_LISTING)
            return calls.models(context, parameters.LISTING, rest, OpenAIObject)

    @classmethod
    def retrieve(cls, id: str, **arguments: Any) -> Any:  # noqa: A002  (the original's name)
        """One model."""
        with translate_errors(map_error):
            context, rest = _context(arguments, parameters.LEGACY_LISTING)
            return calls.one_model(context, parameters.LISTING, id, rest, OpenAIObject)


for _kind in (ChatCompletion, Completion, Embedding):
    setattr(_kind, "acreate", staticmethod(Refused(f"{_kind.__name__}.acreate", ASYNC, map_error)))  # noqa: B010


def _create(call: Any, table: Table, arguments: Mapping[str, Any]) -> Any:
    with translate_errors(map_error):
        context, rest = _context(arguments, table)
        return call(context, table, rest, OpenAIObject)


def _context(arguments: Mapping[str, Any], table: Table) -> tuple[CallContext, dict[str, Any]]:
    """The call's context from its arguments and the module's settings; and the remaining arguments."""
    rest = dict(arguments)
    given = {} if rest.keys().isdisjoint(_OWN) else {name: rest.pop(name) for name in _OWN if name in rest}
    if given:
        table.read(given, CallContext(_NOWHERE, None, None, map_error).refuse)
        given = {name: value for name, value in given.items() if value is not None}
    named = given.get("engine") or given.get("deployment_id")
    if named and not rest.get("model"):
        rest["model"] = named
    module = _module()
    now = tuple([getattr(module, name) for name in _LOOKED_AT])
    if not given and _last and _last[0][0] == now:
        context = _last[0][1]
    else:
        context = _made(given, module)
        if not given:
            _last[:] = [(now, context)]
    if not rest.get("model") and "create" in table.call and found_configuration() is None:
        raise InvalidRequestError("Must provide an 'engine' or 'model' parameter to create a completion", "engine")
    if given.get("headers") and follows_configuration(context.settings):
        rest["extra_headers"] = given["headers"]
    return context, rest


def _made(given: Mapping[str, Any], module: Any) -> CallContext:
    for name in ("proxy", "ca_bundle_path", "requestssession"):
        if getattr(module, name):
            refuse(f"openai.{name} is set, which llm-sync does not support", parameters.PROXY, map_error)
    if not module.verify_ssl_certs:
        refuse("openai.verify_ssl_certs is off, which llm-sync does not support", parameters.PROXY, map_error)
    kind = str(given.get("api_type") or module.api_type or "openai").lower()
    if kind not in ("openai", "open_ai", *_AZURE):
        raise InvalidAPIType(f"The API type {kind!r} is not supported: use openai or azure")
    own = configuration().file is None
    if own and kind in _AZURE and not (given.get("api_version") or module.api_version):
        raise InvalidRequestError(
            "An API version is required for the Azure API type: set openai.api_version, or $OPENAI_API_VERSION", "api_version"
        )
    key = given.get("api_key") or module.api_key or _key_in_file(module.api_key_path)
    if own and not key:
        raise AuthenticationError(
            "No API key provided. You can set your API key in code using 'openai.api_key = <API-KEY>', or set the environment "
            "variable OPENAI_API_KEY, or write a configuration for llm-sync"
        )
    settings = _settings(given, module, kind, str(key) if key else None)
    if given.get("headers") and not follows_configuration(settings):
        settings = extended(settings, given["headers"], None)
    return CallContext(settings, seconds(given.get("request_timeout")), None, map_error)


def _settings(given: Mapping[str, Any], module: Any, kind: str, key: str | None) -> Settings:
    base = str(given.get("api_base") or module.api_base or "").rstrip("/") or None
    names = [f"{name}=" for name in ("api_key", "api_base", "api_type", "headers") if name in given]
    names += [f"openai.{name}" for name in ("api_key", "api_base") if getattr(module, name) != module.BEFORE[name]]
    own: dict[str, Any] = {
        "given": tuple(names),
        "own_address": bool(given.get("api_base")) or module.api_base != module.BEFORE["api_base"],
        "own_key": bool(given.get("api_key")) or module.api_key != module.BEFORE["api_key"],
    }
    organization = given.get("organization") or module.organization
    headers = pairs({"OpenAI-Organization": organization})
    if kind not in _AZURE:
        return Settings("openai", "openai", key, base, headers, **own)
    version = given.get("api_version") or module.api_version
    return Settings(
        "azure",
        "openai",
        key,
        f"{base}/openai/deployments/{{model}}",
        headers,
        pairs({"api-version": version}),
        key_header="api-key" if kind == "azure" else None,
        **own,
    )


def _key_in_file(path: str | None) -> str | None:
    if not path:
        return None
    with open(os.path.expanduser(path), encoding="utf-8") as file:
        return file.read().strip()


_NOWHERE = Settings("openai", "openai")
# The module settings that decide where a call goes, and the last result, reused while they are unchanged.
_LOOKED_AT: tuple[str, ...] = (
    "api_key",
    "api_key_path",
    "api_base",
    "api_type",
    "api_version",
    "organization",
    "proxy",
    "ca_bundle_path",
)
_LOOKED_AT += ("requestssession", "verify_ssl_certs")
_last: list[tuple[tuple[Any, ...], CallContext]] = []
