"""Which configuration is used, why, and what is wrong with it."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from collections.abc import Iterator

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.doctor.findings import FAIL, OK, WARN, Finding
from llm_sync.client import built_in, simulation
from llm_sync.config import LLMConfig, search_path
from llm_sync.errors import ConfigurationError
from llm_sync.models.grammar import counted

_TOPIC = "configuration"


def load(args: Namespace, name: str | None, findings: list[Finding]) -> LLMConfig | None:
    """The configuration that a command would use, as far as it can be read; what is found about it is added."""
    if name is None and built_in.is_wanted(args.config_dir):
        config = built_in.built_in_config()
        if config is None:
            findings.append(_failure("none", "there is no configuration file and no key", built_in.ways_to_an_answer()))
            return None
        used = " and ".join(config.providers)
        findings.append(Finding(OK, _TOPIC, "built in", f"no file is found; the usual variables give a key for {used}"))
        return _simulated(config, findings)
    loader = config_access.config_loader(args)
    try:
        location = loader.locate(name)
    except ConfigurationError as error:
        findings.append(_failure(name or "default", f"{error.message} ({_why(name)})", error.guidance))
        return None
    file = str(location.path)
    try:
        config = loader.load_config(name, warn=False, require_trust=False)
    except ConfigurationError as error:
        first = error.problems[0] if error.problems else None
        message = str(first) if first is not None else error.message
        more = f"; {len(error.problems) - 1} more: llm-sync validate {file}" if len(error.problems) > 1 else ""
        findings.append(_failure(file, f"{message}{more}", error.guidance if first is None else None))
        findings.extend(_failure(file, str(problem)) for problem in error.problems[1:])
        return None
    findings.extend(_trust(args, name, file))
    models = sum(len(provider.models) for provider in config.providers.values())
    counts = ((len(config.providers), "provider"), (models, "listed model"), (len(config.routes), "route"))
    summary = f"valid, {', '.join(counted(*each) for each in counts)} ({_why(name)})"
    findings.append(Finding(OK, _TOPIC, file, summary))
    findings.extend(Finding(WARN, _TOPIC, file, warning) for warning in config.warnings)
    findings.extend(_shadowed(args, name, file))
    return _simulated(config, findings)


def check_telemetry(config: LLMConfig) -> Iterator[Finding]:
    """Whether OpenTelemetry, where it is asked for, keeps every command from running, or sees nothing of it."""
    from llm_sync.client import observers

    try:
        silent = observers.exporters_missing(config)
    except ConfigurationError as error:
        yield _failure("OpenTelemetry", error.message, error.guidance)
        return
    if silent:
        hint = f"Install opentelemetry-exporter-otlp-proto-http, or set {' and '.join(silent)}."
        yield Finding(WARN, _TOPIC, "OpenTelemetry", f"nothing is exported for want of an exporter ({', '.join(silent)})", hint)


def _why(name: str | None) -> str:
    """What decided that this file is used."""
    if name is not None:
        return "named on the command line"
    if os.environ.get(search_path.CONFIG_VARIABLE):
        return f"named by ${search_path.CONFIG_VARIABLE}"
    return f"the name {search_path.DEFAULT_NAME}, as nothing else is named"


def _trust(args: Namespace, name: str | None, file: str) -> Iterator[Finding]:
    refusal = config_access.trust_error(args, name)
    if refusal is not None:
        needs = "; ".join(problem.message for problem in refusal.problems[:3])
        message = f"it was found in the working folder and is not trusted: {needs}"
        yield _failure(file, message, "Read it, then allow it with 'llm-sync trust', or name another configuration.")


def _shadowed(args: Namespace, name: str | None, file: str) -> Iterator[Finding]:
    """Files of the same name that come later in the search path."""
    stem = os.path.splitext(os.path.basename(file))[0]
    if (name is not None and search_path.is_path(name)) or os.environ.get(simulation.URL_VARIABLE):
        return  # a simulation brings a configuration of its own
    for other in search_path.available(args.config_dir):
        is_same = os.path.splitext(os.path.basename(other.path))[0] == stem
        if is_same and os.path.realpath(other.path) != os.path.realpath(file):
            yield Finding(
                WARN,
                _TOPIC,
                other.path,
                f"it is not used: {file} is found first",
                f"Name it: --config {shlex.quote(str(other.name))}",
            )


def _simulated(config: LLMConfig, findings: list[Finding]) -> LLMConfig:
    try:
        simulated = simulation.simulated_config(config)
    except ConfigurationError as error:
        findings.append(_failure(f"${simulation.URL_VARIABLE}", error.message, error.guidance))
        return config
    if simulated.redirected:
        hint = f"Unset {simulation.URL_VARIABLE} to ask the providers."
        findings.append(Finding(WARN, "simulation", f"${simulation.URL_VARIABLE}", "a simulator answers all requests", hint))
    return simulated.config


def _failure(subject: str, message: str, hint: str | None = None) -> Finding:
    return Finding(FAIL, _TOPIC, subject, message, hint, exit_codes.CONFIGURATION)
