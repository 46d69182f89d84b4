"""Builds the LLMConfig of a checked document: the levels of defaults are merged, keys become Secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llm_sync.config.budgets import Budget
from llm_sync.config.models import Auth, LLMConfig, ModelEntry, ProviderConfig, RequestDefaults, Unset
from llm_sync.config.normalize import Normalized
from llm_sync.config.pricing import pricing_from
from llm_sync.config.provider_checks import resolve_path
from llm_sync.config.route_checks import build_routes
from llm_sync.config.schema import ATTEMPT_KEYS, CERTIFICATE_FILES, KEY_SOURCES, REQUEST_KEYS
from llm_sync.config.secrets import Secret
from llm_sync.models import AttemptOptions
from llm_sync.validation import field_path
from llm_sync.validation.document import Document, Path

# Keys of a provider that become fields of ProviderConfig unchanged.
_COPIED = (
    *(
        "base_url",
        "project",
        "location",
        "region",
        "profile",
        "max_tokens_field",
        "proxy",
        "allow_insecure",
        "max_response_bytes",
    ),
    *(
        "reasoning_field",
        "structured_output",
        "requests_per_minute",
        "tokens_per_minute",
        "max_queue",
        "idle_timeout",
        "machine_wide",
        "per_node",
    ),
)
_NOT_SECONDS = ("max_retries", "retry_timeouts")  # the other ATTEMPT_KEYS are seconds


def build(document: Document, normalized: Normalized, *, strict_streaming: bool, warnings: tuple[str, ...]) -> LLMConfig:
    """The LLMConfig of a document that has no problems."""
    defaults = normalized.value["defaults"]
    providers = {
        name: _provider(name, entry, defaults, document, normalized) for name, entry in normalized.value["providers"].items()
    }
    model_is_known = ("defaults", "model") not in normalized.unset_paths
    return LLMConfig(
        providers=providers,
        default_model=defaults.get("model") if model_is_known else None,
        strict=defaults.get("strict", False),
        strict_streaming=strict_streaming,
        prices="off" if defaults.get("prices", "auto") in ("off", False) else "auto",
        file=document.file,
        warnings=warnings,
        budgets={name: Budget(name, **budget) for name, budget in normalized.value.get("budgets", {}).items()},
        lines={field_path(path): line for path, line in document.lines.items() if path},
        unset=tuple(normalized.unset),
        routes=build_routes(normalized),
        observe=normalized.value.get("observe"),
        history=normalized.value.get("history", False),
    )


def _provider(
    name: str, entry: Mapping[str, Any], defaults: Mapping[str, Any], document: Document, normalized: Normalized
) -> ProviderConfig:
    path: Path = ("providers", name)
    levels = [entry, entry.get("default_params", {}), defaults]
    stripped = _switches(normalized, path, ())
    models = tuple(
        ModelEntry(
            name=model["name"],
            defaults=_defaults([model, *levels]),
            attempts=_attempts([model, *levels]),
            pricing=pricing_from(model["pricing"]) if "pricing" in model else None,
            context_window=model.get("context_window"),
            stripped={**stripped, **_switches(normalized, path, ("models", index))},
            cache=_cache([model, *levels], document),
            budgets=_budgets([model, *levels]),
            via=_first([model, *levels], "via"),
        )
        for index, model in enumerate(entry.get("models", []))
    )
    auth = entry.get("auth")
    files: dict[str, Any] = {name: resolve_path(document.file, entry[name]) for name in CERTIFICATE_FILES if name in entry}
    return ProviderConfig(
        name=name,
        type=entry.get("type", name),
        key=_key(name, entry, document),
        models=models,
        defaults=_defaults(levels),
        attempts=_attempts(levels),
        headers={header: str(value) for header, value in entry.get("headers", {}).items()},
        query={key: _query_text(value) for key, value in entry.get("query", {}).items()},
        auth=Auth(auth["header"], auth.get("prefix", "")) if isinstance(auth, dict) else auth,
        unset=_unset(normalized, path),
        stripped=stripped,
        cache=_cache(levels, document),
        budgets=_budgets(levels),
        via=_first(levels, "via"),
        line=document.line(path),
        templates=_templates(normalized, path),
        **files,
        **_concurrency(entry),
        **{key: entry[key] for key in _COPIED if key in entry},
    )


def _concurrency(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The most in flight and, where the number is found out, the lowest."""
    given = entry.get("concurrency", 1)
    return {"concurrency": given["to"], "concurrency_from": given["from"]} if isinstance(given, dict) else {"concurrency": given}


