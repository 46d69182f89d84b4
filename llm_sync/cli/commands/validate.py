"""``llm-sync validate``: every problem of every configuration and, with --online, the answers of the providers."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.console.config_problems import problem_record
from llm_sync.cli.console.messages import print_error, print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.quantities import count
from llm_sync.cli.outcome import status_of
from llm_sync.client import simulation
from llm_sync.config import ConfigValidator, LLMConfig, search_path
from llm_sync.config.routing import route
from llm_sync.config.validator import as_hint
from llm_sync.errors import ConfigurationError, LLMConnectorError, Problem
from llm_sync.providers.factory import ProviderFactory
from llm_sync.validation import shown

if TYPE_CHECKING:
    from llm_sync.models import ModelListing


_UNSET = re.compile(r"environment variable (\w+(?: and \w+)*).* is not set")


@dataclass
class _Report:
    """The result of the checks of one configuration."""

    name: str
    file: str | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    providers: int = 0
    models: int = 0
    only_keys_missing: bool = False  # whether all problems are about the environment
    listings: Mapping[str, ModelListing] = field(default_factory=dict)

    def status(self) -> int:
        """3 for problems; else the status of the first provider's error, or 7 if a configured model is not listed."""
        if self.problems:
            return exit_codes.CONFIGURATION
        errors = [listing.error for listing in self.listings.values() if listing.error]
        if errors:
            return status_of(errors[0])
        return exit_codes.REFUSED if any(listing.missing for listing in self.listings.values()) else exit_codes.ANSWERED


def run(args: Namespace) -> int:
    """Check the configurations, print the results, return the exit status of the first one that is not fine."""
    given = [*args.names, *args.names_too]
    if not given:
        config_access.require_any_config(args)
    names = given or [file.name for file in search_path.available(args.config_dir)]
    status, without_keys = exit_codes.ANSWERED, 0
    with open_output(None) as output:
        for name in names:
            report = _check(args, name, listed=not given)
            status = status or report.status()
            without_keys += report.only_keys_missing
            if args.json:
                output.write(json.dumps(_record(report), ensure_ascii=False))
            else:
                _print(output, report, online=args.online)
    if without_keys > 1:
        print_note(
            f"{without_keys} of {len(names)} configurations need keys or variables that are not set; "
            "--no-env checks the files only"
        )
    return status


def _check(args: Namespace, name: str, *, listed: bool) -> _Report:
    try:
        config = config_access.config_loader(args).load_config(name, warn=False, require_trust=False)
    except ConfigurationError as error:
        problems = error.problems or (Problem(error.message, hint=error.guidance),)
        report = _Report(name, problems[0].file, problems, error.warnings)
        return _with_environment_problems(args, report) if error.problems and not args.no_env else report
    models = sum(len(provider.models) for provider in config.providers.values())
    report = _Report(name, config.file, (), config.warnings, (), len(config.providers), models)
    if refusal := config_access.trust_error(args, name, listed=listed):
        if args.online:  # nothing is sent by a configuration that is not trusted
            report.problems = (*refusal.problems, Problem(refusal.message, hint=refusal.guidance))
            return report
        report.warnings += tuple(f"needs trust: {problem}" for problem in refusal.problems)
        report.warnings += (f"{refusal.message}. {refusal.guidance}",)
        config = _without_keys_of(config, "file")[0]  # somebody else may have named a private file
    if not args.no_env:
        simulated = simulation.simulated_config(config)
        report.warnings += (simulated.notice,) if simulated.redirected else ()
        report.problems, report.notes = _environment_problems(args, simulated.config)
        report.only_keys_missing = bool(report.problems)
        if args.online and not report.problems:
            without_commands, skipped = _without_keys_of(simulated.config, "command")
            report.warnings += tuple(
                f"providers.{name}: not asked, because validate runs no api_key_command; 'llm-sync models' does"
                for name in skipped
            )
            report.listings = _list_models(without_commands, args.timeout)
    return report


