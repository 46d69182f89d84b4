"""The names of budgets, and that those which the levels of a configuration name stand under ``budgets``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.config.provider_checks import Finding
from llm_sync.validation import closest, shown
from llm_sync.validation.document import Path


def check_budget_names(value: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each name under ``budgets`` that is none, and for each that a level names and ``budgets`` does not have."""
    budgets = value.get("budgets")
    known = list(budgets) if isinstance(budgets, dict) else []
    for name in known:
        if not name or "/" in name or not name.isprintable() or name != name.strip():
            yield Finding(("budgets", name), "is not a budget's name", "a name has no slash and no blanks around it")
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