def _first(levels: list[Mapping[str, Any]], name: str) -> Any:
    return next((level[name] for level in levels if name in level), None)


def _budgets(levels: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """The budgets of all levels: unlike other settings, an inner one does not replace an outer one."""
    return tuple(dict.fromkeys(name for level in levels for name in level.get("budget", ())))


def _defaults(levels: list[Mapping[str, Any]]) -> RequestDefaults:
    values = {name: _first(levels, name) for name in REQUEST_KEYS}
    stop = values["stop_sequences"]
    values["stop_sequences"] = None if stop is None else tuple(stop)
    values["provider_specific"] = {
        key: value for level in reversed(levels) for key, value in level.get("provider_specific", {}).items()
    }
    return RequestDefaults(**values)


def _attempts(levels: list[Mapping[str, Any]]) -> AttemptOptions:
    given = {name: _first(levels, name) for name in ATTEMPT_KEYS}
    options: dict[str, Any] = {
        name: value if name in _NOT_SECONDS else float(value) for name, value in given.items() if value is not None
    }
    return AttemptOptions(**options)


def _cache(levels: list[Mapping[str, Any]], document: Document) -> dict[str, Any] | None:
    """The settings of the answer cache at the first level that has any; None where it is off."""
    settings = _first(levels, "cache")
    if not isinstance(settings, dict):
        return None
    folder = settings.get("dir")
    return settings if folder is None else {**settings, "dir": resolve_path(document.file, folder)}


def _key(name: str, entry: Mapping[str, Any], document: Document) -> Secret | None:
    source = next((source for source in KEY_SOURCES if source in entry), None)
    if source is None:
        return None
    kind = {"api_key": "template", "api_key_file": "file", "api_key_command": "command"}[source]
    spec = entry[source]
    line = document.line(("providers", name, source))
    return Secret(
        kind,
        tuple(spec) if isinstance(spec, list) else spec,
        provider=name,
        where=document.file if line is None else f"{document.file}:{line}",
        folder=os.path.dirname(os.path.abspath(document.file)),
    )


def _switches(normalized: Normalized, provider: Path, below: Path) -> dict[str, Any]:
    """The switches stripped at a model's level (``below`` is its path), or at the provider's own and those it inherits from."""
    own = (*provider, *below)
    switches = [switch for switch in normalized.switches if switch.path[: len(own)] == own]
    if not below:
        inherited = [switch for switch in normalized.switches if switch.path[:1] in ((), ("defaults",))]
        switches = inherited + [switch for switch in switches if switch.path[2:3] != ("models",)]
    return {switch.name: switch.value for switch in switches}


def _unset(normalized: Normalized, path: Path) -> tuple[Unset, ...]:
    """The unset variables that a provider needs: in its own entry, and in the defaults for requests."""
    own = field_path(path)
    inherited = tuple(f"defaults.{name}" for name in (*REQUEST_KEYS, *ATTEMPT_KEYS, "cache"))
    starts = (f"{own}.", *(f"{name}{end}" for name in inherited for end in (".", "[")))
    return tuple(unset for unset in normalized.unset if unset.field.startswith(starts) or unset.field in inherited)


def _templates(normalized: Normalized, path: Path) -> dict[tuple[str, str], str]:
    templates: dict[tuple[str, str], str] = {}
    for field, template in normalized.templates.items():
        if field[:2] == path and len(field) > 2 and field[2] in ("headers", "query", "proxy"):
            templates[str(field[2]), str(field[3]) if len(field) > 3 else ""] = template
    return templates


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
