"""Reads JSON as Google's front end does: names in lowerCamel or snake_case, no unknown names, numbers of the right type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

Refuse = Callable[..., NoReturn]  # refuse(message, status=400, details=None)

_SCHEMA = """
    type format title description nullable enum max_items min_items properties required min_properties max_properties min_length
    max_length pattern example any_of property_ordering default items minimum maximum
    """
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED")
_CAPITAL = re.compile(r"(?<=[a-z0-9])[A-Z]")


def check_schema(schema: Any, location: str, refuse: Refuse) -> dict[str, Any]:
    """A schema of the OpenAPI subset, with names in lowerCamel. Other JSON Schema keywords are unknown names to Gemini."""
    fields = read_message(schema, _SCHEMA, location, refuse)
    kind = fields.get("type")
    if kind is not None and (not isinstance(kind, str) or kind.upper() not in _TYPES):
        refuse(f"Invalid value at '{location}.type' (Type), {json.dumps(kind)}")
    out = {_CAMEL_CASE.get(key, key): value for key, value in fields.items()}
    if isinstance(out.get("properties"), dict):
        out["properties"] = {
            name: check_schema(entry, f"{location}.properties[{index}].value", refuse)
            for index, (name, entry) in enumerate(out["properties"].items())
        }
    elif out.get("properties") is not None:
        refuse(f"Invalid value at '{location}.properties' (a map), {json.dumps(out['properties'])[:80]}")
    if str(kind).upper() == "ARRAY" and out.get("items") is None:
        refuse(f"* GenerateContentRequest.{location}.items: missing field.\n")
    if out.get("items") is not None:
        out["items"] = check_schema(out["items"], f"{location}.items", refuse)
    if isinstance(out.get("anyOf"), list):
        out["anyOf"] = [check_schema(entry, f"{location}.any_of[{index}]", refuse) for index, entry in enumerate(out["anyOf"])]
    return out


def read_message(value: Any, allowed: str, location: str, refuse: Refuse) -> dict[str, Any]:
    """The fields of one message by their names in snake_case; ``allowed`` lists all fields it may have."""
    if not isinstance(value, dict):
        refuse(f"Invalid value at '{location}' (a message), {json.dumps(value)[:80]}")
    names, fields = allowed.split(), dict[str, Any]()
    for key, entry in value.items():
        name = _CAPITAL.sub(lambda hump: "_" + hump[0].lower(), key)
        if name not in names:
            suffix = f" at '{location}'" if location else ""
            message = f'Invalid JSON payload received. Unknown name "{key}"{suffix}: Cannot find field.'
            violation = {"field": location, "description": message} if location else {"description": message}
            refuse(message, details=[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}])
        if name in fields:
            refuse(f"Invalid JSON payload received. The field {name} is set twice, as {key} and in its other spelling.")
        fields[name] = entry
    return fields


def read_number(config: dict[str, Any], name: str, low: float, high: float, refuse: Refuse) -> None:
    """Checks an optional number of the generation config; proto JSON also accepts it as a string."""
    value = config.get(name)
    if value is None:
        return
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        refuse(f"Invalid value at 'generation_config.{name}' (TYPE_FLOAT), {json.dumps(value)[:80]}")
    if not low <= number <= high:
        refuse(f"* GenerateContentRequest.generation_config.{name}: {name} must be in the range [{low:.1f}, {high:.1f}].\n")
    config[name] = number


def read_whole(config: dict[str, Any], name: str, refuse: Refuse) -> None:
    """Checks an optional 32-bit integer of the generation config; proto JSON also accepts 5.0 and "5"."""
    value = config.get(name)
    if value is None:
        return
    written = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value)
    number = int(value) if written or (isinstance(value, float) and value.is_integer()) else value
    if isinstance(number, bool) or not isinstance(number, int) or not -(2**31) <= number < 2**31:
        refuse(f"Invalid value at 'generation_config.{name}' (TYPE_INT32), {json.dumps(value)[:80]}")
    config[name] = number


_CAMEL_CASE = {name: re.sub(r"_(\w)", lambda match: match[1].upper(), name) for name in _SCHEMA.split()}
