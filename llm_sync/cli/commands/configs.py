"""``llm-sync configs``: every configuration that is found, valid or not, and what is in it."""

from __future__ import annotations

import json
import os
import shlex
from argparse import Namespace
from typing import Any

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.console.output import Output, opened
from llm_sync.cli.console.streams import BOLD, RED
from llm_sync.config import ConfigLoader, LLMConfig, search_path
from llm_sync.config.search_path import Found
from llm_sync.errors import ConfigurationError


def run(args: Namespace) -> int:
    """Print them in the order of the search path, return the exit status."""
    config_access.require_any(args)
    loader = config_access.loader(args)
    chosen = _chosen(loader) if os.environ.get(search_path.CONFIG_VARIABLE) else None
    with opened(None) as output:
        folder = None
        for found in search_path.available(args.config_dir):
            outcome: LLMConfig | ConfigurationError
            try:
                outcome = loader.load_config(found.path, warn=False)
            except ConfigurationError as error:
                outcome = error
            default = found.path == chosen if chosen else found.name == search_path.DEFAULT_NAME
            if args.json:
                output.write(json.dumps(_record(found, outcome, default=default), ensure_ascii=False))
                continue
            if os.path.dirname(found.path) != folder:
                folder = os.path.dirname(found.path)
                output.write((f"{folder}:", BOLD))
            _show(output, found, outcome, default=default, config_dir=args.config_dir)
    return exit_codes.ANSWERED


def _chosen(loader: ConfigLoader) -> str | None:
    """The file that $LLM_SYNC_CONFIG means."""
    try:
        return os.fspath(loader.find())
    except ConfigurationError:
        return None


def problem_record(problem: Any) -> dict[str, Any]:
    """A Problem, JSON-ready."""
    return {name: getattr(problem, name) for name in ("file", "line", "field", "message", "hint")}


def _record(found: Found, outcome: LLMConfig | ConfigurationError, *, default: bool) -> dict[str, Any]:
    valid = isinstance(outcome, LLMConfig)
    providers = outcome.providers if isinstance(outcome, LLMConfig) else {}
    return {
        "name": found.name,
        "file": found.path,
        "default": default,
        "valid": valid,
        "providers": {
            name: {"type": provider.type, "models": [model.name for model in provider.models]}
            for name, provider in providers.items()
        },
        "warnings": list(outcome.warnings) if isinstance(outcome, LLMConfig) else [],
        "problems": [] if isinstance(outcome, LLMConfig) else [problem_record(problem) for problem in outcome.problems],
    }


def _show(
    output: Output, found: Found, outcome: LLMConfig | ConfigurationError, *, default: bool, config_dir: str | None
) -> None:
    file = os.path.basename(found.path)
    name = found.name if os.path.splitext(file)[0] == found.name else file
    mark = "  (used when none is named)" if default else "  (hidden by the one above)" if name == file else ""
    if isinstance(outcome, ConfigurationError):
        count = len(outcome.problems)
        told = f"{count} problems" if count != 1 else "a problem"
        command = shlex.join(["llm-sync", *([] if config_dir is None else ["--config-dir", config_dir]), "validate", found.name])
        output.write(f"  {name}{mark}: ", (told, RED), f", see '{command}'")
        return
    output.write(f"  {name}{mark}")
    for provider, config in outcome.providers.items():
        kind = "" if config.type == provider else f" ({config.type})"
        models = ", ".join(model.name for model in config.models) or "any model"
        output.write_line(f"    {provider}{kind}: {models}")
    for warning in outcome.warnings:
        output.write_line(f"    warning: {warning}")
