"""The ``routes:`` of a configuration file: what is checked of them beyond the schema, and how they are built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_sync.config.models import DEFAULT_GO_ON_AFTER, ModelRoute, RouteEntry
from llm_sync.config.normalize import Normalized
from llm_sync.config.provider_checks import Finding, check_reserved
from llm_sync.config.schema import ATTEMPT_KEYS, REQUEST_KEYS
from llm_sync.validation import field_path, shown
from llm_sync.validation.document import Path


def check_entries(value: Mapping[str, Any]) -> Iterator[Finding]:
    """Names that no route can have, and settings of entries that contradict each other."""
    for name, route in _routes(value).items():
        path: Path = ("routes", name)
        if not name or "/" in name or "," in name or not name.isprintable() or name != name.strip():
            yield Finding(path, "is not a route's name", "a name has no slash, no comma and no blanks around it")
        for index, entry in enumerate(_entries(route)):
            here = (*path, "models", index)
            yield from check_reserved(entry, here)
            if "weight" in entry and route.get("spread") != "weights":
                yield Finding((*here, "weight"), "has no effect", "add spread: weights to the route")


def named_models(value: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The model that each entry of each route names, with its path."""
    for name, route in _routes(value).items():
        for index, entry in enumerate(_entries(route)):
            model = entry.get("model")
            if isinstance(model, str):
                yield ("routes", name, "models", index, "model"), model


def name_conflicts(value: Mapping[str, Any], listings: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Routes that are called like a model, entries that are routes, and models that a route names twice."""
    routes = _routes(value)
    for name, route in routes.items():
        path: Path = ("routes", name)
        listing = [provider for provider, models in listings.items() if name in models]
        if listing:
            yield Finding(path, f"is also a model that {' and '.join(listing)} lists", "give the route another name")
        models = [entry.get("model") for entry in _entries(route)]
        for index, model in enumerate(models):
            here = (*path, "models", index, "model")
            if isinstance(model, str) and model in routes:
                yield Finding(here, f"{shown(model)} is a route itself", "write the models that it consists of")
            elif model in models[:index]:
                yield Finding(here, f"{shown(str(model))} is named twice", "name each model of a route once")


def build_routes(normalized: Normalized) -> dict[str, ModelRoute]:
    """The routes of a document without problems."""
    return {name: _built(name, route, normalized) for name, route in _routes(normalized.value).items()}


def _built(name: str, route: Mapping[str, Any], normalized: Normalized) -> ModelRoute:
    own = field_path(("routes", name))
    return ModelRoute(
        name,
        tuple(_entry(entry) for entry in _entries(route)),
        frozenset(route.get("go_on_after", DEFAULT_GO_ON_AFTER)),
        route.get("spread"),
        tuple(unset for unset in normalized.unset if unset.field.startswith((f"{own}.", f"{own}["))),
    )


def _entry(entry: Mapping[str, Any]) -> RouteEntry:
    return RouteEntry(
        entry["model"],
        {name: entry[name] for name in REQUEST_KEYS if name in entry},
        {name: entry[name] for name in ATTEMPT_KEYS if name in entry},
        entry.get("weight", 1),
    )


def _routes(value: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    routes = value.get("routes")
    return {name: route for name, route in (routes if isinstance(routes, dict) else {}).items() if isinstance(route, dict)}


def _entries(route: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = route.get("models")
    return [entry if isinstance(entry, dict) else {} for entry in (entries if isinstance(entries, list) else [])]
