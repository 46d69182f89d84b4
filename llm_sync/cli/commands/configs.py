"""``llm-sync configs``: list every configuration found, valid or not, with its providers and models."""

from __future__ import annotations

import json
import os
import shlex
from argparse import Namespace
from dataclasses import replace
from typing import Any

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.console.config_problems import problem_record
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.quantities import count
from llm_sync.cli.console.terminal import BOLD, RED
from llm_sync.config import ConfigLoader, LLMConfig, search_path
from llm_sync.config.search_path import ConfigFile
from llm_sync.errors import ConfigurationError


def run(args: Namespace) -> int:
    """Print the configurations in the order of the search path, return the exit status."""
    config_access.require_any_config(args)
    loader = config_access.config_loader(args)
    chosen = _chosen_file(loader) if os.environ.get(search_path.CONFIG_VARIABLE) else None
    with open_output(None) as output:
        folder = None
        for config_file in search_path.available(args.config_dir):
            result = _load(args, config_file)
            default = config_file.path == chosen if chosen else config_file.name == search_path.DEFAULT_NAME
            if args.json:
                output.write(json.dumps(_record(config_file, result, default=default), ensure_ascii=False))
                continue
            if os.path.dirname(config_file.path) != folder:
                folder = os.path.dirname(config_file.path)
                output.write((f"{folder}:", BOLD))
            _print(output, config_file, result, default=default, config_dir=args.config_dir)
    return exit_codes.ANSWERED


def _chosen_file(loader: ConfigLoader) -> str | None:
    """The file that $LLM_SYNC_CONFIG names."""
    try:
        return os.fspath(loader.find())
    except ConfigurationError:
        return None


def _load(args: Namespace, config_file: ConfigFile) -> LLMConfig | ConfigurationError:
    try:
        config = config_access.config_loader(args).load_config(config_file.path, warn=False)
    except ConfigurationError as error:
        return error
    if config_access.trust_error(args, config_file.name, listed=True) is None:
        return config
    warning = f"not trusted, see 'llm-sync validate {shlex.quote(config_file.name)}'"
    return replace(config, warnings=(*config.warnings, warning))


def _record(config_file: ConfigFile, result: LLMConfig | ConfigurationError, *, default: bool) -> dict[str, Any]:
    config = result if isinstance(result, LLMConfig) else None
    return {
        "name": config_file.name,
        "file": config_file.path,
        "default": default,
        "valid": config is not None,
        "providers": {
            name: {"type": provider.type, "models": [model.name for model in provider.models]}
            for name, provider in (config.providers if config else {}).items()
        },
        "warnings": list(config.warnings) if config else [],
        "problems": [] if isinstance(result, LLMConfig) else [problem_record(problem) for problem in result.problems],
    }


def _print(
    output: Output, config_file: ConfigFile, result: LLMConfig | ConfigurationError, *, default: bool, config_dir: str | None
) -> None:
    file = os.path.basename(config_file.path)
    name = config_file.name if os.path.splitext(file)[0] == config_file.name else file
    mark = "  (used when none is named)" if default else "  (hidden by the one above)" if name == file else ""
    if isinstance(result, ConfigurationError):
        folder = [] if config_dir is None else ["--config-dir", config_dir]
        command = shlex.join(["llm-sync", *folder, "validate", config_file.name])
        output.write(f"  {name}{mark}: ", (count(len(result.problems), "problem"), RED), f", see '{command}'")
        return
    output.write(f"  {name}{mark}")
    for provider, config in result.providers.items():
        kind = "" if config.type == provider else f" ({config.type})"
        models = ", ".join(model.name for model in config.models) or "any model"
        output.write_line(f"    {provider}{kind}: {models}")
    for warning in result.warnings:
        output.write_line(f"    warning: {warning}")
