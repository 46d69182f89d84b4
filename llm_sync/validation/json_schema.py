"""JSON Schemas that callers give for structured output: checked before a request is sent, held against its answer.

The only user of jsonschema, an optional package (``llm-sync[schema]``) that is imported on use. References to other
documents are refused: nothing is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.errors import ConfigurationError, FieldProblem, InvalidRequestError
from llm_sync.runtime.import_lock import import_lock

_MOST = 20  # problems reported


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises InvalidRequestError for a schema nothing can be held against, ConfigurationError without jsonschema."""
    jsonschema = _jsonschema()
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        path = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise InvalidRequestError(
            f"response_schema{path} is not a JSON Schema: {error.message[:200]}", guidance="Correct the schema; nothing was sent."
        ) from None
    for reference in _references(schema):
        if not _resolves(schema, reference):
            raise InvalidRequestError(
                f"response_schema refers to {reference!r}, which is not in it", guidance="Put the definition under $defs."
            )


def misfits(document: Any, schema: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    """What of ``document`` breaks ``schema``, at most 20 problems; () when it fits."""
    jsonschema = _jsonschema()
    import referencing
    import referencing.exceptions

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    found: list[FieldProblem] = []
    try:
        for error in kind(schema, registry=referencing.Registry()).iter_errors(document):
            path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
            found.append(FieldProblem(path, f"{error.validator} {_short(error.validator_value)}", _short(error.instance)))
            if len(found) == _MOST:
                break
    except (re.error, RecursionError, jsonschema.exceptions.UnknownType, referencing.exceptions.Unresolvable) as error:
        found.append(FieldProblem("$", f"a schema that can be applied ({type(error).__name__}: {error})", "this one"))
    return tuple(found)


def _jsonschema() -> Any:
    try:
        with import_lock:
            import jsonschema
    except ImportError:
        raise ConfigurationError(
            "response_schema needs the package jsonschema", guidance="Install it: pip install 'llm-sync[schema]'."
        ) from None
    return jsonschema


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _references(item)


def _resolves(schema: Mapping[str, Any], reference: str) -> bool:
    if reference == "#":
        return True
    if not reference.startswith("#/"):
        return reference.startswith("#") and _has_anchor(schema, reference[1:])
    node: Any = schema
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return False
    return True


def _has_anchor(node: Any, name: str) -> bool:
    if isinstance(node, Mapping):
        return node.get("$anchor") == name or any(_has_anchor(value, name) for value in node.values())
    return isinstance(node, list) and any(_has_anchor(item, name) for item in node)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
