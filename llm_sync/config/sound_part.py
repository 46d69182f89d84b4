"""What is left of a configuration without its mistakes, so that the rest of it can be checked, too."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from llm_sync.config.build import build
from llm_sync.config.checks import KnownTypes, check
from llm_sync.config.models import LLMConfig
from llm_sync.config.normalize import normalize
from llm_sync.config.schema import KEY_SOURCES
from llm_sync.validation.document import Document, Path

_MAX_ROUNDS = 10  # without a mistake, another one may show: a default model of a provider that is left out


@dataclass
class _Mistakes(Document):
    """A document that keeps the paths of its problems, too."""

    paths: list[Path] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str | None = None) -> None:
        """Add a problem, and keep its path."""
        super().problem(path, message, hint)
        self.paths.append(path)


def sound_part(document: Document, known_types: KnownTypes | None = None) -> LLMConfig | None:
    """The configuration without the fields that are wrong, and without providers whose key is wrong; None if nothing is left."""
    if not isinstance(document.value, dict):
        return None
    mistakes = _Mistakes(document.file, copy.deepcopy(document.value), document.lines, path=document.path)
    normalized = normalize(mistakes)
    wrong_keys: set[Any] = set()
    for _ in range(_MAX_ROUNDS):
        check(mistakes, normalized, known_types)
        if not mistakes.paths:
            config = build(document, normalized, strict_streaming=False, warnings=())
            providers = {name: provider for name, provider in config.providers.items() if name not in wrong_keys}
            return replace(config, providers=providers)
        wrong_keys.update(path[1] for path in mistakes.paths if len(path) > 2 and path[2] in KEY_SOURCES)
        if not _remove_all(normalized.value, mistakes.paths):
            return None
        mistakes.paths.clear()
    return None


def _remove_all(value: dict[str, Any], paths: Iterable[Path]) -> bool:
    """Remove the fields at these paths; where one is missing, what should contain it. Returns whether anything is left."""
    existing = {_existing(value, path) for path in paths}
    if () in existing:
        return False
    for path in sorted(existing, key=_last_first):
        if any(path[:length] in existing for length in range(1, len(path))):
            continue  # it goes with what contains it
        parent: Any = value
        for step in path[:-1]:
            parent = parent[step]
        del parent[path[-1]]
    return True


def _existing(value: Any, path: Path) -> Path:
    """The path as far as it exists."""
    for length, step in enumerate(path):
        if not (step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))):
            return path[:length]
        value = value[step]
    return path


def _last_first(path: Path) -> tuple[tuple[int, str], ...]:
    """Sorts the items of a list from its end on, so that removing one moves none that follows."""
    return tuple((-step, "") if isinstance(step, int) else (0, step) for step in path)
