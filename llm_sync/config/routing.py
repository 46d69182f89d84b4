"""Finds the provider for a model's name. Uses no threads and no network: listings and dry runs need neither."""

from __future__ import annotations

import difflib

from llm_sync.config.models import LLMConfig
from llm_sync.errors import AuthenticationError, InvalidRequestError, ModelNotFoundError
from llm_sync.models.route import Route

_MAX_CANDIDATES = 12  # that an error lists; the others are counted
_MAKERS = (
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gemini"),
)


def route(config: LLMConfig, model: str | None) -> Route:
    """The provider and the bare model name for ``model``.

    ``provider/model`` always works; it is split at the first slash if the first part is a provider. A bare name works if
    exactly one provider lists it. None means the configuration's default model, else the only listed one. Raises
    InvalidRequestError if no model is named and there is no default, ModelNotFoundError if no provider fits, and, with built-in
    defaults, AuthenticationError for a usual provider without a key.

    Of a route (``routes:``, or models with commas between) it is the first one: llm_sync.config.routes has the others.
    """
    if model is None or not model.strip():
        return _default_route(config)
    if model in config.routes:
        return target_of(config, config.routes[model].entries[0].model)
    if "," in model and not config.listing(model):
        return target_of(config, model.partition(",")[0].strip())
    return target_of(config, model)


def target_of(config: LLMConfig, model: str) -> Route:
    """As ``route``, for the name of a single model."""
    head, slash, rest = model.partition("/")
    if slash and head in config.providers:
        if not rest:
            raise ModelNotFoundError(f"{model!r} names a provider but no model", guidance=_candidates(config, head))
        return Route(head, rest)
    if slash and head in config.keyless and list(config.providers) != ["openrouter"]:  # whose models have such names
        raise AuthenticationError(
            f"there is neither a configuration nor a key for {head}",
            provider=head,
            guidance=f"Set {config.keyless[head]}, as in: export {config.keyless[head]}=…",
        )
    serving = config.listing(model)
    if len(serving) == 1:
        return Route(serving[0], model)
    if serving:
        choices = " or ".join(f"{name}/{model}" for name in serving)
        raise ModelNotFoundError(f"several providers list {model!r}", model=model, guidance=f"Write {choices}.")
    open_ended = [name for name, provider in config.providers.items() if not provider.models]
    if len(config.providers) == 1 and open_ended:
        return Route(open_ended[0], model)
    raise ModelNotFoundError(f"no provider lists {model!r}", model=model, guidance=_suggestions(config, model, open_ended))


def _default_route(config: LLMConfig) -> Route:
    if config.default_model is not None:
        return route(config, config.default_model)
    listed = [Route(name, entry.name) for name, provider in config.providers.items() for entry in provider.models]
    if len(listed) == 1:
        return listed[0]
    raise InvalidRequestError(
        "no model is named, and the configuration has no default", guidance=f"{_candidates(config)} Or set defaults.model."
    )


def _suggestions(config: LLMConfig, model: str, open_ended: list[str]) -> str:
    names: dict[str, str] = {}  # full and bare, in lower case -> the full name
    for name, provider in config.providers.items():
        for entry in provider.models:
            full = f"{name}/{entry.name}"
            names[full.lower()] = full
            names.setdefault(entry.name.lower(), full)
    near = difflib.get_close_matches(model.lower(), names, n=1)
    guess = f"Did you mean {names[near[0]]}? " if near else ""
    likely = (open_ended or [maker(config, model) or "PROVIDER"])[0]
    unlisted = f"Write {likely}/{model} to ask {likely} for it all the same. " if "/" not in model else ""
    return f"{guess}{unlisted}{_candidates(config)}"


def maker(config: LLMConfig, model: str, usual: str | None = None) -> str | None:
    """The provider for a bare model name, chosen by how the name begins, else by ``usual`` (a type).

    None if several providers have that type and none is named after it.
    """
    kind = next((kind for start, kind in _MAKERS if model.startswith(start)), usual)
    alike = [name for name, provider in config.providers.items() if provider.type == kind]
    return alike[0] if len(alike) == 1 else kind if kind in alike else None


def _candidates(config: LLMConfig, provider: str | None = None) -> str:
    names = [
        f"{name}/{entry.name}"
        for name, entries in ((name, p.models) for name, p in config.providers.items() if provider in (None, name))
        for entry in entries
    ]
    names += [f"{name}/MODEL" for name, p in config.providers.items() if not p.models and provider in (None, name)]
    more = f" and {len(names) - _MAX_CANDIDATES} more" if len(names) > _MAX_CANDIDATES else ""
    return f"Candidates: {', '.join(names[:_MAX_CANDIDATES])}{more}."
