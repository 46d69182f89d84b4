"""From a model's name to the provider that serves it. No threads, no network: listings and dry runs use it too."""

from __future__ import annotations

import difflib

from llm_sync.config.models import LLMConfig
from llm_sync.errors import InvalidRequestError, ModelNotFoundError
from llm_sync.models.route import Route

_MOST_NAMED = 12  # candidates an error lists before it counts the rest
_MAKERS = (
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gemini"),
)


def route(config: LLMConfig, model: str | None) -> Route:
    """Where a request for ``model`` goes.

    ``provider/model`` works always, split at the first slash when the first part is a provider; a bare name works when
    exactly one provider lists it; None is the configuration's default model, else the only listed one. Raises
    InvalidRequestError when no model is named and none is the obvious one, ModelNotFoundError when no provider fits.
    """
    if model is None or not model.strip():
        return _obvious(config)
    head, slash, rest = model.partition("/")
    if slash and head in config.providers:
        if not rest:
            raise ModelNotFoundError(f"{model!r} names a provider but no model", guidance=_candidates(config, head))
        return Route(head, rest)
    serving = config.listing(model)
    if len(serving) == 1:
        return Route(serving[0], model)
    if serving:
        choices = " or ".join(f"{name}/{model}" for name in serving)
        raise ModelNotFoundError(f"several providers list {model!r}", model=model, guidance=f"Write {choices}.")
    open_ended = [name for name, provider in config.providers.items() if not provider.models]
    if len(config.providers) == 1 and open_ended:
        return Route(open_ended[0], model)
    raise ModelNotFoundError(f"no provider lists {model!r}", model=model, guidance=_near(config, model, open_ended))


def _obvious(config: LLMConfig) -> Route:
    if config.default_model is not None:
        return route(config, config.default_model)
    listed = [Route(name, entry.name) for name, provider in config.providers.items() for entry in provider.models]
    if len(listed) == 1:
        return listed[0]
    raise InvalidRequestError(
        "no model is named, and the configuration has no default", guidance=f"{_candidates(config)} Or set defaults.model."
    )


def _near(config: LLMConfig, model: str, open_ended: list[str]) -> str:
    names: dict[str, str] = {}  # full and bare, in lower case -> the full name
    for name, provider in config.providers.items():
        for entry in provider.models:
            full = f"{name}/{entry.name}"
            names[full.lower()] = full
            names.setdefault(entry.name.lower(), full)
    found = difflib.get_close_matches(model.lower(), names, n=1)
    guess = f"Did you mean {names[found[0]]}? " if found else ""
    likely = (open_ended or [maker(config, model) or "PROVIDER"])[0]
    unlisted = f"Write {likely}/{model} to ask {likely} for it all the same. " if "/" not in model else ""
    return f"{guess}{unlisted}{_candidates(config)}"


def maker(config: LLMConfig, model: str, usual: str | None = None) -> str | None:
    """The provider that a bare name belongs to by how it begins (else by ``usual``, a type); None where that is not one alone."""
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
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"Candidates: {', '.join(names[:_MOST_NAMED])}{more}."
