"""ConfigValidator: what only shows beside the known dialects, and in this environment."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from llm_sync.config.models import LLMConfig, ProviderConfig, Unset
from llm_sync.errors import AuthenticationError, Problem
from llm_sync.validation import closest, shown


class ConfigValidator:
    """Holds loaded configurations against the dialects there are. ``known_types``: their names. Keeps no other state."""

    def __init__(self, known_types: Collection[str]) -> None:
        self._known = tuple(known_types)

    def validate_config(self, config: LLMConfig) -> list[Problem]:
        """Unknown provider types, an unroutable default model, keys over plain http; in file order, ``[]`` for none."""
        found = [problem for provider in config.providers.values() for problem in self._provider(config, provider)]
        found += _default_model(config)
        return sorted(found, key=lambda problem: problem.line or 0)

    def validate_environment_variables(self, config: LLMConfig) -> list[Problem]:
        """Unset variables, and keys that cannot be had or are impossible; key commands are run (30 s each at most)."""
        found = [_unset_problem(config, unset) for unset in dict.fromkeys(config.unset)]
        for provider in config.providers.values():
            if provider.key is None:
                continue
            field = f"providers.{shown(provider.name)}.{_KEY_FIELDS[provider.key.kind]}"
            try:
                provider.key.reveal()
            except AuthenticationError as error:
                found.append(_problem(config, field, error.message, error.guidance))
        return sorted(found, key=lambda problem: problem.line or 0)

    def _provider(self, config: LLMConfig, provider: ProviderConfig) -> Iterator[Problem]:
        path = f"providers.{shown(provider.name)}"
        if provider.type not in self._known and f"{path}.type" not in {unset.field for unset in provider.unset}:
            near = closest(provider.type, self._known)
            known = f"known are {', '.join(sorted(self._known))}"
            named = f"{path}.type" in config.lines
            hint = f"did you mean {near}? {known}" if near else known if named else f"add type: to the entry; {known}"
            yield _problem(config, f"{path}.type" if named else path, f"unknown provider type {shown(provider.type)!r}", hint)
        if provider.base_url and not provider.allow_insecure and _insecure(provider.base_url):
            yield _problem(
                config,
                f"{path}.base_url",
                "plain http:// sends the key and the prompts readable by anyone on the way",
                "use https://, or set allow_insecure: true",
            )


_KEY_FIELDS = {"template": "api_key", "literal": "api_key", "file": "api_key_file", "command": "api_key_command"}


def _default_model(config: LLMConfig) -> Iterator[Problem]:
    """A problem only where no routing could find the model: a provider without ``models:`` takes any name."""
    model = config.default_model
    if model is None or ("/" in model and model.partition("/")[0] in config.providers):
        return
    listing = [name for name, provider in config.providers.items() if any(entry.name == model for entry in provider.models)]
    if len(listing) == 1 or (not listing and any(not provider.models for provider in config.providers.values())):
        return
    names = [f"{provider.name}/{entry.name}" for provider in config.providers.values() for entry in provider.models]
    if listing:
        message, hint = f"{shown(model)} is listed by {' and '.join(listing)}", f"write {listing[0]}/{shown(model)}"
    else:
        near = closest(model, [*names, *(name.partition("/")[2] for name in names)])
        message = f"no provider lists {shown(model)}"
        hint = f"did you mean {near}?" if near else f"write PROVIDER/MODEL, with PROVIDER one of {', '.join(config.providers)}"
    yield _problem(config, "defaults.model", message, hint)


def _insecure(url: str) -> bool:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    loopback = host in ("localhost", "::1") or host.endswith(".localhost") or host.startswith("127.")
    return parts.scheme == "http" and not loopback


def _unset_problem(config: LLMConfig, unset: Unset) -> Problem:
    return Problem(
        f"the environment variable {unset.variable} is not set",
        unset.field,
        config.file,
        unset.line,
        f"set it, or write a default: ${{{unset.variable}:-…}}",
    )


def _problem(config: LLMConfig, field: str, message: str, hint: str | None) -> Problem:
    return Problem(message, field, config.file, config.lines.get(field), hint)
