"""``llm-sync validate``: every problem of every configuration, and, when asked, what the providers say."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.commands.configs import problem_record
from llm_sync.cli.console.output import Output, opened
from llm_sync.cli.console.streams import complain, note
from llm_sync.client import simulation
from llm_sync.config import ConfigValidator, LLMConfig, search_path
from llm_sync.errors import ConfigurationError, LLMConnectorError, Problem
from llm_sync.providers.factory import ProviderFactory

if TYPE_CHECKING:
    from llm_sync.models import ModelListing


@dataclass
class _Report:
    """What was found out about one configuration."""

    name: str
    file: str | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    providers: int = 0
    models: int = 0
    keyless: bool = False  # whether all that is wrong with it is what the environment lacks
    listings: Mapping[str, ModelListing] = field(default_factory=dict)

    def status(self) -> int:
        """3 for problems; else what the first provider that failed, or lacks a model, would end a run with."""
        if self.problems:
            return exit_codes.CONFIGURATION
        errors = [listing.error for listing in self.listings.values() if listing.error]
        if errors:
            return exit_codes.status_of(errors[0])
        return exit_codes.REFUSED if any(listing.missing for listing in self.listings.values()) else exit_codes.ANSWERED


def run(args: Namespace) -> int:
    """Check, print what is found, return the exit status: that of the first configuration with anything wrong."""
    given = [*args.names, *args.names_too]
    if not given:
        config_access.require_any(args)
    names = given or [found.name for found in search_path.available(args.config_dir)]
    status, keyless = exit_codes.ANSWERED, 0
    with opened(None) as output:
        for name in names:
            report = _checked(args, name)
            status = status or report.status()
            keyless += report.keyless
            if args.json:
                output.write(json.dumps(_record(report), ensure_ascii=False))
            else:
                _show(output, report, online=args.online)
    if keyless > 1:
        note(f"{keyless} of {len(names)} configurations need keys or variables that are not set; --no-env checks the files only")
    return status


def _checked(args: Namespace, name: str) -> _Report:
    loader = config_access.loader(args)
    try:
        config = loader.load_config(name, warn=False)
    except ConfigurationError as error:
        problems = error.problems or (Problem(error.message, hint=error.guidance),)
        return _Report(name, problems[0].file, problems)
    models = sum(len(provider.models) for provider in config.providers.values())
    report = _Report(name, config.file, (), config.warnings, len(config.providers), models)
    if not args.no_env:
        found = simulation.rehearsal(config)
        report.warnings += (found.told,) if found.redirected else ()
        validator = ConfigValidator(ProviderFactory.types_for(provider.type for provider in config.providers.values()))
        report.problems = (*validator.validate_environment_variables(found.config), *_unusable(found.config))
        report.keyless = bool(report.problems)
        if args.online and not report.problems:
            report.listings = _listings(found.config, args.timeout)
    return report


def _unusable(config: LLMConfig) -> list[Problem]:
    """Providers that name no key, whose dialect's usual variable has none either, or an impossible one; or that the simulator
    should play, and cannot."""
    found = []
    for name, provider in config.providers.items():
        if provider.key is not None:
            continue
        try:
            config_access.offline(provider).check()
        except LLMConnectorError as error:
            if not provider.unset:  # those are told already
                found.append(Problem(error.message, f"providers.{name}", config.file, provider.line, error.guidance))
    return found


def _listings(config: LLMConfig, timeout: float | None) -> Mapping[str, ModelListing]:
    from llm_sync.cli.console import progress  # the network, for those who ask for it
    from llm_sync.client.client import LLMClient

    with LLMClient(config) as client, progress.shown(client):
        return client.list_all_models(timeout=timeout)


def _record(report: _Report) -> dict[str, Any]:
    from llm_sync.models.record import error_record

    online = {
        name: {"missing": list(listing.missing), "error": error_record(listing.error) if listing.error else None}
        for name, listing in report.listings.items()
    }
    return {
        "name": report.name,
        "file": report.file,
        "valid": not report.problems,
        "problems": [problem_record(problem) for problem in report.problems],
        "warnings": list(report.warnings),
        "online": online or None,
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _show(output: Output, report: _Report, *, online: bool) -> None:
    for problem in report.problems:
        output.write_line(str(problem))
    for warning in report.warnings:
        output.write_line(f"warning: {warning}")
    if report.problems:
        return
    output.write_line(f"{report.file}: valid ({_count(report.providers, 'provider')}, {_count(report.models, 'model')} listed)")
    for name, listing in report.listings.items() if online else ():
        if listing.error:
            complain(str(listing.error))
            continue
        output.write_line(f"  {name}: answers, {_count(len(listing.models), 'model')}")
        for model in listing.missing:
            output.write_line(f"  {name}: {model} is configured, but the provider does not list it")
