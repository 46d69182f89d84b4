"""``--set KEY=VALUE``: provider-specific parameters, in JSON, YAML or plain text."""

from __future__ import annotations

import json
from typing import Any

from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.config.schema import RESERVED
from llm_sync.validation.document import FileFormat
from llm_sync.validation.yaml_document import parse_document
from llm_sync.validation.yaml_scalars import plain_value


def provider_specific(settings: list[tuple[tuple[str, ...], str]]) -> dict[str, Any]:
    """The nested mapping of all settings, given as the steps of a key and the text of its value; the last value wins.

    Raises UsageError for a reserved or contradictory key, and for a value that JSON cannot hold.
    """
    result: dict[str, Any] = {}
    for steps, text in settings:
        name = ".".join(steps)
        if steps[0] in RESERVED:
            raise UsageError(f"--set {name}: llm-sync sets model and prompt itself")
        mapping = result
        for step in steps[:-1]:
            mapping = mapping.setdefault(step, {})
            if not isinstance(mapping, dict):
                raise UsageError(f"--set {name}: {step} is also set to a single value, keep one")
        mapping[steps[-1]] = _value(name, text)
    return result


def _value(name: str, text: str) -> Any:
    """A list, mapping or quoted text in JSON or YAML; a number, true, false or null; else the text itself."""
    value = _parse(name, text) if text.lstrip().startswith(("{", "[", '"')) else plain_value(text)
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise UsageError(f"--set {name}={text[:40]}: JSON has no such number") from None
    return value


def _parse(name: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):  # YAML needs no quotes around keys, and reports duplicate ones
        document = parse_document(text.encode("utf-8"), "it", FileFormat("a value"))
    if document.problems:
        raise UsageError(f"--set {name}={text[:40]}: neither JSON nor YAML: {document.problems[0].message}")
    return document.value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result
