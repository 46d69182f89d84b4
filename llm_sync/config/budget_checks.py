"""The budgets that the levels of a configuration name must stand under ``budgets``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.config.provider_checks import Finding
from llm_sync.validation import closest, shown
from llm_sync.validation.document import Path


def unknown_budgets(value: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each name of a budget, in a file in its long form, that ``budgets`` does not have."""
    budgets = value.get("budgets")
    known = list(budgets) if isinstance(budgets, dict) else []
    for path, level in _levels(value):
        names = level.get("budget") if isinstance(level, dict) else None
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name not in known:
                near = closest(name, known)
                hint = f"did you mean {near}?" if near else f"add it: budgets: {{{shown(name)}: {{usd: 5, per: day}}}}"
                yield Finding((*path, "budget", index), f"there is no budget {shown(name)!r}", hint)


def _levels(value: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    yield ("defaults",), value.get("defaults")
    providers = value.get("providers")
    for name, provider in (providers if isinstance(providers, dict) else {}).items():
        path: Path = ("providers", name)
        yield path, provider
        if isinstance(provider, dict):
            yield (*path, "default_params"), provider.get("default_params")
            models = provider.get("models")
            for index, model in enumerate(models if isinstance(models, list) else ()):
                yield (*path, "models", index), model
