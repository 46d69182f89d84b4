"""``llm-sync show``: the effective values of a configuration, as YAML with the origin of each, or as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Any

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.console import terminal
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.client import simulation
from llm_sync.config import LLMConfig
from llm_sync.config.provenance import Provenance, Value
from llm_sync.errors import LLMConnectorError


def run(args: Namespace) -> int:
    """Print the configuration, return the exit status."""
    if args.name is not None and args.name_too is not None:
        raise UsageError("two configurations are named: name one")
    name = args.name if args.name is not None else args.name_too
    if name is None:
        config_access.require_any_config(args)
    with config_access.explain_choice(args, name):
        config, origins = config_access.config_loader(args).explain_config(name)
    simulated = simulation.simulated_config(config)
    refusal = config_access.trust_error(args, name)
    warnings = [
        *([f"{refusal.message}. {refusal.guidance}"] if refusal else []),
        *([simulated.notice] if simulated.redirected else []),
        *map(str, simulated.refused.values()),
    ]
    config = dataclasses.replace(config, warnings=(*config.warnings, *warnings))
    with open_output(None) as output:
        view = _ConfigView(config, origins)
        if args.json:
            output.write(json.dumps(view.document(), ensure_ascii=False))
        else:
            _print(output, view.lines())
    return exit_codes.ANSWERED


def _print(output: Output, lines: Iterable[tuple[str, str]]) -> None:
    for text, note in lines:
        comment = f"# {note}" if note else ""
        if not text:
            output.write_line(comment)
        elif output.terminal and len(text) + len(comment) > terminal.width(1) - 3:  # no room on the same line
            output.write(text)
            output.write(" " * (len(text) - len(text.lstrip()) + 5), (comment, terminal.DIM))
        else:
            output.write(text, "  " if comment else "", (comment, terminal.DIM))


class _ConfigView:
    """One configuration, as lines or as a JSON document."""

    def __init__(self, config: LLMConfig, origins: Provenance) -> None:
        self._config = config
        self._origins = origins
        self._dialect_values = {name: list(self._values_of_dialect(name)) for name in config.providers}

    def _values_of_dialect(self, name: str) -> Iterator[tuple[Value, str]]:
        """What the provider's dialect adds to the file, with its origin: the usual key variable, its own base_url."""
        config = self._config.providers[name]
        given = {value.name for value in self._origins.providers[name]}
        provider = config_access.offline_provider(config)
        try:
            if "base_url" not in given:
                yield Value("base_url", provider.base_url()), f"of type {config.type}"
            if config.key is None and (source := provider.key_source()):
                variable = f"${{{source}}}" if source.isidentifier() else source
                yield Value("api_key", variable), "the usual one"
        except LLMConnectorError as error:
            yield Value("base_url", None), error.message

    def variables(self) -> list[dict[str, Any]]:
        """Every environment variable that the configuration or a dialect uses: whether it is set, and which fields use it."""
        fields: dict[str, list[str]] = {}
        optional: dict[str, bool] = {}
        for variable in self._origins.variables:
            fields.setdefault(variable.name, []).append(variable.field)
            optional[variable.name] = optional.get(variable.name, True) and variable.default
        for name, rows in self._dialect_values.items():
            for value, _ in rows:
                if value.name == "api_key" and value.value.startswith("${"):
                    fields.setdefault(value.value[2:-1], []).append(f"providers.{name}.api_key")
                    optional.setdefault(value.value[2:-1], False)
        return [
            {"name": name, "set": name in os.environ, "default": optional[name], "fields": where}
            for name, where in fields.items()
        ]

    def document(self) -> dict[str, Any]:
        """JSON-ready: every value with ``field`` and ``line``, which are null for a value that is not from the file."""
        return {
            "file": self._config.file,
            "warnings": list(self._config.warnings),
            "defaults": {value.name: _entry(value) for value in self._origins.general},
            "providers": {
                name: {
                    "values": {value.name: _entry(value) for value in self._values(name)},
                    "models": [{value.name: _entry(value) for value in values} for values in self._origins.models[name].values()],
                }
                for name in self._config.providers
            },
            "variables": self.variables(),
        }

    def _values(self, name: str) -> list[Value]:
        kind, *rest = self._origins.providers[name]
        return [kind, *(value for value, _ in self._dialect_values[name]), *rest]

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each line of YAML, and its comment without the #."""
        yield "", str(self._config.file)
        for warning in self._config.warnings:
            yield "", f"warning: {warning}"
        yield "defaults:", ""
        for value in self._origins.general:
            yield f"  {value.name}: {_json(value.value)}", self._origin(value)
        yield "providers:", ""
        for name in self._config.providers:
            yield from self._provider_lines(name)
        if variables := self.variables():
            yield "", "variables:"
        for variable in variables:
            state = "set" if variable["set"] else "missing, its default is used" if variable["default"] else "missing"
            yield "", f"  {variable['name']}: {state} ({', '.join(variable['fields'])})"

    def _provider_lines(self, name: str) -> Iterator[tuple[str, str]]:
        line = self._config.providers[name].line
        yield f"  {_json_key(name)}:", f"line {line}" if line else ""
        kind, *rest = self._origins.providers[name]
        yield f"    type: {_json(kind.value)}", self._origin(kind) if kind.field else "the entry's name"
        for value, note in self._dialect_values[name]:
            yield f"    {value.name}: {_json(value.value)}", note
        for value in rest:
            yield f"    {value.name}: {_json(value.value)}", self._origin(value)
        models = self._origins.models[name]
        yield ("    models:", "") if models else ("    models: []", "any: none is listed")
        for first, *others in models.values():
            yield f"      - name: {_json(first.value)}", self._origin(first)
            for value in others:
                yield f"        {value.name}: {_json(value.value)}", self._origin(value)

    def _origin(self, value: Value) -> str:
        if value.field is None:
            return "default"
        shared = (
            "defaults, "
            if value.field.startswith("defaults.")
            else "default_params, "
            if ".default_params" in value.field
            else ""
        )
        return f"{shared}line {value.line}" if value.line else value.field


def _entry(value: Value) -> dict[str, Any]:
    return {"value": value.value, "field": value.field, "line": value.line}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _json_key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else _json(name)
