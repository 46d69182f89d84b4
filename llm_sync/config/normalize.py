"""From the file as written to the long form that the schema describes.

Short forms are expanded, streaming switches removed, variables resolved. Each step returns new values; field paths stay the
same, so that every problem can be reported with its line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_sync.config.models import Unset
from llm_sync.config.schema import AUTO_CONCURRENCY, KEY_SOURCES
from llm_sync.config.variables import parse
from llm_sync.streaming import strip_switches
from llm_sync.validation import field_path
from llm_sync.validation.document import Document, Path


@dataclass(frozen=True)
class Switch:
    """A streaming switch that the file sets: ``name`` in the mapping at ``path``."""

    path: Path
    name: str
    value: Any


@dataclass
class Normalized:
    """``value``: the long form. ``templates``: strings that contain variables or ``$$``, as the file has them, by path."""

    value: dict[str, Any]
    switches: list[Switch] = field(default_factory=list)
    unset: list[Unset] = field(default_factory=list)
    unset_paths: set[Path] = field(default_factory=set)
    templates: dict[Path, str] = field(default_factory=dict)


def normalize(document: Document) -> Normalized:
    """The long form of a document; an unreadable ``${…}`` is added to the document's problems."""
    normalized = Normalized(_long_form(document.value))
    normalized.value = _stripped(normalized.value, normalized.switches)
    normalized.value = _resolved(normalized.value, (), document, normalized)
    return normalized


def _long_form(value: Mapping[str, Any]) -> dict[str, Any]:
    out = _without_nulls(value, keep=("defaults", "providers"))
    out["defaults"] = _level({} if out.get("defaults") is None else out["defaults"])
    if isinstance(out.get("providers"), dict):
        out["providers"] = {name: _provider({} if entry is None else entry) for name, entry in out["providers"].items()}
    elif out.get("providers") is None:
        out.pop("providers", None)
    if isinstance(out.get("routes"), dict):
        out["routes"] = {name: _route(route) for name, route in out["routes"].items()}
    return out


def _route(value: Any) -> Any:
    value = {"models": value} if isinstance(value, list) else {"models": [value]} if isinstance(value, str) else value
    if not isinstance(value, dict):
        return value
    out = _without_nulls(value)
    if isinstance(out.get("models"), list):
        out["models"] = [{"model": item} if isinstance(item, str) else _level(item) for item in out["models"]]
    return out


def _provider(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = _level(value)
    for name in ("headers", "query", "auth"):
        if isinstance(out.get(name), dict):
            out[name] = _without_nulls(out[name])
    if out.get("concurrency") == "auto":
        out["concurrency"] = {}
    if isinstance(out.get("concurrency"), dict):
        out["concurrency"] = {"from": 1, "to": AUTO_CONCURRENCY, **_without_nulls(out["concurrency"])}
    if "default_params" in out:
        out["default_params"] = _level(out["default_params"])
    if isinstance(out.get("models"), list):
        out["models"] = [{"name": item} if isinstance(item, str) else _level(item) for item in out["models"]]
    return out


def _level(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    out = _without_nulls(value)
    for name in ("stop_sequences", "budget"):
        if isinstance(out.get(name), str):
            out[name] = [out[name]]
    cache = out.get("cache")
    if cache is True or isinstance(cache, (str, dict)):
        out["cache"] = {} if cache is True else {"dir": cache} if isinstance(cache, str) else _without_nulls(cache)
    return out


def _without_nulls(value: Mapping[str, Any], keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without the keys that have no value, which count as absent (except inside provider_specific)."""
    return {name: item for name, item in value.items() if item is not None or name in keep}


def _stripped(value: dict[str, Any], switches: list[Switch]) -> dict[str, Any]:
    out = dict(_strip(value, (), switches))
    for path, inner in list(_request_parts(out)):
        clean = _strip(inner, path, switches)
        if len(clean) != len(inner):
            _replace(out, path, clean)
    return out


def _request_parts(value: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every mapping that becomes part of a request, with its path, outer ones first."""
    levels: list[tuple[Path, Any]] = [(("defaults",), value.get("defaults"))]
    providers = value.get("providers")
    for name, provider in (providers if isinstance(providers, dict) else {}).items():
        path: Path = ("providers", name)
        levels.append((path, provider))
        if isinstance(provider, dict):
            levels += [((*path, part), provider.get(part)) for part in ("default_params", "headers", "query")]
            models = provider.get("models")
            levels += [((*path, "models", i), item) for i, item in enumerate(models if isinstance(models, list) else [])]
    routes = value.get("routes")
    for name, route in (routes if isinstance(routes, dict) else {}).items():
        entries = route.get("models") if isinstance(route, dict) else None
        levels += [(("routes", name, "models", i), item) for i, item in enumerate(entries if isinstance(entries, list) else [])]
    for path, level in levels:
        if isinstance(level, dict):
            yield path, level
            if path[-1] not in ("headers", "query") and isinstance(level.get("provider_specific"), dict):
                yield (*path, "provider_specific"), level["provider_specific"]


def _strip(mapping: Mapping[str, Any], path: Path, switches: list[Switch]) -> dict[str, Any]:
    clean, asked = strip_switches(mapping)
    # "no" and "off" are texts in YAML 1.2, but "stream: no" does not ask for streaming.
    switches += [
        Switch(path, name, value) for name, value in asked.items() if str(value).lower() not in ("no", "off", "n", "false")
    ]
    return clean


def _replace(root: dict[str, Any], path: Path, new: dict[str, Any]) -> None:
    """Replace the mapping at ``path`` by ``new``. The mappings on the way were created by ``_long_form`` and are not shared."""
    here: Any = root
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = new


def _resolved(value: Any, path: Path, document: Document, normalized: Normalized) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(item, (*path, name), document, normalized) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, (*path, index), document, normalized) for index, item in enumerate(value)]
    if not isinstance(value, str) or "$" not in value or _is_key(path):
        return value
    template = parse(value)
    if template.malformed:
        document.problem(path, "holds an unreadable ${…}", "write ${NAME} or ${NAME:-default}, and $$ for a dollar sign")
        return value
    text, unset = template.resolve(os.environ)
    normalized.templates[path] = value
    if unset:
        normalized.unset += [Unset(name, field_path(path), document.line(path)) for name in unset]
        normalized.unset_paths.add(path)
    return text


def _is_key(path: Path) -> bool:
    """Whether the field is the source of a key: its variables are resolved when the key is needed."""
    return len(path) >= 3 and path[0] == "providers" and path[2] in KEY_SOURCES
