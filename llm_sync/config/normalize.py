"""From the file as written to the long form the schema describes: short forms written out, streaming switches taken away,
variables resolved. Each step returns new values and leaves the field paths as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_sync.config.models import Unset
from llm_sync.config.schema import KEY_SOURCES
from llm_sync.config.variables import parse
from llm_sync.streaming import strip_switches
from llm_sync.validation import field_path
from llm_sync.validation.document import Document, Path


@dataclass(frozen=True)
class Switch:
    """A streaming switch the file sets: ``name`` in the mapping at ``path``."""

    path: Path
    name: str
    value: Any


@dataclass
class Normalized:
    """``value``: the long form; ``templates``: the strings that changed by resolving, as the file has them."""

    value: dict[str, Any]
    switches: list[Switch] = field(default_factory=list)
    unset: list[Unset] = field(default_factory=list)
    unset_paths: set[Path] = field(default_factory=set)
    templates: dict[Path, str] = field(default_factory=dict)


def normalize(document: Document) -> Normalized:
    """All three steps; what is wrong with a ``${…}`` is noted in the document."""
    normalized = Normalized(_long_form(document.value))
    normalized.value = _stripped(normalized.value, normalized.switches)
    normalized.value = _resolved(normalized.value, (), document, normalized)
    return normalized


def _long_form(value: Mapping[str, Any]) -> dict[str, Any]:
    out = _given(value, keep=("defaults", "providers"))
    out["defaults"] = _level({} if out.get("defaults") is None else out["defaults"])
    if isinstance(out.get("providers"), dict):
        out["providers"] = {name: _provider({} if entry is None else entry) for name, entry in out["providers"].items()}
    elif out.get("providers") is None:
        out.pop("providers", None)
    return out


def _provider(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = _level(value)
    for name in ("headers", "query", "auth"):
        if isinstance(out.get(name), dict):
            out[name] = _given(out[name])
    if "default_params" in out:
        out["default_params"] = _level(out["default_params"])
    if isinstance(out.get("models"), list):
        out["models"] = [{"name": item} if isinstance(item, str) else _level(item) for item in out["models"]]
    return out


def _level(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    out = _given(value)
    if isinstance(out.get("stop_sequences"), str):
        out["stop_sequences"] = [out["stop_sequences"]]
    return out


def _given(value: Mapping[str, Any], keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without the keys that have no value: they are as good as absent (but not inside provider_specific)."""
    return {name: item for name, item in value.items() if item is not None or name in keep}


def _stripped(value: dict[str, Any], found: list[Switch]) -> dict[str, Any]:
    out = dict(_strip(value, (), found))
    for path, inner in list(_switch_places(out)):
        clean = _strip(inner, path, found)
        if len(clean) != len(inner):
            _replace(out, path, clean)
    return out


def _switch_places(value: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every mapping that becomes part of a request, outer ones first."""
    levels: list[tuple[Path, Any]] = [(("defaults",), value.get("defaults"))]
    providers = value.get("providers")
    for name, provider in (providers if isinstance(providers, dict) else {}).items():
        path: Path = ("providers", name)
        levels.append((path, provider))
        if isinstance(provider, dict):
            levels += [((*path, part), provider.get(part)) for part in ("default_params", "headers", "query")]
            models = provider.get("models")
            levels += [((*path, "models", i), item) for i, item in enumerate(models if isinstance(models, list) else [])]
    for path, level in levels:
        if isinstance(level, dict):
            yield path, level
            if path[-1] not in ("headers", "query") and isinstance(level.get("provider_specific"), dict):
                yield (*path, "provider_specific"), level["provider_specific"]


def _strip(mapping: Mapping[str, Any], path: Path, found: list[Switch]) -> dict[str, Any]:
    clean, asked = strip_switches(mapping)
    # Off in the words of YAML 1.1, too: nobody who writes "stream: no" asks for streaming.
    found += [Switch(path, name, value) for name, value in asked.items() if str(value).lower() not in ("no", "off", "n", "false")]
    return clean


def _replace(root: dict[str, Any], path: Path, new: dict[str, Any]) -> None:
    """Put ``new`` in the place of the mapping at ``path``; what leads there is the long form's own, shared with nobody."""
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
    """Key material stays a reference until it is needed."""
    return len(path) >= 3 and path[0] == "providers" and path[2] in KEY_SOURCES