def _environment_problems(args: Namespace, config: LLMConfig) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Problems with keys and variables, and notes about those that no run needs unless it asks that provider."""
    validator = ConfigValidator(ProviderFactory.types_for(provider.type for provider in config.providers.values()))
    problems = (*validator.validate_environment_variables(config), *_unusable_providers(config))
    if args.keys or args.online or config.strict:
        return problems, ()
    return _set_unused_aside(config, problems)


def _with_environment_problems(args: Namespace, report: _Report) -> _Report:
    """The report of a file with mistakes, and what is wrong beside them. Key files that it names are not read."""
    try:
        config = config_access.config_loader(args).load_sound_part(report.name)
    except ConfigurationError:
        return report
    if config is not None:
        config = simulation.simulated_config(_without_keys_of(config, "file")[0]).config
        problems, report.notes = _environment_problems(args, config)
        report.problems = tuple(sorted((*report.problems, *problems), key=lambda problem: problem.line or 0))
    return report


def _unusable_providers(config: LLMConfig) -> list[Problem]:
    """Problems of providers that name no key: the usual variable of their dialect is unset or impossible, or the simulator
    does not support them."""
    problems = []
    for name, provider in config.providers.items():
        if provider.key is not None:
            continue
        try:
            config_access.offline_provider(provider).check()
        except LLMConnectorError as error:
            if not provider.unset:  # unset variables are reported already
                problems.append(Problem(error.message, f"providers.{name}", config.file, provider.line, as_hint(error.guidance)))
    return problems


def _set_unused_aside(config: LLMConfig, problems: tuple[Problem, ...]) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """The problems without those of providers whose key or variable is merely not set, and a note for each of these.

    A run stops for a missing key only if it needs that provider; the provider of the default model is always needed.
    """
    used = _default_provider(config)
    aside: dict[str, list[str]] = {}
    kept = []
    for problem in problems:
        provider = next((name for name in config.providers if _is_of(problem.field or "", name)), None)
        variable = _UNSET.search(problem.message)
        if provider is None or provider == used or variable is None:
            kept.append(problem)
        else:
            aside.setdefault(provider, []).append(variable[1])
    return tuple(kept), tuple(_note(name, list(dict.fromkeys(names))) for name, names in aside.items())


def _note(provider: str, variables: list[str]) -> str:
    names = " and ".join(variables)
    return f"{provider} cannot be used: {names} {'are' if ' and ' in names else 'is'} not set"


def _default_provider(config: LLMConfig) -> str | None:
    """The provider of the default model; None if there is none."""
    try:
        return route(config, None).provider
    except LLMConnectorError:
        return None


def _is_of(field: str, provider: str) -> bool:
    path = f"providers.{shown(provider)}"
    return field == path or field.startswith((f"{path}.", f"{path}["))


def _without_keys_of(config: LLMConfig, kind: str) -> tuple[LLMConfig, list[str]]:
    """The configuration without the providers whose keys are of this kind ("file" or "command"), and the names of those."""
    skipped = [name for name, provider in config.providers.items() if provider.key is not None and provider.key.kind == kind]
    kept = {name: provider for name, provider in config.providers.items() if name not in skipped}
    return replace(config, providers=kept), skipped


def _list_models(config: LLMConfig, timeout: float | None) -> Mapping[str, ModelListing]:
    from llm_sync.cli.console import progress  # the network is loaded for --online only
    from llm_sync.client.client import LLMClient

    if not config.providers:  # all of them have key commands
        return {}
    with LLMClient(config) as client, progress.show_progress(client):
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
        "notes": list(report.notes),
        "online": online or None,
    }


def _print(output: Output, report: _Report, *, online: bool) -> None:
    for problem in report.problems:
        output.write_line(str(problem))
    for warning in report.warnings:
        output.write_line(f"warning: {warning}")
    for note in report.notes:
        output.write_line(f"note: {report.file}: {note}")
    if report.problems:
        return
    output.write_line(f"{report.file}: valid ({count(report.providers, 'provider')}, {count(report.models, 'model')} listed)")
    for name, listing in report.listings.items() if online else ():
        if listing.error:
            print_error(str(listing.error))
            continue
        output.write_line(f"  {name}: answers, {count(len(listing.models), 'model')}")
        for model in listing.missing:
            output.write_line(f"  {name}: {model} is configured, but the provider does not list it")
