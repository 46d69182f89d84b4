"""ConfigValidator: the checks that need the known dialects or this environment."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from llm_sync.config.checks import insecure_url, unknown_type, unroutable_model
from llm_sync.config.models import LLMConfig, ProviderConfig, Unset
from llm_sync.errors import AuthenticationError, Problem
from llm_sync.validation import shown


class ConfigValidator:
    """Checks loaded configurations. ``known_types``: the names of the dialects; None leaves types unchecked.

    Keeps no other state; any thread may use it.
    """

    def __init__(self, known_types: Collection[str] | None = None) -> None:
        self._known = None if known_types is None else tuple(known_types)

    def validate_config(self, config: LLMConfig) -> list[Problem]:
        """Unknown provider types, models (the default one, a route's) that no provider fits, keys over plain http; by lines."""
        problems = [problem for provider in config.providers.values() for problem in self._provider(config, provider)]
        problems += _default_model(config)
        problems += _routes(config)
        return sorted(problems, key=lambda problem: problem.line or 0)

    def validate_environment_variables(self, config: LLMConfig) -> list[Problem]:
        """Unset variables, and keys that are missing or cannot be keys. Key files are read. Key commands are not run: only that
        their program exists is checked."""
        problems = [_unset_problem(config, unset) for unset in dict.fromkeys(config.unset)]
        for provider in config.providers.values():
            if provider.key is None:
                continue
            field = f"providers.{shown(provider.name)}.{_KEY_FIELDS[provider.key.kind]}"
            try:
                if provider.key.kind == "command":
                    provider.key.check_command()
                else:
                    provider.key.reveal()
            except AuthenticationError as error:
                place = f" ({config.file}:{config.lines.get(field)})"  # the problem names it already
                problems.append(_problem(config, field, error.message.replace(place, ""), as_hint(error.guidance)))
        return sorted(problems, key=lambda problem: problem.line or 0)

    def _provider(self, config: LLMConfig, provider: ProviderConfig) -> Iterator[Problem]:
        path = f"providers.{shown(provider.name)}"
        named = f"{path}.type" in config.lines
        unset = {unset.field for unset in provider.unset}
        judged = self._known is not None and f"{path}.type" not in unset
        problem = unknown_type(provider.type, self._known or (), named=named) if judged else None
        if problem:
            yield _problem(config, f"{path}.type" if named else path, *problem)
        problem = insecure_url(provider.base_url or "", allowed=provider.allow_insecure)
        if problem:
            yield _problem(config, f"{path}.base_url", *problem)


_KEY_FIELDS = {"template": "api_key", "literal": "api_key", "file": "api_key_file", "command": "api_key_command"}


def _default_model(config: LLMConfig) -> Iterator[Problem]:
    listings = {name: [entry.name for entry in provider.models] for name, provider in config.providers.items()}
    problem = unroutable_model(config.default_model, listings, config.routes) if config.default_model is not None else None
    if problem:
        yield _problem(config, "defaults.model", *problem)


def _routes(config: LLMConfig) -> Iterator[Problem]:
    listings = {name: [entry.name for entry in provider.models] for name, provider in config.providers.items()}
    for name, route in config.routes.items():
        for index, entry in enumerate(route.entries if not route.unset else ()):
            problem = unroutable_model(entry.model, listings)
            if problem:
                yield _problem(config, f"routes.{shown(name)}.models[{index}]", *problem)


def _unset_problem(config: LLMConfig, unset: Unset) -> Problem:
    return Problem(
        f"the environment variable {unset.variable} is not set",
        unset.field,
        config.file,
        unset.line,
        f"set it, or write a default: ${{{unset.variable}:-…}}",
    )


def as_hint(guidance: str | None) -> str | None:
    """A sentence in the form of hints: without a capital letter and a full stop."""
    return guidance and guidance[0].lower() + guidance[1:].removesuffix(".")


def _problem(config: LLMConfig, field: str, message: str, hint: str | None) -> Problem:
    return Problem(message, field, config.file, config.lines.get(field), hint)
